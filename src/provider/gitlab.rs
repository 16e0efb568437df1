//! `gitlab`: access tokens and ID tokens of gitlab.com, or of another GitLab.
//!
//! The API answers any app's token, so token/info is asked first for which app it was issued.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
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
    name: "gitlab",
    endpoints: &[("base", Some("https://gitlab.com"))],
    needs_secret: None,
    extras: &[Extra::Audiences],
    make,
};

struct GitLab {
    http: Http,
    base: Url,
    audiences: Vec<String>,
    id_tokens: Verifier,
}

fn make(parts: Parts) -> Result<Arc<dyn Provider>, Unusable> {
    let audiences = parts.settings.our_ids();
    let base = parts.endpoint("base")?;
    let jwks = Jwks::at(beneath(&base, &["oauth", "discovery", "keys"]), parts.http.clone(), parts.clock.clone());
    // As a GitLab writes its own URL.
    let issuer = base.as_str().trim_end_matches('/').to_owned();
    Ok(Arc::new(GitLab {
        id_tokens: Verifier::new(jwks, parts.clock, move |iss| iss == issuer, audiences.clone()),
        base,
        audiences,
        http: parts.http,
    }))
}

/// What token/info says of an access token, as far as it matters.
#[derive(Deserialize)]
struct TokenInfo {
    resource_owner_id: Option<u64>,
    application: Option<Application>,
}

#[derive(Deserialize)]
struct Application {
    uid: Option<String>,
}

/// The person, as far as it matters.
#[derive(Deserialize)]
struct User {
    id: Option<u64>,
    username: Option<String>,
    name: Option<String>,
    email: Option<String>,
    /// When the address was confirmed; null until then.
    confirmed_at: Option<String>,
}

#[async_trait]
impl Provider for GitLab {
    async fn identify(&self, presented: &Presented<'_>) -> Result<Identity, Error> {
        if presented.is_id_token() {
            let profile: Profile = self.id_tokens.verify(presented).await?;
            return profile.identity(Profile::local_part);
        }
        let user = self.by_access_token(presented.access_token()?).await?;
        let verified = if user.confirmed_at.is_some() { Verified::Yes } else { Verified::No };
        let (first_name, last_name) = identity::split(user.name.as_deref().unwrap_or_default());
        Ok(Identity {
            subject: identity::subject(user.id.map(|id| id.to_string()))?,
            email: identity::email(user.email, verified),
            username: user.username.unwrap_or_default(),
            first_name,
            last_name,
        })
    }
}

impl GitLab {
    async fn by_access_token(&self, token: &Secret) -> Result<User, Error> {
        let url = beneath(&self.base, &["oauth", "token", "info"]);
        let info: TokenInfo = self.http.get("token/info", url).bearer(token).ask().await?;
        // Personal access tokens have none.
        let app = info.application.and_then(|application| application.uid);
        if !app.is_some_and(|uid| self.audiences.contains(&uid)) {
            return Err(Error::NotAllowed("the token is for another app"));
        }
        let url = beneath(&self.base, &["api", "v4", "user"]);
        let user: User = self.http.get("user", url).bearer(token).ask().await?;
        if info.resource_owner_id != user.id {
            return Err(Error::NotAllowed("token/info and user name two persons"));
        }
        Ok(user)
    }
}
