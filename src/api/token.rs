//! `POST token`: the token endpoint (RFC 6749 section 3.2).

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use http::{HeaderMap, Uri, header::AUTHORIZATION};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Api, Caller,
    body::{Body, Fields},
    endpoint::{Endpoint, operations},
    error::Error,
    guard::Access,
    openapi::refusals::{InvalidClient, OAuthUnavailable, WrongGrant},
};
use crate::{
    oauth::{
        self, TokenRequest, Tokens,
        client::{Basic, Credentials},
    },
    secret::Secret,
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint {
        path: "token",
        name: "Token",
        description: "Tokens for a password or a refresh token.",
        access: Access::Open,
        allow: "POST, OPTIONS",
        methods: post(token),
        operations: operations![token],
    }
}

#[utoipa::path(
    post, path = "/token", tag = "oauth", security((), ("client" = [])),
    request_body = TokenFields,
    responses(
        (status = 200, description = "Tokens.", body = Answer),
        (status = 400, response = WrongGrant),
        (status = 401, response = InvalidClient),
        (status = 503, response = OAuthUnavailable),
    ),
)]
async fn token(
    State(api): State<Arc<Api>>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Body, Error>,
) -> Result<Response, Error> {
    let body = body.map_err(|error| match error {
        // Nothing that holds is nearly as long, and the contract has one answer for what does not.
        Error::TooLarge => oauth::Error::InvalidGrant(Some("Invalid credentials given.")).into(),
        other => other,
    })?;
    let Body::Fields(mut fields) = body else { return Err(oauth::Error::InvalidRequest(None).into()) };
    if uri.query().is_some_and(|query| !query.is_empty()) {
        // Parameters in a URL end up in logs.
        return Err(oauth::Error::InvalidRequest(None).into());
    }

    let client = credentials(&headers, &mut fields)?;
    let grant_type = parameter(&mut fields, "grant_type")?;
    let scope = parameter(&mut fields, "scope")?;
    let username = identifier(&mut fields, "username")?;
    let password = parameter(&mut fields, "password")?;
    let refresh_token = parameter(&mut fields, "refresh_token")?;
    let request = TokenRequest {
        grant_type: grant_type.as_ref().map(Secret::expose),
        client,
        scope: scope.as_ref().map(Secret::expose),
        username: username.as_ref().map(Secret::expose),
        password: password.as_ref(),
        refresh_token: refresh_token.as_ref(),
    };
    let tokens = api.oauth.token(&request, &caller).await?;
    Ok(Json(Answer::from(&tokens)).into_response())
}

/// RFC 6749 sections 4.3.2 and 6.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is read field by field")]
struct TokenFields {
    #[schema(inline)]
    grant_type: GrantType,
    /// Of `password`: the email address.
    username: Option<String>,
    /// Of `password`.
    password: Option<String>,
    /// Of `refresh_token`.
    refresh_token: Option<String>,
    /// Names between spaces; absent: all that the client may have.
    scope: Option<String>,
    /// Absent with HTTP Basic.
    client_id: Option<String>,
    /// Absent with HTTP Basic, and from a public client.
    client_secret: Option<String>,
}

#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "the same")]
enum GrantType {
    Password,
    RefreshToken,
}

/// A parameter of a token request: text, or absent.
fn parameter(fields: &mut Fields, name: &str) -> Result<Option<Secret>, oauth::Error> {
    fields.optional(name).map_err(|_| oauth::Error::InvalidRequest(None))
}

/// A parameter that something is looked up by, which NUL is never part of. In any other, NUL is as wrong as
/// whatever else does not hold.
fn identifier(fields: &mut Fields, name: &str) -> Result<Option<Secret>, oauth::Error> {
    parameter(fields, name)?
        .map(|text| if text.expose().contains('\0') { Err(oauth::Error::InvalidRequest(None)) } else { Ok(text) })
        .transpose()
}

/// What a request says of its client.
pub(super) fn credentials(headers: &HeaderMap, fields: &mut Fields) -> Result<Credentials, oauth::Error> {
    Ok(Credentials {
        basic: Basic::read(headers.get(AUTHORIZATION).map(AsRef::as_ref)),
        id: identifier(fields, "client_id")?.map(|id| id.expose().to_owned()),
        secret: parameter(fields, "client_secret")?,
    })
}

// In the contract's order.
/// RFC 6749 section 5.1.
#[derive(Serialize, ToSchema)]
#[schema(as = Tokens)]
pub(super) struct Answer<'a> {
    access_token: &'a str,
    /// Seconds.
    #[schema(minimum = 0)]
    expires_in: i64,
    #[schema(inline)]
    token_type: TokenType,
    /// Names between spaces.
    scope: String,
    /// For clients that may refresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    refresh_token: Option<&'a str>,
}

#[derive(Serialize, ToSchema)]
enum TokenType {
    Bearer,
}

impl<'a> From<&'a Tokens> for Answer<'a> {
    fn from(tokens: &'a Tokens) -> Self {
        Self {
            access_token: tokens.access.expose(),
            expires_in: tokens.expires_in,
            token_type: TokenType::Bearer,
            scope: tokens.scope.to_string(),
            refresh_token: tokens.refresh.as_ref().map(Secret::expose),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Scope;

    #[test]
    fn the_answer_has_the_contracts_keys_in_its_order() {
        let mut tokens = Tokens {
            access: "a".into(),
            expires_in: 900,
            scope: Scope::parse("write read").unwrap(),
            refresh: Some("r".into()),
        };
        let json = |tokens: &Tokens| serde_json::to_string(&Answer::from(tokens)).unwrap();
        assert_eq!(
            json(&tokens),
            r#"{"access_token":"a","expires_in":900,"token_type":"Bearer","scope":"write read","refresh_token":"r"}"#
        );
        tokens.refresh = None;
        assert!(!json(&tokens).contains("refresh_token"));
    }
}
