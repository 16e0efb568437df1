//! `type: oidc`: any OpenID provider, by its issuer and the document that it publishes of itself.
//!
//! ID tokens are verified here. An issuer's userinfo answers any app's access token, so such are taken only if the issuer
//! also tells for which app they were issued, by introspection (RFC 7662).

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use url::Url;

use super::{
    Error, Extra, Identity, Parts, Presented, Provider, Row, Unusable,
    cached::Cached,
    http::Http,
    id_token::Verifier,
    identity::{Profile, Verified},
    jwks::Jwks,
};
use crate::secret::Secret;

/// For providers under any name.
pub(super) const ROW: Row = Row {
    name: "oidc",
    endpoints: &[("userinfo", None), ("jwks", None)],
    needs_secret: None,
    extras: &[Extra::Audiences, Extra::TrustEmail],
    make,
};

struct Oidc {
    http: Http,
    issuer: String,
    discovery: Arc<Cached<Discovery>>,
    userinfo: Option<Url>,
    client_id: String,
    client_secret: Option<Secret>,
    audiences: Vec<String>,
    trust_email: bool,
    id_tokens: Verifier,
}

/// The issuer's metadata (OpenID Connect Discovery section 3), as far as it matters.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: Option<String>,
    userinfo_endpoint: Option<String>,
    introspection_endpoint: Option<String>,
}

/// Where its metadata says that the issuer's endpoints are.
struct Discovery {
    jwks: Option<Url>,
    userinfo: Option<Url>,
    introspection: Option<Url>,
}

/// What the issuer says of an access token (RFC 7662 section 2.2), as far as it matters.
#[derive(Deserialize)]
struct Introspection {
    active: bool,
    iss: Option<String>,
    client_id: Option<String>,
    sub: Option<String>,
}

fn make(parts: Parts) -> Result<Arc<dyn Provider>, Unusable> {
    let issuer = parts.settings.issuer.clone().ok_or_else(|| parts.lacks("issuer"))?;
    let discovery = Arc::new(discovery(&issuer, &parts).ok_or_else(|| parts.lacks("issuer"))?);
    let jwks = keys(&parts, &discovery);
    let audiences = parts.settings.our_ids();
    let expected = issuer.clone();
    Ok(Arc::new(Oidc {
        id_tokens: Verifier::new(jwks, parts.clock, move |iss| iss == expected, audiences.clone()),
        issuer,
        discovery,
        userinfo: parts.settings.endpoint("userinfo"),
        trust_email: parts.settings.trust_email,
        client_id: parts.settings.client_id,
        client_secret: parts.settings.client_secret,
        audiences,
        http: parts.http,
    }))
}

/// The issuer's keys, where the operator says or else the issuer does.
fn keys(parts: &Parts, discovery: &Arc<Cached<Discovery>>) -> Jwks {
    if let Some(url) = parts.settings.endpoint("jwks") {
        return Jwks::at(url, parts.http.clone(), parts.clock.clone());
    }
    let (discovery, http) = (Arc::clone(discovery), parts.http.clone());
    Jwks::found(parts.http.clone(), parts.clock.clone(), move || {
        let (discovery, http) = (Arc::clone(&discovery), http.clone());
        Box::pin(async move {
            let url = discovery.get().await?.value.jwks.clone();
            url.ok_or_else(|| http.senseless(DISCOVERY, "the document names no jwks_uri"))
        })
    })
}

const DISCOVERY: &str = "discovery";

/// The issuer's document; `None` when there is no URL to be made of the issuer.
fn discovery(issuer: &str, parts: &Parts) -> Option<Cached<Discovery>> {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let url = Url::parse(&url).ok()?;
    let (http, issuer) = (parts.http.clone(), issuer.to_owned());
    Some(Cached::new(parts.clock.clone(), move || {
        let (http, issuer, url) = (http.clone(), issuer.clone(), url.clone());
        Box::pin(async move {
            let plain = url.scheme() == "http";
            let metadata: Metadata = http.get(DISCOVERY, url).fetch().await?;
            Discovery::of(metadata, &issuer, plain).map_err(|reason| http.senseless(DISCOVERY, reason))
        })
    }))
}

impl Discovery {
    /// Reads the metadata; `plain` is an issuer without TLS, whose endpoints may do without it too.
    fn of(metadata: Metadata, issuer: &str, plain: bool) -> Result<Self, &'static str> {
        // Section 4.3: else another issuer's document could be passed off as this one's.
        if metadata.issuer != issuer {
            return Err("the document is another issuer's");
        }
        let endpoint = |text: Option<String>| {
            let allowed = |url: &Url| url.scheme() == "https" || (plain && url.scheme() == "http");
            let url =
                |text: String| Url::parse(&text).ok().filter(allowed).ok_or("the document names a URL without TLS");
            text.map(url).transpose()
        };
        Ok(Self {
            jwks: endpoint(metadata.jwks_uri)?,
            userinfo: endpoint(metadata.userinfo_endpoint)?,
            introspection: endpoint(metadata.introspection_endpoint)?,
        })
    }
}

#[async_trait]
impl Provider for Oidc {
    async fn identify(&self, presented: &Presented<'_>) -> Result<Identity, Error> {
        let mut profile = if presented.is_id_token() {
            self.id_tokens.verify(presented).await?
        } else {
            self.by_access_token(presented.access_token()?).await?
        };
        if self.trust_email && profile.email_verified == Verified::Unstated {
            profile.email_verified = Verified::Yes;
        }
        profile.identity(|profile| {
            let named =
                [&profile.preferred_username, &profile.name].into_iter().flatten().find(|name| !name.is_empty());
            named.cloned().unwrap_or_else(|| profile.local_part())
        })
    }
}

impl Oidc {
    async fn by_access_token(&self, token: &Secret) -> Result<Profile, Error> {
        let Some(secret) = &self.client_secret else {
            return Err(Error::NotAllowed("access tokens need a client_secret, to ask for which app they were issued"));
        };
        let discovery = self.discovery.get().await?.value;
        let userinfo = self.userinfo.as_ref().or(discovery.userinfo.as_ref());
        let (Some(introspection), Some(userinfo)) = (&discovery.introspection, userinfo) else {
            return Err(Error::NotAllowed("this issuer does not tell for which app an access token was issued"));
        };
        let form = [("token", token.expose()), ("token_type_hint", "access_token")];
        let call = self.http.post("introspection", introspection.clone(), &form).basic(&self.client_id, secret);
        let told: Introspection = call.fetch().await?;
        if !told.active {
            return Err(Error::NotAllowed("the token is not active"));
        }
        if told.iss.as_ref().is_some_and(|iss| *iss != self.issuer) {
            return Err(Error::NotAllowed("the token is another issuer's"));
        }
        // To whom it was issued is all that counts: `aud` is where it may be used, and any app may ask for that.
        if !told.client_id.is_some_and(|client| self.audiences.contains(&client)) {
            return Err(Error::NotAllowed("the token is for another app, or the issuer does not say for which"));
        }
        let profile: Profile = self.http.get("userinfo", userinfo.clone()).bearer(token).ask().await?;
        if told.sub.is_none() || told.sub != profile.sub {
            return Err(Error::NotAllowed("introspection and userinfo do not name the same person"));
        }
        Ok(profile)
    }
}
