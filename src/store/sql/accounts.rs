//! Accounts: [`AccountStore`].

use async_trait::async_trait;
use sqlx::{
    Row as _,
    sqlite::{SqliteConnection, SqliteRow},
};

use super::{SqlStore, changes, json, parsed, sessions, writer::Step};
use crate::{
    change_log::Change,
    clock::Timestamp,
    model::{Account, AccountId, Epoch},
    store::{AccountChange, AccountStore, Credentials, InsertAccount, NewSession, StoreError},
};

#[async_trait]
impl AccountStore for SqlStore {
    async fn insert_account(
        &self,
        account: &Account,
        email_key: Option<&str>,
        password_hash: Option<&str>,
        session: Option<&NewSession>,
    ) -> Result<InsertAccount, StoreError> {
        let (account, session) = (account.clone(), session.cloned());
        let (email_key, password_hash) = (email_key.map(str::to_owned), password_hash.map(str::to_owned));
        self.writer
            .write(move |step| Box::pin(async move { insert(step, &account, email_key, password_hash, session).await }))
            .await
    }

    async fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        self.read(async |mut connection| find(&mut connection, id).await).await
    }

    async fn credentials(&self, email_key: &str) -> Result<Option<Credentials>, StoreError> {
        self.read(async |mut connection| {
            let row = sqlx::query("SELECT * FROM accounts WHERE email_key = ?")
                .bind(email_key)
                .fetch_optional(&mut *connection)
                .await?;
            row.map(|row| Ok(Credentials { account: account(&row)?, password_hash: row.try_get("password_hash")? }))
                .transpose()
        })
        .await
    }

    async fn accounts(&self, after: Option<AccountId>, limit: u32) -> Result<Vec<Account>, StoreError> {
        self.read(async |mut connection| {
            // The spelling of ids sorts as their bytes do, and after the empty text.
            let rows = sqlx::query("SELECT * FROM accounts WHERE id > ? ORDER BY id LIMIT ?")
                .bind(after.map(|id| id.to_string()).unwrap_or_default())
                .bind(limit)
                .fetch_all(&mut *connection)
                .await?;
            rows.iter().map(account).collect()
        })
        .await
    }

    async fn change_account(&self, id: AccountId, change: &AccountChange) -> Result<Option<Account>, StoreError> {
        let change = change.clone();
        self.writer.write(move |step| Box::pin(async move { alter(step, id, change).await })).await
    }

    async fn replace_password_hash(&self, id: AccountId, current: &str, new: &str) -> Result<bool, StoreError> {
        let (current, new) = (current.to_owned(), new.to_owned());
        self.writer
            .write(move |step| {
                Box::pin(async move {
                    let done = sqlx::query("UPDATE accounts SET password_hash = ? WHERE id = ? AND password_hash = ?")
                        .bind(new)
                        .bind(id.to_string())
                        .bind(current)
                        .execute(&mut step.connection)
                        .await?;
                    Ok(done.rows_affected() > 0)
                })
            })
            .await
    }
}

pub(super) async fn find(connection: &mut SqliteConnection, id: AccountId) -> Result<Option<Account>, sqlx::Error> {
    let row =
        sqlx::query("SELECT * FROM accounts WHERE id = ?").bind(id.to_string()).fetch_optional(connection).await?;
    row.as_ref().map(account).transpose()
}

