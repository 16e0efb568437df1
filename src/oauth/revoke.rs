//! Ending sessions.

use std::sync::Arc;

use super::{OAuth, audit::Caller, to_its_end};
use crate::{
    model::{AccountId, ClientId, SessionId},
    store::StoreError,
};

impl OAuth {
    /// Ends a session: from here on neither its refresh token nor its access tokens hold, here at once and on
    /// other nodes as they read the change log. False when it had ended already.
    pub async fn revoke(
        self: &Arc<Self>,
        session: SessionId,
        account: AccountId,
        client: &ClientId,
        caller: &Caller,
    ) -> Result<bool, StoreError> {
        let (oauth, client, caller) = (Arc::clone(self), client.clone(), caller.clone());
        to_its_end(async move {
            let ended = oauth.store.end_session(session).await?;
            if ended {
                caller.revoked(account, &client, session);
            }
            Ok(ended)
        })
        .await
    }
}
