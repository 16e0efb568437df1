//! Accounts that come from another system, many at once, with the identities that they have there.

use std::collections::HashMap;

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

    /// Keeps those that are not there yet, each with its links in one step. Of two that are in each other's way, the
    /// first is kept. When it fails, some may be kept already: the same call again completes it.
    async fn import_accounts(&self, imports: Vec<Import>) -> Result<Vec<Imported>, StoreError>;
}

/// What is there of all that the imports name, those that were judged before included.
pub(super) struct Known {
    pub by_external_id: HashMap<String, Account>,
    pub by_email_key: HashMap<String, AccountId>,
    pub links: HashMap<ImportedLink, AccountId>,
}

impl Known {
    /// What becomes of the next import, which the one after it finds there.
    pub fn judge(&mut self, import: &Import) -> Imported {
        let Import { account, email_key, links, .. } = import;
        let present = account.external_id.as_ref().and_then(|id| self.by_external_id.get(id)).cloned();
        let id = present.as_ref().map_or(account.id, |present| present.id);
        let mut address_of = None;
        if present.is_none() {
            address_of = email_key.as_ref().and_then(|key| self.by_email_key.get(key)).copied();
            if let (Some(key), None) = (email_key, address_of) {
                self.by_email_key.insert(key.clone(), id);
            }
            if let Some(external_id) = &account.external_id {
                self.by_external_id.insert(external_id.clone(), account.clone());
            }
        }
        let links = links.iter().map(|link| match self.links.get(link) {
            Some(owner) if *owner == id => LinkOutcome::Present,
            Some(_) => LinkOutcome::Taken,
            None => {
                self.links.insert(link.clone(), id);
                LinkOutcome::New
            }
        });
        Imported { present, address_of, links: links.collect() }
    }
}
