//! `/api-auth/*` and our two documents under `/.well-known/`: an axum router; one file per endpoint, named as
//! its path, and one line for it in [`endpoints`].
//!
//! A request passes [`guard`] (who is calling), the methods of its [`endpoint`], its handler, and on the way
//! back [`answer`] (the headers of every answer). What goes wrong anywhere is an [`error::Error`]. [`openapi`]
//! describes it all to those who write clients.

mod all;
mod answer;
mod body;
mod convert_token;
mod create;
mod current_user;
mod endpoint;
mod error;
mod form;
mod guard;
mod introspect;
mod invalidate;
mod links;
mod openapi;
mod password;
mod revoke;
mod revoke_token;
mod sessions;
mod token;
mod well_known;

use std::sync::Arc;

use axum::{Router, middleware};
use bytes::Bytes;
use tower_http::catch_panic::CatchPanicLayer;

use self::endpoint::Endpoint;
pub use self::error::retry_after;
pub use crate::oauth::audit::Caller;
use crate::{
    account::{self, Accounts},
    authn::Authenticator,
    clock::Clock,
    oauth::OAuth,
    store::Store,
};

/// Paths outside the base path that are ours.
pub const WELL_KNOWN: [&str; 2] = [well_known::JWKS, well_known::AUTHORIZATION_SERVER];

/// What the handlers work with.
pub struct Api {
    /// Registration.
    pub accounts: Arc<Accounts>,
    /// Tokens and sessions.
    pub oauth: Arc<OAuth>,
    /// Judges bearers.
    pub authenticator: Arc<Authenticator>,
    /// Who the bearers' accounts are now.
    pub store: Arc<dyn Store>,
    /// What time it is.
    pub clock: Clock,
    /// What this deployment chose.
    pub settings: Settings,
}

/// What a deployment chooses of these endpoints.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `iss` and the base of every URL told, without a trailing slash.
    pub public_url: String,
    /// `accounts`.
    pub accounts: account::Settings,
    /// Whether there are providers whose tokens can be exchanged for ours.
    pub converts: bool,
}

/// All endpoints, below `base_path` (no trailing slash; literal characters only) and at [`WELL_KNOWN`].
///
/// Requests carry a [`Caller`] among their extensions, and their target in canonical form.
pub fn router(api: Arc<Api>, base_path: &str) -> Router {
    endpoints(&api.settings, base_path)
        .into_iter()
        .fold(Router::new(), |router, endpoint| {
            let access = endpoint.access;
            let guard = middleware::from_fn_with_state((Arc::clone(&api), access), guard::guard);
            endpoint.mount(router, base_path, |methods| methods.layer(guard))
        })
        .fallback(error::not_found)
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(middleware::map_response(answer::complete))
        .with_state(api)
}

/// The OpenAPI document of [`router`], as `openapi.json` serves it.
pub fn description(settings: &Settings, base_path: &str) -> Bytes {
    openapi::document(&endpoints(settings, base_path), settings, base_path)
}

/// One line for each; [`openapi`] comes last, since it describes the others.
fn endpoints(settings: &Settings, base_path: &str) -> Vec<Endpoint> {
    let mut endpoints = vec![
        create::endpoint(),
        current_user::endpoint(),
        all::endpoint(),
        token::endpoint(),
        convert_token::endpoint(),
        revoke_token::endpoint(),
        invalidate::sessions(),
        invalidate::refresh_tokens(),
        links::links(),
        links::disconnect_backend(),
        sessions::sessions(),
        sessions::session(),
        sessions::sign_out_everywhere(),
        password::endpoint(),
        revoke::endpoint(),
        introspect::endpoint(),
        well_known::jwks(),
        well_known::authorization_server(&settings.public_url, base_path, settings.converts),
    ];
    endpoints.push(openapi::endpoint(&endpoints, settings, base_path));
    endpoints
}
