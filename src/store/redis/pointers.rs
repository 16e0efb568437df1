//! Whose a session is: a key of its own, since a refresh token names the session alone. It goes by itself.

use std::time::Duration;

use futures_util::future::join_all;

use super::{RedisStore, codec, millis, short};
use crate::{
    change_log::Change,
    model::{AccountId, SessionId},
    session::Rules,
    store::StoreError,
};

/// How much longer than anybody may ask for it a key is kept that goes by itself.
pub(super) const MARGIN: Duration = Duration::from_hours(24);

impl RedisStore {
    /// Whose the session is, if it was not ended.
    pub(super) async fn account_of(&self, id: SessionId) -> Result<Option<AccountId>, StoreError> {
        let mut get = redis::cmd("GET");
        get.arg(self.0.names.session(id));
        let account: Option<String> = self.0.connection.query(&get).await?;
        account.map(|id| account_id(&id)).transpose()
    }

    /// Keeps whose the session is, until long after its idle limit.
    pub(super) async fn point(&self, id: SessionId, account: AccountId, rules: &Rules) -> Result<(), StoreError> {
        let mut set = redis::cmd("SET");
        set.arg(self.0.names.session(id)).arg(short::id(account.as_bytes())).arg("PX").arg(kept(rules));
        self.0.connection.query(&set).await
    }

    /// Whose the session is that is used now: as [`Self::account_of`], and keeps that as [`Self::point`] does.
    pub(super) async fn account_of_used(&self, id: SessionId, rules: &Rules) -> Result<Option<AccountId>, StoreError> {
        let mut get = redis::cmd("GETEX");
        get.arg(self.0.names.session(id)).arg("PX").arg(kept(rules));
        let account: Option<String> = self.0.connection.query(&get).await?;
        account.map(|id| account_id(&id)).transpose()
    }

    /// Forgets whose these sessions were. They are ended already, and what is left here goes by itself.
    pub(super) async fn forget_sessions(&self, ids: impl IntoIterator<Item = SessionId>) {
        let forgotten = ids.into_iter().map(|id| async move {
            let mut delete = redis::cmd("DEL");
            delete.arg(self.0.names.session(id));
            if let Err(error) = self.0.connection.query::<()>(&delete).await {
                tracing::debug!(%error, "an ended session leaves its name");
            }
        });
        join_all(forgotten).await;
    }

    /// As [`Self::forget_sessions`], of those whose end was told.
    pub(super) async fn forget_ended(&self, said: &str) -> Vec<SessionId> {
        let ended = said.lines().filter_map(|entry| match codec::read_change(entry) {
            Ok(Change::SessionEnded { sid, .. }) => Some(sid),
            _ => None,
        });
        let ended: Vec<_> = ended.collect();
        self.forget_sessions(ended.iter().copied()).await;
        ended
    }
}

/// Milliseconds for which it is kept whose a session is.
fn kept(rules: &Rules) -> u64 {
    millis(rules.idle_ttl.max(rules.access_ttl) + MARGIN)
}

fn account_id(text: &str) -> Result<AccountId, StoreError> {
    let id = short::read_id(text).ok_or_else(|| codec::unreadable("a session's account"))?;
    Ok(AccountId::from_bytes(id))
}
