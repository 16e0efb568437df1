//! A provider's token for ours, as drf-social-oauth2 does it. `token_exchange` is the same in RFC 8693's words.

use std::sync::Arc;

use crate::{
    account::identity::{IdentityError, NoSignIn, SignedIn},
    model::Scope,
    oauth::{
        Error, OAuth, Tokens,
        audit::Caller,
        client::{Client, Grant},
        to_its_end,
    },
    provider::{self, Presented},
    throttle::Event,
};

/// Why a provider's token gets none of ours.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The client's own fault, or an outage of ours.
    #[error(transparent)]
    OAuth(#[from] Error),
    /// No provider of this name.
    #[error("no such provider")]
    UnknownProvider,
    /// What the provider said of the token, or did not.
    #[error(transparent)]
    Provider(provider::Error),
    /// The token is good, and signs nobody in.
    #[error(transparent)]
    NoSignIn(NoSignIn),
}

impl ConvertError {
    /// For the audit log and metrics, where it is a word about the token.
    pub const fn reason(&self) -> Option<&'static str> {
        Some(match self {
            Self::OAuth(_) | Self::UnknownProvider => return None,
            Self::Provider(provider::Error::NotAllowed(_) | provider::Error::Canceled(_)) => "provider_refused",
            Self::Provider(provider::Error::Busy) => "provider_busy",
            Self::Provider(_) => "provider_failed",
            Self::NoSignIn(NoSignIn::Inactive) => "inactive_account",
            Self::NoSignIn(NoSignIn::AddressTaken) => "address_taken",
            Self::NoSignIn(NoSignIn::NoAddress) => "no_verified_address",
            Self::NoSignIn(NoSignIn::Closed) => "registration_closed",
        })
    }
}

/// A provider's token was good for this.
pub struct Converted {
    /// Ours.
    pub tokens: Tokens,
    /// Whose they are now.
    pub signed_in: SignedIn,
}

impl OAuth {
    /// Signs in whom the provider of this name vouches for, with a client that has proven itself.
    pub async fn convert(
        self: &Arc<Self>,
        client: &Client,
        scope: Scope,
        provider: &str,
        presented: &Presented<'_>,
        caller: &Caller,
    ) -> Result<Converted, ConvertError> {
        if !client.may_use(Grant::ConvertToken) {
            return Err(Error::UnauthorizedClient.into());
        }
        self.admit_client(Event::Convert, client, caller).await.map_err(Error::from)?;
        let failed = |error: &ConvertError| {
            if let Some(reason) = error.reason() {
                caller.conversion_failed(provider, &client.id, reason);
            } else if matches!(error, ConvertError::OAuth(Error::Store(_))) {
                caller.metrics.sign_ins.count("unavailable");
            }
        };
        // The name is the client's own word until it is a provider's.
        let identity = self.providers.identify(provider, presented).await.ok_or(ConvertError::UnknownProvider)?;
        let identity = identity.map_err(ConvertError::Provider).inspect_err(failed)?;

        let (handle, session) = self.new_session(client, scope, caller);
        let step = {
            let (oauth, caller) = (Arc::clone(self), caller.clone());
            let (provider, client) = (provider.to_owned(), client.id.clone());
            async move {
                let signed_in = oauth.accounts.sign_in_with(&provider, &identity, &session).await?;
                caller.signed_in_with(&provider, &client, &signed_in);
                Ok::<_, IdentityError>(signed_in)
            }
        };
        let signed_in = to_its_end(step).await.map_err(ConvertError::from).inspect_err(failed)?;
        let tokens = self.issue(client, &signed_in.start, &handle)?;
        Ok(Converted { tokens, signed_in })
    }
}

impl From<IdentityError> for ConvertError {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::Store(error) => Error::from(error).into(),
            IdentityError::NoSignIn(refusal) => Self::NoSignIn(refusal),
        }
    }
}
