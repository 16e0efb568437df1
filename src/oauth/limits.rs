//! Throttling of what is asked of us: every refusal is counted and audited.

use std::sync::Arc;

use super::{
    Error, OAuth,
    audit::Caller,
    client::{Client, Credentials},
};
use crate::{
    account::email,
    model::{AccountId, SourceId},
    throttle::{Attempt, Event, Throttled},
};

impl OAuth {
    /// Counts a request by its source, before anything is done for it.
    pub async fn admit(&self, event: Event, caller: &Caller) -> Result<(), Throttled> {
        self.throttle.by_source(event, caller.source).await.inspect_err(|throttled| caller.throttled(throttled, None))
    }

    /// Counts a request by the client that proved itself.
    pub async fn admit_client(&self, event: Event, client: &Client, caller: &Caller) -> Result<(), Throttled> {
        let admitted = self.throttle.by_client(event, &client.id).await;
        admitted.inspect_err(|throttled| caller.throttled(throttled, Some(client.id.as_str())))
    }

    /// The client that a request proves to come from; see
    /// [`Registry::authenticate`](super::client::Registry::authenticate). Proofs that fail are counted.
    pub async fn authenticate(&self, credentials: &Credentials, caller: &Caller) -> Result<Arc<Client>, Error> {
        let attempt = self.throttle.by_secret(credentials.named().unwrap_or_default(), caller.source).await;
        let attempt = attempt.inspect_err(|throttled| caller.throttled(throttled, None))?;
        let client = self.clients.authenticate(credentials).await;
        if !matches!(client, Err(Error::InvalidClient { .. })) {
            self.throttle.uncount(attempt).await;
        }
        client
    }

    /// Counts a try of somebody who is signed in at the password of their own account.
    pub async fn attempt_own(&self, account: AccountId, caller: &Caller) -> Result<Attempt, Throttled> {
        let nowhere = async |_| Ok(false);
        let attempt = self.throttle.by_account(Event::SignIn, &account.to_string(), caller.source, nowhere).await;
        attempt.inspect_err(|throttled| caller.throttled(throttled, None))
    }

    /// Counts a try at the account of this address, or of none, before a password is hashed.
    pub async fn attempt(&self, address: &str, client: &Client, caller: &Caller) -> Result<Attempt, Error> {
        let key = email::key(address.trim());
        let account = key.as_deref().unwrap_or(address);
        let is_known = async |sources: Vec<SourceId>| {
            let Some(key) = &key else { return Ok(false) };
            for source in sources {
                if self.store.knows_source(key, source, self.throttle.lately()).await? {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        let attempt = self.throttle.by_account(Event::SignIn, account, caller.source, is_known).await;
        attempt.inspect_err(|error| {
            if let Error::Throttled(throttled) = error {
                caller.throttled(throttled, Some(client.id.as_str()));
            }
        })
    }
}
