//! Something a provider publishes, such as its keys: fetched when first needed, kept, fetched again in good time.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{sync::watch, time::timeout};

use super::Error;
use crate::clock::{Clock, Timestamp};

/// What is kept is used this long without a thought.
const FRESH: Duration = Duration::from_hours(1);

/// And this long while fetching it again fails.
const KEPT: Duration = Duration::from_hours(24);

/// Pause between two fetches that what is kept has not asked for by its age.
const COOL_DOWN: Duration = Duration::from_mins(1);

/// How long something better is waited for while something old is at hand.
const PATIENCE: Duration = Duration::from_secs(2);

/// A document that is fetched when it is needed. However many need it at once, one fetch is under way, and it goes on to
/// its end whoever gives up waiting.
pub(super) struct Cached<T> {
    inner: Arc<Inner<T>>,
}

struct Inner<T> {
    fetch: Box<dyn Fn() -> BoxFuture<'static, Result<T, Error>> + Send + Sync>,
    clock: Clock,
    state: Mutex<State<T>>,
}

struct State<T> {
    kept: Option<(Arc<T>, Timestamp)>,
    failed: Option<(Error, Timestamp)>,
    /// When what was kept would last not do.
    renewed: Option<Timestamp>,
    flight: Option<Flight<T>>,
}

/// A fetch under way, and where it will land.
type Flight<T> = watch::Receiver<Option<Result<Arc<T>, Error>>>;

/// What [`Cached::get`] answers.
pub(super) struct Got<T> {
    pub value: Arc<T>,
    /// Whether it was fetched for this very need, so that there is nothing newer.
    pub new: bool,
}

impl<T: Send + Sync + 'static> Cached<T> {
    /// `fetch` has to come to an end by itself.
    pub(super) fn new(
        clock: Clock,
        fetch: impl Fn() -> BoxFuture<'static, Result<T, Error>> + Send + Sync + 'static,
    ) -> Self {
        let state = State { kept: None, failed: None, renewed: None, flight: None };
        Self { inner: Arc::new(Inner { fetch: Box::new(fetch), clock, state: Mutex::new(state) }) }
    }

    /// What is kept, or what is there now.
    pub(super) async fn get(&self) -> Result<Got<T>, Error> {
        let now = self.inner.clock.now();
        let (old, flight) = {
            let mut state = self.inner.lock();
            let kept = state.kept.as_ref().map(|(value, at)| (Arc::clone(value), age(now, *at)));
            match kept.filter(|(_, age)| *age < KEPT) {
                Some((value, age)) if age < FRESH => return Ok(Got { value, new: false }),
                Some((value, _)) if state.failed.is_some_and(|(_, at)| age(now, at) < COOL_DOWN) => {
                    return Ok(Got { value, new: false });
                }
                old => (old.map(|(value, _)| value), self.inner.fly(&mut state)),
            }
        };
        let Some(old) = old else {
            return Ok(Got { value: land(flight).await?, new: true });
        };
        match timeout(PATIENCE, land(flight)).await {
            Ok(Ok(value)) => Ok(Got { value, new: true }),
            _ => Ok(Got { value: old, new: false }),
        }
    }

    /// Something newer than `known`, which would not do. `known` itself when that was asked for a moment ago.
    pub(super) async fn renew(&self, known: &Arc<T>) -> Result<Arc<T>, Error> {
        let now = self.inner.clock.now();
        let flight = {
            let mut state = self.inner.lock();
            match &state.kept {
                Some((value, _)) if !Arc::ptr_eq(value, known) => return Ok(Arc::clone(value)),
                _ => {}
            }
            let renewed = state.renewed.filter(|at| age(now, *at) < COOL_DOWN);
            match (renewed, state.failed) {
                _ if state.flight.is_some() => {}
                // A provider that could not be asked has not said that there is nothing newer.
                (Some(renewed), Some((error, at))) if at >= renewed => return Err(error),
                (Some(_), _) => return Ok(Arc::clone(known)),
                (None, _) => state.renewed = Some(now),
            }
            self.inner.fly(&mut state)
        };
        land(flight).await
    }
}

impl<T: Send + Sync + 'static> Inner<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fetch that is under way, or one that starts now.
    fn fly(self: &Arc<Self>, state: &mut State<T>) -> Flight<T> {
        // One whose task has ended without a word is none.
        if let Some(flight) = state.flight.as_ref().filter(|flight| flight.has_changed().is_ok()) {
            return flight.clone();
        }
        let (landing, flight) = watch::channel(None);
        state.flight = Some(flight.clone());
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            let outcome = (inner.fetch)().await.map(Arc::new);
            let now = inner.clock.now();
            let mut state = inner.lock();
            match &outcome {
                Ok(value) => (state.kept, state.failed) = (Some((Arc::clone(value), now)), None),
                Err(error) => state.failed = Some((*error, now)),
            }
            state.flight = None;
            landing.send_replace(Some(outcome));
        });
        flight
    }
}

async fn land<T>(mut flight: Flight<T>) -> Result<Arc<T>, Error> {
    let landed = flight.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
    landed.unwrap_or(Err(Error::Unreachable("the fetch ended early")))
}

/// Unlike [`Timestamp::since`], what lies ahead is old: a clock that was set back must not keep anything forever.
fn age(now: Timestamp, then: Timestamp) -> Duration {
    if then > now { Duration::MAX } else { now.since(then) }
}

#[cfg(test)]
mod tests;
