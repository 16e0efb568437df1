//! OAuth 2.0 (RFC 6749): client authentication, grants, issuing, revoking. No HTTP types, no SQL.
//!
//! A token request goes [`OAuth::token`] → [`client::Registry::authenticate`] → its file under `grant/` →
//! the store, where the session is made or moved on in one step → [`Tokens`].

pub mod audit;
pub mod client;
mod error;
mod grant;
mod introspect;
mod issue;
mod limits;
mod links;
mod revoke;
mod sign_up;

use std::sync::Arc;

pub use error::Error;
pub use grant::{
    TokenRequest,
    convert_token::{ConvertError, Converted},
    token_exchange::{self, Exchange},
};
pub use issue::Tokens;

use crate::{
    account::Accounts,
    provider::Providers,
    session,
    store::Store,
    throttle::Throttle,
    token::{KeyRing, RefreshTokens},
};

/// The authorization server: what it knows, and what it works with.
pub struct OAuth {
    /// Who may ask.
    pub clients: client::Registry,
    /// Who signs in.
    pub accounts: Arc<Accounts>,
    /// Who vouches for whom elsewhere.
    pub providers: Providers,
    /// How often all of this may be tried.
    pub throttle: Throttle,
    /// Where sessions live.
    pub store: Arc<dyn Store>,
    /// Signs access tokens.
    pub keys: Arc<KeyRing>,
    /// Derives refresh tokens.
    pub refresh_tokens: RefreshTokens,
    /// How long sessions live.
    pub sessions: session::Rules,
}

/// Runs a step to its end even when the request that waits for it is dropped, so that what it did in the
/// store is audited.
async fn to_its_end<T: Send + 'static>(step: impl Future<Output = T> + Send + 'static) -> T {
    match tokio::spawn(step).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Cancelled: the runtime is shutting down, and nobody will poll this again.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::{mpsc, oneshot};

    use super::*;

    #[tokio::test]
    async fn a_step_runs_to_its_end_when_its_request_is_dropped() {
        let (begun, mut has_begun) = mpsc::unbounded_channel();
        let (go_on, told_to_go_on) = oneshot::channel::<()>();
        let (end, has_ended) = oneshot::channel();
        let step = to_its_end(async move {
            begun.send(()).unwrap();
            told_to_go_on.await.unwrap();
            end.send("audited").unwrap();
        });
        tokio::select! {
            () = step => panic!("nobody told it to go on"),
            _ = has_begun.recv() => {}
        }
        go_on.send(()).unwrap();
        assert_eq!(has_ended.await, Ok("audited"));
    }

    #[tokio::test]
    #[should_panic(expected = "in the step")]
    async fn a_panic_in_a_step_is_its_requests_own() {
        to_its_end(async { panic!("in the step") }).await;
    }
}
