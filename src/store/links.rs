//! Identities at providers, and whose they are.

use async_trait::async_trait;

use super::{NewSession, SessionStart, StoreError};
use crate::model::{AccountId, Link, LinkKey};

/// What a provider calls a person, for an account to take over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Given name.
    pub first: String,
    /// Family name.
    pub last: String,
}

/// What became of a sign-in by a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkSignIn {
    /// The session is made.
    SignedIn(SessionStart),
    /// The same, and the identity took over a link that was imported under its address.
    TakenOver(SessionStart),
    /// The account is deactivated; nothing changed.
    Inactive(AccountId),
    /// No account is linked to the identity.
    Unknown,
}

/// What became of a link to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InsertLink {
    /// It is kept.
    Inserted(Link),
    /// The account had it already.
    Present(Link),
    /// Another account has it.
    Taken,
    /// The account is deactivated, or none.
    NoAccount,
}

/// What became of a link to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteLink {
    /// It is gone.
    Deleted,
    /// The account has no such link.
    Unknown,
    /// It is the only way in to the account, and stays.
    LastWay,
}

/// Identities at providers, and whose they are.
#[async_trait]
pub trait LinkStore {
    /// Makes a session of the account that is linked to `key`, in one step, and has it take over `names`. Where none
    /// is, a link of the provider that was imported under `verified_email`, exactly so spelt, is `key`'s from then
    /// on; its account signs in. That happens once: the address opens nothing any more, to whomever it goes later.
    async fn sign_in_by_link(
        &self,
        key: &LinkKey,
        verified_email: Option<&str>,
        names: Option<&Names>,
        session: &NewSession,
    ) -> Result<LinkSignIn, StoreError>;

    /// The account that is linked to `key`.
    async fn linked_account(&self, key: &LinkKey) -> Result<Option<AccountId>, StoreError>;

    /// Links an active account to `key`, if nobody else is.
    async fn insert_link(&self, account: AccountId, key: &LinkKey) -> Result<InsertLink, StoreError>;

    /// The account's links, oldest first.
    async fn links(&self, account: AccountId) -> Result<Vec<Link>, StoreError>;

    /// Deletes the account's link of this id and provider, unless it could not sign in without it: there must be a
    /// password with an address, or another link to one of the `usable` providers.
    async fn delete_link(
        &self,
        account: AccountId,
        provider: &str,
        id: i64,
        usable: &[String],
    ) -> Result<DeleteLink, StoreError>;
}
