//! `grant_type=urn:ietf:params:oauth:grant-type:token-exchange` (RFC 8693): a provider's token for ours. The provider
//! is named by `subject_issuer`, as the `backend` of `convert-token`.

use std::{borrow::Cow, sync::Arc};

use super::{TokenRequest, convert_token::ConvertError};
use crate::{
    account::identity::NoSignIn,
    oauth::{Error, OAuth, Tokens, audit::Caller},
    provider::{self, Kind, Presented},
    secret::Secret,
    throttle::Event,
};

/// The grant type (RFC 8693 section 2.1).
pub const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// The one type of token that we issue (RFC 8693 section 3).
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// What RFC 8693 section 2.1 adds to a token request.
#[derive(Default)]
pub struct Exchange<'a> {
    /// `subject_token`.
    pub subject_token: Option<&'a Secret>,
    /// `subject_token_type`.
    pub subject_token_type: Option<&'a str>,
    /// `subject_issuer`: a provider's name.
    pub subject_issuer: Option<&'a str>,
    /// `requested_token_type`.
    pub requested_token_type: Option<&'a str>,
    /// Whether there is an `actor_token`.
    pub has_actor: bool,
    /// `audience` and `resource`, whichever there are.
    pub targets: Vec<&'a str>,
    /// Not of the RFC: the `nonce` that the provider's ID token must have.
    pub nonce: Option<&'a str>,
}

pub(super) async fn exchange(oauth: &Arc<OAuth>, request: &TokenRequest<'_>, caller: &Caller) -> Result<Tokens, Error> {
    oauth.admit(Event::Convert, caller).await?;
    let client = oauth.authenticate(&request.client, caller).await?;
    let exchange = &request.exchange;
    let token = exchange.subject_token.ok_or(missing("Missing subject_token parameter."))?;
    let kind = match exchange.subject_token_type.ok_or(missing("Missing subject_token_type parameter."))? {
        ACCESS_TOKEN => Kind::AccessToken,
        ID_TOKEN | JWT => Kind::IdToken,
        _ => return Err(missing("This subject_token_type is not supported.")),
    };
    let provider = exchange.subject_issuer.ok_or(missing("Missing subject_issuer parameter."))?;
    if exchange.requested_token_type.is_some_and(|wanted| wanted != ACCESS_TOKEN) {
        return Err(missing("This requested_token_type is not supported."));
    }
    if exchange.has_actor {
        return Err(missing("Delegation by actor_token is not supported."));
    }
    if exchange.targets.iter().any(|target| *target != oauth.keys.settings().audience) {
        return Err(Error::InvalidTarget);
    }
    let scope = client.grant_scope(request.scope)?;

    let presented = Presented { token, kind, nonce: exchange.nonce };
    let converted = oauth.convert(&client, scope, provider, &presented, caller).await.map_err(refusal)?;
    Ok(Tokens { issued_type: Some(ACCESS_TOKEN), ..converted.tokens })
}

const fn missing(text: &'static str) -> Error {
    Error::InvalidRequest(Some(Cow::Borrowed(text)))
}

/// In the words of RFC 8693 section 2.2.2, by which a token that will not do is an invalid request.
fn refusal(error: ConvertError) -> Error {
    let text = match error {
        ConvertError::OAuth(error) => return error,
        ConvertError::Provider(
            provider::Error::Busy
            | provider::Error::Unreachable(_)
            | provider::Error::Unreadable(_)
            | provider::Error::Status(_),
        ) => return Error::ProviderOutage,
        ConvertError::UnknownProvider => "No provider is known by this subject_issuer.",
        ConvertError::Provider(_) => "The subject_token is not accepted.",
        ConvertError::NoSignIn(NoSignIn::Inactive) => "User inactive or deleted.",
        ConvertError::NoSignIn(NoSignIn::AddressTaken) => "This account is already in use.",
        ConvertError::NoSignIn(NoSignIn::NoAddress) => "The provider gives no verified email address.",
        ConvertError::NoSignIn(NoSignIn::Closed) => "Registration is closed.",
    };
    missing(text)
}
