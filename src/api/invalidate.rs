//! `POST invalidate-sessions` and `POST invalidate-refresh-tokens`: what the bearer's account has with a client
//! ends.

use std::sync::Arc;

use axum::{extract::State, routing::post};
use http::StatusCode;
use utoipa::ToSchema;

use super::{
    Api, Caller,
    body::Body,
    convert_token::MAX_CLIENT_ID,
    endpoint::{Endpoint, operations},
    error::Error,
    form::Form,
    guard::{Access, User},
    openapi::refusals::WrongFields,
};
use crate::{model::ClientId, store::Sessions};

pub(super) fn sessions() -> Endpoint {
    Endpoint {
        path: "invalidate-sessions",
        name: "Invalidate sessions",
        description: "Ends all sessions of the account with a client.",
        access: Access::User,
        allow: "POST, OPTIONS",
        methods: post(invalidate_sessions),
        operations: operations![invalidate_sessions],
    }
}

pub(super) fn refresh_tokens() -> Endpoint {
    Endpoint {
        path: "invalidate-refresh-tokens",
        name: "Invalidate refresh tokens",
        description: "Ends all refresh tokens of the account with a client; access tokens live on.",
        access: Access::User,
        allow: "POST, OPTIONS",
        methods: post(invalidate_refresh_tokens),
        operations: operations![invalidate_refresh_tokens],
    }
}

/// The client in question.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is read field by field")]
struct InvalidateFields {
    #[schema(max_length = 200)]
    client_id: String,
}

#[utoipa::path(
    post, path = "/invalidate-sessions", tag = "oauth", operation_id = "invalidateSessions",
    request_body = InvalidateFields,
    responses(
        (status = 204, description = "None is left."),
        (status = 400, response = WrongFields),
    ),
)]
async fn invalidate_sessions(
    State(api): State<Arc<Api>>,
    user: User,
    caller: Caller,
    body: Body,
) -> Result<StatusCode, Error> {
    let client = client(&api, body)?;
    api.oauth.end_sessions(user.account.id, Sessions::With(client), &caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(
    post, path = "/invalidate-refresh-tokens", tag = "oauth", operation_id = "invalidateRefreshTokens",
    request_body = InvalidateFields,
    responses(
        (status = 204, description = "None is left."),
        (status = 400, response = WrongFields),
    ),
)]
async fn invalidate_refresh_tokens(
    State(api): State<Arc<Api>>,
    user: User,
    caller: Caller,
    body: Body,
) -> Result<StatusCode, Error> {
    let client = client(&api, body)?;
    api.oauth.end_refreshing(user.account.id, client, &caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The client that the body names. It need not be the bearer's own, nor prove itself: the bearer does.
fn client(api: &Api, body: Body) -> Result<ClientId, Error> {
    let mut form = Form::new(body.fields()?);
    let id = form.text("client_id", MAX_CLIENT_ID);
    form.finish()?;
    let client = api.oauth.clients.find(id.expose());
    client
        .map(|client| client.id.clone())
        .ok_or_else(|| Error::bad_request("The application linked to the provided client_id could not be found."))
}
