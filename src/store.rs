//! Where accounts and sessions live: traits at the level of the domain, each method named by the atomicity it
//! promises. One contract suite (`store::contract`, built for tests) runs against every store.
//!
//! A store that fails is not a store that says no: every method's error is [`StoreError`] alone, and what the
//! domain refuses is part of its answer.

mod change;
mod clients;
#[cfg(test)]
pub(crate) mod contract;
mod imports;
mod links;
mod metered;
pub mod redis;
pub mod sql;
#[cfg(test)]
pub(crate) mod testing;
mod turns;

use std::{path::PathBuf, time::Duration};

use async_trait::async_trait;

pub use self::{
    clients::{ClientChange, ClientStore, StoredClient, StoredSecret},
    imports::{Import, ImportStore, Imported, ImportedLink, LinkOutcome},
    links::{DeleteLink, InsertLink, LinkSignIn, LinkStore, Names},
    metered::Metered,
    turns::{Pace, TurnStore},
};
use crate::{
    change_log::Change,
    clock::Timestamp,
    model::{Account, AccountId, ClientId, Epoch, Health, LinkKey, Scope, SessionId, SourceId},
    session::{Presented, Refusal, Rules, Session},
};

/// How long an entry of the change log outlives the last access token it concerns: the allowance for clocks that
/// differ (60 s at most) and as much again for nodes that read late.
pub const CHANGE_MARGIN: Duration = Duration::from_mins(2);

/// Most sessions of an account. One more ends the one that was not used for longest.
pub const MOST_SESSIONS: u32 = 500;

/// How long a source stays known to an account that signed in from it.
pub const SOURCE_KNOWN_FOR: Duration = Duration::from_hours(30 * 24);

/// Which store, and where.
pub enum Settings {
    /// One file on this machine.
    Sqlite {
        /// The database file; made on the first start.
        path: PathBuf,
    },
    /// One Redis for any number of gateways.
    Redis(redis::Settings),
}

/// The store could not do its work. Never a verdict on what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Out of reach, busy beyond its time-out, full or read-only: worth trying again later (503).
    #[error("the store is unavailable: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It answered with something that we never wrote.
    #[error("the store holds what this version cannot read: {0}")]
    Corrupt(String),
}

/// Every store is all of these.
pub trait Store:
    AccountStore + LinkStore + SessionStore + ClientStore + KeyStore + ChangeStore + ImportStore + Send + Sync
{
}

impl<T> Store for T where
    T: AccountStore + LinkStore + SessionStore + ClientStore + KeyStore + ChangeStore + ImportStore + Send + Sync
{
}

/// An account with what proves it.
#[derive(Clone)]
pub struct Credentials {
    /// The account.
    pub account: Account,
    /// PHC string, or a hash as Django makes them; absent when the account has no usable password.
    pub password_hash: Option<String>,
}

/// An account to be kept, with all that is kept in the same step.
#[derive(Clone)]
pub struct Enrolment {
    /// The account.
    pub account: Account,
    /// The canonical form of `account.email`.
    pub email_key: Option<String>,
    /// PHC string, or a hash as Django makes them; absent when it is not to sign in with a password.
    pub password_hash: Option<String>,
    /// The identity at a provider that it came by.
    pub link: Option<LinkKey>,
    /// Its first session.
    pub session: Option<NewSession>,
    /// Take the address from an account for which nobody vouched for it, if that one has it: see
    /// [`AccountStore::insert_account`].
    pub reclaim: bool,
}

impl Enrolment {
    /// The account alone.
    pub fn of(account: Account, email_key: Option<&str>) -> Self {
        let email_key = email_key.map(str::to_owned);
        Self { account, email_key, password_hash: None, link: None, session: None, reclaim: false }
    }
}

/// What became of an [`Enrolment`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "made once per sign-up, and taken apart at once")]
pub enum InsertAccount {
    /// It is kept.
    Inserted {
        /// The first session, when one was asked for.
        session: Option<SessionStart>,
        /// The account that had the address, and lost it.
        reclaimed: Option<AccountId>,
    },
    /// Another account has the address.
    EmailTaken,
    /// Another account has the `external_id`.
    ExternalIdTaken,
    /// Another account has the identity.
    LinkTaken,
}

/// One change of an account, with what must follow from it in the same step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountChange {
    /// A new password hash: bumps the epoch and ends every session.
    Password(String),
    /// Deactivation bumps the epoch and ends every session; activation does neither.
    Active(bool),
    /// Bumps the epoch; sessions go on and carry the new claim from the next refresh.
    Staff(bool),
    /// As [`AccountChange::Staff`].
    Groups(Vec<String>),
    /// Bumps the epoch and ends every session.
    SignOut,
}

/// Accounts.
#[async_trait]
pub trait AccountStore {
    /// Keeps a new account with its link and its first session, in one step. With `reclaim`, an account that has
    /// the address, unverified and without an `external_id`, loses it: its address is taken out, it is deactivated,
    /// its epoch moves and its sessions end, all in the same step.
    async fn insert_account(&self, new: &Enrolment) -> Result<InsertAccount, StoreError>;

