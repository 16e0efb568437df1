//! `grant_type=password` (RFC 6749 section 4.3): an email address and a password for a new session.

use std::sync::Arc;

use super::TokenRequest;
use crate::{
    account::SignInError,
    oauth::{Error, OAuth, Tokens, audit::Caller, client::Grant, to_its_end},
    secret::Secret,
    store::StoreError,
    throttle::Event,
};

/// One answer to every sign-in that fails.
const REFUSED: Error = Error::InvalidGrant(Some("Invalid credentials given."));

pub(super) async fn exchange(oauth: &Arc<OAuth>, request: &TokenRequest<'_>, caller: &Caller) -> Result<Tokens, Error> {
    oauth.admit(Event::SignIn, caller).await?;
    let client = oauth.authenticate(&request.client, caller).await?;
    let username = request
        .username
        .filter(|name| !name.is_empty())
        .ok_or_else(|| Error::InvalidRequest(Some("Request is missing username parameter.".into())))?;
    let password = request
        .password
        .filter(|password| !password.expose().is_empty())
        .ok_or_else(|| Error::InvalidRequest(Some("Request is missing password parameter.".into())))?;
    if !client.may_use(Grant::Password) {
        return Err(Error::UnauthorizedClient);
    }

    let scope = client.grant_scope(request.scope)?;
    oauth.admit_client(Event::SignIn, &client, caller).await?;
    let attempt = oauth.attempt(username, &client, caller).await?;

    let signed_in = oauth.accounts.sign_in(username, Secret::clone(password)).await;
    if !matches!(signed_in, Err(SignInError::Invalid(_))) {
        oauth.throttle.uncount(attempt).await;
    }
    let account = match signed_in {
        Ok(account) => account,
        Err(SignInError::Invalid(failure)) => {
            caller.sign_in_failed(&client.id, Some(failure));
            return Err(REFUSED);
        }
        Err(SignInError::Busy(busy)) => {
            caller.metrics.sign_ins.count("busy");
            return Err(busy.into());
        }
        Err(SignInError::Store(error)) => {
            caller.metrics.sign_ins.count("unavailable");
            return Err(error.into());
        }
    };
    let (handle, session) = oauth.new_session(&client, scope, caller);
    let step = {
        let (oauth, caller) = (Arc::clone(oauth), caller.clone());
        async move {
            let start = oauth.store.create_session(account.id, account.epoch, &session).await;
            let start = start.inspect_err(|_| caller.metrics.sign_ins.count("unavailable"))?;
            match &start {
                Some(start) => caller.signed_in(account.id, &session.client, start.session.id),
                // Deactivated, or given another password, since the password was checked.
                None => caller.sign_in_failed(&session.client, None),
            }
            Ok::<_, StoreError>(start)
        }
    };
    match to_its_end(step).await? {
        Some(start) => oauth.issue(&client, &start, &handle),
        None => Err(REFUSED),
    }
}
