//! Counters that several nodes share. While the store is out of reach, each counts for itself.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::{Instant, timeout};

use super::{Counters, Key, Rate, memory::Memory};
use crate::{
    clock::Timestamp,
    store::{StoreError, TurnStore},
};

/// How long the store is waited for: who comes must not be held up by being counted.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long it is left alone after it has failed.
const LEFT_ALONE: Duration = Duration::from_secs(1);

/// See [`Counters`].
pub struct Shared {
    store: Arc<dyn TurnStore>,
    own: Memory,
    failed_at: Mutex<Option<Instant>>,
}

impl Shared {
    /// Counts in `store`.
    pub fn new(store: Arc<dyn TurnStore>) -> Self {
        Self { store, own: Memory::new(), failed_at: Mutex::new(None) }
    }

    /// What the store says, if it says anything.
    async fn ask<T>(&self, question: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
        if self.failed_at().is_some_and(|at| at.elapsed() < LEFT_ALONE) {
            return None;
        }
        let failure = match timeout(PATIENCE, question).await {
            Ok(Ok(answer)) => {
                self.note(None);
                return Some(answer);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it took too long".to_owned(),
        };
        if self.failed_at().is_none() {
            tracing::warn!(%failure, "limits cannot be counted together; each node counts for itself");
        }
        self.note(Some(Instant::now()));
        None
    }

    fn failed_at(&self) -> Option<Instant> {
        *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, failed_at: Option<Instant>) {
        *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = failed_at;
    }
}

#[async_trait]
impl Counters for Shared {
    async fn take(&self, key: Key, rate: Rate, now: Timestamp) -> Result<(), Duration> {
        match self.ask(self.store.take_turn(&key.to_string(), rate.as_pace())).await {
            Some(answer) => answer,
            None => self.own.take(key, rate, now).await,
        }
    }

    async fn give_back(&self, key: Key, rate: Rate) {
        if self.ask(self.store.give_turn_back(&key.to_string(), rate.as_pace())).await.is_none() {
            self.own.give_back(key, rate).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::{
        store::Pace,
        throttle::{Event, Limit},
    };

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const RATE: Rate = Rate { count: 2, per: Duration::from_mins(1) };

    /// Refuses everybody, or fails.
    struct Strict {
        out: AtomicBool,
    }

    #[async_trait]
    impl TurnStore for Strict {
        async fn take_turn(&self, _: &str, _: Pace) -> Result<Result<(), Duration>, StoreError> {
            if self.out.load(Ordering::Relaxed) {
                return Err(StoreError::Unavailable("on purpose".into()));
            }
            Ok(Err(Duration::from_secs(7)))
        }

        async fn give_turn_back(&self, _: &str, _: Pace) -> Result<(), StoreError> {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_store_is_out_each_counts_for_itself_and_then_together_again() {
        let store = Arc::new(Strict { out: AtomicBool::new(false) });
        let shared = Shared::new(Arc::clone(&store) as Arc<dyn TurnStore>);
        let key = Key::of(Event::SignIn, Limit::PerSource, &[]);
        let take = async || shared.take(key, RATE, NOW).await;
        assert_eq!(take().await, Err(Duration::from_secs(7)), "as the store says");
        store.out.store(true, Ordering::Relaxed);
        assert_eq!((take().await, take().await, take().await), (Ok(()), Ok(()), Err(Duration::from_secs(30))));
        store.out.store(false, Ordering::Relaxed);
        assert_eq!(take().await, Err(Duration::from_secs(30)), "it is left alone for a while");
        tokio::time::advance(LEFT_ALONE).await;
        assert_eq!(take().await, Err(Duration::from_secs(7)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_store_holds_nobody_up() {
        let shared = Shared::new(Arc::new(Strict { out: AtomicBool::new(false) }));
        let key = Key::of(Event::SignIn, Limit::PerSource, &[]);
        let started = Instant::now();
        for _ in 0..3 {
            shared.give_back(key, RATE).await;
        }
        assert_eq!(started.elapsed(), PATIENCE, "of the first one");
    }
}
