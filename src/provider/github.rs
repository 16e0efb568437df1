//! `github`: access tokens of OAuth apps and GitHub Apps, of github.com and of GitHub Enterprise Server.
//!
//! The API answers any app's token, so our app asks first, with its secret, whether the token is its own.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::{
    Error, Identity, Parts, Presented, Provider, Row, Unusable,
    http::{Call, Http, beneath},
    identity::{self, Email, Verified},
};
use crate::secret::Secret;

pub(super) const ROW: Row = Row {
    name: "github",
    endpoints: &[("api", Some("https://api.github.com"))],
    needs_secret: Some("GitHub tells nobody but the app itself, by its secret, whether a token was issued to it"),
    // Each further app would need its own secret.
    extras: &[],
    make,
};

/// Of the REST API.
const VERSION: &str = "2022-11-28";

struct GitHub {
    http: Http,
    api: Url,
    client_id: String,
    client_secret: Secret,
}

fn make(parts: Parts) -> Result<Arc<dyn Provider>, Unusable> {
    Ok(Arc::new(GitHub {
        api: parts.endpoint("api")?,
        client_secret: parts.client_secret()?,
        client_id: parts.settings.client_id,
        http: parts.http,
    }))
}

/// What GitHub says of a token to the app that it was issued to.
#[derive(Deserialize)]
struct Authorization {
    app: App,
    user: Option<User>,
}

#[derive(Deserialize)]
struct App {
    client_id: String,
}

/// The person, as far as it matters.
#[derive(Deserialize)]
struct User {
    id: Option<u64>,
    login: Option<String>,
    name: Option<String>,
}

/// One of the person's addresses.
#[derive(Deserialize)]
struct Address {
    email: String,
    primary: bool,
    verified: bool,
}

#[async_trait]
impl Provider for GitHub {
    async fn identify(&self, presented: &Presented<'_>) -> Result<Identity, Error> {
        let token = presented.access_token()?;
        let owner = self.owner(token).await?;
        let user: User = api(self.http.get("user", beneath(&self.api, &["user"]))).bearer(token).ask().await?;
        if user.id != owner.id {
            return Err(Error::NotAllowed("the token and the user name two persons"));
        }
        let subject = identity::subject(user.id.map(|id| id.to_string()))?;
        let email = self.email(token).await?;
        let (first_name, last_name) = identity::split(user.name.as_deref().unwrap_or_default());
        Ok(Identity { subject, email, username: user.login.unwrap_or_default(), first_name, last_name })
    }
}

impl GitHub {
    /// Whose token it is, if it is our app's.
    async fn owner(&self, token: &Secret) -> Result<User, Error> {
        let url = beneath(&self.api, &["applications", &self.client_id, "token"]);
        let call = self.http.post_json("token", url, &json!({ "access_token": token.expose() }));
        let call = api(call).basic(&self.client_id, &self.client_secret);
        // 404 is any token that is not this app's, 422 one that does not look like a token.
        let told: Authorization = call.ask_as_app(&[404, 422]).await?;
        if told.app.client_id != self.client_id {
            return Err(Error::NotAllowed("the token is for another app"));
        }
        told.user.ok_or(Error::NotAllowed("the token is no person's"))
    }

    /// The primary address, if the token gives access to it.
    async fn email(&self, token: &Secret) -> Result<Option<Email>, Error> {
        let mut url = beneath(&self.api, &["user", "emails"]);
        url.query_pairs_mut().append_pair("per_page", "100");
        let addresses = api(self.http.get("emails", url)).bearer(token).list_unless::<Address>(&[403, 404]).await?;
        let primary = addresses.into_iter().flatten().find(|address| address.primary);
        Ok(primary.and_then(|Address { email, verified, .. }| {
            identity::email(Some(email), if verified { Verified::Yes } else { Verified::No })
        }))
    }
}

fn api(call: Call<'_>) -> Call<'_> {
    call.header("accept", "application/vnd.github+json").header("x-github-api-version", VERSION)
}
