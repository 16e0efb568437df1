//! The change log as a node holds it in memory: what every node must know at once.
//!
//! The store keeps the ordered record; [`View`] is what this node has read of it. Every request is judged
//! against the view, cached tokens included.

use std::{
    collections::HashMap,
    sync::{
        RwLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

use crate::{
    clock::Timestamp,
    model::{AccountId, Epoch, SessionId},
};

/// One thing that every node must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A session ended: none of its access tokens holds any more.
    SessionEnded {
        /// The session.
        sid: SessionId,
        /// When its last access token has expired, with margin; after that the entry is forgotten.
        until: Timestamp,
    },
    /// An account's epoch moved: tokens of a lower epoch do not hold any more.
    AccountEpoch {
        /// The account.
        account: AccountId,
        /// The lowest epoch that still holds; [`Epoch::GONE`] of an account that was deleted, where none does.
        min_epoch: Epoch,
        /// When the last token of a lower epoch has expired, with margin.
        until: Timestamp,
    },
    /// The signing keys changed: read them again.
    Keys,
    /// The clients kept in the store changed: read them again.
    Clients,
}

/// The change log has been out of this node's reach for so long that nobody is vouched for. Never a verdict on a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the change log has been out of reach for longer than revocation.max_staleness")]
pub struct Stale;

/// What this node has read of the change log.
pub struct View {
    /// Counts the entries that end something; an answer found under one generation holds until the next.
    generation: AtomicU64,
    ended: RwLock<Ended>,
    keys: watch::Sender<u64>,
    clients: watch::Sender<u64>,
    /// When a reading began that came to the log's end; milliseconds since the epoch, which is also never.
    read_at: AtomicI64,
}

#[derive(Default)]
struct Ended {
    sessions: HashMap<SessionId, Timestamp>,
    accounts: HashMap<AccountId, (Epoch, Timestamp)>,
}

impl Default for View {
    fn default() -> Self {
        Self {
            generation: AtomicU64::new(0),
            ended: RwLock::default(),
            keys: watch::Sender::new(0),
            clients: watch::Sender::new(0),
            read_at: AtomicI64::new(0),
        }
    }
}

impl View {
    /// Takes an entry in; the same entry again changes nothing.
    pub fn apply(&self, change: &Change) {
        let mut ended = self.ended.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        match *change {
            Change::SessionEnded { sid, until } => {
                let known = ended.sessions.entry(sid).or_insert(until);
                *known = until.max(*known);
            }
            Change::AccountEpoch { account, min_epoch, until } => {
                let known = ended.accounts.entry(account).or_insert((min_epoch, until));
                *known = (min_epoch.max(known.0), until.max(known.1));
            }
            Change::Keys => return self.keys.send_modify(|version| *version += 1),
            Change::Clients => return self.clients.send_modify(|version| *version += 1),
        }
        // Inside the lock: whoever sees the new generation also sees the entry.
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Takes note that all of it has been applied that was in the log at `now`.
    pub fn read_to_its_end(&self, now: Timestamp) {
        self.read_at.store(now.millis(), Ordering::Relaxed);
    }

    /// How long ago the log was last known to its end. In steady state that is a second or two.
    pub fn age(&self, now: Timestamp) -> Duration {
        now.since(Timestamp::from_millis(self.read_at.load(Ordering::Relaxed)))
    }

    /// Moves whenever something ended; while it stands still, [`View::ends`] answers as before.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether tokens of this session, account and epoch have been ended.
    pub fn ends(&self, sid: &SessionId, account: &AccountId, epoch: Epoch) -> bool {
        let ended = self.ended.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        ended.sessions.contains_key(sid) || ended.accounts.get(account).is_some_and(|(min, _)| epoch < *min)
    }

    /// Everything remembered that ends something, for re-applying to a store that lost it.
    pub fn remembered(&self) -> Vec<Change> {
        let ended = self.ended.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let sessions = ended.sessions.iter().map(|(&sid, &until)| Change::SessionEnded { sid, until });
        let accounts = ended.accounts.iter().map(|(&account, &(min_epoch, until))| Change::AccountEpoch {
            account,
            min_epoch,
            until,
        });
        sessions.chain(accounts).collect()
    }

    /// Forgets entries that no living access token can be concerned by.
    pub fn prune(&self, now: Timestamp) {
        let mut ended = self.ended.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        ended.sessions.retain(|_, until| *until > now);
        ended.accounts.retain(|_, (_, until)| *until > now);
    }

    /// Told whenever the signing keys changed.
    pub fn keys_changed(&self) -> watch::Receiver<u64> {
        self.keys.subscribe()
    }

    /// Told whenever the clients kept in the store changed.
    pub fn clients_changed(&self) -> watch::Receiver<u64> {
        self.clients.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000_000);
    const LATER: Timestamp = Timestamp::from_seconds(1_000_001_000);
    const SID: SessionId = SessionId::from_bytes([1; 16]);
    const OTHER_SID: SessionId = SessionId::from_bytes([2; 16]);
    const ADA: AccountId = AccountId::from_bytes([3; 16]);
    const BOB: AccountId = AccountId::from_bytes([4; 16]);

    fn ended(sid: SessionId, until: Timestamp) -> Change {
        Change::SessionEnded { sid, until }
    }

    fn epoch(account: AccountId, min_epoch: u32, until: Timestamp) -> Change {
        Change::AccountEpoch { account, min_epoch: Epoch(min_epoch), until }
    }

    fn view(changes: &[Change]) -> View {
        let view = View::default();
        for change in changes {
            view.apply(change);
        }
        view
    }

    #[test]
    fn an_empty_view_ends_nothing() {
        assert!(!View::default().ends(&SID, &ADA, Epoch(0)));
        assert!(View::default().remembered().is_empty());
    }

    #[test]
    fn an_ended_session_ends_its_own_tokens_whatever_their_account_and_epoch() {
        let view = view(&[ended(SID, LATER)]);
        assert!(view.ends(&SID, &ADA, Epoch(9)));
        assert!(view.ends(&SID, &BOB, Epoch(0)));
        assert!(!view.ends(&OTHER_SID, &ADA, Epoch(9)));
    }

    #[test]
    fn an_epoch_ends_lower_ones_of_its_account_only() {
        let view = view(&[epoch(ADA, 3, LATER)]);
        assert!(view.ends(&SID, &ADA, Epoch(2)));
        assert!(!view.ends(&SID, &ADA, Epoch(3)));
        assert!(!view.ends(&SID, &ADA, Epoch(4)));
        assert!(!view.ends(&SID, &BOB, Epoch(0)));
    }

    #[test]
    fn entries_out_of_order_never_take_an_end_back() {
        let view = view(&[epoch(ADA, 5, LATER), epoch(ADA, 2, NOW), ended(SID, LATER), ended(SID, NOW)]);
        assert!(view.ends(&SID, &BOB, Epoch(0)));
        assert!(view.ends(&OTHER_SID, &ADA, Epoch(4)));
        view.prune(NOW);
        assert_eq!(view.remembered().len(), 2, "each is kept to its latest end");
        assert!(view.ends(&OTHER_SID, &ADA, Epoch(4)));
    }

    #[test]
    fn reading_the_whole_log_again_changes_no_answer() {
        let changes = [ended(SID, LATER), epoch(ADA, 3, LATER)];
        let view = view(&changes);
        let sorted = |mut changes: Vec<Change>| {
            changes.sort_by_key(|change| format!("{change:?}"));
            changes
        };
        let before = sorted(view.remembered());
        for change in &changes {
            view.apply(change);
        }
        assert_eq!(sorted(view.remembered()), before);
        assert_eq!(before, sorted(changes.to_vec()));
    }

    #[test]
    fn the_generation_moves_with_every_end_and_with_nothing_else() {
        let view = View::default();
        let start = view.generation();
        view.apply(&Change::Keys);
        view.apply(&Change::Clients);
        view.prune(LATER);
        assert_eq!(view.generation(), start);
        view.apply(&ended(SID, LATER));
        let after_session = view.generation();
        assert_ne!(after_session, start);
        view.apply(&epoch(ADA, 1, LATER));
        assert_ne!(view.generation(), after_session);
    }

    #[test]
    fn its_age_is_counted_from_the_last_reading() {
        let view = View::default();
        assert!(view.age(NOW) > Duration::from_hours(24 * 365), "it was never read");
        view.read_to_its_end(NOW);
        assert_eq!((view.age(NOW), view.age(LATER)), (Duration::ZERO, Duration::from_secs(1000)));
        view.read_to_its_end(LATER);
        assert_eq!(view.age(LATER), Duration::ZERO);
        assert_eq!(view.age(NOW), Duration::ZERO, "a clock that was set back makes nothing older");
    }

    #[test]
    fn entries_are_forgotten_when_no_token_can_be_concerned_and_not_before() {
        let view = view(&[ended(SID, LATER), epoch(ADA, 3, LATER)]);
        view.prune(Timestamp::from_millis(LATER.millis() - 1));
        assert!(view.ends(&SID, &BOB, Epoch(0)) && view.ends(&OTHER_SID, &ADA, Epoch(0)));
        view.prune(LATER);
        assert!(!view.ends(&SID, &BOB, Epoch(0)) && !view.ends(&OTHER_SID, &ADA, Epoch(0)));
        assert!(view.remembered().is_empty());
    }

    #[tokio::test]
    async fn those_who_keep_keys_and_clients_are_told_each_of_their_own() {
        let view = View::default();
        let (mut keys, mut clients) = (view.keys_changed(), view.clients_changed());
        view.apply(&Change::Keys);
        keys.changed().await.unwrap();
        assert!(!clients.has_changed().unwrap());
        view.apply(&Change::Clients);
        clients.changed().await.unwrap();
        assert!(!keys.has_changed().unwrap());
        view.apply(&ended(SID, LATER));
        assert!(!keys.has_changed().unwrap() && !clients.has_changed().unwrap());
    }
}
