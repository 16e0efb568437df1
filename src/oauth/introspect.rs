//! What a refresh token is worth (RFC 7662). Access tokens tell that themselves, and are judged where bearers are.

use super::{OAuth, client::Client};
use crate::{
    clock::Timestamp,
    model::Account,
    secret::Secret,
    session::{Presented, Session, Verdict},
    store::StoreError,
};

impl OAuth {
    /// The session and account of a refresh token of this client's that would be exchanged now. Nothing changes,
    /// whatever it is: not even one that was used before ends its session here.
    pub async fn refreshable(
        &self,
        token: &Secret,
        client: &Client,
        now: Timestamp,
    ) -> Result<Option<(Session, Account)>, StoreError> {
        let Some((handle, generation)) = self.refresh_tokens.verify(token.expose()) else { return Ok(None) };
        let Some((session, account)) = self.store.active_session(handle.session_id()).await? else {
            return Ok(None);
        };
        let presented = Presented { sid: session.id, generation, client: client.id.clone(), scope: None };
        let verdict = session.judge(&presented, account.active, &self.sessions, now);
        let holds = matches!(verdict, Verdict::Rotate | Verdict::Repeat | Verdict::FastForward { .. });
        Ok(holds.then_some((session, account)))
    }
}
