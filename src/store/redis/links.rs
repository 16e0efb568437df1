//! Identities at providers: [`LinkStore`].
//!
//! A link is a field of its account; the claim to the identity leads there.

use std::sync::LazyLock;

use super::{
    RedisStore,
    claims::{Claim, Unique},
    codec::{self, KeptLink},
    names::field::{self, EMAIL, PASSWORD},
    record::{Record, Whole},
    script::Script,
    sessions::Replaced,
};
use crate::{
    model::{Account, AccountId, Link, LinkKey},
    store::{DeleteLink, InsertLink, LinkSignIn, LinkStore, Names, NewSession, StoreError},
};
use async_trait::async_trait;

static LINK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/link.lua")));
static UNLINK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/unlink.lua")));

#[async_trait]
impl LinkStore for RedisStore {
    async fn sign_in_by_link(
        &self,
        key: &LinkKey,
        verified_email: Option<&str>,
        names: Option<&Names>,
        session: &NewSession,
    ) -> Result<LinkSignIn, StoreError> {
        let (store, key, names, session) = (self.clone(), key.clone(), names.cloned(), session.clone());
        let email = verified_email.map(str::to_owned);
        self.to_its_end(async move { store.sign_in(&key, email.as_deref(), names.as_ref(), &session).await }).await
    }

    async fn linked_account(&self, key: &LinkKey) -> Result<Option<AccountId>, StoreError> {
        let owner = self.within(self.owner(&Unique::Link(key))).await?;
        Ok(owner.map(|owner| owner.account.id))
    }

    async fn insert_link(&self, account: AccountId, key: &LinkKey) -> Result<InsertLink, StoreError> {
        let (store, key) = (self.clone(), key.clone());
        self.to_its_end(async move { store.link_up(account, &key).await }).await
    }

    async fn links(&self, account: AccountId) -> Result<Vec<Link>, StoreError> {
        let whole = self.within(self.whole(account)).await?;
        Ok(whole.into_iter().flat_map(|whole| whole.links).map(|kept| kept.link).collect())
    }

    async fn delete_link(
        &self,
        account: AccountId,
        provider: &str,
        id: i64,
        usable: &[String],
    ) -> Result<DeleteLink, StoreError> {
        let (store, provider, usable) = (self.clone(), provider.to_owned(), usable.to_vec());
        self.to_its_end(async move { store.unlink(account, &provider, id, &usable).await }).await
    }
}

impl RedisStore {
    async fn sign_in(
        &self,
        key: &LinkKey,
        verified_email: Option<&str>,
        names: Option<&Names>,
        session: &NewSession,
    ) -> Result<LinkSignIn, StoreError> {
        let rename = |account: &mut Account| {
            if let Some(Names { first, last }) = names {
                account.first_name.clone_from(first);
                account.last_name.clone_from(last);
            }
        };
        let what = Unique::Link(key);
        loop {
            if let Some(owner) = self.owner(&what).await? {
                let id = owner.account.id;
                let begun = self.begin(id, session, |_| true, rename, None).await?;
                return Ok(begun.map_or(LinkSignIn::Inactive(id), LinkSignIn::SignedIn));
            }
            let Some(email) = verified_email else { return Ok(LinkSignIn::Unknown) };
            let waiting = Unique::LinkByEmail(&key.provider, email);
            let Some(Record { account, .. }) = self.owner(&waiting).await? else { return Ok(LinkSignIn::Unknown) };
            let links = self.whole(account.id).await?.into_iter().flat_map(|whole| whole.links);
            let Some(link) = links.into_iter().find(|link| waiting.is_in(link)) else {
                return Ok(LinkSignIn::Unknown);
            };
            if link.is_of(key) {
                // Whoever took it over died before it was confirmed.
                if self.claim(&what, account.id).await? {
                    self.confirm(&what, account.id).await?;
                }
                continue;
            }
            if !link.waiting {
                return Ok(LinkSignIn::Unknown);
            }
            if !account.active {
                return Ok(LinkSignIn::Inactive(account.id));
            }
            // The claim leads to an account that has not got the identity yet: it counts for nothing until it has.
            if !self.claim(&what, account.id).await? {
                continue;
            }
            let row = codec::write_link(&key.provider, Some(&key.subject), Some(email), link.link.created_at)?;
            let taken = Replaced { field: field::link(link.link.id), from: link.text, to: row };
            if let Some(start) = self.begin(account.id, session, |_| true, rename, Some(&taken)).await? {
                // Somebody who tried the same and found the account inactive may have given it up.
                if !self.confirm(&what, account.id).await? && self.claim(&what, account.id).await? {
                    self.confirm(&what, account.id).await?;
                }
                return Ok(LinkSignIn::TakenOver(start));
            }
            // Another identity of the address was faster, or the same one, or the account was deactivated.
            if self.owner(&what).await?.is_none() {
                self.give_up(&what, account.id).await?;
            }
        }
    }

