//! Audit events of the command line: what an operator changed. Names of events, targets and fields are those of the
//! gateway's ([`oauth::audit`](crate::oauth::audit)); who it was is the operating system's word, as far as the environment
//! has it.

use super::output;
use crate::{
    model::{AccountId, SessionId},
    telemetry::AUDIT,
};

/// Longest name of a user that is written.
const MAX_USER: usize = 64;

/// An account was made or changed.
pub fn account(event: &'static str, account: AccountId) {
    tracing::info!(target: AUDIT, event, by = "cli", os_user = user(), account = %account);
}

/// A session was ended.
pub fn session_ended(account: AccountId, session: SessionId) {
    tracing::info!(
        target: AUDIT, event = "session.ended", by = "cli", os_user = user(), account = %account, session = %session
    );
}

/// An account can no longer be signed in to by an identity at a provider.
pub fn unlinked(account: AccountId, provider: &str, link: i64) {
    tracing::info!(
        target: AUDIT, event = "account.unlinked", by = "cli", os_user = user(), account = %account, provider, link
    );
}

fn user() -> Option<String> {
    // Behind sudo, whoever used it.
    let named = ["SUDO_USER", "LOGNAME", "USER"].into_iter().filter_map(|name| std::env::var(name).ok());
    named.map(|user| output::visible(&user.chars().take(MAX_USER).collect::<String>())).find(|user| !user.is_empty())
}
