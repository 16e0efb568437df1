//! [Audit events](crate::telemetry::audit) of the command line: what an operator changed. Who it was is the operating
//! system's word, as far as the environment has it.

use super::output;
use crate::{
    model::{AccountId, ClientId, SessionId},
    telemetry::audit::{By, Event, Fields, PASSWORD_CHANGE, SESSION_ENDED, UNLINK},
};

/// Longest name of a user that is written.
const MAX_USER: usize = 64;

/// Something was done that these fields tell of.
pub fn tell(event: &Event, fields: &Fields<'_>) {
    let user = user();
    event.write(&By::Cli { os_user: user.as_deref() }, fields);
}

/// An account was made or changed.
pub fn account(event: &Event, account: AccountId) {
    tell(event, &Fields { account: Some(account), ..Fields::default() });
}

/// An account got another password.
pub fn password_set(account: AccountId) {
    tell(&PASSWORD_CHANGE, &Fields { account: Some(account), outcome: Some("ok"), ..Fields::default() });
}

/// A session was ended.
pub fn session_ended(account: AccountId, session: SessionId) {
    tell(&SESSION_ENDED, &Fields { account: Some(account), session: Some(session), ..Fields::default() });
}

/// An account can no longer be signed in to by an identity at a provider.
pub fn unlinked(account: AccountId, provider: &str, link: i64) {
    let fields = Fields { account: Some(account), provider: Some(provider), link: Some(link), ..Fields::default() };
    tell(&UNLINK, &fields);
}

/// A client was made, changed or deleted.
pub fn client(event: &Event, client: &ClientId) {
    tell(event, &Fields { client: Some(client.as_str()), ..Fields::default() });
}

fn user() -> Option<String> {
    // Behind sudo, whoever used it.
    let named = ["SUDO_USER", "LOGNAME", "USER"].into_iter().filter_map(|name| std::env::var(name).ok());
    named.map(|user| output::visible(&user.chars().take(MAX_USER).collect::<String>())).find(|user| !user.is_empty())
}
