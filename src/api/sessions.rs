//! `GET sessions/`: where the bearer's account is signed in; `DELETE sessions/{id}`: no longer there;
//! `POST sign-out-everywhere/`: nowhere any more.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Api, Caller,
    endpoint::{Endpoint, operations},
    error::{self, Error},
    guard::{Access, User},
    openapi::refusals::NotFound,
};
use crate::{account::ChangeError, authn::Rejection, model::SessionId, session::Session, store::Sessions};

/// Most sessions that are listed, the last used first.
const LISTED: u32 = 200;

pub(super) fn sessions() -> Endpoint {
    Endpoint {
        path: "sessions/",
        name: "Sessions",
        description: "Where the account is signed in.",
        access: Access::User,
        allow: "GET, HEAD, OPTIONS",
        methods: get(list),
        operations: operations![list],
    }
}

pub(super) fn session() -> Endpoint {
    Endpoint {
        path: "sessions/{id}",
        name: "Session",
        description: "One sign-in of the account.",
        access: Access::User,
        allow: "DELETE, OPTIONS",
        methods: delete(end),
        operations: operations![end],
    }
}

pub(super) fn sign_out_everywhere() -> Endpoint {
    Endpoint {
        path: "sign-out-everywhere/",
        name: "Sign out everywhere",
        description: "Ends every session of the account, this one too.",
        access: Access::User,
        allow: "POST, OPTIONS",
        methods: post(end_all),
        operations: operations![end_all],
    }
}

/// A session as its owner sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
struct Shown<'a> {
    /// `sid`; no secret.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    id: String,
    client_id: &'a str,
    user_agent: &'a str,
    #[schema(format = "date-time")]
    created_at: String,
    /// The last sign-in or refresh: uses of an access token are not written down.
    #[schema(format = "date-time")]
    last_used_at: String,
    /// Whether it is the one that asks.
    current: bool,
}

/// Somebody else's session is as unknown as none.
#[utoipa::path(
    get, path = "/sessions/", tag = "accounts", operation_id = "sessions",
    responses((status = 200, description = "Up to 200, the last used first.", body = [Shown])),
)]
async fn list(State(api): State<Arc<Api>>, user: User) -> Result<Response, Error> {
    let now = api.clock.now();
    let own = user.principal.session;
    let sessions = api.store.sessions_of(user.account.id, LISTED).await?;
    // One past its limits lives as long as its last access token.
    let living = |session: &&Session| !session.has_expired(&api.oauth.sessions, now) || session.access_expires_at > now;
    let shown: Vec<_> = sessions
        .iter()
        .filter(living)
        .map(|session| Shown {
            id: session.id.to_string(),
            client_id: session.client.as_str(),
            user_agent: &session.user_agent,
            created_at: session.created_at.to_rfc3339(),
            last_used_at: session.rotated_at.to_rfc3339(),
            current: session.id == own,
        })
        .collect();
    Ok(Json(shown).into_response())
}

#[utoipa::path(
    delete, path = "/sessions/{id}", tag = "accounts", operation_id = "endSession",
    params(("id" = String, Path, description = "The session's `id`.")),
    responses(
        (status = 204, description = "The session has ended."),
        (status = 404, response = NotFound),
    ),
)]
async fn end(
    State(api): State<Arc<Api>>,
    user: User,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Error> {
    let id = id.ok().and_then(|Path(id)| id.parse::<SessionId>().ok());
    let Some(id) = id else { return Err(error::not_found().await) };
    let ended = api.oauth.end_sessions(user.account.id, Sessions::One(id), &caller).await?;
    if ended.is_empty() { Err(error::not_found().await) } else { Ok(StatusCode::NO_CONTENT) }
}

#[utoipa::path(
    post, path = "/sign-out-everywhere/", tag = "accounts", operation_id = "signOutEverywhere",
    responses((status = 204, description = "Every session has ended.")),
)]
async fn end_all(State(api): State<Arc<Api>>, user: User, caller: Caller) -> Result<StatusCode, Error> {
    match api.oauth.sign_out_everywhere(user.account.id, &caller).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(ChangeError::Unknown) => Err(Error::Unauthorized(Rejection::Revoked)),
        Err(ChangeError::Register(error)) => Err(super::create::refusal(error)),
    }
}
