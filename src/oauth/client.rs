//! OAuth clients and their authentication: those of the configuration, and those kept in the store.

pub mod credentials;

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use aws_lc_rs::constant_time::verify_slices_are_equal;

pub use credentials::{Basic, Credentials};

use crate::{
    model::{ClientId, Scope},
    oauth::Error,
    secret::Secret,
    store::{Store, StoreError, StoredClient},
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

/// HMAC of a client secret under the key derived for this purpose.
pub type SecretMac = Arc<dyn Fn(&str) -> [u8; 32] + Send + Sync>;

/// A client as it is judged.
pub struct Client {
    /// `client_id`.
    pub id: ClientId,
    /// What it may ask for.
    pub scopes: Scope,
    grants: Vec<Grant>,
    secret_mac: Option<[u8; 32]>,
}

impl Client {
    /// Whether it has no secret, so that its name is anybody's to use (RFC 6749 section 2.1).
    pub fn is_public(&self) -> bool {
        self.secret_mac.is_none()
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
    mac: SecretMac,
    configured: Vec<Arc<Client>>,
    all: ArcSwap<HashMap<Box<str>, Arc<Client>>>,
}

impl Registry {
    /// The clients of the configuration; [`Registry::reload`] adds those of the store.
    pub fn new(configured: &[Settings], mac: SecretMac) -> Self {
        let configured = configured
            .iter()
            .map(|settings| {
                Arc::new(Client {
                    id: settings.id.clone(),
                    scopes: settings.scopes.clone(),
                    grants: settings.grants.clone(),
                    secret_mac: settings.secret.as_ref().map(|secret| mac(secret.expose())),
                })
            })
            .collect();
        let registry = Self { mac, configured, all: ArcSwap::default() };
        registry.replace_stored(Vec::new());
        registry
    }

    /// Reads the store's clients again; called at start and when the change log says so.
    pub async fn reload(&self, store: &dyn Store) -> Result<(), StoreError> {
        self.replace_stored(store.clients().await?);
        Ok(())
    }

    fn replace_stored(&self, stored: Vec<StoredClient>) {
        let mut all: HashMap<Box<str>, Arc<Client>> =
            self.configured.iter().map(|client| (client.id.as_str().into(), Arc::clone(client))).collect();
        for stored in stored {
            if all.contains_key(stored.id.as_str()) {
                tracing::warn!(client = %stored.id, "this client is both in the configuration and in the store: the configuration holds");
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

    /// The client that a request proves to come from (RFC 6749 section 2.3.1). Where Basic fails, the body is
    /// tried; a public client has nothing to prove, and what it sends as a secret is not looked at.
    pub fn authenticate(&self, credentials: &Credentials) -> Result<Arc<Client>, Error> {
        let from_body = credentials.id.as_deref().filter(|id| !id.is_empty());
        let by_basic = match &credentials.basic {
            Basic::Absent | Basic::Unreadable => None,
            Basic::Given { id, .. } if !id.is_empty() && from_body.is_some_and(|other| other != id) => {
                return Err(Error::TwoClients);
            }
            Basic::Given { id, secret } => self.prove(id, Some(secret)),
        };
        by_basic
            .or_else(|| self.prove(from_body?, credentials.secret.as_ref()))
            .ok_or(Error::InvalidClient { used_basic: credentials.used_basic() })
    }

    /// The client of this id, if the secret is its own. An unknown one costs as much as a known one.
    fn prove(&self, id: &str, secret: Option<&Secret>) -> Option<Arc<Client>> {
        let client = self.find(id);
        let offered = (self.mac)(secret.map_or("", Secret::expose));
        let expected = match &client {
            Some(client) => client.secret_mac,
            None => Some([0; 32]),
        };
        let proven = match expected {
            None => true,
            Some(expected) => {
                verify_slices_are_equal(&expected, &offered).is_ok()
                    && secret.is_some_and(|secret| !secret.expose().is_empty())
            }
        };
        client.filter(|_| proven)
    }
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
        Self { id: stored.id, scopes: stored.scopes, grants, secret_mac: stored.secret_mac }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No MAC, but as different for different secrets as one.
    fn mac() -> SecretMac {
        Arc::new(|secret| {
            let mut mac = [1; 32];
            mac.iter_mut().zip(secret.bytes()).for_each(|(to, from)| *to = from);
            mac
        })
    }

    fn settings(id: &str, secret: Option<&str>) -> Settings {
        Settings {
            id: id.into(),
            secret: secret.map(Secret::from),
            grants: vec![Grant::Password],
            scopes: Scope::parse("read write").unwrap(),
        }
    }

    fn registry() -> Registry {
        Registry::new(&[settings("web", Some("s3cret")), settings("spa", None)], mac())
    }

    fn basic(id: &str, secret: &str) -> Basic {
        Basic::Given { id: id.to_owned(), secret: secret.into() }
    }

    fn body(id: &str, secret: Option<&str>) -> Credentials {
        Credentials { basic: Basic::Absent, id: Some(id.to_owned()), secret: secret.map(Secret::from) }
    }

    fn authenticated(credentials: &Credentials) -> Result<String, Error> {
        registry().authenticate(credentials).map(|client| client.id.to_string())
    }

    #[test]
    fn a_client_proves_itself_by_body_or_basic() {
        assert_eq!(authenticated(&body("web", Some("s3cret"))).unwrap(), "web");
        let by_basic = Credentials { basic: basic("web", "s3cret"), ..Credentials::default() };
        assert_eq!(authenticated(&by_basic).unwrap(), "web");
    }

    #[test]
    fn a_secret_that_is_wrong_empty_or_missing_proves_nothing() {
        for secret in [Some("other"), Some(""), None] {
            assert!(matches!(authenticated(&body("web", secret)), Err(Error::InvalidClient { used_basic: false })));
        }
        for id in ["", "nobody", "WEB"] {
            assert!(matches!(authenticated(&body(id, Some("s3cret"))), Err(Error::InvalidClient { .. })));
        }
        assert!(matches!(authenticated(&Credentials::default()), Err(Error::InvalidClient { used_basic: false })));
    }

    #[test]
    fn an_unknown_client_is_not_let_in_by_the_value_it_is_compared_with() {
        let registry = Registry::new(&[], Arc::new(|_| [0; 32]));
        assert!(registry.authenticate(&body("nobody", Some("x"))).is_err());
    }

    #[test]
    fn where_basic_fails_the_body_is_tried() {
        for basic in [basic("web", "wrong"), Basic::Unreadable] {
            let both = Credentials { basic, ..body("web", Some("s3cret")) };
            assert_eq!(authenticated(&both).unwrap(), "web");
        }
        let both_wrong = Credentials { basic: basic("web", "wrong"), ..body("web", Some("wrong")) };
        assert!(matches!(authenticated(&both_wrong), Err(Error::InvalidClient { used_basic: true })));
    }

    #[test]
    fn basic_and_body_must_not_name_two_clients() {
        let two = Credentials { basic: basic("web", "s3cret"), ..body("spa", None) };
        assert!(matches!(authenticated(&two), Err(Error::TwoClients)));
        let empty_is_none = Credentials { basic: basic("web", "s3cret"), ..body("", None) };
        assert_eq!(authenticated(&empty_is_none).unwrap(), "web");
    }

    #[test]
    fn a_public_client_needs_no_secret() {
        for secret in [None, Some(""), Some("whatever")] {
            assert_eq!(authenticated(&body("spa", secret)).unwrap(), "spa");
        }
    }

    #[test]
    fn the_stores_clients_come_and_go_and_never_shadow_the_configuration() {
        let stored = |id: &str| StoredClient {
            id: id.into(),
            secret_mac: Some(mac()("stored")),
            grants: vec!["refresh_token".to_owned(), "from_the_future".to_owned()],
            scopes: Scope::default(),
        };
        let registry = registry();
        registry.replace_stored(vec![stored("web"), stored("mobile")]);
        assert!(registry.authenticate(&body("web", Some("stored"))).is_err());
        let mobile = registry.authenticate(&body("mobile", Some("stored"))).ok().unwrap();
        assert!(mobile.may_use(Grant::RefreshToken) && !mobile.may_use(Grant::Password));
        registry.replace_stored(Vec::new());
        assert!(registry.find("mobile").is_none() && registry.find("web").is_some());
    }

    #[test]
    fn the_first_client_for_a_grant_is_the_first_of_the_configuration() {
        let converts = Settings { grants: vec![Grant::ConvertToken], ..settings("a", None) };
        let registry = Registry::new(&[converts, settings("web", Some("s3cret")), settings("b", None)], mac());
        assert_eq!(registry.first_configured(Grant::Password).unwrap().id.as_str(), "web");
        assert_eq!(registry.first_configured(Grant::ConvertToken).unwrap().id.as_str(), "a");
        assert!(registry.first_configured(Grant::RefreshToken).is_none());
    }

    #[test]
    fn a_scope_is_a_subset_in_the_order_asked_for() {
        let client = registry().find("web").unwrap();
        let scope = |wanted| client.grant_scope(wanted).map(|scope| scope.to_string());
        assert_eq!(scope(None).unwrap(), "read write");
        assert_eq!(scope(Some("write read")).unwrap(), "write read");
        for wrong in ["", " ", "admin", "read admin", "READ", "re\"ad"] {
            assert!(matches!(scope(Some(wrong)), Err(Error::InvalidScope)), "{wrong:?}");
        }
    }
}
