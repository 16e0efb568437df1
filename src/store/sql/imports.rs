//! Accounts that come from another system: [`ImportStore`]. A statement for all of a step, as there may be a million
//! of them; parameters are JSON arrays.

use std::collections::HashMap;

use async_trait::async_trait;
use serde_json::{Value, json};
use sqlx::{Row as _, sqlite::SqliteConnection};

use super::{SqlStore, accounts, parsed, writer::Step};
use crate::store::{Import, ImportStore, Imported, ImportedLink, LinkOutcome, StoreError, imports::Known};

#[async_trait]
impl ImportStore for SqlStore {
    async fn judge_imports(&self, imports: Vec<Import>) -> Result<Vec<Imported>, StoreError> {
        self.read(async |mut connection| {
            let mut there = known(&mut connection, &imports).await?;
            Ok(imports.iter().map(|import| there.judge(import)).collect())
        })
        .await
    }

    async fn import_accounts(&self, imports: Vec<Import>) -> Result<Vec<Imported>, StoreError> {
        self.writer
            .write(move |step| {
                Box::pin(async move {
                    let mut there = known(&mut step.connection, &imports).await?;
                    let outcomes: Vec<_> = imports.iter().map(|import| there.judge(import)).collect();
                    keep(step, &imports, &outcomes).await?;
                    Ok(outcomes)
                })
            })
            .await
    }
}

/// What is there of all that the imports name.
async fn known(connection: &mut SqliteConnection, imports: &[Import]) -> Result<Known, sqlx::Error> {
    let external_ids: Vec<_> = imports.iter().filter_map(|import| import.account.external_id.as_ref()).collect();
    let rows = sqlx::query("SELECT a.* FROM json_each(?) j CROSS JOIN accounts a ON a.external_id = j.value")
        .bind(json!(external_ids).to_string())
        .fetch_all(&mut *connection)
        .await?;
    let mut by_external_id = HashMap::new();
    for row in &rows {
        by_external_id.insert(row.try_get("external_id")?, accounts::account(row)?);
    }

    let email_keys: Vec<_> = imports.iter().filter_map(|import| import.email_key.as_ref()).collect();
    let rows =
        sqlx::query("SELECT a.id, a.email_key FROM json_each(?) j CROSS JOIN accounts a ON a.email_key = j.value")
            .bind(json!(email_keys).to_string())
            .fetch_all(&mut *connection)
            .await?;
    let mut by_email_key = HashMap::new();
    for row in &rows {
        by_email_key.insert(row.try_get("email_key")?, parsed(row, "id")?);
    }

    let all = imports.iter().flat_map(|import| &import.links);
    let named: Vec<_> = all.map(|link| json!([link.provider, link.uid, link.by_email])).collect();
    let named = json!(named).to_string();
    let rows = sqlx::query(
        "SELECT l.account, l.provider, l.subject AS uid, 0 AS by_email FROM json_each(?1) j CROSS JOIN links l \
             ON l.provider = j.value->>0 AND l.subject = j.value->>1 WHERE NOT j.value->>2 \
         UNION ALL \
         SELECT l.account, l.provider, l.by_email, 1 FROM json_each(?1) j CROSS JOIN links l \
             ON l.provider = j.value->>0 AND l.by_email = j.value->>1 WHERE j.value->>2",
    )
    .bind(named)
    .fetch_all(connection)
    .await?;
    let mut links = HashMap::new();
    for row in &rows {
        let link = ImportedLink {
            provider: row.try_get("provider")?,
            uid: row.try_get("uid")?,
            by_email: row.try_get("by_email")?,
        };
        links.insert(link, parsed(row, "account")?);
    }
    Ok(Known { by_external_id, by_email_key, links })
}

/// Keeps what was found to be new.
async fn keep(step: &mut Step, imports: &[Import], outcomes: &[Imported]) -> Result<(), sqlx::Error> {
    let judged = || imports.iter().zip(outcomes);
    let new = judged().filter(|(_, outcome)| outcome.present.is_none());
    let rows: Vec<_> = new.map(|(import, outcome)| row(import, outcome.address_of.is_some())).collect();
    sqlx::query(
        "INSERT INTO accounts (id, email, email_key, email_verified, username, first_name, last_name, groups, staff, \
         active, external_id, password_hash, epoch, created_at) \
         SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7, value->>8, \
         value->>9, value->>10, value->>11, value->>12, value->>13 FROM json_each(?)",
    )
    .bind(Value::Array(rows).to_string())
    .execute(&mut step.connection)
    .await?;

    let mut rows = Vec::new();
    for (import, outcome) in judged() {
        let id = outcome.present.as_ref().map_or(import.account.id, |present| present.id);
        for (ImportedLink { provider, uid, by_email }, outcome) in import.links.iter().zip(&outcome.links) {
            if *outcome == LinkOutcome::New {
                let (subject, by_email) = if *by_email { (None, Some(uid)) } else { (Some(uid), None) };
                rows.push(json!([id.to_string(), provider, subject, by_email]));
            }
        }
    }
    sqlx::query(
        "INSERT INTO links (account, provider, subject, by_email, created_at) \
         SELECT value->>0, value->>1, value->>2, value->>3, ?2 FROM json_each(?1)",
    )
    .bind(Value::Array(rows).to_string())
    .bind(step.now().millis())
    .execute(&mut step.connection)
    .await
    .map(drop)
}

/// An account as the statement takes it; without its address, when another has that.
fn row(import: &Import, without_address: bool) -> Value {
    let Import { account, email_key, password_hash, .. } = import;
    let (email, email_key, email_verified) = if without_address {
        (None, None, false)
    } else {
        (account.email.as_ref(), email_key.as_ref(), account.email_verified)
    };
    json!([
        account.id,
        email,
        email_key,
        email_verified,
        account.username,
        account.first_name,
        account.last_name,
        json!(account.groups).to_string(),
        account.staff,
        account.active,
        account.external_id,
        password_hash,
        account.epoch,
        account.created_at.millis(),
    ])
}
