//! `twitter-oauth2`: access tokens of X, formerly Twitter.
//!
//! X tells nobody for which app a token was issued: it has neither ID tokens nor introspection. So any app's token is
//! taken, and only where the operator has decided so.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use url::Url;

use super::{
    Error, Extra, Identity, Parts, Presented, Provider, Row, Unusable,
    http::{Call, Http, beneath},
    identity::{self, Verified},
};
use crate::secret::Secret;

pub(super) const ROW: Row = Row {
    name: "twitter-oauth2",
    endpoints: &[("api", Some("https://api.x.com/2"))],
    needs_secret: None,
    extras: &[Extra::AcceptAnyApp(
        "X tells nobody for which app a token was issued, so that whoever runs any app that people sign in to with X \
         can sign in here as each of them",
    )],
    make,
};

struct Twitter {
    http: Http,
    api: Url,
}

fn make(parts: Parts) -> Result<Arc<dyn Provider>, Unusable> {
    if !parts.settings.accept_any_app {
        return Err(parts.lacks("accept_any_app"));
    }
    Ok(Arc::new(Twitter { api: parts.endpoint("api")?, http: parts.http }))
}

#[derive(Deserialize)]
struct Answer {
    data: User,
}

/// The person, as far as it matters.
#[derive(Deserialize)]
struct User {
    id: Option<String>,
    username: Option<String>,
    name: Option<String>,
    /// Absent until the person has confirmed one.
    confirmed_email: Option<String>,
}

#[async_trait]
impl Provider for Twitter {
    async fn identify(&self, presented: &Presented<'_>) -> Result<Identity, Error> {
        let token = presented.access_token()?;
        let Answer { data: user } = match self.me(token, Some("confirmed_email")).ask_unless(&[403]).await? {
            Some(answer) => answer,
            // Without the scope `users.email` the field is refused, and the rest along with it.
            None => self.me(token, None).ask().await?,
        };
        let (first_name, last_name) = identity::split(user.name.as_deref().unwrap_or_default());
        Ok(Identity {
            subject: identity::subject(user.id)?,
            email: identity::email(user.confirmed_email, Verified::Yes),
            username: user.username.unwrap_or_default(),
            first_name,
            last_name,
        })
    }
}

impl Twitter {
    /// The call that asks for the person, with a field more than X tells anyway.
    fn me(&self, token: &Secret, field: Option<&str>) -> Call<'_> {
        let mut url = beneath(&self.api, &["users", "me"]);
        if let Some(field) = field {
            url.query_pairs_mut().append_pair("user.fields", field);
        }
        self.http.get("user", url).bearer(token)
    }
}
