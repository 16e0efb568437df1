//! Clients kept in the store: [`ClientStore`].

use std::sync::LazyLock;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{RedisStore, changes::log_script, codec, script::Script};
use crate::{
    change_log::Change,
    model::{ClientId, Scope},
    store::{ClientChange, ClientStore, StoreError, StoredClient, StoredSecret},
};

static INSERT: LazyLock<Script> = log_script!("insert_client.lua");
static REPLACE: LazyLock<Script> = log_script!("replace_client.lua");
static DELETE: LazyLock<Script> = log_script!("delete_client.lua");

#[derive(Serialize, Deserialize)]
struct ClientRow {
    secret_mac: Option<[u8; 32]>,
    imported_secret: Option<String>,
    grants: Vec<String>,
    scopes: Scope,
}

#[async_trait]
impl ClientStore for RedisStore {
    async fn insert_client(&self, client: &StoredClient) -> Result<bool, StoreError> {
        let args = vec![client.id.to_string(), row(client)?];
        self.change_beside_log(&INSERT, "clients", &Change::Clients, args).await
    }

    async fn clients(&self) -> Result<Vec<StoredClient>, StoreError> {
        let mut all = redis::cmd("HGETALL");
        all.arg(self.0.names.beside_log("clients"));
        let rows: Vec<(String, String)> = self.within(self.0.connection.query(&all)).await?;
        let mut clients = rows.into_iter().map(|(id, row)| client(&id, &row)).collect::<Result<Vec<_>, _>>()?;
        clients.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(clients)
    }

    async fn change_client(&self, id: &ClientId, change: &ClientChange) -> Result<Option<StoredClient>, StoreError> {
        loop {
            let Some((found, mut kept)) = self.kept_client(id).await? else { return Ok(None) };
            change.carry_out(&mut kept);
            if self.replace_client(id, found, &kept).await? {
                return Ok(Some(kept));
            }
        }
    }

    async fn delete_client(&self, id: &ClientId) -> Result<bool, StoreError> {
        self.change_beside_log(&DELETE, "clients", &Change::Clients, vec![id.to_string()]).await
    }

    async fn replace_secret(&self, id: &ClientId, current: &StoredSecret, mac: &[u8; 32]) -> Result<bool, StoreError> {
        let Some((found, mut kept)) = self.kept_client(id).await? else { return Ok(false) };
        if kept.secret.as_ref() != Some(current) {
            return Ok(false);
        }
        kept.secret = Some(StoredSecret::Mac(*mac));
        self.replace_client(id, found, &kept).await
    }
}

impl RedisStore {
    /// The client as it is written, and as it reads.
    async fn kept_client(&self, id: &ClientId) -> Result<Option<(String, StoredClient)>, StoreError> {
        let mut get = redis::cmd("HGET");
        get.arg(self.0.names.beside_log("clients")).arg(id.as_str());
        let found: Option<String> = self.within(self.0.connection.query(&get)).await?;
        found.map(|row| Ok((row.clone(), client(id.as_str(), &row)?))).transpose()
    }

    /// Writes a client, if it still is as it was `found`.
    async fn replace_client(&self, id: &ClientId, found: String, new: &StoredClient) -> Result<bool, StoreError> {
        let args = vec![id.to_string(), found, row(new)?];
        self.change_beside_log(&REPLACE, "clients", &Change::Clients, args).await
    }
}

fn row(client: &StoredClient) -> Result<String, StoreError> {
    let (secret_mac, imported_secret) = match client.secret.clone() {
        Some(StoredSecret::Mac(mac)) => (Some(mac), None),
        Some(StoredSecret::Imported(hash)) => (None, Some(hash)),
        None => (None, None),
    };
    let (grants, scopes) = (client.grants.clone(), client.scopes.clone());
    codec::write(&ClientRow { secret_mac, imported_secret, grants, scopes })
}

fn client(id: &str, row: &str) -> Result<StoredClient, StoreError> {
    let ClientRow { secret_mac, imported_secret, grants, scopes } = codec::read("a client", row)?;
    let secret = secret_mac.map(StoredSecret::Mac).or(imported_secret.map(StoredSecret::Imported));
    Ok(StoredClient { id: ClientId::from(id), secret, grants, scopes })
}
