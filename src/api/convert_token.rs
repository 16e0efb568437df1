//! `POST convert-token`: a provider's token for ours. `Authorization` is not looked at: the client proves itself in the
//! body.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Api, Caller,
    body::Body,
    endpoint::{Endpoint, operations},
    error::{Code, Error},
    form::Form,
    guard::Access,
    openapi::refusals::{InvalidClient, OAuthThrottled, OAuthUnavailable, WrongFieldsOrProof},
    token,
};
use crate::{
    account::identity::NoSignIn,
    model::Account,
    oauth::{
        self, ConvertError,
        client::{Basic, Credentials},
    },
    provider::{self, Kind, Presented},
    secret::Secret,
    throttle::Event,
};

// Most characters of each field, by the contract.
pub(super) const MAX_BACKEND: usize = 200;
pub(super) const MAX_TOKEN: usize = 5000;
const MAX_GRANT_TYPE: usize = 50;
pub(super) const MAX_CLIENT_ID: usize = 200;
pub(super) const MAX_NONCE: usize = 500;

pub(super) fn endpoint() -> Endpoint {
    Endpoint {
        path: "convert-token",
        name: "Convert token",
        description: "Tokens for the token of another identity provider.",
        access: Access::Open,
        allow: "POST, OPTIONS",
        methods: post(convert),
        operations: operations![convert],
    }
}

/// A provider's token, and the client that is to get ours.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is read field by field")]
struct ConvertTokenFields {
    #[schema(pattern = "^convert_token$")]
    grant_type: String,
    /// A provider's name in the configuration, such as `google-oauth2`.
    #[schema(max_length = 200)]
    backend: String,
    /// The provider's access token, or its ID token.
    #[schema(max_length = 5000)]
    token: String,
    #[schema(max_length = 200)]
    client_id: String,
    /// Of a client that has one.
    client_secret: Option<String>,
    /// What the ID token must have as its `nonce`.
    #[schema(max_length = 500)]
    nonce: Option<String>,
}

/// RFC 6749 section 5.1, and who has signed in.
#[derive(Serialize, ToSchema)]
#[schema(as = ConvertedTokens)]
struct Answer<'a> {
    #[serde(flatten)]
    tokens: token::Answer<'a>,
    #[schema(inline)]
    user: User<'a>,
}

/// The account as the contract shows it here.
#[derive(Serialize, ToSchema)]
struct User<'a> {
    email: &'a str,
    first_name: &'a str,
    last_name: &'a str,
}

impl<'a> From<&'a Account> for User<'a> {
    fn from(account: &'a Account) -> Self {
        Self {
            email: account.email.as_deref().unwrap_or_default(),
            first_name: &account.first_name,
            last_name: &account.last_name,
        }
    }
}

#[utoipa::path(
    post, path = "/convert-token", tag = "oauth", operation_id = "convertToken",
    request_body = ConvertTokenFields,
    responses(
        (status = 200, description = "Tokens.", body = Answer),
        (status = 400, response = WrongFieldsOrProof),
        (status = 401, response = InvalidClient),
        (status = 429, response = OAuthThrottled),
        (status = 503, response = OAuthUnavailable),
    ),
)]
async fn convert(State(api): State<Arc<Api>>, caller: Caller, body: Body) -> Result<Response, Error> {
    api.oauth.admit(Event::Convert, &caller).await.map_err(oauth::Error::from)?;
    let mut form = Form::new(body.fields()?);
    let grant_type = form.text("grant_type", MAX_GRANT_TYPE);
    let backend = form.text("backend", MAX_BACKEND);
    let client_id = form.text("client_id", MAX_CLIENT_ID);
    let token = form.text("token", MAX_TOKEN);
    let nonce = form.optional("nonce", MAX_NONCE);
    let mut rest = form.finish()?;
    let secret = rest.optional("client_secret").map_err(|text| Error::field("client_secret", text))?;

    if api.oauth.clients.find(client_id.expose()).is_none() {
        return Err(Error::bad_request("The application for this client_id does not exist."));
    }
    if grant_type.expose() != "convert_token" {
        return Err(oauth::Error::UnsupportedGrantType.into());
    }
    let credentials = Credentials { basic: Basic::Absent, id: Some(client_id.expose().to_owned()), secret };
    let client = api.oauth.authenticate(&credentials, &caller).await?;

    let presented = Presented { token: &token, kind: Kind::Unsaid, nonce: nonce.as_ref().map(Secret::expose) };
    let scope = client.scopes.clone();
    let converted = api.oauth.convert(&client, scope, backend.expose(), &presented, &caller).await.map_err(refusal)?;
    let answer =
        Answer { tokens: token::Answer::from(&converted.tokens), user: User::from(&converted.signed_in.start.account) };
    Ok(Json(answer).into_response())
}

/// In the contract's words. What a provider said stays in the log.
pub(super) fn refusal(error: ConvertError) -> Error {
    use provider::Error as P;
    match error {
        ConvertError::OAuth(error) => error.into(),
        ConvertError::UnknownProvider => Error::denied(Code::InvalidRequest, "Invalid backend parameter."),
        ConvertError::Provider(P::NotAllowed(_)) => {
            Error::denied(Code::AccessDenied, "Your credentials aren't allowed")
        }
        ConvertError::Provider(P::Canceled(_)) => Error::denied(Code::AccessDenied, "Authentication process canceled"),
        ConvertError::Provider(P::Status(status)) => {
            Error::denied(Code::InvalidRequest, format!("Backend responded with HTTP {status}."))
        }
        ConvertError::Provider(P::Unreachable(_)) => {
            Error::denied(Code::AccessDenied, "The authentication provider could not be reached")
        }
        ConvertError::Provider(P::Unreadable(_)) => {
            Error::denied(Code::AccessDenied, "The authentication provider gave no usable answer")
        }
        ConvertError::Provider(P::Busy) => Error::ProviderBusy,
        ConvertError::NoSignIn(NoSignIn::Inactive) => {
            oauth::Error::InvalidGrant(Some("User inactive or deleted.")).into()
        }
        ConvertError::NoSignIn(NoSignIn::AddressTaken) => {
            Error::denied(Code::AccessDenied, "This account is already in use.")
        }
        ConvertError::NoSignIn(NoSignIn::NoAddress) => {
            Error::denied(Code::AccessDenied, "The authentication provider gave no verified email address")
        }
        ConvertError::NoSignIn(NoSignIn::Closed) => Error::denied(Code::AccessDenied, "Registration is closed."),
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn nothing_of_a_failure_is_a_500() {
        use provider::Error as P;
        for error in [
            ConvertError::UnknownProvider,
            ConvertError::Provider(P::NotAllowed("x")),
            ConvertError::Provider(P::Canceled("x")),
            ConvertError::Provider(P::Status(500)),
            ConvertError::Provider(P::Unreachable("x")),
            ConvertError::Provider(P::Unreadable("x")),
            ConvertError::NoSignIn(NoSignIn::Inactive),
            ConvertError::NoSignIn(NoSignIn::AddressTaken),
            ConvertError::NoSignIn(NoSignIn::NoAddress),
            ConvertError::NoSignIn(NoSignIn::Closed),
        ] {
            assert_eq!(refusal(error).into_response().status(), StatusCode::BAD_REQUEST);
        }
        let busy = refusal(ConvertError::Provider(P::Busy)).into_response();
        assert_eq!(busy.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(busy.headers().contains_key("retry-after"));
    }
}
