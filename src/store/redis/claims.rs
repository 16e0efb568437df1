//! Who has what only one may have: an address, an `external_id`, an identity at a provider.
//!
//! Each is a key with the id of its account. What counts is the account itself: a key that leads to one which is not
//! there, or does not have the thing any more, is what somebody left behind, and is taken over. Whoever is about to
//! make an account first puts its id behind a `?` for a minute, then makes the account, then takes the `?` away; who
//! finds the `?` waits for one of the two to happen.

use std::{sync::LazyLock, time::Duration};

use super::{
    RedisStore,
    codec::{self, KeptLink},
    millis,
    record::{Found, Record},
    script::Script,
};
use crate::{
    model::{AccountId, LinkKey},
    store::StoreError,
};

static CLAIM: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/claim.lua")));

/// How long a claim holds that is not confirmed.
const UNCONFIRMED: Duration = Duration::from_mins(1);

/// What one account may have.
#[derive(Clone, Copy)]
pub(super) enum Unique<'a> {
    Email(&'a str),
    ExternalId(&'a str),
    Link(&'a LinkKey),
    /// A link that was imported under an address: of this provider, the address.
    LinkByEmail(&'a str, &'a str),
}

impl Unique<'_> {
    /// Whether the link makes its account the one that has it.
    pub fn is_in(&self, link: &KeptLink) -> bool {
        match self {
            Self::Link(key) => link.is_of(key),
            Self::LinkByEmail(provider, email) => link.was_imported_by(provider, email),
            Self::Email(_) | Self::ExternalId(_) => false,
        }
    }
}

/// What a claim was found to be.
pub(super) enum Claim {
    /// Nobody's; to be replaced if it still is this text.
    Free(String),
    /// Somebody's, for whom the account is about to be made.
    Awaited(AccountId),
    /// Of this account.
    Of(Box<Record>),
}

impl RedisStore {
    /// The account that has it.
    pub(super) async fn owner(&self, what: &Unique<'_>) -> Result<Option<Record>, StoreError> {
        Ok(match self.look(what).await? {
            Claim::Of(owner) => Some(*owner),
            Claim::Free(_) | Claim::Awaited(_) => None,
        })
    }

    /// As it will be once nobody is about to make an account for it any more but `own`.
    pub(super) async fn settled(&self, what: &Unique<'_>, own: AccountId) -> Result<Claim, StoreError> {
        loop {
            match self.look(what).await? {
                Claim::Awaited(other) if other != own => self.yield_to_others().await,
                settled => return Ok(settled),
            }
        }
    }

    /// Claims it for an account about to be made, if nobody has it.
    pub(super) async fn claim(&self, what: &Unique<'_>, own: AccountId) -> Result<bool, StoreError> {
        loop {
            match self.settled(what, own).await? {
                Claim::Of(_) => return Ok(false),
                Claim::Awaited(_) => return Ok(true),
                Claim::Free(found) => {
                    if self.replace(what, &found, &unconfirmed(own), UNCONFIRMED).await? {
                        return Ok(true);
                    }
                }
            }
        }
    }

    /// Confirms a claim; false when it was given up meanwhile.
    pub(super) async fn confirm(&self, what: &Unique<'_>, own: AccountId) -> Result<bool, StoreError> {
        self.replace(what, &unconfirmed(own), &own.to_string(), Duration::ZERO).await
    }

    /// Gives up a claim that was not confirmed.
    pub(super) async fn give_up(&self, what: &Unique<'_>, own: AccountId) -> Result<(), StoreError> {
        self.replace(what, &unconfirmed(own), "", Duration::ZERO).await.map(drop)
    }

    /// Leaves what the account does not have any more.
    pub(super) async fn leave(&self, what: &Unique<'_>, own: AccountId) -> Result<(), StoreError> {
        self.replace(what, &own.to_string(), "", Duration::ZERO).await.map(drop)
    }

    /// Takes the claim from an account for one about to be made.
    pub(super) async fn take_over(
        &self,
        what: &Unique<'_>,
        from: AccountId,
        own: AccountId,
    ) -> Result<bool, StoreError> {
        self.replace(what, &from.to_string(), &unconfirmed(own), UNCONFIRMED).await
    }

    /// Replaces what was found; `for_long` of zero is for ever.
    async fn replace(&self, what: &Unique<'_>, found: &str, new: &str, for_long: Duration) -> Result<bool, StoreError> {
        let mut script = CLAIM.prepare();
        script.key(self.name(what)).arg(found).arg(new).arg(millis(for_long));
        self.0.connection.run(&script).await
    }

    async fn look(&self, what: &Unique<'_>) -> Result<Claim, StoreError> {
        let mut get = redis::cmd("GET");
        get.arg(self.name(what));
        let Some(found): Option<String> = self.0.connection.query(&get).await? else {
            return Ok(Claim::Free(String::new()));
        };
        if let Some(id) = found.strip_prefix('?') {
            let id = parse(id)?;
            // An account to be seen that has it is about to confirm it, or died before it did.
            if let Found::Account(record) = self.find(id, "").await?.0
                && self.has(&record, what).await?
                && self.confirm(what, id).await?
            {
                return Ok(Claim::Of(Box::new(record)));
            }
            return Ok(Claim::Awaited(id));
        }
        let id = parse(&found)?;
        Ok(match self.find(id, "").await?.0 {
            // Confirmed, and about to be seen.
            Found::Waiting => Claim::Awaited(id),
            Found::Account(record) if self.has(&record, what).await? => Claim::Of(Box::new(record)),
            Found::Account(_) | Found::Nothing => Claim::Free(found),
        })
    }

    /// Whether the account has it indeed.
    async fn has(&self, record: &Record, what: &Unique<'_>) -> Result<bool, StoreError> {
        Ok(match what {
            Unique::Email(key) => record.email_key.as_deref() == Some(*key),
            Unique::ExternalId(id) => record.account.external_id.as_deref() == Some(*id),
            Unique::Link(_) | Unique::LinkByEmail(..) => {
                let whole = self.whole(record.account.id).await?;
                whole.is_some_and(|whole| whole.links.iter().any(|link| what.is_in(link)))
            }
        })
    }

    fn name(&self, what: &Unique<'_>) -> String {
        match what {
            Unique::Email(key) => self.0.names.email(key),
            Unique::ExternalId(id) => self.0.names.external_id(id),
            Unique::Link(key) => self.0.names.link(key),
            Unique::LinkByEmail(provider, email) => self.0.names.link_by_email(provider, email),
        }
    }
}

fn unconfirmed(own: AccountId) -> String {
    format!("?{own}")
}

fn parse(text: &str) -> Result<AccountId, StoreError> {
    text.parse().map_err(|_| codec::unreadable("a claim"))
}
