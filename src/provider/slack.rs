//! `slack`: ID tokens of Sign in with Slack. Of access tokens Slack does not tell for which app they were issued.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;

use super::{
    Error, Extra, Identity, Parts, Presented, Provider, Row, Unusable,
    id_token::Verifier,
    identity::{self, Profile},
    jwks::Jwks,
};

pub(super) const ROW: Row = Row {
    name: "slack",
    endpoints: &[("jwks", Some("https://slack.com/openid/connect/keys"))],
    needs_secret: None,
    extras: &[Extra::Audiences],
    make,
};

const ISSUER: &str = "https://slack.com";

struct Slack {
    id_tokens: Verifier,
}

fn make(parts: Parts) -> Result<Arc<dyn Provider>, Unusable> {
    let jwks = Jwks::at(parts.endpoint("jwks")?, parts.http.clone(), parts.clock.clone());
    let id_tokens = Verifier::new(jwks, parts.clock, |iss| iss == ISSUER, parts.settings.our_ids());
    Ok(Arc::new(Slack { id_tokens }))
}

/// What an ID token says of the person.
#[derive(Deserialize)]
struct Claims {
    /// Of the workspace.
    #[serde(rename = "https://slack.com/team_id")]
    team_id: Option<String>,
    /// Unique within the workspace only, as Slack says of the `id` of its user objects.
    #[serde(rename = "https://slack.com/user_id")]
    user_id: Option<String>,
    #[serde(flatten)]
    profile: Profile,
}

#[async_trait]
impl Provider for Slack {
    async fn identify(&self, presented: &Presented<'_>) -> Result<Identity, Error> {
        if !presented.is_id_token() {
            return Err(Error::NotAllowed("Slack does not tell for which app an access token was issued"));
        }
        let Claims { team_id, user_id, profile } = self.id_tokens.verify(presented).await?;
        let (team, user) = (identity::subject(team_id)?, identity::subject(user_id)?);
        if team.contains(':') {
            return Err(Error::NotAllowed("the id of the workspace could be that of another and a part of a person's"));
        }
        Profile { sub: Some(format!("{team}:{user}")), ..profile }.identity(Profile::local_part)
    }
}