    /// The account of this id.
    async fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError>;

    /// The account of this canonical address, with its password hash and epoch read together.
    async fn credentials(&self, email_key: &str) -> Result<Option<Credentials>, StoreError>;

    /// The account of this id, with its password hash and epoch read together.
    async fn credentials_of(&self, id: AccountId) -> Result<Option<Credentials>, StoreError>;

    /// Up to `limit` accounts in the order of their ids, from the one after `after`.
    async fn accounts(&self, after: Option<AccountId>, limit: u32) -> Result<Vec<Account>, StoreError>;

    /// Changes an account, bumps its epoch, ends its sessions and logs it, all in one step, as
    /// [`AccountChange`] says. A change that changes nothing bumps nothing, except a password and a sign-out,
    /// which always do. The account as it is now, or `None` when there is none.
    async fn change_account(&self, id: AccountId, change: &AccountChange) -> Result<Option<Account>, StoreError>;

    /// Deletes an account in one step: itself, its links and its sessions. Its address, its `external_id` and its
    /// identities are free for others, its id is not given again. The change log ends all of its tokens, those of every
    /// epoch ([`Epoch::GONE`]). False when there is none.
    async fn delete_account(&self, id: AccountId) -> Result<bool, StoreError>;

    /// Replaces a password hash by one of the same password, if it still is `current`; no epoch moves.
    async fn replace_password_hash(&self, id: AccountId, current: &str, new: &str) -> Result<bool, StoreError>;

    /// Sets the hash of a password that the owner of a session chose, if the account is active, its epoch is still
    /// the one that was read with what proved the owner, and the session is its own. Bumps the epoch, so that no
    /// sign-in under way with the old password makes a session, and ends every session but `keep`, each with an
    /// entry in the change log: the tokens of `keep` hold on.
    async fn change_own_password(
        &self,
        id: AccountId,
        epoch: Epoch,
        hash: &str,
        keep: SessionId,
    ) -> Result<bool, StoreError>;
}

/// A session to be made.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Its id, derived from a fresh handle.
    pub id: SessionId,
    /// With which client.
    pub client: ClientId,
    /// For what.
    pub scope: Scope,
    /// See [`Session::user_agent`].
    pub user_agent: String,
    /// Where its account signs in from; known to the account from then on, see [`SessionStore::knows_source`].
    pub source: Option<SourceId>,
    /// Limits of today.
    pub rules: Rules,
}

impl NewSession {
    /// The session of `account` as it is kept first, at generation 0.
    pub fn begin(&self, account: AccountId, now: Timestamp) -> Session {
        let mut session = Session {
            id: self.id,
            account,
            client: self.client.clone(),
            scope: self.scope.clone(),
            created_at: now,
            generation: 0,
            rotated_at: now,
            superseded: Vec::new(),
            access_expires_at: now,
            refresh_ended: false,
            user_agent: self.user_agent.clone(),
        };
        session.access_expires_at = session.next_access_expiry(&self.rules, now);
        session
    }
}

/// A session that came to be or went on, with what its access token must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStart {
    /// The session after the step.
    pub session: Session,
    /// The account as it is now, its fresh claims among it.
    pub account: Account,
    /// The store's clock at the step: `iat`.
    pub now: Timestamp,
    /// `exp` of the access token to be signed; kept before it is signed.
    pub access_expires_at: Timestamp,
}

/// What became of a presented refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The session moved on one generation; hand out `session.generation`.
    Rotated(SessionStart),
    /// Superseded within the grace: hand out `session.generation` again.
    Repeated(SessionStart),
    /// The store had lost writes; hand out `session.generation`.
    FastForwarded {
        /// The session after the step.
        start: SessionStart,
        /// How many generations were lost.
        gap: u32,
    },
    /// A used token came back: the session was ended.
    Theft {
        /// Whose session it was.
        account: AccountId,
    },
    /// It does not hold; nothing changed.
    Refused(Refusal),
}

/// Which of an account's sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sessions {
    /// The one of this id.
    One(SessionId),
    /// Those with this client.
    With(ClientId),
}

impl Sessions {
    /// Whether this one of the account's is among them.
    pub fn contain(&self, session: &Session) -> bool {
        match self {
            Self::One(id) => session.id == *id,
            Self::With(client) => session.client == *client,
        }
    }
}

/// Sessions.
#[async_trait]
pub trait SessionStore {
    /// Makes a session of the account, at most [`MOST_SESSIONS`] of them, if it is active and its epoch is still the
    /// one given, as read together with what proved the caller; `None` otherwise.
    async fn create_session(
        &self,
        account: AccountId,
        epoch: Epoch,
        session: &NewSession,
    ) -> Result<Option<SessionStart>, StoreError>;

    /// Judges a presented refresh token by [`Session::judge`] and carries the verdict out, in one step. An
    /// unknown session is [`Refusal::Ended`].
    async fn rotate_session(&self, presented: &Presented, rules: &Rules) -> Result<Rotation, StoreError>;

    /// The session of this id.
    async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError>;

