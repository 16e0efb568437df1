//! Clients kept in the store: [`ClientStore`].

use async_trait::async_trait;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{SqlStore, bytes, changes, json, sessions};
use crate::{
    change_log::Change,
    model::ClientId,
    store::{ClientStore, StoreError, StoredClient},
};

#[async_trait]
impl ClientStore for SqlStore {
    async fn insert_client(&self, client: &StoredClient) -> Result<bool, StoreError> {
        let client = client.clone();
        self.writer
            .write(move |step| {
                Box::pin(async move {
                    let inserted = sqlx::query(
                        "INSERT INTO clients (client_id, secret_mac, grants, scopes) VALUES (?, ?, ?, ?) \
                         ON CONFLICT (client_id) DO NOTHING",
                    )
                    .bind(client.id.as_str())
                    .bind(client.secret_mac.map(Vec::from))
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
}

fn client(row: &SqliteRow) -> Result<StoredClient, sqlx::Error> {
    let public = row.try_get::<Option<&[u8]>, _>("secret_mac")?.is_none();
    Ok(StoredClient {
        id: ClientId::from(row.try_get::<&str, _>("client_id")?),
        secret_mac: if public { None } else { Some(bytes(row, "secret_mac")?) },
        grants: json(row, "grants")?,
        scopes: sessions::scope(row, "scopes")?,
    })
}
