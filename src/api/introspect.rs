//! `POST introspect`: what a token is worth, for resource servers (RFC 7662).

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Api, Caller,
    body::Body,
    endpoint::{Endpoint, operations},
    error::Error,
    guard::Access,
    openapi::refusals::{InvalidClient, OAuthThrottled, OAuthUnavailable, WrongGrant},
    revoke::TokenInQuestion,
    token::{self, parameter},
};
use crate::{
    authn::Principal,
    model::Account,
    oauth,
    session::{Rules, Session},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint {
        path: "introspect",
        name: "Token introspection",
        description: "What a token is worth, for confidential clients.",
        access: Access::Open,
        allow: "POST, OPTIONS",
        methods: post(introspect),
        operations: operations![introspect],
    }
}

/// RFC 7662 section 2.2. Of a token that does not hold nothing is told but that.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = Introspection)]
struct Answer {
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    token_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    exp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    iat: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    aud: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sid: Option<String>,
}

impl Answer {
    fn access_token(principal: &Principal, account: &Account, rules: &crate::token::Settings) -> Self {
        Self {
            active: true,
            scope: Some(principal.scope.to_string()),
            client_id: Some(principal.client.to_string()),
            username: Some(account.username.clone()),
            token_type: Some("Bearer"),
            exp: Some(principal.expires_at.seconds()),
            iat: Some(principal.issued_at.seconds()),
            sub: Some(principal.subject.to_string()),
            aud: Some(rules.audience.clone()),
            iss: Some(principal.former_issuer.as_deref().unwrap_or(&rules.issuer).to_owned()),
            jti: Some(principal.token_id.to_string()),
            sid: Some(principal.session.to_string()),
        }
    }

    fn refresh_token(session: &Session, account: &Account, issuer: &str, rules: &Rules) -> Self {
        Self {
            active: true,
            scope: Some(session.scope.to_string()),
            client_id: Some(session.client.to_string()),
            username: Some(account.username.clone()),
            exp: Some(session.refresh_end(rules).seconds()),
            iat: Some(session.rotated_at.seconds()),
            sub: Some(account.id.to_string()),
            iss: Some(issuer.to_owned()),
            sid: Some(session.id.to_string()),
            ..Self::default()
        }
    }
}

/// Any confidential client may ask of any access token, as resource servers do; of refresh tokens only of its own.
#[utoipa::path(
    post, path = "/introspect", tag = "oauth", operation_id = "introspect", security((), ("client" = [])),
    request_body = TokenInQuestion,
    responses(
        (status = 200, description = "What it is worth.", body = Answer),
        (status = 400, response = WrongGrant),
        (status = 401, response = InvalidClient),
        (status = 429, response = OAuthThrottled),
        (status = 503, response = OAuthUnavailable),
    ),
)]
async fn introspect(
    State(api): State<Arc<Api>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let mut fields = token::oauth_fields(body)?;
    let credentials = token::credentials(&headers, &mut fields)?;
    let used_basic = credentials.used_basic();
    let client = api.oauth.authenticate(&credentials, &caller).await?;
    if client.is_public() {
        // It proves nothing, so anybody could ask in its name (section 2.1).
        return Err(oauth::Error::InvalidClient { used_basic }.into());
    }
    let token = parameter(&mut fields, "token")?
        .ok_or_else(|| oauth::Error::InvalidRequest(Some("Missing token parameter.".into())))?;

    if let Ok(principal) = api.authenticator.judge(token.expose().as_bytes()).map_err(oauth::Error::from)? {
        let found = api.store.active_session(principal.session).await.map_err(oauth::Error::from)?;
        let answer = found.map(|(_, account)| Answer::access_token(&principal, &account, api.authenticator.rules()));
        return Ok(Json(answer.unwrap_or_default()).into_response());
    }
    let found = api.oauth.refreshable(&token, &client, api.clock.now()).await.map_err(oauth::Error::from)?;
    let answer = found.map(|(session, account)| {
        Answer::refresh_token(&session, &account, &api.settings.public_url, &api.oauth.sessions)
    });
    Ok(Json(answer.unwrap_or_default()).into_response())
}
