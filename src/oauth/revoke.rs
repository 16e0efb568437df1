//! Ending sessions.

use std::sync::Arc;

use super::{Error, OAuth, audit::Caller, client::Client, to_its_end};
use crate::{
    account::{ChangeError, RegisterError},
    model::{Account, AccountId, ClientId, Epoch, SessionId},
    secret::Secret,
    store::{AccountChange, Sessions, StoreError},
};

impl OAuth {
    /// Ends such sessions of the account: from here on neither their refresh tokens nor their access tokens hold,
    /// here at once and on other nodes as they read the change log. Which there were.
    pub async fn end_sessions(
        self: &Arc<Self>,
        account: AccountId,
        which: Sessions,
        caller: &Caller,
    ) -> Result<Vec<SessionId>, StoreError> {
        let (oauth, caller) = (Arc::clone(self), caller.clone());
        to_its_end(async move {
            let ended = oauth.store.end_sessions(account, &which).await?;
            for session in &ended {
                caller.revoked(account, *session);
            }
            Ok(ended)
        })
        .await
    }

    /// Ends the account's refresh tokens with a client. Access tokens live on to their own end.
    pub async fn end_refreshing(
        self: &Arc<Self>,
        account: AccountId,
        client: ClientId,
        caller: &Caller,
    ) -> Result<(), StoreError> {
        let (oauth, caller) = (Arc::clone(self), caller.clone());
        to_its_end(async move {
            let sessions = oauth.store.end_refreshing(account, &client).await?;
            caller.refreshing_ended(account, &client, sessions);
            Ok(())
        })
        .await
    }

    /// Ends every session of the account, with whichever client.
    pub async fn sign_out_everywhere(self: &Arc<Self>, account: AccountId, caller: &Caller) -> Result<(), ChangeError> {
        let (oauth, caller) = (Arc::clone(self), caller.clone());
        to_its_end(async move {
            oauth.accounts.change(account, AccountChange::SignOut).await?;
            caller.signed_out_everywhere(account);
            Ok(())
        })
        .await
    }

    /// Sets the password that the owner of `session` chose and ends the other sessions. `epoch` was read with what
    /// proved the owner; false when it has moved since.
    pub async fn change_password(
        self: &Arc<Self>,
        account: Arc<Account>,
        epoch: Epoch,
        session: SessionId,
        password: Secret,
        caller: &Caller,
    ) -> Result<bool, RegisterError> {
        let (oauth, caller) = (Arc::clone(self), caller.clone());
        to_its_end(async move {
            let changed = oauth.accounts.set_own_password(&account, epoch, session, password).await?;
            if changed {
                caller.password_changed(account.id, session);
            }
            Ok(changed)
        })
        .await
    }

    /// Ends the session of a refresh token (RFC 7009 section 2.1): one of this client's own, or none at all, which
    /// is as good. False when it is no refresh token of ours.
    pub async fn revoke_refresh_token(
        self: &Arc<Self>,
        token: &Secret,
        client: &Client,
        caller: &Caller,
    ) -> Result<bool, Error> {
        let Some((handle, _)) = self.refresh_tokens.verify(token.expose()) else { return Ok(false) };
        if let Some(session) = self.store.session(handle.session_id()).await? {
            if session.client != client.id {
                return Err(Error::InvalidGrant(None));
            }
            self.end_sessions(session.account, Sessions::One(session.id), caller).await?;
        }
        Ok(true)
    }
}
