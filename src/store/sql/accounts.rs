//! Accounts: [`AccountStore`].

use async_trait::async_trait;
use sqlx::{
    Row as _,
    sqlite::{SqliteConnection, SqliteRow},
};

use super::{SqlStore, changes, json, links, parsed, sessions, writer::Step};
use crate::{
    change_log::Change,
    clock::Timestamp,
    model::{Account, AccountId, Epoch, SessionId},
    store::{AccountChange, AccountStore, Credentials, Enrolment, InsertAccount, StoreError, change::Effect},
};

#[async_trait]
impl AccountStore for SqlStore {
    async fn insert_account(&self, new: &Enrolment) -> Result<InsertAccount, StoreError> {
        let new = new.clone();
        self.writer.write(move |step| Box::pin(async move { insert(step, &new).await })).await
    }

    async fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        self.read(async |mut connection| find(&mut connection, id).await).await
    }

    async fn credentials(&self, email_key: &str) -> Result<Option<Credentials>, StoreError> {
        self.read(async |mut connection| {
            let query = sqlx::query("SELECT * FROM accounts WHERE email_key = ?").bind(email_key);
            query.fetch_optional(&mut *connection).await?.as_ref().map(credentials).transpose()
        })
        .await
    }

    async fn credentials_of(&self, id: AccountId) -> Result<Option<Credentials>, StoreError> {
        self.read(async |mut connection| {
            let query = sqlx::query("SELECT * FROM accounts WHERE id = ?").bind(id.to_string());
            query.fetch_optional(&mut *connection).await?.as_ref().map(credentials).transpose()
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
        self.writer.write(move |step| Box::pin(async move { alter(step, id, &change).await })).await
    }

    async fn delete_account(&self, id: AccountId) -> Result<bool, StoreError> {
        self.writer
            .write(move |step| {
                Box::pin(async move {
                    let there = find(&mut step.connection, id).await?.is_some();
                    if there {
                        log_epoch(step, id, Epoch::GONE).await?;
                        delete(step, id).await?;
                    }
                    Ok(there)
                })
            })
            .await
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

    async fn change_own_password(
        &self,
        id: AccountId,
        epoch: Epoch,
        hash: &str,
        keep: SessionId,
    ) -> Result<bool, StoreError> {
        let hash = hash.to_owned();
        self.writer
            .write(move |step| Box::pin(async move { change_password(step, id, epoch, &hash, keep).await }))
            .await
    }
}

pub(super) async fn find(connection: &mut SqliteConnection, id: AccountId) -> Result<Option<Account>, sqlx::Error> {
    find_by(connection, "SELECT * FROM accounts WHERE id = ?", &id.to_string()).await
}

async fn find_by(
    connection: &mut SqliteConnection,
    query: &'static str,
    value: &str,
) -> Result<Option<Account>, sqlx::Error> {
    sqlx::query(query).bind(value).fetch_optional(connection).await?.as_ref().map(account).transpose()
}

async fn insert(step: &mut Step, new: &Enrolment) -> Result<InsertAccount, StoreError> {
    let Enrolment { account, email_key, password_hash, link, session, reclaim } = new;
    if let Some(key) = link
        && links::account_of(&mut step.connection, key).await?.is_some()
    {
        return Ok(InsertAccount::LinkTaken);
    }
    let owner = match email_key {
        Some(key) => find_by(&mut step.connection, "SELECT * FROM accounts WHERE email_key = ?", key).await?,
        None => None,
    };
    // One that was imported is its owner's, whether or not somebody vouched for the address.
    let reclaims = |owner: &Account| *reclaim && !owner.email_verified && owner.external_id.is_none();
    if owner.as_ref().is_some_and(|owner| !reclaims(owner)) {
        return Ok(InsertAccount::EmailTaken);
    }
    if let Some(external_id) = &account.external_id
        && find_by(&mut step.connection, "SELECT * FROM accounts WHERE external_id = ?", external_id).await?.is_some()
    {
        return Ok(InsertAccount::ExternalIdTaken);
    }
    let reclaimed = owner.map(|owner| owner.id);
    if let Some(id) = reclaimed {
        take_address(step, id).await?;
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
    if let Some(key) = link {
        links::insert(step, account.id, key).await?;
    }
    let session = match session {
        Some(session) => sessions::create(step, account.id, account.epoch, session).await?,
        None => None,
    };
    Ok(InsertAccount::Inserted { session, reclaimed })
}

/// Takes its address from an account and locks it.
async fn take_address(step: &mut Step, id: AccountId) -> Result<(), StoreError> {
    alter(step, id, &AccountChange::Active(false)).await?;
    sqlx::query("UPDATE accounts SET email = NULL, email_key = NULL WHERE id = ?")
        .bind(id.to_string())
        .execute(&mut step.connection)
        .await?;
    Ok(())
}

async fn change_password(
    step: &mut Step,
    id: AccountId,
    epoch: Epoch,
    hash: &str,
    keep: SessionId,
) -> Result<bool, StoreError> {
    let Some(kept) = sessions::find(&mut step.connection, keep).await?.filter(|session| session.account == id) else {
        return Ok(false);
    };
    let changed = sqlx::query("UPDATE accounts SET password_hash = ?, epoch = ? WHERE id = ? AND epoch = ? AND active")
        .bind(hash)
        .bind(epoch.next().0)
        .bind(id.to_string())
        .bind(epoch.0)
        .execute(&mut step.connection)
        .await?;
    if changed.rows_affected() == 0 {
        return Ok(false);
    }
    // Not by the epoch: that would end the tokens of the session that is kept.
    for session in sessions::of(&mut step.connection, id).await? {
        if session.id != kept.id {
            sessions::end(step, &session).await?;
        }
    }
    Ok(true)
}

async fn alter(step: &mut Step, id: AccountId, change: &AccountChange) -> Result<Option<Account>, StoreError> {
    let Some(mut account) = find(&mut step.connection, id).await? else {
        return Ok(None);
    };
    let before = account.clone();
    if let AccountChange::Password(hash) = change {
        sqlx::query("UPDATE accounts SET password_hash = ? WHERE id = ?")
            .bind(hash)
            .bind(id.to_string())
            .execute(&mut step.connection)
            .await?;
    }
    let Effect { moves_epoch, ends_sessions } = change.carry_out(&mut account);
    if moves_epoch {
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

/// Deletes an account and all that is its own, without a word to the change log.
async fn delete(step: &mut Step, id: AccountId) -> Result<(), StoreError> {
    sessions::delete_all(step, id).await?;
    for deletion in [
        "DELETE FROM links WHERE account = ?",
        "DELETE FROM sources WHERE account = ?",
        "DELETE FROM accounts WHERE id = ?",
    ] {
        sqlx::query(deletion).bind(id.to_string()).execute(&mut step.connection).await?;
    }
    Ok(())
}

/// Raises the epoch to at least `min_epoch` and ends the sessions, if it was lower; of an account that is gone, deletes
/// what came back of it.
pub(super) async fn raise_epoch(step: &mut Step, id: AccountId, min_epoch: Epoch) -> Result<(), StoreError> {
    if min_epoch == Epoch::GONE {
        return delete(step, id).await;
    }
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

fn credentials(row: &SqliteRow) -> Result<Credentials, sqlx::Error> {
    Ok(Credentials { account: account(row)?, password_hash: row.try_get("password_hash")? })
}

pub(super) fn account(row: &SqliteRow) -> Result<Account, sqlx::Error> {
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
