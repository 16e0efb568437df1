//! Counters of one node, in bounded memory.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use quick_cache::sync::Cache;

use super::{Counters, Key, Limit, Rate};
use crate::clock::Timestamp;

/// Most keys remembered of one limit, some 6 MiB of them. Beyond it those go first that were seen once.
const MOST: usize = 32_768;

type Due = Cache<Key, Arc<AtomicI64>>;

/// See [`Counters`]. Each limit has a table of its own: a flood of sources, which costs nothing to make, does not wash
/// out what is known of accounts, of which each try costs a hash.
pub struct Memory {
    sources: Due,
    pairs: Due,
    accounts: Due,
    clients: Due,
}

impl Memory {
    /// Nothing counted yet.
    pub fn new() -> Self {
        let due = || Cache::new(MOST);
        Self { sources: due(), pairs: due(), accounts: due(), clients: due() }
    }

    const fn table(&self, limit: Limit) -> &Due {
        match limit {
            Limit::PerSource => &self.sources,
            Limit::PerAccountAndSource => &self.pairs,
            Limit::PerAccount => &self.accounts,
            Limit::PerClient => &self.clients,
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Counters for Memory {
    async fn take(&self, key: Key, rate: Rate, now: Timestamp) -> Result<(), Duration> {
        let fresh = || Ok::<_, Duration>(Arc::new(AtomicI64::new(i64::MIN)));
        let due = self.table(key.limit).get_or_insert_with(&key, fresh)?;
        let now = now.millis().saturating_mul(1000);
        let mut seen = due.load(Ordering::Relaxed);
        loop {
            let next = rate.take(seen, now)?;
            match due.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(current) => seen = current,
            }
        }
    }

    async fn give_back(&self, key: Key, rate: Rate) {
        if let Some(due) = self.table(key.limit).get(&key) {
            // The last to look decides: there is nothing to refuse.
            let _ = due.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |due| Some(rate.give_back(due)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::throttle::Event;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const RATE: Rate = Rate { count: 10, per: Duration::from_mins(5) };

    fn key(limit: Limit, n: u64) -> Key {
        Key::of(Event::SignIn, limit, &[&n.to_be_bytes()])
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn those_who_come_at_once_get_no_more_than_their_share() {
        let memory = Arc::new(Memory::new());
        let key = key(Limit::PerSource, 1);
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let memory = Arc::clone(&memory);
                tokio::spawn(async move { memory.take(key, RATE, NOW).await.is_ok() })
            })
            .collect();
        let mut passed = 0;
        for task in tasks {
            passed += usize::from(task.await.unwrap());
        }
        assert_eq!(passed, 10);
        memory.give_back(key, RATE).await;
        assert!(memory.take(key, RATE, NOW).await.is_ok());
        assert!(memory.take(key, RATE, NOW).await.is_err());
    }

    #[tokio::test]
    async fn a_flood_of_sources_washes_no_account_out_and_memory_is_bounded() {
        let memory = Memory::new();
        let account = key(Limit::PerAccount, 0);
        for _ in 0..10 {
            memory.take(account, RATE, NOW).await.unwrap();
        }
        // Often enough each to be worth remembering.
        for _ in 0..4 {
            for n in 0..2 * MOST as u64 {
                let _ = memory.take(key(Limit::PerSource, n), RATE, NOW).await;
            }
        }
        assert!(memory.take(account, RATE, NOW).await.is_err());
        assert!(memory.sources.len() <= MOST);
    }
}
