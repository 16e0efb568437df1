//! Why a token was not believed, or could not be judged.

/// Why a check of a token did not end with an identity. Its text is for our log alone, and has nothing in it that a
/// client or a provider wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The token does not hold, or not for us: the provider says 401 or 403, or the check itself says no.
    #[error("not allowed: {0}")]
    NotAllowed(&'static str),
    /// The provider says 400, which is how Facebook refuses a bad token.
    #[error("canceled: {0}")]
    Canceled(&'static str),
    /// The provider answers with a status that says nothing about the token. Redirects are among them: none is followed.
    #[error("the provider answers with status {0}")]
    Status(u16),
    /// The provider says 503, or nothing in time, or cannot be reached.
    #[error("unreachable: {0}")]
    Unreachable(&'static str),
    /// The provider says 200 with something that is no answer.
    #[error("unreadable: {0}")]
    Unreadable(&'static str),
    /// Too many checks of this provider's tokens are in flight; nothing was asked.
    #[error("too many checks are in flight")]
    Busy,
}
