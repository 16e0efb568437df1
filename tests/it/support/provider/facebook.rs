//! Facebook: the Graph API as far as sign-in goes, and the keys of Limited Login.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock},
};

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use super::{
    Fault, NOW, Person, Signer,
    server::{Asked, Server, fake},
};
use crate::support::upstream::Recorded;

/// Our app there.
pub const APP_ID: &str = "fb-app-id";
pub const APP_SECRET: &str = "fb-app-secret";

pub const DEBUG_TOKEN: &str = "/debug_token";
pub const ME: &str = "/v24.0/me";
pub const JWKS: &str = "/.well-known/oauth/openid/jwks/";

/// Facebook, for the length of a test.
pub struct Facebook {
    server: Server,
    accounts: Arc<Accounts>,
}

fake!(Facebook);

#[derive(Default)]
struct Accounts {
    /// By access token: who signed in, and to which app.
    tokens: Mutex<HashMap<String, (Person, String)>>,
    key: OnceLock<Signer>,
}

impl Facebook {
    pub async fn start() -> Self {
        let accounts = Arc::<Accounts>::default();
        let server = Server::start({
            let accounts = accounts.clone();
            move |asked| match asked.path.as_str() {
                DEBUG_TOKEN => accounts.debug_token(asked),
                ME => accounts.me(asked),
                JWKS => (200, json!({ "keys": [accounts.key().jwk()] })),
                _ => refusal(404, 803, "Some of the aliases you requested do not exist"),
            }
        });
        Self { server: server.await, accounts }
    }

    /// The person signs in to our app, which gets this access token.
    pub fn user(&self, person: Person) -> String {
        self.user_of(APP_ID, person)
    }

    /// The person signs in to any app.
    pub fn user_of(&self, app: &str, person: Person) -> String {
        let mut tokens = self.accounts.tokens.lock().expect("no test panicked inside");
        let token = format!("EAAGm0PX4ZCps{}ZB{}", person.id, tokens.len());
        tokens.insert(token.clone(), (person, app.to_owned()));
        token
    }

    /// The person signs in to our app by Limited Login, which gets this ID token, issued at [`NOW`] for an hour.
    pub fn id_token(&self, person: &Person) -> String {
        self.id_token_with(person, |_| ())
    }

    /// As [`Facebook::id_token`], with other claims.
    pub fn id_token_with(&self, person: &Person, edit: impl Fn(&mut Value)) -> String {
        let mut claims = person.claims();
        // It says nothing about addresses.
        claims.as_object_mut().expect("claims are an object").remove("email_verified");
        for (claim, value) in [
            ("iss", json!("https://www.facebook.com")),
            ("aud", json!(APP_ID)),
            ("jti", json!("f4Ot.7bd2")),
            ("iat", json!(NOW)),
            ("exp", json!(NOW + 3600)),
        ] {
            claims[claim] = value;
        }
        edit(&mut claims);
        self.accounts.key().sign(&claims)
    }

    /// For the configuration: the endpoints of this fake.
    pub fn endpoints_yaml(&self) -> String {
        format!("{{ graph: '{}', jwks: '{}' }}", self.server.url(""), self.server.url(JWKS))
    }

    /// For the configuration: an entry of `providers`.
    pub fn yaml(&self) -> String {
        let endpoints = self.endpoints_yaml();
        format!("facebook: {{ client_id: {APP_ID}, client_secret: {APP_SECRET}, endpoints: {endpoints} }}")
    }
}

impl Accounts {
    fn key(&self) -> &Signer {
        self.key.get_or_init(|| Signer::new("fb1", "RS256"))
    }

    fn signed_in(&self, token: &str) -> Option<(Person, String)> {
        self.tokens.lock().expect("no test panicked inside").get(token).cloned()
    }

    fn debug_token(&self, asked: &Asked) -> (u16, Value) {
        if asked.field("access_token") != format!("{APP_ID}|{APP_SECRET}") {
            return refusal(400, 190, "Invalid OAuth access token signature.");
        }
        let invalid = |code: u16, message: &str| json!({ "data": { "error": { "code": code, "message": message }, "is_valid": false, "scopes": [] } });
        let answer = match self.signed_in(asked.field("input_token")) {
            None => invalid(190, "Invalid OAuth access token."),
            Some((_, app)) if app != APP_ID => {
                invalid(100, "(#100) The App_id in the input_token did not match the Viewing App")
            }
            Some((person, app)) => json!({ "data": {
                "app_id": app, "type": "USER", "application": "Social Cafe", "data_access_expires_at": NOW + 7_776_000,
                "expires_at": NOW + 5_184_000, "is_valid": true, "issued_at": NOW, "scopes": ["email", "public_profile"],
                "user_id": person.id,
            } }),
        };
        (200, answer)
    }

    fn me(&self, asked: &Asked) -> (u16, Value) {
        let token = asked.field("access_token");
        let Some((person, _)) = self.signed_in(token) else {
            return refusal(400, 190, "Invalid OAuth access token - Cannot parse access token");
        };
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, APP_SECRET.as_bytes()), token.as_bytes());
        let proof = mac.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        if asked.field("appsecret_proof") != proof {
            return refusal(400, 100, "Invalid appsecret_proof provided in the API argument");
        }
        let all = json!({ "id": person.id, "name": person.name, "email": person.email });
        let wanted = asked.field("fields").split(',').map(|field| (field.to_owned(), all[field].clone()));
        // Fields that a person lacks, or that are none, are left out.
        (200, Value::Object(wanted.filter(|(_, value)| !value.is_null()).collect()))
    }
}

fn refusal(status: u16, code: u16, message: &str) -> (u16, Value) {
    (status, json!({ "error": { "message": message, "type": "OAuthException", "code": code, "fbtrace_id": "A1b2" } }))
}
