//! The Redis store: one Redis that any number of gateways share.
//!
//! All that is an account's own (itself, its sessions, its links) is one hash, and one script on it changes what must
//! change together. Whatever concerns more than one account has keys of its own, which in a Redis Cluster may be
//! elsewhere: addresses and identities (see `claims`), the change log (see `changes`), which session is whose. So a
//! change of several keys is several steps, in an order that leaves nothing wrong when it ends between two of them.
//!
//! Scripts compare and write; what is to be written is decided here. A refresh token is judged by
//! [`Session::judge`](crate::session::Session::judge) on what was read, and the verdict written only if that still
//! holds: two judgements, one of them in Lua, would drift apart.

mod accounts;
mod changes;
mod claims;
mod clients;
mod codec;
mod connection;
mod counters;
mod deletion;
mod durability;
mod enrolment;
mod imports;
mod keys;
mod line;
mod links;
mod names;
mod notes;
mod pointers;
mod record;
mod script;
mod sessions;
mod settings;
mod short;
mod sweep;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

pub use self::settings::{Address, Certificates, Node, OpenError, Sentinels, Servers, Settings};
use self::{connection::Connection, names::Names};
use crate::{
    change_log::View,
    clock::{Clock, Timestamp},
    model::AccountId,
    store::StoreError,
};

/// Operations under way at once; more wait for their turn, within their own time-out.
const AT_ONCE: u32 = 1024;

/// How far apart the clocks of this machine and of the Redis may be without a word.
const CLOCKS_APART: Duration = Duration::from_secs(2);

/// A store in a Redis. Clones share it.
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

struct Inner {
    connection: Connection,
    names: Names,
    changes: Arc<View>,
    clock: Clock,
    timeout: Duration,
    turns: Arc<Semaphore>,
    /// The last entry of the change log that this node has read.
    read_to: AtomicU64,
    /// Where the sweep goes on.
    sweep_from: Mutex<Option<AccountId>>,
    /// In a Cluster, which runs of which servers hold what is kept, as one number.
    runs: AtomicU64,
}

impl RedisStore {
    /// Opens the store, which has to answer. What this process appends to the change log goes to `changes` at once.
    /// With the system's clock, all times are those of the Redis; any other clock is a test's, and rules.
    pub async fn open(settings: &Settings, clock: Clock, changes: Arc<View>) -> Result<Self, OpenError> {
        let connection = Connection::open(settings).await?;
        let place = settings.address.place();
        let weaknesses = durability::weaknesses(&connection).await;
        let weaknesses =
            weaknesses.map_err(|error| OpenError::Unreachable { place: place.clone(), reason: error.to_string() })?;
        if settings.require_durable && !weaknesses.is_empty() {
            return Err(OpenError::NotDurable { place, weaknesses: weaknesses.join("; ") });
        }
        for weakness in weaknesses {
            tracing::warn!("the Redis at {place} may lose what it acknowledged: {weakness}");
        }
        let turns = Arc::new(Semaphore::new(AT_ONCE as usize));
        let store = Self(Arc::new(Inner {
            connection,
            names: Names::new(&settings.namespace),
            changes,
            clock,
            timeout: settings.timeout,
            turns,
            read_to: AtomicU64::new(0),
            sweep_from: Mutex::new(None),
            runs: AtomicU64::new(0),
        }));
        store
            .know_runs()
            .await
            .map_err(|error| OpenError::Unreachable { place: place.clone(), reason: error.to_string() })?;
        let server = store.time_now().await;
        let server = server.map_err(|error| OpenError::Unreachable { place, reason: error.to_string() })?;
        let apart = apart(server, store.0.clock.now());
        if apart > CLOCKS_APART {
            tracing::warn!(
                seconds = apart.as_secs(),
                "this machine's clock and that of the Redis differ: the one issues tokens, the other judges them"
            );
        }
        Ok(store)
    }

    /// Does what leaves nothing half done when it is dropped.
    async fn within<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let _turn = self.turn().await?;
        tokio::time::timeout(self.0.timeout, work).await.unwrap_or_else(|_| Err(too_slow()))
    }

    /// Does what has several steps, to its end also when the caller is gone.
    async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = self.turn().await?;
        let timeout = self.0.timeout;
        let task = tokio::spawn(async move {
            let _turn = turn;
            tokio::time::timeout(timeout, work).await.unwrap_or_else(|_| Err(too_slow()))
        });
        task.await.map_err(|error| StoreError::Unavailable(error.into()))?
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        let turn = tokio::time::timeout(self.0.timeout, Arc::clone(&self.0.turns).acquire_owned());
        turn.await.map_err(|_| too_slow())?.map_err(|_| StoreError::Unavailable("the store is closed".into()))
    }

    /// Waits for those that have their turn, and lets nobody have another.
    async fn shut(&self) {
        let all = tokio::time::timeout(self.0.timeout, self.0.turns.acquire_many(AT_ONCE)).await;
        self.0.turns.close();
        drop(all);
    }

    fn read_to(&self) -> u64 {
        self.0.read_to.load(Ordering::Relaxed)
    }

    /// The time by which the store judges, given what the clock of the Redis showed.
    fn now(&self, server: Timestamp) -> Timestamp {
        if self.0.clock.is_system() { server } else { self.0.clock.now() }
    }
}

/// How far apart two times are, whichever is the later.
fn apart(one: Timestamp, other: Timestamp) -> Duration {
    one.since(other).max(other.since(one))
}

fn too_slow() -> StoreError {
    StoreError::Unavailable("it took too long".into())
}

/// As scripts and commands take durations.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
