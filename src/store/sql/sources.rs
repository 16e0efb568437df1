//! Where accounts signed in from lately.

use sqlx::sqlite::SqliteConnection;

use super::writer::Step;
use crate::{
    clock::Timestamp,
    model::{AccountId, SourceId},
    store::SOURCE_KNOWN_FOR,
};

/// Most sources remembered of an account: more than anybody has homes.
const MOST: u32 = 50;

/// Makes a source known to the account, or known for longer.
pub(super) async fn remember(step: &mut Step, account: AccountId, source: SourceId) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO sources (account, source, at) VALUES (?, ?, ?) \
         ON CONFLICT (account, source) DO UPDATE SET at = excluded.at",
    )
    .bind(account.to_string())
    .bind(source.0.to_vec())
    .bind(step.now().millis())
    .execute(&mut step.connection)
    .await?;
    sqlx::query(
        "DELETE FROM sources WHERE account = ?1 AND source IN \
         (SELECT source FROM sources WHERE account = ?1 ORDER BY at DESC LIMIT -1 OFFSET ?2)",
    )
    .bind(account.to_string())
    .bind(MOST)
    .execute(&mut step.connection)
    .await?;
    Ok(())
}

pub(super) async fn knows(
    connection: &mut SqliteConnection,
    email_key: &str,
    source: SourceId,
    since: Timestamp,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM accounts JOIN sources ON sources.account = accounts.id \
         WHERE email_key = ? AND source = ? AND at >= ?)",
    )
    .bind(email_key)
    .bind(source.0.to_vec())
    .bind(since.millis())
    .fetch_one(connection)
    .await
}

/// Deletes up to `limit` that are known no longer.
pub(super) async fn forget(step: &mut Step, limit: u32) -> Result<u64, sqlx::Error> {
    let forgotten = sqlx::query(
        "DELETE FROM sources WHERE (account, source) IN (SELECT account, source FROM sources WHERE at < ? LIMIT ?)",
    )
    .bind((step.now() - SOURCE_KNOWN_FOR).millis())
    .bind(limit)
    .execute(&mut step.connection)
    .await?;
    Ok(forgotten.rows_affected())
}
