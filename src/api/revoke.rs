//! `POST revoke`: ends the session of a token (RFC 7009).

use std::sync::Arc;

use axum::{extract::State, routing::post};
use http::{HeaderMap, StatusCode};
use utoipa::ToSchema;

use super::{
    Api, Caller,
    body::Body,
    endpoint::{Endpoint, operations},
    error::Error,
    guard::Access,
    openapi::refusals::{InvalidClient, OAuthThrottled, OAuthUnavailable, WrongGrant},
    token::{self, parameter},
};
use crate::{oauth, store::Sessions};

pub(super) fn endpoint() -> Endpoint {
    Endpoint {
        path: "revoke",
        name: "Token revocation",
        description: "Ends the session of a token.",
        access: Access::Open,
        allow: "POST, OPTIONS",
        methods: post(revoke),
        operations: operations![revoke],
    }
}

/// RFC 7009 section 2.1, and RFC 7662 section 2.1.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is read field by field")]
pub(super) struct TokenInQuestion {
    /// An access token or a refresh token.
    token: String,
    /// Not needed.
    token_type_hint: Option<String>,
    /// Absent with HTTP Basic.
    client_id: Option<String>,
    /// Absent with HTTP Basic, and from a public client.
    client_secret: Option<String>,
}

/// A token that does not hold needs no revocation, and is answered as one that did (section 2.2). An access token
/// takes its session with it, and so the refresh token, which section 2.1 allows. `token_type_hint` is not needed:
/// the two have different forms.
#[utoipa::path(
    post, path = "/revoke", tag = "oauth", operation_id = "revoke", security((), ("client" = [])),
    request_body = TokenInQuestion,
    responses(
        (status = 200, description = "The token does not hold (any more)."),
        (status = 400, response = WrongGrant),
        (status = 401, response = InvalidClient),
        (status = 429, response = OAuthThrottled),
        (status = 503, response = OAuthUnavailable),
    ),
)]
async fn revoke(
    State(api): State<Arc<Api>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Error> {
    let mut fields = token::oauth_fields(body)?;
    let client = api.oauth.authenticate(&token::credentials(&headers, &mut fields)?, &caller).await?;
    let token = parameter(&mut fields, "token")?
        .ok_or_else(|| oauth::Error::InvalidRequest(Some("Missing token parameter.".into())))?;

    if api.oauth.revoke_refresh_token(&token, &client, &caller).await? {
        return Ok(StatusCode::OK);
    }
    if let Ok(principal) = api.authenticator.judge(token.expose().as_bytes()).map_err(oauth::Error::from)? {
        if principal.client != client.id {
            return Err(oauth::Error::InvalidGrant(None).into());
        }
        let session = Sessions::One(principal.session);
        api.oauth.end_sessions(principal.subject, session, &caller).await.map_err(oauth::Error::from)?;
    }
    Ok(StatusCode::OK)
}
