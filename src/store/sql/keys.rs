//! Signing keys: [`KeyStore`].

use async_trait::async_trait;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{SqlStore, changes, writer::Step};
use crate::{
    change_log::Change,
    clock::Timestamp,
    store::{KeyStore, StoreError, StoredKey},
};

#[async_trait]
impl KeyStore for SqlStore {
    async fn keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        self.read(async |mut connection| {
            let rows = sqlx::query("SELECT * FROM signing_keys ORDER BY signs_from, created_at, kid")
                .fetch_all(&mut *connection)
                .await?;
            rows.iter().map(key).collect()
        })
        .await
    }

    async fn insert_key(&self, key: &StoredKey, known: &[String]) -> Result<bool, StoreError> {
        let (key, mut known) = (key.clone(), known.to_vec());
        known.sort_unstable();
        self.writer.write(move |step| Box::pin(async move { insert(step, key, known).await })).await
    }

    async fn reseal_key(&self, kid: &str, current: &[u8], sealed: &[u8]) -> Result<bool, StoreError> {
        let (kid, current, sealed) = (kid.to_owned(), current.to_vec(), sealed.to_vec());
        self.writer
            .write(move |step| {
                Box::pin(async move {
                    let resealed = sqlx::query("UPDATE signing_keys SET sealed = ? WHERE kid = ? AND sealed = ?")
                        .bind(sealed)
                        .bind(kid)
                        .bind(current)
                        .execute(&mut step.connection)
                        .await?;
                    Ok(resealed.rows_affected() > 0)
                })
            })
            .await
    }

    async fn delete_key(&self, kid: &str) -> Result<bool, StoreError> {
        let kid = kid.to_owned();
        self.writer
            .write(move |step| {
                Box::pin(async move {
                    let deleted = sqlx::query("DELETE FROM signing_keys WHERE kid = ?")
                        .bind(kid)
                        .execute(&mut step.connection)
                        .await?;
                    if deleted.rows_affected() == 0 {
                        return Ok(false);
                    }
                    changes::append(step, Change::Keys).await?;
                    Ok(true)
                })
            })
            .await
    }
}

async fn insert(step: &mut Step, key: StoredKey, known: Vec<String>) -> Result<bool, StoreError> {
    let kept: Vec<String> =
        sqlx::query_scalar("SELECT kid FROM signing_keys ORDER BY kid").fetch_all(&mut step.connection).await?;
    if kept != known {
        return Ok(false);
    }
    sqlx::query("INSERT INTO signing_keys (kid, algorithm, sealed, created_at, signs_from) VALUES (?, ?, ?, ?, ?)")
        .bind(key.kid)
        .bind(key.algorithm)
        .bind(key.sealed)
        .bind(key.created_at.millis())
        .bind(key.signs_from.millis())
        .execute(&mut step.connection)
        .await?;
    changes::append(step, Change::Keys).await?;
    Ok(true)
}

fn key(row: &SqliteRow) -> Result<StoredKey, sqlx::Error> {
    Ok(StoredKey {
        kid: row.try_get("kid")?,
        algorithm: row.try_get("algorithm")?,
        sealed: row.try_get("sealed")?,
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
        signs_from: Timestamp::from_millis(row.try_get("signs_from")?),
    })
}
