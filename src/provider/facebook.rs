//! `facebook`: access tokens of Facebook Login, and ID tokens of Limited Login.
//!
//! The Graph API answers any app's token, so `debug_token` is asked first for which app it was issued; and every question
//! about a person carries a proof that it is our app that asks.

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::hmac;
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};
use url::Url;

use super::{
    Error, Extra, Identity, Parts, Presented, Provider, Row, Unusable,
    http::{Http, beneath},
    id_token::Verifier,
    identity::{self, Profile, Verified},
    jwks::Jwks,
};
use crate::secret::Secret;

pub(super) const ROW: Row = Row {
    name: "facebook",
    endpoints: &[
        ("graph", Some("https://graph.facebook.com")),
        ("dialog", Some("https://www.facebook.com/dialog/oauth")),
        ("jwks", Some("https://limited.facebook.com/.well-known/oauth/openid/jwks/")),
    ],
    needs_secret: Some("Facebook tells nobody but the app itself, by its secret, for which app a token was issued"),
    extras: &[Extra::Audiences],
    make,
};

/// Of the Graph API.
const VERSION: &str = "v24.0";

/// Of Limited Login; which of them depends on its version.
const ISSUERS: [&str; 2] = ["https://www.facebook.com", "https://limited.facebook.com"];

struct Facebook {
    http: Http,
    graph: Url,
    app_id: String,
    app_secret: Secret,
    audiences: Vec<String>,
    id_tokens: Verifier,
}

fn make(parts: Parts) -> Result<Arc<dyn Provider>, Unusable> {
    let audiences = parts.settings.our_ids();
    let jwks = Jwks::at(parts.endpoint("jwks")?, parts.http.clone(), parts.clock.clone());
    Ok(Arc::new(Facebook {
        graph: parts.endpoint("graph")?,
        app_secret: parts.client_secret()?,
        id_tokens: Verifier::new(jwks, parts.clock, |iss| ISSUERS.contains(&iss), audiences.clone()),
        audiences,
        app_id: parts.settings.client_id,
        http: parts.http,
    }))
}

/// `debug_token`'s answer.
#[derive(Deserialize)]
struct Debugged {
    data: Debug,
}

/// What Facebook says of an access token, as far as it matters.
#[derive(Deserialize)]
struct Debug {
    #[serde(default)]
    is_valid: bool,
    #[serde(default, deserialize_with = "id")]
    app_id: Option<String>,
    #[serde(default, deserialize_with = "id")]
    user_id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// The person.
#[derive(Deserialize)]
struct Me {
    #[serde(default, deserialize_with = "id")]
    id: Option<String>,
    name: Option<String>,
    email: Option<String>,
}

#[async_trait]
impl Provider for Facebook {
    async fn identify(&self, presented: &Presented<'_>) -> Result<Identity, Error> {
        let me = if presented.is_id_token() {
            let profile: Profile = self.id_tokens.verify(presented).await?;
            Me { id: profile.sub, name: profile.name, email: profile.email }
        } else {
            self.by_access_token(presented.access_token()?).await?
        };
        let username = me.name.unwrap_or_default();
        let (first_name, last_name) = identity::split(&username);
        let subject = identity::subject(me.id)?;
        let email = identity::email(me.email, Verified::Unstated);
        Ok(Identity { subject, email, username, first_name, last_name })
    }
}

impl Facebook {
    async fn by_access_token(&self, token: &Secret) -> Result<Me, Error> {
        let app_token = Secret::new(format!("{}|{}", self.app_id, self.app_secret.expose()));
        let asked = [("input_token", token.expose()), ("access_token", app_token.expose())];
        let Debugged { data: debug } =
            self.ask("debug_token", &["debug_token"], &asked).await.inspect_err(|error| {
                // A bad token is told by a good answer.
                if let Error::Canceled(_) = error {
                    tracing::warn!("facebook does not tell us about tokens: are client_id and client_secret right?");
                }
            })?;
        if !debug.is_valid {
            return Err(Error::Canceled("the token does not hold"));
        }
        if !debug.app_id.is_some_and(|id| self.audiences.contains(&id)) {
            return Err(Error::Canceled("the token is for another app"));
        }
        if debug.kind.is_some_and(|kind| kind != "USER") {
            return Err(Error::Canceled("the token is no person's"));
        }
        let proof = proof(&self.app_secret, token);
        let asked = [("fields", "id,name,email"), ("access_token", token.expose()), ("appsecret_proof", &proof)];
        let me: Me = self.ask("me", &[VERSION, "me"], &asked).await?;
        if debug.user_id.is_some() && me.id.is_some() && debug.user_id != me.id {
            return Err(Error::Canceled("debug_token and me name two persons"));
        }
        Ok(me)
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        step: &'static str,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, Error> {
        let mut url = beneath(&self.graph, path);
        url.query_pairs_mut().extend_pairs(query);
        self.http.get(step, url).ask().await
    }
}

/// `appsecret_proof`: in hex, the token's HMAC-SHA256 under the app's secret.
fn proof(app_secret: &Secret, token: &Secret) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, app_secret.expose().as_bytes());
    let mac = hmac::sign(&key, token.expose().as_bytes());
    mac.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// An id, which Facebook has written as text and as a number.
fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) if Number::is_u64(&number) => Ok(Some(number.to_string())),
        _ => Err(serde::de::Error::custom("no id")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_hmac_sha256_in_hex() {
        // RFC 4231 section 4.3.
        let proof = proof(&Secret::from("Jefe"), &Secret::from("what do ya want for nothing?"));
        assert_eq!(proof, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn an_id_is_text_or_a_whole_number() {
        let read = |json: &str| serde_json::from_str::<Me>(json).ok().map(|me| me.id);
        assert_eq!(read(r#"{"id": "0012"}"#), Some(Some("0012".to_owned())));
        assert_eq!(read(r#"{"id": 10215241773831025}"#), Some(Some("10215241773831025".to_owned())));
        assert_eq!(read(r#"{"id": null}"#), Some(None));
        assert_eq!(read("{}"), Some(None));
        for odd in
            [r#"{"id": 1.5}"#, r#"{"id": -1}"#, r#"{"id": true}"#, r#"{"id": ["1"]}"#, r#"{"id": "1", "id": "2"}"#]
        {
            assert_eq!(read(odd), None, "{odd}");
        }
    }
}