async fn insert(
    step: &mut Step,
    account: &Account,
    email_key: Option<String>,
    password_hash: Option<String>,
    session: Option<NewSession>,
) -> Result<InsertAccount, StoreError> {
    let taken: Option<bool> = sqlx::query_scalar(
        "SELECT email_key IS ?1 FROM accounts WHERE email_key = ?1 OR external_id = ?2 ORDER BY 1 DESC LIMIT 1",
    )
    .bind(&email_key)
    .bind(&account.external_id)
    .fetch_optional(&mut step.connection)
    .await?;
    match taken {
        Some(true) if email_key.is_some() => return Ok(InsertAccount::EmailTaken),
        Some(_) => return Ok(InsertAccount::ExternalIdTaken),
        None => {}
    }
    sqlx::query(
        "INSERT INTO accounts (id, email, email_key, email_verified, username, first_name, last_name, groups, staff, \
         active, external_id, password_hash, epoch, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(account.id.to_string())
    .bind(&account.email)
    .bind(email_key)
    .bind(account.email_verified)
    .bind(&account.username)
    .bind(&account.first_name)
    .bind(&account.last_name)
    .bind(serde_json::json!(account.groups).to_string())
    .bind(account.staff)
    .bind(account.active)
    .bind(&account.external_id)
    .bind(password_hash)
    .bind(account.epoch.0)
    .bind(account.created_at.millis())
    .execute(&mut step.connection)
    .await?;
    let start = match &session {
        Some(session) => sessions::create(step, session).await?,
        None => None,
    };
    Ok(InsertAccount::Inserted(start))
}

async fn alter(step: &mut Step, id: AccountId, change: AccountChange) -> Result<Option<Account>, StoreError> {
    let Some(mut account) = find(&mut step.connection, id).await? else {
        return Ok(None);
    };
    let before = account.clone();
    let (moves_epoch, ends_sessions) = match change {
        AccountChange::Password(hash) => {
            sqlx::query("UPDATE accounts SET password_hash = ? WHERE id = ?")
                .bind(hash)
                .bind(id.to_string())
                .execute(&mut step.connection)
                .await?;
            (true, true)
        }
        AccountChange::Active(active) => {
            account.active = active;
            let deactivated = before.active && !active;
            (deactivated, deactivated)
        }
        AccountChange::Staff(staff) => {
            account.staff = staff;
            (account != before, false)
        }
        AccountChange::Groups(groups) => {
            account.groups = groups;
            (account != before, false)
        }
    };
    if moves_epoch {
        account.epoch = Epoch(account.epoch.0.saturating_add(1));
        log_epoch(step, id, account.epoch).await?;
    }
    if ends_sessions {
        sessions::delete_all(step, id).await?;
    }
    if account != before {
        sqlx::query("UPDATE accounts SET groups = ?, staff = ?, active = ?, epoch = ? WHERE id = ?")
            .bind(serde_json::json!(account.groups).to_string())
            .bind(account.staff)
            .bind(account.active)
            .bind(account.epoch.0)
            .bind(id.to_string())
            .execute(&mut step.connection)
            .await?;
    }
    Ok(Some(account))
}

/// Raises the epoch to at least `min_epoch` and ends the sessions, if it was lower.
pub(super) async fn raise_epoch(step: &mut Step, id: AccountId, min_epoch: Epoch) -> Result<(), StoreError> {
    let raised = sqlx::query("UPDATE accounts SET epoch = ?1 WHERE id = ?2 AND epoch < ?1")
        .bind(min_epoch.0)
        .bind(id.to_string())
        .execute(&mut step.connection)
        .await?;
    if raised.rows_affected() > 0 {
        sessions::delete_all(step, id).await?;
    }
    Ok(())
}

/// Logs a moved epoch. Before the account's sessions are deleted: they tell how long its tokens live.
async fn log_epoch(step: &mut Step, account: AccountId, min_epoch: Epoch) -> Result<(), StoreError> {
    let latest: Option<i64> = sqlx::query_scalar("SELECT max(access_expires_at) FROM sessions WHERE account = ?")
        .bind(account.to_string())
        .fetch_one(&mut step.connection)
        .await?;
    let until = changes::until(latest.map_or(step.now(), Timestamp::from_millis), step.now());
    changes::append(step, Change::AccountEpoch { account, min_epoch, until }).await
}

fn account(row: &SqliteRow) -> Result<Account, sqlx::Error> {
    Ok(Account {
        id: parsed(row, "id")?,
        email: row.try_get("email")?,
        email_verified: row.try_get("email_verified")?,
        username: row.try_get("username")?,
        first_name: row.try_get("first_name")?,
        last_name: row.try_get("last_name")?,
        groups: json(row, "groups")?,
        staff: row.try_get("staff")?,
        active: row.try_get("active")?,
        external_id: row.try_get("external_id")?,
        epoch: Epoch(row.try_get("epoch")?),
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
    })
}
