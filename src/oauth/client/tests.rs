use futures_util::FutureExt as _;

use super::*;
use crate::{
    password::{self, vectors},
    store::{ChangeStore as _, ClientStore as _, testing::TestStore},
};

/// No MAC, but as different for different secrets as one.
fn mac(secret: &str) -> [u8; 32] {
    let mut mac = [1; 32];
    mac.iter_mut().zip(secret.bytes()).for_each(|(to, from)| *to = from);
    mac
}

/// And one under a previous master secret.
fn old_mac(secret: &str) -> [u8; 32] {
    mac(secret).map(|byte| !byte)
}

fn macs() -> SecretMacs {
    Arc::new(|secret| vec![mac(secret), old_mac(secret)])
}

fn settings(id: &str, secret: Option<&str>) -> Settings {
    Settings {
        id: id.into(),
        secret: secret.map(Secret::from),
        grants: vec![Grant::Password],
        scopes: Scope::parse("read write").unwrap(),
    }
}

/// Hashes one at a time, and lets none wait.
fn hasher() -> Arc<Hasher> {
    let costs = password::Settings { memory_kib: 64, iterations: 1, parallelism: 1, max_concurrent: 1, queue: 0 };
    Arc::new(Hasher::new(costs).unwrap())
}

fn registry_of(configured: &[Settings], store: Arc<TestStore>) -> Registry {
    Registry::new(configured, macs(), hasher(), store)
}

async fn registry() -> Registry {
    registry_of(&[settings("web", Some("s3cret")), settings("spa", None)], TestStore::fresh().await)
}

fn basic(id: &str, secret: &str) -> Basic {
    Basic::Given { id: id.to_owned(), secret: secret.into() }
}

fn body(id: &str, secret: Option<&str>) -> Credentials {
    Credentials { basic: Basic::Absent, id: Some(id.to_owned()), secret: secret.map(Secret::from) }
}

async fn authenticated(credentials: &Credentials) -> Result<String, Error> {
    name(&registry().await, credentials).await
}

async fn name(registry: &Registry, credentials: &Credentials) -> Result<String, Error> {
    registry.authenticate(credentials).await.map(|client| client.id.to_string())
}

#[tokio::test]
async fn a_client_proves_itself_by_body_or_basic() {
    assert_eq!(authenticated(&body("web", Some("s3cret"))).await.unwrap(), "web");
    let by_basic = Credentials { basic: basic("web", "s3cret"), ..Credentials::default() };
    assert_eq!(authenticated(&by_basic).await.unwrap(), "web");
}

#[tokio::test]
async fn a_secret_that_is_wrong_empty_or_missing_proves_nothing() {
    for secret in [Some("other"), Some(""), None] {
        assert!(matches!(authenticated(&body("web", secret)).await, Err(Error::InvalidClient { used_basic: false })));
    }
    for id in ["", "nobody", "WEB"] {
        assert!(matches!(authenticated(&body(id, Some("s3cret"))).await, Err(Error::InvalidClient { .. })));
    }
    assert!(matches!(authenticated(&Credentials::default()).await, Err(Error::InvalidClient { used_basic: false })));
}

#[tokio::test]
async fn an_unknown_client_is_not_let_in_by_the_value_it_is_compared_with() {
    let registry = Registry { macs: Arc::new(|_| vec![[0; 32]]), ..registry().await };
    assert!(matches!(name(&registry, &body("nobody", Some("x"))).await, Err(Error::InvalidClient { .. })));
}

#[tokio::test]
async fn where_basic_fails_the_body_is_tried() {
    for basic in [basic("web", "wrong"), Basic::Unreadable] {
        let both = Credentials { basic, ..body("web", Some("s3cret")) };
        assert_eq!(authenticated(&both).await.unwrap(), "web");
    }
    let both_wrong = Credentials { basic: basic("web", "wrong"), ..body("web", Some("wrong")) };
    assert!(matches!(authenticated(&both_wrong).await, Err(Error::InvalidClient { used_basic: true })));
}

#[tokio::test]
async fn basic_and_body_must_not_name_two_clients() {
    let two = Credentials { basic: basic("web", "s3cret"), ..body("spa", None) };
    assert!(matches!(authenticated(&two).await, Err(Error::TwoClients)));
    let empty_is_none = Credentials { basic: basic("web", "s3cret"), ..body("", None) };
    assert_eq!(authenticated(&empty_is_none).await.unwrap(), "web");
}

#[tokio::test]
async fn a_public_client_needs_no_secret() {
    for secret in [None, Some(""), Some("whatever")] {
        assert_eq!(authenticated(&body("spa", secret)).await.unwrap(), "spa");
    }
}

