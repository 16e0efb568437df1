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
        verified_email: Option<&str>,
        names: Option<&Names>,
        session: &NewSession,
    ) -> Result<LinkSignIn, StoreError> {
        let (key, email, names, session) =
            (key.clone(), verified_email.map(str::to_owned), names.cloned(), session.clone());
        self.writer
            .write(move |step| {
                Box::pin(async move { sign_in(step, &key, email.as_deref(), names.as_ref(), &session).await })
            })
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
    verified_email: Option<&str>,
    names: Option<&Names>,
    session: &NewSession,
) -> Result<LinkSignIn, StoreError> {
    let known = account_of(&mut step.connection, key).await?;
    let by_email = match verified_email {
        Some(email) if known.is_none() => waiting(&mut step.connection, &key.provider, email).await?,
        _ => None,
    };
    let Some(id) = known.or(by_email) else {
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
    if by_email.is_some() {
        sqlx::query("UPDATE links SET subject = ? WHERE provider = ? AND by_email = ? AND subject IS NULL")
            .bind(&key.subject)
            .bind(&key.provider)
            .bind(verified_email)
            .execute(&mut step.connection)
            .await?;
    }
    Ok(match sessions::create(step, id, account.epoch, session).await? {
        Some(start) if by_email.is_some() => LinkSignIn::TakenOver(start),
        Some(start) => LinkSignIn::SignedIn(start),
        None => LinkSignIn::Inactive(id),
    })
}

async fn link_up(step: &mut Step, account: AccountId, key: &LinkKey) -> Result<InsertLink, StoreError> {
    let owner = account_of(&mut step.connection, key).await?;
    if owner.is_some_and(|owner| owner != account) {
        return Ok(InsertLink::Taken);
    }
    if !accounts::find(&mut step.connection, account).await?.is_some_and(|account| account.active) {
        return Ok(InsertLink::NoAccount);
    }
    let present = of(&mut step.connection, account).await?.into_iter().find(|link| link.key == *key);
    match present.filter(|_| owner.is_some()) {
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

/// Whose link waits under this address for the provider's id of its owner.
async fn waiting(
    connection: &mut SqliteConnection,
    provider: &str,
    email: &str,
) -> Result<Option<AccountId>, sqlx::Error> {
    let row = sqlx::query("SELECT account FROM links WHERE provider = ? AND by_email = ? AND subject IS NULL")
        .bind(provider)
        .bind(email)
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
    let subject: Option<String> = row.try_get("subject")?;
    // While it waits, the address is what the person is called by.
    let subject = subject.map_or_else(|| row.try_get("by_email"), Ok)?;
    Ok(Link {
        id: row.try_get("id")?,
        key: LinkKey { provider: row.try_get("provider")?, subject },
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
    })
}
