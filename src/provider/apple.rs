//! `apple-id`: ID tokens of Sign in with Apple. Its access tokens are for Apple's own use.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    Error, Extra, Identity, Parts, Presented, Provider, Row, Unusable, id_token::Verifier, identity::Profile,
    jwks::Jwks,
};

pub(super) const ROW: Row = Row {
    name: "apple-id",
    endpoints: &[("jwks", Some("https://appleid.apple.com/auth/keys"))],
    needs_secret: None,
    extras: &[Extra::Audiences],
    make,
};

const ISSUER: &str = "https://appleid.apple.com";

struct Apple {
    id_tokens: Verifier,
}

fn make(parts: Parts) -> Result<Arc<dyn Provider>, Unusable> {
    let jwks = Jwks::at(parts.endpoint("jwks")?, parts.http.clone(), parts.clock.clone());
    let id_tokens = Verifier::new(jwks, parts.clock, |iss| iss == ISSUER, parts.settings.our_ids());
    Ok(Arc::new(Apple { id_tokens }))
}

#[async_trait]
impl Provider for Apple {
    async fn identify(&self, presented: &Presented<'_>) -> Result<Identity, Error> {
        if !presented.is_id_token() {
            return Err(Error::NotAllowed("access tokens of Apple tell nothing: an ID token is wanted"));
        }
        let profile: Profile = self.id_tokens.verify(presented).await?;
        profile.identity(Profile::local_part)
    }
}
