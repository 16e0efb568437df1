//! The sweep: it walks over the accounts, a part of them each time, and deletes what has expired.
//!
//! Nobody waits for it: what has expired is refused wherever it lies, and keys that stand alone go by themselves.
//! What it reclaims is memory within the accounts' hashes, where nothing can go by itself.

use std::sync::LazyLock;

use super::{RedisStore, names::field, record::Whole, script::Script};
use crate::{
    clock::Timestamp,
    model::AccountId,
    session::Rules,
    store::{CHANGE_MARGIN, SOURCE_KNOWN_FOR, StoreError},
};

static TIME: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/time.lua")));

/// Accounts looked at in one step, and steps at most in one sweep.
const STEP: usize = 500;
const STEPS: usize = 20;

impl RedisStore {
    pub(super) async fn sweep(&self, rules: &Rules, limit: u32) -> Result<u64, StoreError> {
        self.within(self.finish_for_others()).await?;
        let now = self.within(self.time_now()).await?;
        let pruned = self.within(self.prune(now, limit)).await?;
        // One sweep at a time: another would walk the same way.
        let mut from = self.0.sweep_from.lock().await;
        let (mut sessions, mut sources) = (0, 0);
        'walk: for _ in 0..STEPS {
            let accounts = self.within(self.ids(*from, STEP)).await?;
            for account in &accounts {
                sources += self.within(self.forget_sources(*account, now)).await?;
                sessions += self.within(self.sweep_account(*account, rules, limit - sessions)).await?;
                if sessions >= limit {
                    break 'walk;
                }
            }
            *from = accounts.last().copied().filter(|_| accounts.len() == STEP);
            if from.is_none() {
                break;
            }
        }
        Ok(pruned + u64::from(sessions) + sources)
    }

    /// Deletes up to `limit` of the account's sessions. The limits are those of [`Session::judge`]. A session whose
    /// access tokens may live stays: without it nobody would know how long to remember that they were ended.
    ///
    /// [`Session::judge`]: crate::session::Session::judge
    async fn sweep_account(&self, id: AccountId, rules: &Rules, limit: u32) -> Result<u32, StoreError> {
        let Some(Whole { record, sessions, .. }) = self.whole(id).await? else { return Ok(0) };
        let mut swept = 0;
        for (session, row) in sessions {
            let expired = session.has_expired(rules, record.now);
            if !expired || session.access_expires_at + CHANGE_MARGIN > record.now {
                continue;
            }
            if swept >= limit {
                break;
            }
            if self.replace_field(id, &field::session(session.id), &row, "").await? {
                self.forget_sessions([session.id]).await;
                swept += 1;
            }
        }
        Ok(swept)
    }

    async fn forget_sources(&self, id: AccountId, now: Timestamp) -> Result<u64, StoreError> {
        let mut forget = redis::cmd("ZREMRANGEBYSCORE");
        forget.arg(self.0.names.sources(id)).arg("-inf").arg(format!("({}", (now - SOURCE_KNOWN_FOR).millis()));
        self.0.connection.query(&forget).await
    }

    /// The store's time: that of the server which has the change log.
    pub(super) async fn time_now(&self) -> Result<Timestamp, StoreError> {
        let mut script = TIME.prepare();
        script.key(self.0.names.log());
        let (seconds, micros): (i64, i64) = self.0.connection.run(&script).await?;
        Ok(self.now(Timestamp::from_seconds(seconds) + std::time::Duration::from_micros(micros.unsigned_abs())))
    }
}
