//! Accounts that come from another system: [`ImportStore`].
//!
//! Each is a step of its own, made as a sign-up makes one; what it is to become was judged for all of them before, so
//! that of two which are in each other's way the first is kept whichever is written first.

use async_trait::async_trait;
use futures_util::future::try_join_all;

use super::{RedisStore, claims::Unique, codec, enrolment::account_fields, names::field, record::Whole};
use crate::{
    model::{Account, AccountId, LinkKey},
    store::{Import, ImportStore, Imported, ImportedLink, LinkOutcome, StoreError, imports::Known},
};

/// Accounts looked at or written at once.
const AT_ONCE: usize = 64;

#[async_trait]
impl ImportStore for RedisStore {
    async fn judge_imports(&self, imports: Vec<Import>) -> Result<Vec<Imported>, StoreError> {
        let mut known = self.known(&imports).await?;
        Ok(imports.iter().map(|import| known.judge(import)).collect())
    }

    async fn import_accounts(&self, imports: Vec<Import>) -> Result<Vec<Imported>, StoreError> {
        let outcomes = self.judge_imports(imports.clone()).await?;
        let mut all: Vec<_> = imports.into_iter().zip(outcomes).collect();
        // Those that lead to an account of another one come after it.
        for present in [false, true] {
            let mut such = all.iter_mut().filter(|(_, outcome)| outcome.present.is_some() == present);
            loop {
                let some: Vec<_> = such.by_ref().take(AT_ONCE).collect();
                if some.is_empty() {
                    break;
                }
                let kept = try_join_all(some.iter().map(|(import, outcome)| {
                    let (store, import, outcome) = (self.clone(), import.clone(), outcome.clone());
                    self.to_its_end(async move { store.take_in(&import, outcome).await })
                }));
                let kept = kept.await?;
                for ((_, outcome), kept) in some.into_iter().zip(kept) {
                    *outcome = kept;
                }
            }
        }
        Ok(all.into_iter().map(|(_, outcome)| outcome).collect())
    }
}

impl RedisStore {
    async fn known(&self, imports: &[Import]) -> Result<Known, StoreError> {
        let all = || imports.iter().map(|import| (import.account.external_id.as_ref(), import.email_key.as_ref()));
        let external_ids: Vec<_> = all().filter_map(|(external_id, _)| external_id).collect();
        let email_keys: Vec<_> = all().filter_map(|(_, email_key)| email_key).collect();
        let links: Vec<_> = imports.iter().flat_map(|import| &import.links).map(|link| (link, key(link))).collect();
        Ok(Known {
            by_external_id: self
                .owners(&external_ids, |id| Unique::ExternalId(id))
                .await?
                .map(|(id, account)| ((*id).clone(), account))
                .collect(),
            by_email_key: self
                .owners(&email_keys, |email| Unique::Email(email))
                .await?
                .map(|(email, account)| ((*email).clone(), account.id))
                .collect(),
            links: self
                .owners(&links, |(link, key)| unique(link, key))
                .await?
                .map(|((link, _), account)| ((*link).clone(), account.id))
                .collect(),
        })
    }

    /// Those that have an owner, with it.
    async fn owners<'a, T>(
        &self,
        all: &'a [T],
        what: impl Fn(&'a T) -> Unique<'a>,
    ) -> Result<impl Iterator<Item = (&'a T, Account)>, StoreError> {
        let mut owners = Vec::with_capacity(all.len());
        for some in all.chunks(AT_ONCE) {
            let whats: Vec<_> = some.iter().map(&what).collect();
            owners.extend(self.within(try_join_all(whats.iter().map(|what| self.owner(what)))).await?);
        }
        Ok(all.iter().zip(owners).filter_map(|(one, owner)| Some((one, owner?.account))))
    }

