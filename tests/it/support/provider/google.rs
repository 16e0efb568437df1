//! Google: userinfo, tokeninfo, and the keys of its ID tokens.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock},
};

use serde_json::{Value, json};

use super::{
    Fault, NOW, Person, Signer,
    server::{Server, fake},
};
use crate::support::upstream::Recorded;

/// Our app there.
pub const CLIENT_ID: &str = "google-client-id";

pub const TOKENINFO: &str = "/tokeninfo";
pub const USERINFO: &str = "/oauth2/v3/userinfo";
pub const JWKS: &str = "/oauth2/v3/certs";

/// Google, for the length of a test.
pub struct Google {
    server: Server,
    accounts: Arc<Accounts>,
}

fake!(Google);

#[derive(Default)]
struct Accounts {
    /// By access token: who signed in, and to which app.
    tokens: Mutex<HashMap<String, (Person, String)>>,
    /// RSA keys take their time, so the first is made when it is needed.
    key: OnceLock<Mutex<Signer>>,
}

impl Google {
    pub async fn start() -> Self {
        let accounts = Arc::<Accounts>::default();
        let server = Server::start({
            let accounts = accounts.clone();
            move |asked| match asked.path.as_str() {
                TOKENINFO => accounts.tokeninfo(asked.field("access_token")),
                USERINFO => accounts.userinfo(asked.bearer.as_deref().unwrap_or_default()),
                JWKS => (200, json!({ "keys": [accounts.key().lock().expect("no test panicked inside").jwk()] })),
                _ => (404, json!({ "error": "not_found" })),
            }
        });
        Self { server: server.await, accounts }
    }

    /// The person signs in to our app, which gets this access token.
    pub fn user(&self, person: Person) -> String {
        self.user_of(CLIENT_ID, person)
    }

    /// The person signs in to any app.
    pub fn user_of(&self, app: &str, person: Person) -> String {
        let mut tokens = self.accounts.tokens.lock().expect("no test panicked inside");
        let token = format!("ya29.a0AfB_{}-{}", person.id, tokens.len());
        tokens.insert(token.clone(), (person, app.to_owned()));
        token
    }

    /// The person signs in to our app, which gets this ID token, issued at [`NOW`] for an hour.
    pub fn id_token(&self, person: &Person) -> String {
        self.id_token_with(person, |_| ())
    }

    /// As [`Google::id_token`], with other claims.
    pub fn id_token_with(&self, person: &Person, edit: impl Fn(&mut Value)) -> String {
        let mut claims = person.claims();
        for (claim, value) in [
            ("iss", json!("https://accounts.google.com")),
            ("azp", json!(CLIENT_ID)),
            ("aud", json!(CLIENT_ID)),
            ("at_hash", json!("HK6E_P6Dh8Y93mRNtsDB1Q")),
            ("iat", json!(NOW)),
            ("exp", json!(NOW + 3600)),
        ] {
            claims[claim] = value;
        }
        edit(&mut claims);
        self.accounts.key().lock().expect("no test panicked inside").sign(&claims)
    }

    /// From now on ID tokens are signed with another key, and that alone is published.
    pub fn rotates_its_key(&self) {
        let mut key = self.accounts.key().lock().expect("no test panicked inside");
        *key = Signer::new(&format!("{}+", key.kid), "RS256");
    }

    /// For the configuration: the endpoints of this fake.
    pub fn endpoints_yaml(&self) -> String {
        let url = |path| self.server.url(path);
        format!("{{ userinfo: '{}', tokeninfo: '{}', jwks: '{}' }}", url(USERINFO), url(TOKENINFO), url(JWKS))
    }

    /// For the configuration: an entry of `providers`.
    pub fn yaml(&self) -> String {
        format!("google-oauth2: {{ client_id: {CLIENT_ID}, endpoints: {} }}", self.endpoints_yaml())
    }
}

impl Accounts {
    fn key(&self) -> &Mutex<Signer> {
        self.key.get_or_init(|| Mutex::new(Signer::new("c1", "RS256")))
    }

    fn signed_in(&self, token: &str) -> Option<(Person, String)> {
        self.tokens.lock().expect("no test panicked inside").get(token).cloned()
    }

    fn tokeninfo(&self, token: &str) -> (u16, Value) {
        let Some((person, app)) = self.signed_in(token) else {
            return (400, json!({ "error": "invalid_token", "error_description": "Invalid Value" }));
        };
        let mut info = json!({
            "azp": app, "aud": app, "sub": person.id, "scope": "openid email profile",
            "exp": (NOW + 3599).to_string(), "expires_in": "3599", "access_type": "online",
        });
        if let Some(email) = person.email {
            info["email"] = email.into();
            info["email_verified"] = person.verified.to_string().into();
        }
        (200, info)
    }

    fn userinfo(&self, token: &str) -> (u16, Value) {
        match self.signed_in(token) {
            Some((person, _)) => (200, person.claims()),
            None => (401, json!({ "error": "invalid_request", "error_description": "Invalid Credentials" })),
        }
    }
}