    /// The session of this id and its account, read together, where the account is active.
    async fn active_session(&self, id: SessionId) -> Result<Option<(Session, Account)>, StoreError>;

    /// The account's sessions, up to `limit` of them, the last used first.
    async fn sessions_of(&self, account: AccountId, limit: u32) -> Result<Vec<Session>, StoreError>;

    /// Deletes such sessions of the account and logs the end of each, in one step. Which there were.
    async fn end_sessions(&self, account: AccountId, which: &Sessions) -> Result<Vec<SessionId>, StoreError>;

    /// Ends the refresh tokens of the account with this client; access tokens live on. How many sessions had any.
    async fn end_refreshing(&self, account: AccountId, client: &ClientId) -> Result<u64, StoreError>;

    /// Whether the account of this canonical address made a session from this source since then.
    async fn knows_source(&self, email_key: &str, source: SourceId, since: Timestamp) -> Result<bool, StoreError>;

    /// Deletes up to `limit` sessions that passed a limit of `rules` and have no living access token, up to
    /// `limit` change-log entries past their `until`, and up to `limit` sources that nobody signed in from for
    /// [`SOURCE_KNOWN_FOR`]. How many went.
    async fn sweep_expired(&self, rules: &Rules, limit: u32) -> Result<u64, StoreError>;
}

/// A signing key as kept: the private half sealed.
#[derive(Clone)]
pub struct StoredKey {
    /// `kid`.
    pub kid: String,
    /// JWA name: `EdDSA`, `ES256`, `RS256`.
    pub algorithm: String,
    /// PKCS#8, sealed under a key derived from the master secret.
    pub sealed: Vec<u8>,
    /// When it was made, and so published.
    pub created_at: Timestamp,
    /// From when on it signs, until a later one does.
    pub signs_from: Timestamp,
}

/// Signing keys.
#[async_trait]
pub trait KeyStore {
    /// All keys, by `signs_from`.
    async fn keys(&self) -> Result<Vec<StoredKey>, StoreError>;

    /// Keeps a key and logs it, in one step, if the keys kept are exactly `known`; false when somebody else
    /// was faster.
    async fn insert_key(&self, key: &StoredKey, known: &[String]) -> Result<bool, StoreError>;

    /// Replaces what is kept of a key by the same key sealed anew, if it still is `current`; false when it is not. It is
    /// not logged: whoever knows the key goes on.
    async fn reseal_key(&self, kid: &str, current: &[u8], sealed: &[u8]) -> Result<bool, StoreError>;

    /// Deletes a key and logs it, in one step: what it signed holds no more. False when there is none.
    async fn delete_key(&self, kid: &str) -> Result<bool, StoreError>;
}

/// How far a node has read the change log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Random, made with the log; another one is another log.
    pub log_id: [u8; 16],
    /// The last entry read; 0 when the log was empty.
    pub last: u64,
}

/// What was read of the change log.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The entries: those after the cursor, or all.
    pub entries: Vec<Change>,
    /// Where to go on.
    pub cursor: Cursor,
    /// The whole log was read, since the cursor could not be continued from. The entries then end with
    /// [`Change::Keys`] and [`Change::Clients`], of which some may have been missed.
    pub whole: bool,
}

/// Who this deployment is, and proof of its master secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Random, made with the store.
    pub id: [u8; 16],
    /// HMAC of "check" and the id under the master secret.
    pub master_check: [u8; 32],
}

/// The change log and the deployment.
#[async_trait]
pub trait ChangeStore {
    /// Entries after `cursor`; the whole log when there is no cursor, it is of another log, or its last entry
    /// is gone.
    async fn read_changes(&self, cursor: Option<Cursor>) -> Result<Changes, StoreError>;

    /// Returns when there may be something to read; also now and then without cause.
    async fn wait_for_changes(&self);

    /// Writes what a node remembers to log and rows again, idempotently: ended sessions are deleted, epochs
    /// raised to at least `min_epoch`. An account whose epoch had to be raised loses its sessions: whether they
    /// were ended with it is not remembered. One whose epoch is gone is deleted. [`Change::Keys`] and [`Change::Clients`] have nothing to restore.
    async fn reapply_changes(&self, changes: &[Change]) -> Result<(), StoreError>;

    /// The deployment; `None` in a store that was never claimed.
    async fn deployment(&self) -> Result<Option<Deployment>, StoreError>;

    /// Claims a fresh store; whoever came first is returned.
    async fn claim_deployment(&self, deployment: &Deployment) -> Result<Deployment, StoreError>;

    /// Puts the deployment under another master secret and logs it as [`Change::Keys`], in one step, if it still is
    /// `current`; false when it is not.
    async fn replace_master_check(&self, current: &Deployment, master_check: &[u8; 32]) -> Result<bool, StoreError>;

    /// How the store is, found out by trying; an error says the same as [`Health::Unreachable`], and why.
    async fn ping(&self) -> Result<Health, StoreError>;

    /// Ends when all that was asked is kept and nothing of the store is held any more. What is asked later fails.
    async fn close(&self) {}
}
