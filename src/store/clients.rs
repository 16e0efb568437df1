//! Clients kept in the store, beside those of the configuration.

use async_trait::async_trait;

use super::StoreError;
use crate::model::{ClientId, Scope};

/// What is kept of a client's secret.
#[derive(Clone, PartialEq, Eq)]
pub enum StoredSecret {
    /// HMAC-SHA-256 under the derived key.
    Mac([u8; 32]),
    /// A hash as Django makes them, until the client has shown the secret once.
    Imported(String),
}

/// A client kept in the store, beside those of the configuration.
#[derive(Clone)]
pub struct StoredClient {
    /// `client_id`.
    pub id: ClientId,
    /// Absent for a public client.
    pub secret: Option<StoredSecret>,
    /// Names of the grants it may use.
    pub grants: Vec<String>,
    /// What it may ask for.
    pub scopes: Scope,
}

/// A change of a client; what is absent stays as it is.
#[derive(Clone, Default)]
pub struct ClientChange {
    /// A new secret; a client that was public is so no more.
    pub secret: Option<StoredSecret>,
    /// See [`StoredClient::grants`].
    pub grants: Option<Vec<String>>,
    /// See [`StoredClient::scopes`].
    pub scopes: Option<Scope>,
}

impl ClientChange {
    /// Changes the client: the same in every store.
    pub(super) fn carry_out(&self, client: &mut StoredClient) {
        let Self { secret, grants, scopes } = self.clone();
        client.secret = secret.or(client.secret.take());
        if let Some(grants) = grants {
            client.grants = grants;
        }
        if let Some(scopes) = scopes {
            client.scopes = scopes;
        }
    }
}

/// Clients kept in the store.
#[async_trait]
pub trait ClientStore {
    /// Keeps a client and logs it, in one step. False when the id is taken.
    async fn insert_client(&self, client: &StoredClient) -> Result<bool, StoreError>;

    /// All of them, in the order of their ids.
    async fn clients(&self) -> Result<Vec<StoredClient>, StoreError>;

    /// Changes a client and logs it, in one step. The client as it is now, or `None` when there is none.
    async fn change_client(&self, id: &ClientId, change: &ClientChange) -> Result<Option<StoredClient>, StoreError>;

    /// Deletes a client and logs it, in one step. Its sessions stay as they are, with nobody to refresh them. False when
    /// there is none.
    async fn delete_client(&self, id: &ClientId) -> Result<bool, StoreError>;

    /// Replaces what is kept of a client's secret by a MAC of the same secret and logs it, in one step, if it still is
    /// `current`; false when it is not.
    async fn replace_secret(&self, id: &ClientId, current: &StoredSecret, mac: &[u8; 32]) -> Result<bool, StoreError>;
}
