//! Clients kept in the store: [`ClientStore`].

use async_trait::async_trait;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{SqlStore, bytes, changes, json, sessions};
use crate::{
    change_log::Change,
    model::ClientId,
    store::{ClientStore, StoreError, StoredClient, StoredSecret},
};

#[async_trait]
impl ClientStore for SqlStore {
    async fn insert_client(&self, client: &StoredClient) -> Result<bool, StoreError> {
        let client = client.clone();
        self.writer
            .write(move |step| {
                Box::pin(async move {
                    let (mac, hash) = match client.secret {
                        None => (None, None),
                        Some(StoredSecret::Mac(mac)) => (Some(mac.to_vec()), None),
                        Some(StoredSecret::Imported(hash)) => (None, Some(hash)),
                    };
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
                    if inserted.rows_affected() == 0 {
                        return Ok(false);
                    }
                    changes::append(step, Change::Clients).await?;
                    Ok(true)
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

    async fn replace_secret_hash(&self, id: &ClientId, current: &str, mac: &[u8; 32]) -> Result<bool, StoreError> {
        let (id, current, mac) = (id.clone(), current.to_owned(), mac.to_vec());
        self.writer
            .write(move |step| {
                Box::pin(async move {
                    let replaced = sqlx::query(
                        "UPDATE clients SET secret_mac = ?, secret_hash = NULL WHERE client_id = ? AND secret_hash = ?",
                    )
                    .bind(mac)
                    .bind(id.as_str())
                    .bind(current)
                    .execute(&mut step.connection)
                    .await?;
                    if replaced.rows_affected() == 0 {
                        return Ok(false);
                    }
                    changes::append(step, Change::Clients).await?;
                    Ok(true)
                })
            })
            .await
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
