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

use super::{Counters, Key, Rate};
use crate::clock::Timestamp;

/// Most keys remembered, some 10 MiB of them. Beyond it those go first that were seen once: a flood of sources does
/// not wash out the few that keep trying.
const MOST: usize = 65_536;

/// See [`Counters`].
pub struct Memory(Cache<Key, Arc<AtomicI64>>);

impl Memory {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self(Cache::new(MOST))
    }

    /// How many keys are remembered.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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
        let due = self.0.get_or_insert_with(&key, fresh)?;
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
        if let Some(due) = self.0.get(&key) {
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

    fn key(n: u64) -> Key {
        Key::of(Event::SignIn, "per_source", &[&n.to_be_bytes()])
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn those_who_come_at_once_get_no_more_than_their_share() {
        let memory = Arc::new(Memory::new());
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let memory = Arc::clone(&memory);
                tokio::spawn(async move { memory.take(key(1), RATE, NOW).await.is_ok() })
            })
            .collect();
        let mut passed = 0;
        for task in tasks {
            passed += usize::from(task.await.unwrap());
        }
        assert_eq!(passed, 10);
        memory.give_back(key(1), RATE).await;
        assert!(memory.take(key(1), RATE, NOW).await.is_ok());
        assert!(memory.take(key(1), RATE, NOW).await.is_err());
    }

    #[tokio::test]
    async fn a_flood_of_others_washes_out_nobody_who_keeps_trying_and_memory_is_bounded() {
        let memory = Memory::new();
        for _ in 0..10 {
            memory.take(key(0), RATE, NOW).await.unwrap();
        }
        for n in 1..3 * MOST as u64 {
            memory.take(key(n), RATE, NOW).await.unwrap();
            if n.is_multiple_of(1000) {
                assert!(memory.take(key(0), RATE, NOW).await.is_err(), "after {n} others");
            }
        }
        assert!(memory.len() <= MOST);
    }
}
