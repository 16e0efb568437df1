//! `gitlab`: access tokens and ID tokens of gitlab.com, or of another GitLab.
//!
//! The API answers any app's token, so token/info is asked first for which app it was issued. A GitLab that sends no mail to
//! confirm addresses calls each one confirmed, and does not tell; gitlab.com does send it.

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
    endpoints: &[("base", Some(GITLAB_COM))],
    needs_secret: None,
    extras: &[Extra::Audiences, Extra::TrustEmail],
    make,
};

const GITLAB_COM: &str = "https://gitlab.com";

struct GitLab {
    http: Http,
    base: Url,
    audiences: Vec<String>,
    /// Whether an address that it calls confirmed is the person's.
    trusted: bool,
    id_tokens: Verifier,
}

fn make(parts: Parts) -> Result<Arc<dyn Provider>, Unusable> {
    let audiences = parts.settings.our_ids();
    let base = parts.endpoint("base")?;
    let jwks = Jwks::at(beneath(&base, &["oauth", "discovery", "keys"]), parts.http.clone(), parts.clock.clone());
    let issuer = issuer(&base);
    Ok(Arc::new(GitLab {
        trusted: issuer == GITLAB_COM || parts.settings.trust_email,
        id_tokens: Verifier::new(jwks, parts.clock, move |iss| iss == issuer, audiences.clone()),
        base,
        audiences,
        http: parts.http,
    }))
}

/// The URL of a GitLab as it writes its own.
fn issuer(base: &Url) -> String {
    base.as_str().trim_end_matches('/').to_owned()
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
    /// When the address was confirmed, or the account made where no address is; null until then.
    confirmed_at: Option<String>,
}

#[async_trait]
impl Provider for GitLab {
    async fn identify(&self, presented: &Presented<'_>) -> Result<Identity, Error> {
        if presented.is_id_token() {
            let mut profile: Profile = self.id_tokens.verify(presented).await?;
            profile.email_verified = self.verified(profile.email_verified == Verified::Yes);
            return profile.identity(Profile::local_part);
        }
        let user = self.by_access_token(presented.access_token()?).await?;
        let verified = self.verified(user.confirmed_at.is_some());
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
    const fn verified(&self, confirmed: bool) -> Verified {
        if confirmed && self.trusted { Verified::Yes } else { Verified::No }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gitlab_com_is_known_by_its_url_and_no_other_is_taken_for_it() {
        let is_gitlab_com = |base: &str| issuer(&Url::parse(base).unwrap()) == GITLAB_COM;
        for same in [GITLAB_COM, "https://gitlab.com/", "https://GitLab.com", "https://gitlab.com:443/"] {
            assert!(is_gitlab_com(same), "{same}");
        }
        for other in [
            "http://gitlab.com",
            "https://gitlab.com.example.test",
            "https://gitlab.com@example.test",
            "https://gitlab.com:8443",
            "https://gitlab.com/mirror",
            "https://git.gitlab.com",
        ] {
            assert!(!is_gitlab_com(other), "{other}");
        }
    }
}
