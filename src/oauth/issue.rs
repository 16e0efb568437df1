//! From a session to the tokens that its client gets.

use super::{
    Error, OAuth,
    audit::Caller,
    client::{Client, Grant},
};
use crate::{
    model::Scope,
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
    /// `issued_token_type`, where one is to be told (RFC 8693 section 2.2.1).
    pub issued_type: Option<&'static str>,
}

impl OAuth {
    /// A session with `client`, to be made under a fresh handle.
    pub fn new_session(&self, client: &Client, scope: Scope, caller: &Caller) -> (Handle, NewSession) {
        let handle = Handle::generate();
        let session = NewSession {
            id: handle.session_id(),
            client: client.id.clone(),
            scope,
            user_agent: caller.user_agent.to_string(),
            source: self.throttle.source(caller.source),
            rules: self.sessions,
        };
        (handle, session)
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
            issued_type: None,
        })
    }
}
