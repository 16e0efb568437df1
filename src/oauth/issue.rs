//! From a session to the tokens that its client gets.

use std::sync::Arc;

use super::{
    Error, OAuth,
    client::{Client, Grant},
};
use crate::{
    account::FirstSession,
    model::{Account, Scope},
    secret::Secret,
    store::{NewSession, SessionStart},
    token::{Claims, Handle},
};

/// What a client gets (RFC 6749 section 5.1).
pub struct Tokens {
    /// `access_token`.
    pub access: Secret,
    /// `expires_in`, seconds.
    pub expires_in: i64,
    /// `scope`.
    pub scope: Scope,
    /// `refresh_token`; absent when the client may not use one.
    pub refresh: Option<Secret>,
}

impl OAuth {
    /// A session of `account` with `client`, to be made under `handle`.
    pub(super) fn new_session(&self, handle: &Handle, account: &Account, client: &Client, scope: Scope) -> NewSession {
        NewSession {
            id: handle.session_id(),
            account: account.id,
            epoch: account.epoch,
            client: client.id.clone(),
            scope,
            rules: self.sessions,
        }
    }

    /// For an account that is yet to be made: the handle of its first session, and what makes the session.
    pub fn first_session(self: &Arc<Self>, client: &Arc<Client>) -> (Handle, FirstSession) {
        let handle = Handle::generate();
        let (oauth, client, for_session) = (self.clone(), client.clone(), handle.clone());
        let make = move |account: &Account| oauth.new_session(&for_session, account, &client, client.scopes.clone());
        (handle, Box::new(make))
    }

    /// The tokens of a session as the store just left it.
    pub fn issue(&self, client: &Client, start: &SessionStart, handle: &Handle) -> Result<Tokens, Error> {
        let claims = Claims::of(start, self.keys.settings());
        let access = self.keys.sign(&claims, start.now)?;
        let refresh =
            client.may_use(Grant::RefreshToken).then(|| self.refresh_tokens.derive(handle, start.session.generation));
        Ok(Tokens {
            access: Secret::new(access),
            expires_in: claims.expires_at.seconds() - claims.issued_at.seconds(),
            scope: claims.scope,
            refresh,
        })
    }
}
