//! `POST revoke-token`: ends the session of the bearer. Other sessions go on, and a `token` in the body is
//! not looked at.

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
    openapi::refusals::{ClientUnavailable, OAuthThrottled, UnauthorizedOrInvalidClient, WrongFields},
};
use crate::{
    authn::Rejection,
    oauth::client::{Basic, Credentials},
    store::Sessions,
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint {
        path: "revoke-token",
        name: "Revoke token",
        description: "Ends the session of the bearer token.",
        access: Access::User,
        allow: "POST, OPTIONS",
        methods: post(revoke),
        operations: operations![revoke],
    }
}

/// The client that the session is with.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is read field by field")]
struct ClientFields {
    #[schema(max_length = 200)]
    client_id: String,
    /// Of a client that has one.
    client_secret: Option<String>,
}

#[utoipa::path(
    post, path = "/revoke-token", tag = "oauth", operation_id = "revokeToken",
    request_body = ClientFields,
    responses(
        (status = 204, description = "The session has ended."),
        (status = 400, response = WrongFields),
        (status = 401, response = UnauthorizedOrInvalidClient),
        (status = 429, response = OAuthThrottled),
        (status = 503, response = ClientUnavailable),
    ),
)]
async fn revoke(State(api): State<Arc<Api>>, user: User, caller: Caller, body: Body) -> Result<StatusCode, Error> {
    let mut form = Form::new(body.fields()?);
    let id = form.text("client_id", MAX_CLIENT_ID);
    let mut rest = form.finish()?;
    if api.oauth.clients.find(id.expose()).is_none() {
        return Err(Error::bad_request("The application for this client_id does not exist."));
    }
    // The bearer takes the place of Basic, so a secret can only be in the body.
    let secret = rest.optional("client_secret").map_err(|text| Error::field("client_secret", text))?;
    let credentials = Credentials { basic: Basic::Absent, id: Some(id.expose().to_owned()), secret };
    let client = api.oauth.authenticate(&credentials, &caller).await?;
    let principal = &user.principal;
    if client.id != principal.client {
        return Err(Error::bad_request("The token was issued to another application."));
    }
    let ended = api.oauth.end_sessions(user.account.id, Sessions::One(principal.session), &caller).await?;
    if ended.is_empty() { Err(Error::Unauthorized(Rejection::Revoked)) } else { Ok(StatusCode::NO_CONTENT) }
}
