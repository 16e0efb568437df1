//! `GET currentUser/`: who the bearer is.

use axum::{
    Json,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    endpoint::{Endpoint, operations},
    guard::{Access, User},
};
use crate::model::Account;

pub(super) fn endpoint() -> Endpoint {
    Endpoint {
        path: "currentUser/",
        name: "Current user",
        description: "The account that the bearer token belongs to.",
        access: Access::User,
        allow: "GET, HEAD, OPTIONS",
        methods: get(show),
        operations: operations![show],
    }
}

/// An account.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
pub(super) struct Shown<'a> {
    #[schema(required = true)]
    email: Option<&'a str>,
    username: &'a str,
    first_name: &'a str,
}

impl<'a> From<&'a Account> for Shown<'a> {
    fn from(account: &'a Account) -> Self {
        Self { email: account.email.as_deref(), username: &account.username, first_name: &account.first_name }
    }
}

#[utoipa::path(
    get, path = "/currentUser/", tag = "accounts", operation_id = "currentUser",
    responses((status = 200, description = "The account.", body = Shown)),
)]
async fn show(user: User) -> Response {
    Json(Shown::from(&*user.account)).into_response()
}
