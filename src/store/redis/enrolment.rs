//! Accounts that come to be, with their link and their first session.
//!
//! What only one may have is claimed first; then the account is written, not to be seen yet; then the claims are
//! confirmed; then it is seen. When we die in between, claims and account go by themselves, and nobody has seen them.

use std::{sync::LazyLock, time::Duration};

use super::{
    RedisStore,
    accounts::Alteration,
    claims::{Claim, Unique},
    codec, millis,
    names::field::{self, ACCOUNT, EMAIL, PASSWORD},
    script::Script,
    sessions::{source, sources_kept},
};
use crate::{
    clock::Timestamp,
    model::{Account, AccountId},
    session::Session,
    store::{AccountChange, Enrolment, InsertAccount, SessionStart, StoreError},
};

static INSERT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/insert.lua")));
static SHOW: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/show.lua")));

/// How long an account waits to be seen: longer than its claims, which so never lead to nothing while they hold.
const UNSEEN: Duration = Duration::from_mins(2);

impl RedisStore {
    pub(super) async fn enrol(&self, new: &Enrolment) -> Result<InsertAccount, StoreError> {
        let own = new.account.id;
        let link = new.link.as_ref().map(Unique::Link);
        let external_id = new.account.external_id.as_deref().map(Unique::ExternalId);
        let email = new.email_key.as_deref().map(Unique::Email);
        if let Some(link) = &link
            && !self.claim(link, own).await?
        {
            return Ok(InsertAccount::LinkTaken);
        }
        // Looked at before the external id, which nobody can do anything about, and claimed after it, so that an
        // enrolment which is refused takes no address from anybody.
        let is_free = match &email {
            Some(email) => match self.settled(email, own).await? {
                Claim::Of(owner) => reclaims(new, &owner.account),
                Claim::Free(_) | Claim::Awaited(_) => true,
            },
            None => true,
        };
        if !is_free {
            self.give_up_all([link], own).await?;
            return Ok(InsertAccount::EmailTaken);
        }
        if let Some(external_id) = &external_id
            && !self.claim(external_id, own).await?
        {
            self.give_up_all([link], own).await?;
            return Ok(InsertAccount::ExternalIdTaken);
        }
        let reclaimed = match &email {
            Some(email) => {
                let Ok(reclaimed) = self.claim_address(email, new).await? else {
                    self.give_up_all([link, external_id], own).await?;
                    return Ok(InsertAccount::EmailTaken);
                };
                reclaimed
            }
            None => None,
        };
        let start = self.insert(new).await?;
        let claims: Vec<_> = [link, external_id, email].into_iter().flatten().collect();
        self.show(&claims, own).await?;
        Ok(InsertAccount::Inserted { session: start, reclaimed })
    }

    /// Claims the address, if need be from an account that loses it; which one that was.
    async fn claim_address(
        &self,
        email: &Unique<'_>,
        new: &Enrolment,
    ) -> Result<Result<Option<AccountId>, Taken>, StoreError> {
        let own = new.account.id;
        loop {
            match self.settled(email, own).await? {
                Claim::Of(owner) if reclaims(new, &owner.account) => {
                    let owner = owner.account.id;
                    if self.take_over(email, owner, own).await? {
                        self.take_address(owner).await?;
                        return Ok(Ok(Some(owner)));
                    }
                }
                Claim::Of(_) => return Ok(Err(Taken)),
                Claim::Free(_) | Claim::Awaited(_) => {
                    if self.claim(email, own).await? {
                        return Ok(Ok(None));
                    }
                }
            }
        }
    }

    /// Takes its address from an account and locks it.
    async fn take_address(&self, id: AccountId) -> Result<(), StoreError> {
        let mut note = None;
        loop {
            let Some(record) = self.record(id).await? else { return Ok(()) };
            let mut account = record.account.clone();
            let effect = AccountChange::Active(false).carry_out(&mut account);
            account.email = None;
            let alteration = Alteration { record: &record, account, password: None, loses_address: true, effect };
            if self.write(&mut note, alteration).await?.is_some() {
                return Ok(());
            }
        }
    }

