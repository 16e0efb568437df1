//! Sign-up with a password.

use std::sync::Arc;

use super::{OAuth, audit::Caller, to_its_end};
use crate::{
    account::RegisterError,
    store::{Enrolment, SessionStart},
};

impl OAuth {
    /// Makes the account that was prepared, and the session that is asked for with it.
    pub async fn sign_up(
        self: &Arc<Self>,
        enrolment: Enrolment,
        caller: &Caller,
    ) -> Result<Option<SessionStart>, RegisterError> {
        let (oauth, caller) = (Arc::clone(self), caller.clone());
        to_its_end(async move {
            let (account, start) = oauth.accounts.enrol(&enrolment).await?;
            caller.signed_up(account.id);
            if let Some(SessionStart { session, .. }) = &start {
                caller.signed_in(account.id, &session.client, session.id);
            }
            Ok(start)
        })
        .await
    }
}