    /// Keeps what was judged to be new, unless somebody else was faster.
    async fn take_in(&self, import: &Import, mut outcome: Imported) -> Result<Imported, StoreError> {
        let own = outcome.present.as_ref().map_or(import.account.id, |present| present.id);
        let keys: Vec<_> = import.links.iter().map(key).collect();
        let links = import.links.iter().zip(&keys);
        let mut new = Vec::new();
        for ((link, key), outcome) in links.zip(&mut outcome.links) {
            let what = unique(link, key);
            if *outcome == LinkOutcome::New {
                match self.claim_or_owner(&what, own).await? {
                    None => new.push((link, what)),
                    Some(owner) if owner == own => *outcome = LinkOutcome::Present,
                    Some(_) => *outcome = LinkOutcome::Taken,
                }
            }
        }
        if outcome.present.is_some() {
            for (link, what) in &new {
                self.add_link(own, link, what).await?;
                self.confirm(what, own).await?;
            }
            return Ok(outcome);
        }

        let mut claims: Vec<_> = new.iter().map(|(_, what)| *what).collect();
        if let Some(external_id) = import.account.external_id.as_deref().map(Unique::ExternalId) {
            if self.claim_or_owner(&external_id, own).await?.is_some() {
                return Err(StoreError::Unavailable("the same account is being imported by somebody else".into()));
            }
            claims.push(external_id);
        }
        let mut email = import.email_key.as_deref().filter(|_| outcome.address_of.is_none());
        if let Some(what) = email.map(Unique::Email) {
            outcome.address_of = self.claim_or_owner(&what, own).await?;
            claims.extend(outcome.address_of.is_none().then_some(what));
        }
        let mut account = import.account.clone();
        if outcome.address_of.is_some() {
            email = None;
            (account.email, account.email_verified) = (None, false);
        }
        let now = self.time_now().await?;
        let mut fields = account_fields(&account, import.password_hash.as_deref(), email)?;
        for (link, _) in &new {
            let (subject, by_email) = named(link);
            let row = codec::write_link(&link.provider, subject, by_email, now)?;
            fields.push((field::link(self.next_link_id().await?), row));
        }
        self.insert_unseen(own, fields, &[], now).await?;
        self.show(&claims, own).await?;
        Ok(outcome)
    }

    /// Claims it for an account, unless somebody has it: then whose it is.
    async fn claim_or_owner(&self, what: &Unique<'_>, own: AccountId) -> Result<Option<AccountId>, StoreError> {
        loop {
            if self.claim(what, own).await? {
                return Ok(None);
            }
            if let Some(owner) = self.owner(what).await? {
                return Ok(Some(owner.account.id));
            }
        }
    }

    /// Adds a link that is claimed to an account, if it is not there.
    async fn add_link(&self, id: AccountId, link: &ImportedLink, what: &Unique<'_>) -> Result<(), StoreError> {
        let (subject, by_email) = named(link);
        loop {
            let Some(Whole { record, links, .. }) = self.whole(id).await? else {
                return Err(StoreError::Unavailable(format!("the account {id} was deleted meanwhile").into()));
            };
            if links.iter().any(|link| what.is_in(link)) {
                return Ok(());
            }
            let row = codec::write_link(&link.provider, subject, by_email, record.now)?;
            let start = codec::link_start(&link.provider, subject, by_email)?;
            if self.insert_link_row(&record, self.next_link_id().await?, row, start).await? {
                return Ok(());
            }
            self.yield_to_others().await;
        }
    }
}

fn key(link: &ImportedLink) -> LinkKey {
    LinkKey { provider: link.provider.clone(), subject: link.uid.clone() }
}

fn unique<'a>(link: &'a ImportedLink, key: &'a LinkKey) -> Unique<'a> {
    if link.by_email { Unique::LinkByEmail(&link.provider, &link.uid) } else { Unique::Link(key) }
}

/// The subject or the address that a link is kept by.
fn named(link: &ImportedLink) -> (Option<&str>, Option<&str>) {
    if link.by_email { (None, Some(&link.uid)) } else { (Some(&link.uid), None) }
}
