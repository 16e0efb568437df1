//! `discord`: access tokens of Discord.
//!
//! The API answers any app's token, so it is asked first for which app the token was issued.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use url::Url;

use super::{
    Error, Extra, Identity, Parts, Presented, Provider, Row, Unusable,
    http::{Http, beneath},
    identity::{self, Verified},
};

pub(super) const ROW: Row = Row {
    name: "discord",
    endpoints: &[("api", Some("https://discord.com/api/v10"))],
    needs_secret: None,
    extras: &[Extra::Audiences],
    make,
};

struct Discord {
    http: Http,
    api: Url,
    audiences: Vec<String>,
}

fn make(parts: Parts) -> Result<Arc<dyn Provider>, Unusable> {
    Ok(Arc::new(Discord { api: parts.endpoint("api")?, audiences: parts.settings.our_ids(), http: parts.http }))
}

/// What Discord says of an access token, as far as it matters.
#[derive(Deserialize)]
struct Authorization {
    application: Application,
    /// Absent without the scope `identify`.
    user: Option<Owner>,
}

#[derive(Deserialize)]
struct Application {
    id: String,
}

#[derive(Deserialize)]
struct Owner {
    id: Option<String>,
}

/// The person, as far as it matters.
#[derive(Deserialize)]
struct User {
    id: Option<String>,
    username: Option<String>,
    /// The name that is shown.
    global_name: Option<String>,
    /// Absent without the scope `email`.
    email: Option<String>,
    verified: Option<bool>,
}

#[async_trait]
impl Provider for Discord {
    async fn identify(&self, presented: &Presented<'_>) -> Result<Identity, Error> {
        let token = presented.access_token()?;
        let url = beneath(&self.api, &["oauth2", "@me"]);
        let told: Authorization = self.http.get("authorization", url).bearer(token).ask().await?;
        if !self.audiences.contains(&told.application.id) {
            return Err(Error::NotAllowed("the token is for another app"));
        }
        let url = beneath(&self.api, &["users", "@me"]);
        let user: User = self.http.get("user", url).bearer(token).ask().await?;
        if told.user.and_then(|owner| owner.id) != user.id {
            return Err(Error::NotAllowed("the token and the user name two persons"));
        }
        let verified = if user.verified == Some(true) { Verified::Yes } else { Verified::No };
        let (first_name, last_name) = identity::split(user.global_name.as_deref().unwrap_or_default());
        Ok(Identity {
            subject: identity::subject(user.id)?,
            email: identity::email(user.email, verified),
            username: user.username.unwrap_or_default(),
            first_name,
            last_name,
        })
    }
}
