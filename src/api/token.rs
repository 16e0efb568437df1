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
    openapi::refusals::{InvalidClient, OAuthThrottled, OAuthUnavailable, WrongGrant},
};
use crate::{
    oauth::{
        self, Exchange, TokenRequest, Tokens,
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
        (status = 429, response = OAuthThrottled),
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
    let mut fields = oauth_fields(body)?;
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
    let [subject_token, subject_token_type, subject_issuer, requested_token_type] =
        parameters(&mut fields, ["subject_token", "subject_token_type", "subject_issuer", "requested_token_type"])?;
    let [actor_token, audience, resource, nonce] =
        parameters(&mut fields, ["actor_token", "audience", "resource", "nonce"])?;
    let request = TokenRequest {
        grant_type: grant_type.as_ref().map(Secret::expose),
        client,
        scope: scope.as_ref().map(Secret::expose),
        username: username.as_ref().map(Secret::expose),
        password: password.as_ref(),
        refresh_token: refresh_token.as_ref(),
        exchange: Exchange {
            subject_token: subject_token.as_ref(),
            subject_token_type: subject_token_type.as_ref().map(Secret::expose),
            subject_issuer: subject_issuer.as_ref().map(Secret::expose),
            requested_token_type: requested_token_type.as_ref().map(Secret::expose),
            has_actor: actor_token.is_some(),
            targets: [&audience, &resource].into_iter().flatten().map(Secret::expose).collect(),
            nonce: nonce.as_ref().map(Secret::expose),
        },
    };
    let tokens = api.oauth.token(&request, &caller).await?;
    Ok(Json(Answer::from(&tokens)).into_response())
}

/// RFC 6749 sections 4.3.2 and 6, and RFC 8693 section 2.1.
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
    /// Of a token exchange: a provider's token.
    subject_token: Option<String>,
    /// Of a token exchange: `urn:ietf:params:oauth:token-type:access_token`, `…:id_token` or `…:jwt`.
    subject_token_type: Option<String>,
    /// Of a token exchange: the provider's name.
    subject_issuer: Option<String>,
    /// Of a token exchange: `urn:ietf:params:oauth:token-type:access_token`.
    requested_token_type: Option<String>,
    /// Of a token exchange: what the ID token must have as its `nonce`.
    nonce: Option<String>,
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
    #[serde(rename = "urn:ietf:params:oauth:grant-type:token-exchange")]
    TokenExchange,
}

/// The parameters of an OAuth request.
pub(super) fn oauth_fields(body: Body) -> Result<Fields, oauth::Error> {
    match body {
        Body::Fields(fields) => Ok(fields),
        Body::NotAnObject(_) => Err(oauth::Error::InvalidRequest(None)),
    }
}

/// A parameter of an OAuth request: text, or absent.
pub(super) fn parameter(fields: &mut Fields, name: &str) -> Result<Option<Secret>, oauth::Error> {
    fields.optional(name).map_err(|_| oauth::Error::InvalidRequest(None))
}

/// Several such.
fn parameters<const N: usize>(fields: &mut Fields, names: [&str; N]) -> Result<[Option<Secret>; N], oauth::Error> {
    let mut found = [const { None }; N];
    for (found, name) in found.iter_mut().zip(names) {
        *found = parameter(fields, name)?;
    }
    Ok(found)
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
    /// After a token exchange (RFC 8693 section 2.2.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    issued_token_type: Option<&'static str>,
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
            issued_token_type: tokens.issued_type,
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
            issued_type: None,
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
