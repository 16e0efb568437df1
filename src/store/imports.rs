//! Accounts that come from another system, many at once, with the identities that they have there.

use async_trait::async_trait;

use super::StoreError;
use crate::model::{Account, AccountId};

/// An account to be taken over. Its `external_id` tells whether it was before.
#[derive(Clone)]
pub struct Import {
    /// The account.
    pub account: Account,
    /// The canonical form of `account.email`.
    pub email_key: Option<String>,
    /// Its password hash, in whatever format it came.
    pub password_hash: Option<String>,
    /// Its identities.
    pub links: Vec<ImportedLink>,
}

/// An identity at a provider, as the other system knew it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImportedLink {
    /// The provider's key in the configuration.
    pub provider: String,
    /// What the other system knew the person by.
    pub uid: String,
    /// `uid` is an address instead of the provider's own id. The first identity whose verified address it is takes
    /// the link over: see [`LinkStore::sign_in_by_link`](super::LinkStore::sign_in_by_link).
    pub by_email: bool,
}

/// What became of an [`Import`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The account of this `external_id`, if there was one: it is left as it is, but gets the links that it lacks.
    pub present: Option<Account>,
    /// The account that has the address, so that the new one comes without it.
    pub address_of: Option<AccountId>,
    /// One for each link.
    pub links: Vec<LinkOutcome>,
}

/// What became of an [`ImportedLink`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkOutcome {
    /// It is kept.
    New,
    /// The account had it already.
    Present,
    /// Another account has it.
    Taken,
}

/// Taking accounts over.
#[async_trait]
pub trait ImportStore {
    /// What [`ImportStore::import_accounts`] would answer; nothing is written.
    async fn judge_imports(&self, imports: Vec<Import>) -> Result<Vec<Imported>, StoreError>;

    /// Keeps those that are not there yet, each with its links, all of them in one step. Of two that are in each
    /// other's way, the first is kept first.
    async fn import_accounts(&self, imports: Vec<Import>) -> Result<Vec<Imported>, StoreError>;
}
