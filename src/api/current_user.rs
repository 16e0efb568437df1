//! `GET currentUser/`: who the bearer is.

use axum::{
    Json,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;

use super::{
    endpoint::Endpoint,
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
    }
}

/// An account as clients see it.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    email: Option<&'a str>,
    username: &'a str,
    first_name: &'a str,
}

impl<'a> From<&'a Account> for Shown<'a> {
    fn from(account: &'a Account) -> Self {
        Self { email: account.email.as_deref(), username: &account.username, first_name: &account.first_name }
    }
}

async fn show(user: User) -> Response {
    Json(Shown::from(&*user.account)).into_response()
}