    async fn link_up(&self, id: AccountId, key: &LinkKey) -> Result<InsertLink, StoreError> {
        let what = Unique::Link(key);
        // Somebody may be about to link the same account: then that one is waited for, as everybody is.
        let present = match self.settled(&what, id).await? {
            Claim::Of(owner) if owner.account.id != id => return Ok(InsertLink::Taken),
            Claim::Of(_) => true,
            Claim::Free(_) | Claim::Awaited(_) => false,
        };
        if !self.record(id).await?.is_some_and(|record| record.account.active) {
            return Ok(InsertLink::NoAccount);
        }
        if !present && !self.claim(&what, id).await? {
            let owner = self.owner(&what).await?;
            if owner.is_none_or(|owner| owner.account.id != id) {
                return Ok(InsertLink::Taken);
            }
        }
        loop {
            let whole = self.whole(id).await?.filter(|whole| whole.record.account.active);
            let Some(Whole { record, links, .. }) = whole else {
                self.give_up(&what, id).await?;
                return Ok(InsertLink::NoAccount);
            };
            if let Some(present) = links.into_iter().find(|link| link.is_of(key)) {
                self.confirm(&what, id).await?;
                return Ok(InsertLink::Present(present.link));
            }
            let link = Link { id: self.next_link_id().await?, key: key.clone(), created_at: record.now };
            let row = codec::write_link(&key.provider, Some(&key.subject), None, record.now)?;
            let start = codec::link_start(&key.provider, Some(&key.subject), None)?;
            if self.insert_link_row(&record, link.id, row, start).await? {
                self.confirm(&what, id).await?;
                return Ok(InsertLink::Inserted(link));
            }
            self.yield_to_others().await;
        }
    }

    async fn unlink(
        &self,
        account: AccountId,
        provider: &str,
        id: i64,
        usable: &[String],
    ) -> Result<DeleteLink, StoreError> {
        loop {
            let Some(Whole { record, links, .. }) = self.whole(account).await? else {
                return Ok(DeleteLink::Unknown);
            };
            let (own, others): (Vec<_>, Vec<_>) = links.into_iter().partition(|kept| kept.link.id == id);
            let Some(own) = own.into_iter().find(|kept| kept.link.key.provider == provider) else {
                return Ok(DeleteLink::Unknown);
            };
            let has_password = record.password_hash.is_some() && record.email_key.is_some();
            let other = others.iter().find(|kept| usable.contains(&kept.link.key.provider));
            let way_in = match other {
                _ if has_password => vec![PASSWORD.to_owned(), EMAIL.to_owned()],
                Some(other) => vec![field::link(other.link.id)],
                None => return Ok(DeleteLink::LastWay),
            };
            let mut script = UNLINK.prepare();
            script.key(self.0.names.account(account)).arg(field::link(id)).arg(way_in);
            if self.0.connection.run_once(&script).await? {
                self.leave_link(&own, account).await?;
                return Ok(DeleteLink::Deleted);
            }
            self.yield_to_others().await;
        }
    }

    /// Leaves what only one may have of a link that the account has not got any more.
    pub(super) async fn leave_link(&self, link: &KeptLink, own: AccountId) -> Result<(), StoreError> {
        if !link.waiting {
            self.leave(&Unique::Link(&link.link.key), own).await?;
        }
        if let Some(email) = &link.by_email {
            self.leave(&Unique::LinkByEmail(&link.link.key.provider, email), own).await?;
        }
        Ok(())
    }

    /// Adds a link to an account that still is as it was read, if it has none whose row begins with `start`.
    pub(super) async fn insert_link_row(
        &self,
        record: &Record,
        id: i64,
        row: String,
        start: String,
    ) -> Result<bool, StoreError> {
        let mut script = LINK.prepare();
        script.key(self.0.names.account(record.account.id)).arg(&record.text);
        script.arg(field::link(id)).arg(row).arg(start);
        self.0.connection.run(&script).await
    }

    /// An id for a link, given once.
    pub(super) async fn next_link_id(&self) -> Result<i64, StoreError> {
        let mut next = redis::cmd("INCR");
        next.arg(self.0.names.last_link());
        self.0.connection.query(&next).await
    }
}
