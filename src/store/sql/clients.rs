//! Clients kept in the store: [`ClientStore`].

use async_trait::async_trait;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{SqlStore, bytes, changes, json, sessions, writer::Step};
use crate::{
    change_log::Change,
    model::ClientId,
    store::{ClientChange, ClientStore, StoreError, StoredClient, StoredSecret},
};

#[async_trait]
impl ClientStore for SqlStore {
    async fn insert_client(&self, client: &StoredClient) -> Result<bool, StoreError> {
        let client = client.clone();
        self.writer
            .write(move |step| {
                Box::pin(async move {
                    let (mac, hash) = columns(client.secret);
                    let inserted = sqlx::query(
                        "INSERT INTO clients (client_id, secret_mac, secret_hash, grants, scopes) \
                         VALUES (?, ?, ?, ?, ?) ON CONFLICT (client_id) DO NOTHING",
                    )
                    .bind(client.id.as_str())
                    .bind(mac)
                    .bind(hash)
                    .bind(serde_json::json!(client.grants).to_string())
                    .bind(client.scopes.to_string())
                    .execute(&mut step.connection)
                    .await?;
                    logged(step, inserted.rows_affected()).await
                })
            })
            .await
    }

    async fn clients(&self) -> Result<Vec<StoredClient>, StoreError> {
        self.read(async |mut connection| {
            let rows = sqlx::query("SELECT * FROM clients ORDER BY client_id").fetch_all(&mut *connection).await?;
            rows.iter().map(client).collect()
        })
        .await
    }

    async fn change_client(&self, id: &ClientId, change: &ClientChange) -> Result<Option<StoredClient>, StoreError> {
        let (id, change) = (id.clone(), change.clone());
        self.writer.write(move |step| Box::pin(async move { alter(step, &id, &change).await })).await
    }

    async fn delete_client(&self, id: &ClientId) -> Result<bool, StoreError> {
        let id = id.clone();
        self.writer
            .write(move |step| {
                Box::pin(async move {
                    let deleted = sqlx::query("DELETE FROM clients WHERE client_id = ?")
                        .bind(id.as_str())
                        .execute(&mut step.connection)
                        .await?;
                    logged(step, deleted.rows_affected()).await
                })
            })
            .await
    }

    async fn replace_secret(&self, id: &ClientId, current: &StoredSecret, mac: &[u8; 32]) -> Result<bool, StoreError> {
        let (id, current, mac) = (id.clone(), current.clone(), mac.to_vec());
        self.writer
            .write(move |step| {
                Box::pin(async move {
                    let (current_mac, current_hash) = columns(Some(current));
                    let replaced = sqlx::query(
                        "UPDATE clients SET secret_mac = ?, secret_hash = NULL \
                         WHERE client_id = ? AND secret_mac IS ? AND secret_hash IS ?",
                    )
                    .bind(mac)
                    .bind(id.as_str())
                    .bind(current_mac)
                    .bind(current_hash)
                    .execute(&mut step.connection)
                    .await?;
                    logged(step, replaced.rows_affected()).await
                })
            })
            .await
    }
}

async fn alter(step: &mut Step, id: &ClientId, change: &ClientChange) -> Result<Option<StoredClient>, StoreError> {
    let found = sqlx::query("SELECT * FROM clients WHERE client_id = ?")
        .bind(id.as_str())
        .fetch_optional(&mut step.connection)
        .await?;
    let Some(row) = found else { return Ok(None) };
    let mut client = client(&row)?;
    change.carry_out(&mut client);
    let (mac, hash) = columns(client.secret.clone());
    let changed =
        sqlx::query("UPDATE clients SET secret_mac = ?, secret_hash = ?, grants = ?, scopes = ? WHERE client_id = ?")
            .bind(mac)
            .bind(hash)
            .bind(serde_json::json!(client.grants).to_string())
            .bind(client.scopes.to_string())
            .bind(id.as_str())
            .execute(&mut step.connection)
            .await?;
    logged(step, changed.rows_affected()).await?;
    Ok(Some(client))
}

/// Logs that clients changed, if any did. Whether any did.
async fn logged(step: &mut Step, changed: u64) -> Result<bool, StoreError> {
    if changed > 0 {
        changes::append(step, Change::Clients).await?;
    }
    Ok(changed > 0)
}

/// `secret_mac` and `secret_hash`.
fn columns(secret: Option<StoredSecret>) -> (Option<Vec<u8>>, Option<String>) {
    match secret {
        None => (None, None),
        Some(StoredSecret::Mac(mac)) => (Some(mac.to_vec()), None),
        Some(StoredSecret::Imported(hash)) => (None, Some(hash)),
    }
}

fn client(row: &SqliteRow) -> Result<StoredClient, sqlx::Error> {
    Ok(StoredClient {
        id: ClientId::from(row.try_get::<&str, _>("client_id")?),
        secret: secret(row)?,
        grants: json(row, "grants")?,
        scopes: sessions::scope(row, "scopes")?,
    })
}

fn secret(row: &SqliteRow) -> Result<Option<StoredSecret>, sqlx::Error> {
    if let Some(hash) = row.try_get("secret_hash")? {
        return Ok(Some(StoredSecret::Imported(hash)));
    }
    let public = row.try_get::<Option<&[u8]>, _>("secret_mac")?.is_none();
    Ok(if public { None } else { Some(StoredSecret::Mac(bytes(row, "secret_mac")?)) })
}