#[tokio::test]
async fn the_stores_clients_come_and_go_and_never_shadow_the_configuration() {
    let stored = |id: &str| StoredClient {
        id: id.into(),
        secret: Some(StoredSecret::Mac(mac("stored"))),
        grants: vec!["refresh_token".to_owned(), "from_the_future".to_owned()],
        scopes: Scope::default(),
    };
    let registry = registry().await;
    registry.replace_stored(vec![stored("web"), stored("mobile")]);
    assert!(name(&registry, &body("web", Some("stored"))).await.is_err());
    let mobile = registry.authenticate(&body("mobile", Some("stored"))).await.ok().unwrap();
    assert!(mobile.may_use(Grant::RefreshToken) && !mobile.may_use(Grant::Password));
    registry.replace_stored(Vec::new());
    assert!(registry.find("mobile").is_none() && registry.find("web").is_some());
}

#[tokio::test]
async fn a_client_in_configuration_and_store_is_no_beginning() {
    let store = TestStore::fresh().await;
    let registry = registry_of(&[settings("web", Some("s3cret")), settings("spa", None)], store.clone());
    let stored = |id: &str| StoredClient {
        id: id.into(),
        secret: None,
        grants: vec!["password".to_owned()],
        scopes: Scope::default(),
    };
    store.insert_client(&stored("mobile")).await.unwrap();
    registry.load().await.unwrap();
    assert!(registry.find("mobile").is_some());
    store.insert_client(&stored("web")).await.unwrap();
    let error = registry.load().await.unwrap_err().to_string();
    assert!(error.starts_with("the client web is") && error.contains("passgate client delete web"), "{error}");
    registry.reload().await.unwrap();
    assert!(!registry.find("web").unwrap().is_public(), "one that comes later changes nothing");
}

#[tokio::test]
async fn the_first_client_for_a_grant_is_the_first_of_the_configuration() {
    let converts = Settings { grants: vec![Grant::ConvertToken], ..settings("a", None) };
    let configured = [converts, settings("web", Some("s3cret")), settings("b", None)];
    let registry = registry_of(&configured, TestStore::fresh().await);
    assert_eq!(registry.first_configured(Grant::Password).unwrap().id.as_str(), "web");
    assert_eq!(registry.first_configured(Grant::ConvertToken).unwrap().id.as_str(), "a");
    assert!(registry.first_configured(Grant::RefreshToken).is_none());
}

#[tokio::test]
async fn a_scope_is_a_subset_in_the_order_asked_for() {
    let client = registry().await.find("web").unwrap();
    let scope = |wanted| client.grant_scope(wanted).map(|scope| scope.to_string());
    assert_eq!(scope(None).unwrap(), "read write");
    assert_eq!(scope(Some("write read")).unwrap(), "write read");
    for wrong in ["", " ", "admin", "read admin", "READ", "re\"ad"] {
        assert!(matches!(scope(Some(wrong)), Err(Error::InvalidScope)), "{wrong:?}");
    }
}

/// A hash that Django made of this secret.
fn hash_of(secret: &str) -> &'static str {
    vectors::VECTORS.iter().find(|(of, _)| *of == secret).unwrap().1[0]
}

/// The client `django`, of whose secret there is a hash.
async fn imported(hash: &str) -> (Arc<TestStore>, Registry) {
    let store = TestStore::fresh().await;
    let client = StoredClient {
        id: "django".into(),
        secret: Some(StoredSecret::Imported(hash.to_owned())),
        grants: vec!["password".to_owned()],
        scopes: Scope::default(),
    };
    assert!(store.insert_client(&client).await.unwrap());
    let registry = registry_of(&[settings("web", Some("s3cret"))], store.clone());
    registry.reload().await.unwrap();
    (store, registry)
}

async fn kept(store: &TestStore) -> Option<StoredSecret> {
    store.clients().await.unwrap().remove(0).secret
}

