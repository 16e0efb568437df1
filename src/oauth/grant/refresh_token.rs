//! `grant_type=refresh_token` (RFC 6749 section 6): the next pair of tokens of a session.

use std::sync::Arc;

use super::TokenRequest;
use crate::{
    model::Scope,
    oauth::{Error, OAuth, Tokens, audit::Caller, client::Grant, to_its_end},
    session::{Presented, Refusal},
    store::{Rotation, StoreError},
    throttle::Event,
};

pub(super) async fn exchange(oauth: &Arc<OAuth>, request: &TokenRequest<'_>, caller: &Caller) -> Result<Tokens, Error> {
    oauth.admit(Event::Refresh, caller).await?;
    let client = oauth.authenticate(&request.client, caller).await?;
    oauth.admit_client(Event::Refresh, &client, caller).await?;
    let token =
        request.refresh_token.ok_or_else(|| Error::InvalidRequest(Some("Missing refresh token parameter.".into())))?;
    if !client.may_use(Grant::RefreshToken) {
        return Err(Error::UnauthorizedClient);
    }
    // The MAC comes before any look-up: guesses do not reach the store.
    let Some((handle, generation)) = oauth.refresh_tokens.verify(token.expose()) else {
        caller.refreshed("not_ours");
        return Err(Error::InvalidGrant(None));
    };
    let scope = request.scope.map(|text| Scope::parse(text).ok_or(Error::InvalidScope)).transpose()?;

    let presented = Presented { sid: handle.session_id(), generation, client: client.id.clone(), scope };
    let step = rotate(Arc::clone(oauth), presented, caller.clone());
    match to_its_end(step).await? {
        Rotation::Rotated(start) | Rotation::Repeated(start) | Rotation::FastForwarded { start, .. } => {
            oauth.issue(&client, &start, &handle)
        }
        Rotation::Refused(Refusal::ScopeTooWide) => Err(Error::InvalidScope),
        Rotation::Refused(_) | Rotation::Theft { .. } => Err(Error::InvalidGrant(None)),
    }
}

/// Moves the session on, and tells the audit log what came of it.
async fn rotate(oauth: Arc<OAuth>, presented: Presented, caller: Caller) -> Result<Rotation, StoreError> {
    let rotation = oauth.store.rotate_session(&presented, &oauth.sessions).await;
    let rotation = rotation.inspect_err(|_| caller.refreshed("unavailable"))?;
    match &rotation {
        Rotation::Theft { account } => {
            caller.refresh_theft(*account, &presented.client, presented.sid);
        }
        Rotation::FastForwarded { start, gap } => {
            caller.refresh_fast_forward(start.account.id, &presented.client, presented.sid, *gap);
        }
        Rotation::Rotated(_) => caller.refreshed("rotated"),
        Rotation::Repeated(_) => caller.refreshed("repeated"),
        Rotation::Refused(_) => caller.refreshed("refused"),
    }
    Ok(rotation)
}
