//! `linkedin-openidconnect`: ID tokens and access tokens of Sign In with LinkedIn.
//!
//! Userinfo answers any app's token, so our app asks first, with its secret, whether the token is its own.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use url::Url;

use super::{
    Error, Extra, Identity, Parts, Presented, Provider, Row, Unusable, http::Http, id_token::Verifier,
    identity::Profile, jwks::Jwks,
};
use crate::secret::Secret;

pub(super) const ROW: Row = Row {
    name: "linkedin-openidconnect",
    endpoints: &[
        ("jwks", Some("https://www.linkedin.com/oauth/openid/jwks")),
        ("introspection", Some("https://www.linkedin.com/oauth/v2/introspectToken")),
        ("userinfo", Some("https://api.linkedin.com/v2/userinfo")),
    ],
    needs_secret: None,
    extras: &[Extra::Audiences],
    make,
};

const ISSUER: &str = "https://www.linkedin.com/oauth";

struct LinkedIn {
    http: Http,
    introspection: Url,
    userinfo: Url,
    client_id: String,
    client_secret: Option<Secret>,
    id_tokens: Verifier,
}

fn make(parts: Parts) -> Result<Arc<dyn Provider>, Unusable> {
    let jwks = Jwks::at(parts.endpoint("jwks")?, parts.http.clone(), parts.clock.clone());
    Ok(Arc::new(LinkedIn {
        introspection: parts.endpoint("introspection")?,
        userinfo: parts.endpoint("userinfo")?,
        id_tokens: Verifier::new(jwks, parts.clock, |iss| iss == ISSUER, parts.settings.our_ids()),
        client_id: parts.settings.client_id,
        client_secret: parts.settings.client_secret,
        http: parts.http,
    }))
}

/// What LinkedIn says of an access token to the app that it was issued to.
#[derive(Deserialize)]
struct Introspection {
    active: bool,
    client_id: Option<String>,
    auth_type: Option<String>,
}

#[async_trait]
impl Provider for LinkedIn {
    async fn identify(&self, presented: &Presented<'_>) -> Result<Identity, Error> {
        let profile = if presented.is_id_token() {
            self.id_tokens.verify(presented).await?
        } else {
            self.by_access_token(presented.access_token()?).await?
        };
        profile.identity(Profile::local_part)
    }
}

impl LinkedIn {
    async fn by_access_token(&self, token: &Secret) -> Result<Profile, Error> {
        let Some(secret) = &self.client_secret else {
            return Err(Error::NotAllowed("access tokens need a client_secret, to ask for which app they were issued"));
        };
        let form = [("client_id", &*self.client_id), ("client_secret", secret.expose()), ("token", token.expose())];
        let call = self.http.post("introspection", self.introspection.clone(), &form);
        // 400 is a token that is none; 401 would be about our secret.
        let told: Introspection = call.ask_as_app(&[400]).await?;
        if !told.active {
            return Err(Error::NotAllowed("the token is not active"));
        }
        // Of an app's own tokens only, so that `audiences` does not count here.
        if told.client_id.as_ref() != Some(&self.client_id) {
            return Err(Error::NotAllowed("the token is for another app"));
        }
        if told.auth_type.is_some_and(|kind| kind != "3L") {
            return Err(Error::NotAllowed("the token is no person's"));
        }
        self.http.get("userinfo", self.userinfo.clone()).bearer(token).ask().await
    }
}
