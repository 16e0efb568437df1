//! What a serving node does beside serving: it reads the change log, renews keys and clients, sweeps what has
//! expired. Each is a loop that outlives every failure of the store, and begins anew after a panic.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use tokio::{task::JoinSet, time::MissedTickBehavior};

use crate::{
    change_log::View,
    clock::{Clock, Timestamp},
    oauth::OAuth,
    session::Rules,
    store::{Cursor, Store, StoreError},
    token::{KeyRing, keys::OpenError},
};

/// How often keys are looked at without cause; far below any sensible `publish_ahead`.
const KEY_CHECK: Duration = Duration::from_secs(30);

/// How often expired rows are looked for.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// Rows removed in one step, so that no sign-in waits long behind it.
const SWEEP_BATCH: u32 = 500;

/// Pause after a failure of the store.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// What the loops work on.
#[derive(Clone)]
pub struct Upkeep {
    pub store: Arc<dyn Store>,
    pub changes: Arc<View>,
    pub keys: Arc<KeyRing>,
    pub oauth: Arc<OAuth>,
    pub rules: Rules,
    pub clock: Clock,
}

impl Upkeep {
    /// Starts every loop; `cursor` is how far the change log has been read.
    pub fn start(self, cursor: Cursor, tasks: &mut JoinSet<()>) {
        let own = self.clone();
        tasks.spawn(for_ever(move || own.clone().follow_changes(cursor)));
        let own = self.clone();
        tasks.spawn(for_ever(move || own.clone().renew_keys()));
        let own = self.clone();
        tasks.spawn(for_ever(move || own.clone().reload_clients()));
        tasks.spawn(for_ever(move || self.clone().sweep()));
    }

    async fn follow_changes(self, mut cursor: Cursor) {
        loop {
            self.store.wait_for_changes().await;
            match catch_up(&*self.store, &self.changes, Some(cursor), self.clock.now()).await {
                Ok(read) => cursor = read,
                Err(error) => {
                    tracing::warn!(%error, "the change log cannot be read; trying again");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    async fn renew_keys(self) {
        let mut changed = self.changes.keys_changed();
        let mut tick = ticks(KEY_CHECK);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                result = changed.changed() => if result.is_err() { return },
            }
            while let Err(error) = self.keys.refresh(self.clock.now()).await {
                tracing::error!(%error, "the signing keys cannot be renewed; trying again");
                // A revoked key must not live on for a hiccup; what is wrong with a key takes an operator.
                if !matches!(error, OpenError::Store(_)) {
                    break;
                }
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }

    async fn reload_clients(self) {
        let mut changed = self.changes.clients_changed();
        // The log may have been read on before this loop listened: clients of that moment would stay unknown.
        changed.mark_changed();
        while changed.changed().await.is_ok() {
            while let Err(error) = self.oauth.clients.reload().await {
                tracing::error!(%error, "the clients cannot be read; trying again");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }

    async fn sweep(self) {
        let mut tick = ticks(SWEEP_EVERY);
        loop {
            tick.tick().await;
            self.changes.prune(self.clock.now());
            loop {
                match self.store.sweep_expired(&self.rules, SWEEP_BATCH).await {
                    Ok(removed) if removed >= u64::from(SWEEP_BATCH) => tokio::task::yield_now().await,
                    Ok(_) => break,
                    Err(error) => {
                        tracing::warn!(%error, "expired rows cannot be removed; trying again later");
                        break;
                    }
                }
            }
        }
    }
}

/// Runs a loop and, should it panic, runs it again: nobody would notice that a gateway no longer hears of revocations.
async fn for_ever<L: Future<Output = ()>>(start: impl Fn() -> L) {
    while AssertUnwindSafe(start()).catch_unwind().await.is_err() {
        tracing::error!("a loop of the upkeep panicked; it begins anew");
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// Reads the change log from `cursor` into `changes`. When the log could not be continued, what this node
/// remembers is written to it again, so that nothing that ended comes back with an older copy of the store. `now` is
/// when this begins.
pub async fn catch_up(
    store: &dyn Store,
    changes: &View,
    cursor: Option<Cursor>,
    now: Timestamp,
) -> Result<Cursor, StoreError> {
    let read = store.read_changes(cursor).await?;
    let remembered = (read.whole && cursor.is_some()).then(|| changes.remembered());
    // Before anything can fail: what ended elsewhere ends here even while the store cannot be written to.
    read.entries.iter().for_each(|change| changes.apply(change));
    changes.read_to_its_end(now);
    if let Some(remembered) = remembered {
        tracing::warn!("the change log is another one than before; what this node remembers is written to it again");
        store.reapply_changes(&remembered).await?;
    }
    Ok(read.cursor)
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(every);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_panics_begins_anew() {
        let begun = AtomicUsize::new(0);
        for_ever(|| async {
            assert!(begun.fetch_add(1, Ordering::Relaxed) >= 2, "on purpose");
        })
        .await;
        assert_eq!(begun.into_inner(), 3);
    }
}