#[tokio::test]
async fn an_imported_secret_is_hashed_until_it_has_been_shown_once() {
    let secret = vectors::LONG;
    let (store, registry) = imported(hash_of(secret)).await;
    assert!(!registry.find("django").unwrap().is_public());

    assert!(matches!(name(&registry, &body("django", Some("wrong"))).await, Err(Error::InvalidClient { .. })));
    assert_eq!(registry.hasher.computed(), 1);
    for nothing in [Some(""), None] {
        assert!(matches!(name(&registry, &body("django", nothing)).await, Err(Error::InvalidClient { .. })));
    }
    assert!(name(&registry, &body("nobody", Some(secret))).await.is_err());
    assert_eq!(registry.hasher.computed(), 1, "what may be no secret of this client costs nothing");
    assert!(kept(&store).await == Some(StoredSecret::Imported(hash_of(secret).to_owned())));

    let by_basic = Credentials { basic: basic("django", secret), ..Credentials::default() };
    assert_eq!(name(&registry, &by_basic).await.unwrap(), "django");
    assert!(kept(&store).await == Some(StoredSecret::Mac(mac(secret))));
    assert_eq!(name(&registry, &by_basic).await.unwrap(), "django", "before the change log has been heard");

    registry.reload().await.unwrap();
    let before = registry.hasher.computed();
    assert_eq!(name(&registry, &by_basic).await.unwrap(), "django");
    assert!(name(&registry, &body("django", Some("wrong"))).await.is_err());
    assert_eq!(registry.hasher.computed(), before);
}

#[tokio::test]
async fn more_imported_secrets_than_there_is_room_to_hash_are_no_wrong_ones() {
    let (_store, registry) = imported(vectors::DEFAULTS[0]).await;
    let good = body("django", Some(vectors::ASCII));
    let mut first = Box::pin(name(&registry, &good));
    assert!(first.as_mut().now_or_never().is_none());
    for credentials in [&good, &body("django", Some("wrong"))] {
        let answer = name(&registry, credentials).now_or_never().unwrap();
        assert!(matches!(answer, Err(Error::Busy(_))), "{answer:?}");
    }
    let other = name(&registry, &body("web", Some("s3cret"))).now_or_never().unwrap();
    assert_eq!(other.unwrap(), "web", "other clients need no room");
    assert_eq!(first.await.unwrap(), "django");
}

#[tokio::test]
async fn an_imported_hash_that_cannot_be_verified_lets_nobody_in_and_costs_nothing() {
    let sha256_of_nothing = "pbkdf2_sha256$4000000000$salt$47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    for hash in ["md5$salt$a544986fae68f37f048c7f763eea6e90", "!", "secret", sha256_of_nothing] {
        let (_store, registry) = imported(hash).await;
        for secret in ["secret", hash] {
            let answer = name(&registry, &body("django", Some(secret))).await;
            assert!(matches!(answer, Err(Error::InvalidClient { .. })), "{hash}: {answer:?}");
        }
        assert_eq!(registry.hasher.computed(), 0);
    }
}

#[tokio::test]
async fn an_imported_secret_holds_while_the_store_is_out_of_reach() {
    let (store, registry) = imported(hash_of(vectors::ASCII)).await;
    store.close().await;
    assert_eq!(name(&registry, &body("django", Some(vectors::ASCII))).await.unwrap(), "django");
    assert!(name(&registry, &body("django", Some("wrong"))).await.is_err());
}

#[tokio::test]
async fn a_secret_kept_under_a_previous_master_holds_and_is_kept_anew() {
    let store = TestStore::fresh().await;
    let client = StoredClient {
        id: "batch".into(),
        secret: Some(StoredSecret::Mac(old_mac("s3cret"))),
        grants: vec!["password".to_owned()],
        scopes: Scope::default(),
    };
    assert!(store.insert_client(&client).await.unwrap());
    let registry = registry_of(&[settings("web", Some("s3cret"))], store.clone());
    registry.load().await.unwrap();
    assert!(name(&registry, &body("batch", Some("wrong"))).await.is_err());
    assert!(kept(&store).await == client.secret, "a wrong secret changes nothing");
    let written = store.sql.stats().operations;
    assert_eq!(name(&registry, &body("batch", Some("s3cret"))).await.unwrap(), "batch");
    assert!(kept(&store).await == Some(StoredSecret::Mac(mac("s3cret"))));
    registry.reload().await.unwrap();
    for id in ["batch", "web"] {
        assert_eq!(name(&registry, &body(id, Some("s3cret"))).await.unwrap(), id);
    }
    assert_eq!(store.sql.stats().operations, written + 1, "once");
}

#[tokio::test]
async fn a_client_of_the_configuration_is_never_written() {
    let store = TestStore::fresh().await;
    let mut registry = registry_of(&[settings("web", Some("s3cret"))], store.clone());
    // Another master secret is in force now.
    registry.macs = Arc::new(|secret| vec![old_mac(secret), mac(secret)]);
    assert_eq!(name(&registry, &body("web", Some("s3cret"))).await.unwrap(), "web");
    assert!(name(&registry, &body("web", Some("wrong"))).await.is_err());
    assert_eq!(store.sql.stats().operations, 0);
}
