//! `google-oauth2`: Google's access tokens and ID tokens.
//!
//! Google's userinfo answers any app's token, so tokeninfo is asked first for which app it was issued.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use url::Url;

use super::{
    Error, Extra, Identity, Parts, Presented, Provider, Row, Unusable, http::Http, id_token::Verifier,
    identity::Profile, jwks::Jwks,
};

pub(super) const ROW: Row = Row {
    name: "google-oauth2",
    endpoints: &[
        ("userinfo", Some("https://www.googleapis.com/oauth2/v3/userinfo")),
        ("tokeninfo", Some("https://oauth2.googleapis.com/tokeninfo")),
        ("jwks", Some("https://www.googleapis.com/oauth2/v3/certs")),
        ("authorization", Some("https://accounts.google.com/o/oauth2/v2/auth")),
        ("token", Some("https://oauth2.googleapis.com/token")),
    ],
    needs_secret: None,
    extras: &[Extra::Audiences],
    make,
};

/// Google writes either.
const ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];

struct Google {
    http: Http,
    tokeninfo: Url,
    userinfo: Url,
    audiences: Vec<String>,
    id_tokens: Verifier,
}

fn make(parts: Parts) -> Result<Arc<dyn Provider>, Unusable> {
    let audiences = parts.settings.our_ids();
    let jwks = Jwks::at(parts.endpoint("jwks")?, parts.http.clone(), parts.clock.clone());
    Ok(Arc::new(Google {
        tokeninfo: parts.endpoint("tokeninfo")?,
        userinfo: parts.endpoint("userinfo")?,
        // An Android app gets ID tokens with the web client of its project as `aud` and its own id as `azp`. Apps of other
        // projects get none for that `aud`, and access tokens are no JWTs.
        id_tokens: Verifier::new(jwks, parts.clock, |iss| ISSUERS.contains(&iss), audiences.clone()).with_any_party(),
        audiences,
        http: parts.http,
    }))
}

/// What tokeninfo says of an access token, as far as it matters.
#[derive(Deserialize)]
struct TokenInfo {
    aud: String,
    azp: Option<String>,
    sub: Option<String>,
}

#[async_trait]
impl Provider for Google {
    async fn identify(&self, presented: &Presented<'_>) -> Result<Identity, Error> {
        let profile = if presented.is_id_token() {
            self.id_tokens.verify(presented).await?
        } else {
            self.by_access_token(presented).await?
        };
        profile.identity(Profile::local_part)
    }
}

impl Google {
    async fn by_access_token(&self, presented: &Presented<'_>) -> Result<Profile, Error> {
        let token = presented.access_token()?;
        let mut url = self.tokeninfo.clone();
        url.query_pairs_mut().append_pair("access_token", token.expose());
        let info: TokenInfo = self.http.get("tokeninfo", url).ask().await.map_err(|error| match error {
            // How tokeninfo says that it does not know the token.
            Error::Canceled(reason) => Error::NotAllowed(reason),
            error => error,
        })?;
        if ![Some(&info.aud), info.azp.as_ref()].into_iter().flatten().all(|id| self.audiences.contains(id)) {
            return Err(Error::NotAllowed("the token is for another app"));
        }
        let profile: Profile = self.http.get("userinfo", self.userinfo.clone()).bearer(token).ask().await?;
        if info.sub.is_some() && info.sub != profile.sub {
            return Err(Error::NotAllowed("tokeninfo and userinfo name two persons"));
        }
        Ok(profile)
    }
}
