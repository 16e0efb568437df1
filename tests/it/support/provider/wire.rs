//! Providers told by data: what they have in common is here, what each says on the wire in a file of its own.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock},
};

use serde_json::{Value, json};

use super::{
    Fault, NOW, Person, Signer,
    server::{Asked, Server, fake},
};
use crate::support::upstream::Recorded;

/// One provider.
pub struct Wire {
    /// As in the configuration.
    pub name: &'static str,
    /// Our app there.
    pub client_id: &'static str,
    /// Its entry in the configuration, besides `client_id` and `endpoints`.
    pub settings: &'static str,
    /// Keys of `endpoints`, and the paths beneath the fake's own URL.
    pub endpoints: &'static [(&'static str, &'static str)],
    /// What stands before the person's id in the subject that we make of it.
    pub namespace: &'static str,
    pub access_tokens: Option<AccessTokens>,
    pub id_tokens: Option<IdTokens>,
}

/// How access tokens are answered.
pub struct AccessTokens {
    /// How they begin.
    pub prefix: &'static str,
    /// The paths that are asked about one, in order.
    pub steps: &'static [&'static str],
    /// Where in the answers the person's id stands: path and JSON pointer.
    pub ids: &'static [(&'static str, &'static str)],
    /// Whether anybody tells for which app one was issued.
    pub tell_app: bool,
    pub(super) respond: fn(&Asked, &Accounts) -> (u16, Value),
}

/// What ID tokens are like.
pub struct IdTokens {
    /// None: the fake's own URL.
    pub issuer: Option<&'static str>,
    /// The path of the keys.
    pub jwks: &'static str,
    /// The claim that has the person's id.
    pub subject: &'static str,
    /// Makes the provider's claims of the standard ones.
    pub(super) claims: fn(&Person, &mut Value),
    /// Makes a key as the provider publishes it of a plain one.
    pub(super) key: fn(&mut Value),
}

/// Who has signed in: by access token, the person and the app.
#[derive(Default)]
pub(super) struct Accounts(Mutex<HashMap<String, (Person, String)>>);

impl Accounts {
    pub fn signed_in(&self, token: &str) -> Option<(Person, String)> {
        self.0.lock().expect("no test panicked inside").get(token).cloned()
    }

    /// Whose bearer this is.
    pub fn bearer(&self, asked: &Asked) -> Option<(Person, String)> {
        self.signed_in(asked.bearer.as_deref()?)
    }
}

/// What they all sign with: RSA keys take their time.
pub fn key() -> &'static Signer {
    static KEY: OnceLock<Signer> = OnceLock::new();
    KEY.get_or_init(|| Signer::new("w1", "RS256"))
}

/// One provider, for the length of a test.
pub struct Fake {
    pub wire: &'static Wire,
    server: Server,
    accounts: Arc<Accounts>,
}

fake!(Fake);

impl Fake {
    pub async fn start(wire: &'static Wire) -> Self {
        let accounts = Arc::<Accounts>::default();
        let server = Server::start({
            let accounts = accounts.clone();
            move |asked| match (&wire.id_tokens, &wire.access_tokens) {
                (Some(id_tokens), _) if asked.path == id_tokens.jwks => {
                    let mut key = key().jwk();
                    (id_tokens.key)(&mut key);
                    (200, json!({ "keys": [key] }))
                }
                (_, Some(access_tokens)) => (access_tokens.respond)(asked, &accounts),
                _ => (404, json!({ "message": "Not Found" })),
            }
        });
        Self { wire, server: server.await, accounts }
    }

    /// The person signs in to our app, which gets this access token.
    pub fn user(&self, person: &Person) -> String {
        self.user_of(self.wire.client_id, person)
    }

    /// The person signs in to any app.
    pub fn user_of(&self, app: &str, person: &Person) -> String {
        let prefix = self.wire.access_tokens.as_ref().map_or("opaque-", |tokens| tokens.prefix);
        let mut tokens = self.accounts.0.lock().expect("no test panicked inside");
        let token = format!("{prefix}{}{}", person.id, tokens.len());
        tokens.insert(token.clone(), (person.clone(), app.to_owned()));
        token
    }

    /// The claims of an ID token for our app, issued at [`NOW`] for an hour.
    pub fn claims(&self, person: &Person) -> Value {
        let id_tokens = self.wire.id_tokens.as_ref().expect("a provider with ID tokens");
        let mut claims = person.claims();
        claims["iss"] = id_tokens.issuer.map_or_else(|| self.server.url(""), str::to_owned).into();
        claims["aud"] = self.wire.client_id.into();
        claims["iat"] = NOW.into();
        claims["exp"] = (NOW + 3600).into();
        (id_tokens.claims)(person, &mut claims);
        claims
    }

    /// The person signs in to our app, which gets this ID token.
    pub fn id_token(&self, person: &Person) -> String {
        self.id_token_with(person, |_| ())
    }

    /// As [`Fake::id_token`], with other claims.
    pub fn id_token_with(&self, person: &Person, edit: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims(person);
        edit(&mut claims);
        key().sign(&claims)
    }

    /// For the configuration: an entry of `providers`.
    pub fn yaml(&self) -> String {
        self.yaml_with(self.wire.settings)
    }

    /// As [`Fake::yaml`], with other settings than usual.
    pub fn yaml_with(&self, settings: &str) -> String {
        let Wire { name, client_id, endpoints, .. } = self.wire;
        let endpoint = |(key, path): &(&str, &str)| format!("{key}: '{}'", self.server.url(path));
        let endpoints: Vec<_> = endpoints.iter().map(endpoint).collect();
        format!("{name}: {{ client_id: '{client_id}', endpoints: {{ {} }}, {settings} }}", endpoints.join(", "))
    }
}
