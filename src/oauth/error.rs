//! Why a token request gets no tokens.

use std::borrow::Cow;

use crate::{change_log::Stale, password::Busy, store::StoreError, throttle::Throttled, token};

/// The refusals of RFC 6749 section 5.2, and the failures that are no refusal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A parameter is missing or unreadable. The text is for the client.
    #[error("invalid request")]
    InvalidRequest(Option<Cow<'static, str>>),
    /// Unknown client, or a secret that is wrong or missing.
    #[error("invalid client")]
    InvalidClient {
        /// Whether it came by HTTP Basic, and so is owed a challenge.
        used_basic: bool,
    },
    /// Basic and body name different clients.
    #[error("two clients")]
    TwoClients,
    /// What was presented does not hold. The text is for the client.
    #[error("invalid grant")]
    InvalidGrant(Option<&'static str>),
    /// The client may not use this grant.
    #[error("the client may not use this grant")]
    UnauthorizedClient,
    /// No grant of ours.
    #[error("no such grant")]
    UnsupportedGrantType,
    /// Not a scope, or more than may be had.
    #[error("invalid scope")]
    InvalidScope,
    /// A token for somebody else than us was asked for (RFC 8693 section 2.2.2).
    #[error("invalid target")]
    InvalidTarget,
    /// Another identity provider gives no answer, or none that can be read.
    #[error("the provider does not answer")]
    ProviderOutage,
    /// See [`Throttled`].
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// See [`Busy`]: a password, or the secret of a client that was imported.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// See [`Stale`].
    #[error(transparent)]
    Stale(#[from] Stale),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The token could not be signed.
    #[error(transparent)]
    Keys(#[from] token::keys::OpenError),
}
