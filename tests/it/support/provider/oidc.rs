//! An OpenID provider of a company: discovery, keys, userinfo, introspection.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use super::{
    Fault, NOW, Person, Signer,
    server::{Asked, Server, fake},
};
use crate::support::upstream::Recorded;

/// Our app there.
pub const CLIENT_ID: &str = "passgate";
/// Not the same when it is form-encoded.
pub const CLIENT_SECRET: &str = "company: 100% secret+";

pub const DISCOVERY: &str = "/.well-known/openid-configuration";
pub const JWKS: &str = "/jwks";
pub const USERINFO: &str = "/userinfo";
pub const INTROSPECTION: &str = "/introspect";

/// The provider, for the length of a test.
pub struct Oidc {
    server: Server,
    accounts: Arc<Accounts>,
}

fake!(Oidc);

struct Accounts {
    /// By access token: who signed in, and to which app.
    tokens: Mutex<HashMap<String, (Person, String)>>,
    /// The last one signs; all are published.
    keys: Mutex<Vec<Signer>>,
}

impl Oidc {
    /// Signs with ES256.
    pub async fn start() -> Self {
        Self::signing_with("ES256").await
    }

    pub async fn signing_with(alg: &'static str) -> Self {
        let keys = Mutex::new(vec![Signer::new("k1", alg)]);
        let accounts = Arc::new(Accounts { tokens: Mutex::default(), keys });
        let server = Server::start({
            let accounts = accounts.clone();
            move |asked| match asked.path.as_str() {
                DISCOVERY => (200, discovery(&asked.base)),
                JWKS => (200, accounts.jwks()),
                USERINFO => accounts.userinfo(asked.bearer.as_deref().unwrap_or_default()),
                INTROSPECTION => accounts.introspect(asked),
                _ => (404, json!({ "error": "not_found" })),
            }
        });
        Self { server: server.await, accounts }
    }

    /// Its issuer.
    pub fn issuer(&self) -> String {
        self.server.url("")
    }

    /// The person signs in to our app, which gets this access token.
    pub fn user(&self, person: Person) -> String {
        self.user_of(CLIENT_ID, person)
    }

    /// The person signs in to any app.
    pub fn user_of(&self, app: &str, person: Person) -> String {
        let mut tokens = self.accounts.tokens.lock().expect("no test panicked inside");
        let token = format!("at-{}-{}", person.id, tokens.len());
        tokens.insert(token.clone(), (person, app.to_owned()));
        token
    }

    /// The claims of an ID token for our app, issued at [`NOW`] for an hour.
    pub fn claims(&self, person: &Person) -> Value {
        let mut claims = person.claims();
        for (claim, value) in [
            ("iss", json!(self.issuer())),
            ("aud", json!(CLIENT_ID)),
            ("iat", json!(NOW)),
            ("exp", json!(NOW + 3600)),
            ("preferred_username", json!("ada")),
        ] {
            claims[claim] = value;
        }
        claims
    }

    /// The person signs in to our app, which gets this ID token.
    pub fn id_token(&self, person: &Person) -> String {
        self.id_token_with(person, |_| ())
    }

    /// As [`Oidc::id_token`], with other claims.
    pub fn id_token_with(&self, person: &Person, edit: impl Fn(&mut Value)) -> String {
        let mut claims = self.claims(person);
        edit(&mut claims);
        self.sign(|signer| signer.sign(&claims))
    }

    /// Whatever `sign` makes with its key.
    pub fn sign(&self, sign: impl FnOnce(&Signer) -> String) -> String {
        sign(self.accounts.keys.lock().expect("no test panicked inside").last().expect("a key"))
    }

    /// Publishes this key and signs with it; the others stay published.
    pub fn adds_key(&self, key: Signer) {
        self.accounts.keys.lock().expect("no test panicked inside").push(key);
    }

    /// For the configuration: an entry of `providers`, with these keys more.
    pub fn yaml(&self, more: &str) -> String {
        format!("company: {{ type: oidc, issuer: '{}', client_id: {CLIENT_ID}, {more} }}", self.issuer())
    }
}

fn discovery(base: &str) -> Value {
    json!({
        "issuer": base, "authorization_endpoint": format!("{base}/authorize"), "token_endpoint": format!("{base}/token"),
        "userinfo_endpoint": format!("{base}{USERINFO}"), "jwks_uri": format!("{base}{JWKS}"),
        "introspection_endpoint": format!("{base}{INTROSPECTION}"),
        "response_types_supported": ["code"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"], "scopes_supported": ["openid", "email", "profile"],
    })
}

impl Accounts {
    fn jwks(&self) -> Value {
        let keys = self.keys.lock().expect("no test panicked inside");
        json!({ "keys": keys.iter().map(Signer::jwk).collect::<Vec<_>>() })
    }

    fn signed_in(&self, token: &str) -> Option<(Person, String)> {
        self.tokens.lock().expect("no test panicked inside").get(token).cloned()
    }

    fn userinfo(&self, token: &str) -> (u16, Value) {
        match self.signed_in(token) {
            Some((person, _)) => (200, person.claims()),
            None => (401, json!({ "error": "invalid_token" })),
        }
    }

    fn introspect(&self, asked: &Asked) -> (u16, Value) {
        if asked.basic != Some((CLIENT_ID.to_owned(), CLIENT_SECRET.to_owned())) {
            return (401, json!({ "error": "invalid_client" }));
        }
        match self.signed_in(asked.field("token")) {
            None => (200, json!({ "active": false })),
            Some((person, app)) => (
                200,
                json!({
                    "active": true, "client_id": app, "sub": person.id, "iss": asked.base, "aud": ["account"],
                    "scope": "openid email profile", "token_type": "Bearer", "exp": NOW + 300, "username": "ada",
                }),
            ),
        }
    }
}
