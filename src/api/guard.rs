//! Who may call an endpoint, judged before anything else of the request is looked at.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, StatusCode, request::Parts};

use super::{Api, Caller, error::Error};
use crate::{
    account::List,
    authn::{Outcome, Principal, Rejection},
    model::Account,
};

/// Who may call an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Anybody; a bearer is not looked at, so that a dead one does not keep its owner from getting another.
    Open,
    /// Somebody signed in.
    User,
    /// Whom `accounts.list` lets list accounts.
    Listing,
}

/// Somebody signed in: a bearer that holds, of an account that is active right now. Made by [`guard`] alone.
#[derive(Clone)]
pub(super) struct User {
    /// The account as the store has it, which may be newer than what the token says.
    pub account: Arc<Account>,
    /// What the token says.
    pub principal: Arc<Principal>,
}

/// Lets a request through to its endpoint, with its [`User`] where there is one.
pub(super) async fn guard(
    State((api, access)): State<(Arc<Api>, Access)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Error> {
    let required = match access {
        Access::Open => return Ok(next.run(request).await),
        Access::User => true,
        Access::Listing => api.settings.accounts.list != List::Public,
    };
    let user = user(&api, request.headers()).await;
    if let Some(caller) = request.extensions().get::<Caller>() {
        caller.metrics.authn.count(match &user {
            Ok(Some(_)) => "authenticated",
            Ok(None) => "anonymous",
            Err(Error::Unauthorized(rejection)) => rejection.reason(),
            Err(_) => "unavailable",
        });
        if let Ok(Some(user)) = &user {
            // The first and only one: each request has a guard of its own.
            let _ = caller.subject.set(user.account.id);
        }
    }
    let user = user?;
    match &user {
        None if required => return Err(Error::Unauthorized(Rejection::NoCredentials)),
        Some(user) if access == Access::Listing && !may_list(api.settings.accounts.list, &user.account) => {
            return Err(Error::detail(StatusCode::FORBIDDEN, "You do not have permission to perform this action."));
        }
        _ => {}
    }
    if let Some(user) = user {
        request.extensions_mut().insert(user);
    }
    Ok(next.run(request).await)
}

fn may_list(policy: List, account: &Account) -> bool {
    match policy {
        List::Public | List::Authenticated => true,
        List::Staff => account.staff,
    }
}

/// The user that the bearer names. The end of its session, and of its account, count from the moment the store has
/// them.
async fn user(api: &Api, headers: &HeaderMap) -> Result<Option<User>, Error> {
    let principal = match api.authenticator.authenticate(headers) {
        Outcome::Anonymous => return Ok(None),
        Outcome::Rejected(rejection) => return Err(Error::Unauthorized(rejection)),
        Outcome::Unavailable(stale) => return Err(stale.into()),
        Outcome::Authenticated(principal) => principal,
    };
    match api.store.active_session(principal.session).await? {
        Some((session, account)) if session.account == principal.subject => {
            Ok(Some(User { account: Arc::new(account), principal }))
        }
        _ => Err(Error::Unauthorized(Rejection::Revoked)),
    }
}

impl<S: Sync> FromRequestParts<S> for User {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        parts.extensions.remove().ok_or(Error::Unauthorized(Rejection::NoCredentials))
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}