    /// Writes the account, with its link and its session, for nobody to see.
    async fn insert(&self, new: &Enrolment) -> Result<Option<SessionStart>, StoreError> {
        let own = new.account.id;
        let now = self.time_now().await?;
        let begun = new.session.as_ref().filter(|_| new.account.active);
        let session = begun.map(|session| session.begin(own, now));
        if let (Some(session), Some(begun)) = (&session, begun) {
            self.point(session.id, own, &begun.rules).await?;
        }
        let fields = self.fields(new, session.as_ref(), now).await?;
        self.insert_unseen(own, fields, begun.map_or(&[][..], source), now).await?;
        let start = |session: Session| SessionStart {
            access_expires_at: session.access_expires_at,
            session,
            account: new.account.clone(),
            now,
        };
        Ok(session.map(start))
    }

    /// Writes an account's hash, for nobody to see, and where it signed in from, if it did.
    pub(super) async fn insert_unseen(
        &self,
        own: AccountId,
        fields: Vec<(String, String)>,
        source: &[u8],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut list = redis::cmd("ZADD");
        list.arg(self.0.names.accounts()).arg(0).arg(own.to_string());
        self.0.connection.query::<()>(&list).await?;

        let mut script = INSERT.prepare();
        script.key(self.0.names.account(own)).key(self.0.names.sources(own));
        script.arg(millis(UNSEEN)).arg(source).arg(now.millis()).arg(sources_kept());
        for (field, value) in fields {
            script.arg(field).arg(value);
        }
        if !self.0.connection.run::<bool>(&script).await? {
            return Err(StoreError::Corrupt(format!("there is an account {own} already")));
        }
        Ok(())
    }

    /// Confirms what was claimed for an account, then lets it be seen.
    pub(super) async fn show(&self, claims: &[Unique<'_>], own: AccountId) -> Result<(), StoreError> {
        for claimed in claims {
            if !self.confirm(claimed, own).await? {
                return Err(StoreError::Unavailable("a claim was given up before it was confirmed".into()));
            }
        }
        let mut script = SHOW.prepare();
        script.key(self.0.names.account(own));
        if !self.0.connection.run::<bool>(&script).await? {
            return Err(StoreError::Unavailable("the account went before it was seen".into()));
        }
        Ok(())
    }

    /// The account's hash.
    async fn fields(
        &self,
        new: &Enrolment,
        session: Option<&Session>,
        now: Timestamp,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let mut fields = account_fields(&new.account, new.password_hash.as_deref(), new.email_key.as_deref())?;
        if let Some(session) = session {
            fields.push((field::session(session.id), codec::write_session(session)?));
        }
        if let Some(key) = &new.link {
            fields.push((
                field::link(self.next_link_id().await?),
                codec::write_link(&key.provider, Some(&key.subject), None, now)?,
            ));
        }
        Ok(fields)
    }

    async fn give_up_all<const N: usize>(
        &self,
        claims: [Option<Unique<'_>>; N],
        own: AccountId,
    ) -> Result<(), StoreError> {
        for claim in claims.iter().flatten() {
            self.give_up(claim, own).await?;
        }
        Ok(())
    }
}

/// What an account's hash begins with.
pub(super) fn account_fields(
    account: &Account,
    password_hash: Option<&str>,
    email_key: Option<&str>,
) -> Result<Vec<(String, String)>, StoreError> {
    let mut fields = vec![(ACCOUNT.to_owned(), codec::write_account(account)?)];
    fields.extend(password_hash.map(|hash| (PASSWORD.to_owned(), hash.to_owned())));
    fields.extend(email_key.map(|key| (EMAIL.to_owned(), key.to_owned())));
    Ok(fields)
}

/// Another account has the address.
struct Taken;

/// Whether the enrolment takes the address from its owner. One that was imported is its owner's, whether or not
/// somebody vouched for the address.
fn reclaims(new: &Enrolment, owner: &Account) -> bool {
    new.reclaim && !owner.email_verified && owner.external_id.is_none()
}
