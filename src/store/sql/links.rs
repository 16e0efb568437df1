//! Identities at providers: [`LinkStore`].

use async_trait::async_trait;
use sqlx::{
    Row as _,
    sqlite::{SqliteConnection, SqliteRow},
};

use super::{SqlStore, accounts, parsed, sessions, writer::Step};
use crate::{
    clock::Timestamp,
    model::{AccountId, Link, LinkKey},
    store::{DeleteLink, InsertLink, LinkSignIn, LinkStore, Names, NewSession, StoreError},
};

#[async_trait]
impl LinkStore for SqlStore {
    async fn sign_in_by_link(
        &self,
        key: &LinkKey,
        names: Option<&Names>,
        session: &NewSession,
    ) -> Result<LinkSignIn, StoreError> {
        let (key, names, session) = (key.clone(), names.cloned(), session.clone());
        self.writer
            .write(move |step| Box::pin(async move { sign_in(step, &key, names.as_ref(), &session).await }))
            .await
    }

    async fn linked_account(&self, key: &LinkKey) -> Result<Option<AccountId>, StoreError> {
        self.read(async |mut connection| account_of(&mut connection, key).await).await
    }

    async fn insert_link(&self, account: AccountId, key: &LinkKey) -> Result<InsertLink, StoreError> {
        let key = key.clone();
        self.writer.write(move |step| Box::pin(async move { link_up(step, account, &key).await })).await
    }

    async fn links(&self, account: AccountId) -> Result<Vec<Link>, StoreError> {
        self.read(async |mut connection| of(&mut connection, account).await).await
    }

    async fn delete_link(
        &self,
        account: AccountId,
        provider: &str,
        id: i64,
        usable: &[String],
    ) -> Result<DeleteLink, StoreError> {
        let (provider, usable) = (provider.to_owned(), usable.to_vec());
        self.writer
            .write(move |step| Box::pin(async move { delete(step, account, &provider, id, &usable).await }))
            .await
    }
}

async fn sign_in(
    step: &mut Step,
    key: &LinkKey,
    names: Option<&Names>,
    session: &NewSession,
) -> Result<LinkSignIn, StoreError> {
    let Some(id) = account_of(&mut step.connection, key).await? else {
        return Ok(LinkSignIn::Unknown);
    };
    let Some(account) = accounts::find(&mut step.connection, id).await? else {
        return Err(StoreError::Corrupt(format!("a link is of no account: {id}")));
    };
    if !account.active {
        return Ok(LinkSignIn::Inactive(id));
    }
    if let Some(Names { first, last }) = names
        && (account.first_name != *first || account.last_name != *last)
    {
        sqlx::query("UPDATE accounts SET first_name = ?, last_name = ? WHERE id = ?")
            .bind(first)
            .bind(last)
            .bind(id.to_string())
            .execute(&mut step.connection)
            .await?;
    }
    let start = sessions::create(step, id, account.epoch, session).await?;
    Ok(start.map_or(LinkSignIn::Inactive(id), LinkSignIn::SignedIn))
}

async fn link_up(step: &mut Step, account: AccountId, key: &LinkKey) -> Result<InsertLink, StoreError> {
    match account_of(&mut step.connection, key).await? {
        Some(owner) if owner != account => return Ok(InsertLink::Taken),
        _ => {}
    }
    if !accounts::find(&mut step.connection, account).await?.is_some_and(|account| account.active) {
        return Ok(InsertLink::NoAccount);
    }
    match of(&mut step.connection, account).await?.into_iter().find(|link| link.key == *key) {
        Some(present) => Ok(InsertLink::Present(present)),
        None => Ok(InsertLink::Inserted(insert(step, account, key).await?)),
    }
}

async fn delete(
    step: &mut Step,
    account: AccountId,
    provider: &str,
    id: i64,
    usable: &[String],
) -> Result<DeleteLink, StoreError> {
    let (own, others): (Vec<_>, Vec<_>) =
        of(&mut step.connection, account).await?.into_iter().partition(|link| link.id == id);
    if !own.iter().any(|link| link.key.provider == provider) {
        return Ok(DeleteLink::Unknown);
    }
    let has_password: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM accounts WHERE id = ? AND password_hash IS NOT NULL AND email_key IS NOT NULL)",
    )
    .bind(account.to_string())
    .fetch_one(&mut step.connection)
    .await?;
    if !has_password && !others.iter().any(|link| usable.contains(&link.key.provider)) {
        return Ok(DeleteLink::LastWay);
    }
    sqlx::query("DELETE FROM links WHERE id = ?").bind(id).execute(&mut step.connection).await?;
    Ok(DeleteLink::Deleted)
}

pub(super) async fn account_of(
    connection: &mut SqliteConnection,
    key: &LinkKey,
) -> Result<Option<AccountId>, sqlx::Error> {
    let row = sqlx::query("SELECT account FROM links WHERE provider = ? AND subject = ?")
        .bind(&key.provider)
        .bind(&key.subject)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(|row| parsed(row, "account")).transpose()
}

/// Keeps a link that is nobody's yet.
pub(super) async fn insert(step: &mut Step, account: AccountId, key: &LinkKey) -> Result<Link, sqlx::Error> {
    let row = sqlx::query("INSERT INTO links (account, provider, subject, created_at) VALUES (?, ?, ?, ?) RETURNING *")
        .bind(account.to_string())
        .bind(&key.provider)
        .bind(&key.subject)
        .bind(step.now().millis())
        .fetch_one(&mut step.connection)
        .await?;
    link(&row)
}

async fn of(connection: &mut SqliteConnection, account: AccountId) -> Result<Vec<Link>, sqlx::Error> {
    let rows = sqlx::query("SELECT * FROM links WHERE account = ? ORDER BY id")
        .bind(account.to_string())
        .fetch_all(connection)
        .await?;
    rows.iter().map(link).collect()
}

fn link(row: &SqliteRow) -> Result<Link, sqlx::Error> {
    Ok(Link {
        id: row.try_get("id")?,
        key: LinkKey { provider: row.try_get("provider")?, subject: row.try_get("subject")? },
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
    })
}
