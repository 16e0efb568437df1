//! OAuth clients and their authentication: those of the configuration, and those kept in the store.

mod authentication;
pub mod credentials;

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;

pub use credentials::{Basic, Credentials};

use crate::{
    model::{ClientId, Scope},
    oauth::Error,
    password::Hasher,
    secret::Secret,
    store::{Store, StoreError, StoredClient, StoredSecret},
};

/// A client of the configuration.
#[derive(Clone)]
pub struct Settings {
    /// `client_id`.
    pub id: ClientId,
    /// Absent for a public client.
    pub secret: Option<Secret>,
    /// What it may use.
    pub grants: Vec<Grant>,
    /// What it may ask for; all of it is what it gets when it does not ask.
    pub scopes: Scope,
}

/// A way to get tokens (RFC 6749 section 1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grant {
    /// RFC 6749 section 4.3.
    Password,
    /// RFC 6749 section 6.
    RefreshToken,
    /// A provider's token for ours, as drf-social-oauth2 does it.
    ConvertToken,
}

impl Grant {
    /// All of them, by the names that configuration and `grant_type` use.
    pub const ALL: [(&'static str, Self); 3] =
        [("password", Self::Password), ("refresh_token", Self::RefreshToken), ("convert_token", Self::ConvertToken)];

    /// The grant of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, grant)| *grant)
    }
}

/// HMACs of a client secret under the keys derived for this purpose: that of the master secret in force first, under
/// which secrets are kept, then those of previous ones.
pub type SecretMacs = Arc<dyn Fn(&str) -> Vec<[u8; 32]> + Send + Sync>;

/// A client as it is judged.
pub struct Client {
    /// `client_id`.
    pub id: ClientId,
    /// What it may ask for.
    pub scopes: Scope,
    grants: Vec<Grant>,
    secret: Option<StoredSecret>,
    /// In the store, and not in the configuration.
    is_stored: bool,
}

impl Client {
    /// Whether it has no secret, so that its name is anybody's to use (RFC 6749 section 2.1).
    pub fn is_public(&self) -> bool {
        self.secret.is_none()
    }

    /// Whether it may get tokens this way.
    pub fn may_use(&self, grant: Grant) -> bool {
        self.grants.contains(&grant)
    }

    /// What a request that asks for `wanted` may have: all of the client's when it asks for nothing. An
    /// empty text asks for no scope at all, which is none (RFC 6749 section 3.3).
    pub fn grant_scope(&self, wanted: Option<&str>) -> Result<Scope, Error> {
        match wanted {
            None => Ok(self.scopes.clone()),
            Some(text) => {
                Scope::parse(text).filter(|scope| scope.is_subset_of(&self.scopes)).ok_or(Error::InvalidScope)
            }
        }
    }
}

/// Every client, by id. Those of the store are swapped whole when they change.
pub struct Registry {
    macs: SecretMacs,
    hasher: Arc<Hasher>,
    store: Arc<dyn Store>,
    configured: Vec<Arc<Client>>,
    all: ArcSwap<HashMap<Box<str>, Arc<Client>>>,
}

impl Registry {
    /// The clients of the configuration; [`Registry::reload`] adds those of the store.
    pub fn new(configured: &[Settings], macs: SecretMacs, hasher: Arc<Hasher>, store: Arc<dyn Store>) -> Self {
        let kept = |secret: &Secret| macs(secret.expose()).first().copied().map(StoredSecret::Mac);
        let configured = configured
            .iter()
            .map(|settings| {
                Arc::new(Client {
                    id: settings.id.clone(),
                    scopes: settings.scopes.clone(),
                    grants: settings.grants.clone(),
                    secret: settings.secret.as_ref().and_then(kept),
                    is_stored: false,
                })
            })
            .collect();
        let registry = Self { macs, hasher, store, configured, all: ArcSwap::default() };
        registry.replace_stored(Vec::new());
        registry
    }

    /// Reads the store's clients for the first time.
    ///
    /// # Errors
    /// When the configuration has one of them, too: which of the two is meant is for the operator to say.
    pub async fn load(&self) -> Result<(), LoadError> {
        let stored = self.store.clients().await?;
        let twice = stored.iter().find(|stored| self.configured.iter().any(|other| other.id == stored.id));
        if let Some(client) = twice {
            return Err(LoadError::Twice(client.id.clone()));
        }
        self.replace_stored(stored);
        Ok(())
    }

    /// Reads the store's clients again; called when the change log says so.
    pub async fn reload(&self) -> Result<(), StoreError> {
        self.replace_stored(self.store.clients().await?);
        Ok(())
    }

    fn replace_stored(&self, stored: Vec<StoredClient>) {
        let mut all: HashMap<Box<str>, Arc<Client>> =
            self.configured.iter().map(|client| (client.id.as_str().into(), Arc::clone(client))).collect();
        for stored in stored {
            if all.contains_key(stored.id.as_str()) {
                tracing::warn!(
                    client = %stored.id,
                    "this client is both in the configuration and in the store: the configuration holds until the next \
                     start, which is refused"
                );
                continue;
            }
            let client = Client::from(stored);
            all.insert(client.id.as_str().into(), Arc::new(client));
        }
        self.all.store(Arc::new(all));
    }

    /// The client of this id.
    pub fn find(&self, id: &str) -> Option<Arc<Client>> {
        self.all.load().get(id).cloned()
    }

    /// The first client of the configuration that may use `grant`.
    pub fn first_configured(&self, grant: Grant) -> Option<Arc<Client>> {
        self.configured.iter().find(|client| client.may_use(grant)).cloned()
    }
}

/// The clients cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configuration and the store have one of the same id.
    #[error(
        "the client {0} is in the configuration and in the store as well: take it out of `clients` in the \
         configuration, or delete the one in the store with `passgate client delete {0}`"
    )]
    Twice(ClientId),
}

impl From<StoredClient> for Client {
    fn from(stored: StoredClient) -> Self {
        let known = |name: &String| {
            let grant = Grant::named(name);
            if grant.is_none() {
                tracing::warn!(client = %stored.id, grant = %name, "this client has a grant that this version does not know");
            }
            grant
        };
        let grants = stored.grants.iter().filter_map(known).collect();
        Self { id: stored.id, scopes: stored.scopes, grants, secret: stored.secret, is_stored: true }
    }
}

#[cfg(test)]
mod tests;
