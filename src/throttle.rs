//! How often may be tried: rates per source, per account, per client, by the generic cell rate algorithm.
//!
//! A rate of 10/5m lets ten tries through at once, and then one for every half minute that passes. What is refused
//! costs neither a hash nor a call to a provider, and counts for nothing.

mod gcra;
pub mod memory;
pub mod shared;

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use aws_lc_rs::hmac;

pub use gcra::Rate;

use crate::{
    clock::{Clock, Timestamp},
    master::{self, Each, Masters, Purpose},
    model::{ClientId, SourceId},
    store::SOURCE_KNOWN_FOR,
    token,
};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A password is tried.
    SignIn,
    /// An account is asked for.
    SignUp,
    /// A refresh token is presented.
    Refresh,
    /// A provider's token is presented.
    Convert,
}

impl Event {
    const fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::SignUp => "sign_up",
            Self::Refresh => "refresh",
            Self::Convert => "convert",
        }
    }
}

/// The rates of one event; one that is absent limits nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Tries from one source.
    pub per_source: Option<Rate>,
    /// Tries that fail, of one account and from one source.
    pub per_account_and_source: Option<Rate>,
    /// Tries that fail, of one account, from sources that it was not signed in from lately.
    pub per_account: Option<Rate>,
    /// Tries with one client.
    pub per_client: Option<Rate>,
}

/// `limits`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `limits.sign_in`.
    pub sign_in: Limits,
    /// `limits.sign_up`.
    pub sign_up: Limits,
    /// `limits.refresh`.
    pub refresh: Limits,
    /// `limits.convert`.
    pub convert: Limits,
    /// Whether `server.trusted_proxies` names any. While it does not, a peer within our own network is taken for a
    /// proxy that nobody told us of, behind which there are many: it is no source.
    pub trusts_proxies: bool,
}

/// By what an event is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// [`Limits::per_source`].
    PerSource,
    /// [`Limits::per_account_and_source`].
    PerAccountAndSource,
    /// [`Limits::per_account`].
    PerAccount,
    /// [`Limits::per_client`].
    PerClient,
}

impl Limit {
    /// As the configuration calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PerSource => "per_source",
            Self::PerAccountAndSource => "per_account_and_source",
            Self::PerAccount => "per_account",
            Self::PerClient => "per_client",
        }
    }
}

/// What is counted under: the limit, and a hash of what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    limit: Limit,
    hash: [u8; 32],
}

impl Key {
    fn of(event: Event, limit: Limit, parts: &[&[u8]]) -> Self {
        let mut text = Vec::with_capacity(64);
        for part in [event.name().as_bytes()].iter().chain(parts) {
            // With their lengths, so that no two lists of parts read alike.
            text.extend_from_slice(&(part.len() as u64).to_be_bytes());
            text.extend_from_slice(part);
        }
        Self { limit, hash: token::sha256(&text) }
    }
}

/// The limit and 64 hex digits, as the names of counters in a store have them.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.limit.name())?;
        self.hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Where tries are counted: in memory for one node, in a store that several share.
#[async_trait]
pub trait Counters: Send + Sync {
    /// Counts one try, if the rate allows it now; else how long it takes until it does.
    async fn take(&self, key: Key, rate: Rate, now: Timestamp) -> Result<(), Duration>;

    /// Uncounts one that was counted.
    async fn give_back(&self, key: Key, rate: Rate);
}

/// Refused for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}.{} is exceeded", event.name(), limit.name())]
pub struct Throttled {
    /// Of what there was too much.
    pub event: Event,
    /// By which limit.
    pub limit: Limit,
    /// How long it takes until the next try may pass.
    pub wait: Duration,
}

impl Throttled {
    /// Whole seconds until the next try may pass, at least one: `Retry-After`.
    pub fn retry_after(&self) -> u64 {
        self.wait.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX).max(1)
    }

    /// Event and limit in the words of the configuration, for metrics and the audit log.
    pub const fn names(&self) -> (&'static str, &'static str) {
        (self.event.name(), self.limit.name())
    }
}

/// A try that was let through and has not succeeded yet.
#[must_use = "a try that succeeds is to be uncounted"]
#[derive(Default)]
pub struct Attempt {
    counted: Vec<(Key, Rate)>,
}

/// The limits, and what was counted against them.
pub struct Throttle {
    settings: Settings,
    counters: Arc<dyn Counters>,
    clock: Clock,
    /// Hashes sources: addresses are few enough to try them all.
    sources: Each<hmac::Key>,
}

impl Throttle {
    /// Counts in `counters`.
    pub fn new(settings: Settings, counters: Arc<dyn Counters>, masters: &Masters, clock: Clock) -> Self {
        let sources = masters.each(|master| hmac::Key::new(hmac::HMAC_SHA256, &*master.derive(Purpose::Source)));
        Self { settings, counters, clock, sources }
    }

    /// Counts a request by where it comes from.
    ///
    /// # Errors
    /// When there are too many.
    pub async fn by_source(&self, event: Event, source: IpAddr) -> Result<(), Throttled> {
        let (Some(rate), Some(source)) = (self.limits(event).per_source, self.source(source)) else { return Ok(()) };
        self.take(event, Limit::PerSource, &[&source.0], rate).await.map(drop)
    }

    /// Counts a request by the client that proved itself.
    ///
    /// # Errors
    /// When there are too many.
    pub async fn by_client(&self, event: Event, client: &ClientId) -> Result<(), Throttled> {
        let Some(rate) = self.limits(event).per_client else { return Ok(()) };
        self.take(event, Limit::PerClient, &[client.as_str().as_bytes()], rate).await.map(drop)
    }

    /// Counts a try at an account, whoever it is: `account` need not be one. `is_known` tells whether the account
    /// was signed in lately from this source, by any of its hashes; it is asked only once others have used the account's
    /// tries up, so that they lock nobody out.
    ///
    /// # Errors
    /// When too many have failed.
    pub async fn by_account<E: From<Throttled>>(
        &self,
        event: Event,
        account: &str,
        source: IpAddr,
        is_known: impl AsyncFnOnce(Vec<SourceId>) -> Result<bool, E>,
    ) -> Result<Attempt, E> {
        let limits = self.limits(event);
        let (address, source) = (source, self.source(source));
        let mut attempt = Attempt::default();
        if let (Some(rate), Some(source)) = (limits.per_account_and_source, source) {
            let parts: [&[u8]; 2] = [account.as_bytes(), &source.0];
            attempt.counted.push((self.take(event, Limit::PerAccountAndSource, &parts, rate).await?, rate));
        }
        if let Some(rate) = limits.per_account {
            match self.take(event, Limit::PerAccount, &[account.as_bytes()], rate).await {
                Ok(key) => attempt.counted.push((key, rate)),
                Err(throttled) => {
                    let known = match self.sources(address) {
                        sources if sources.is_empty() => Ok(false),
                        sources => is_known(sources).await,
                    };
                    if !matches!(known, Ok(true)) {
                        self.uncount(attempt).await;
                        known?;
                        return Err(throttled.into());
                    }
                }
            }
        }
        Ok(attempt)
    }

    /// Counts a try at the secret of a client, whether or not there is one of this id. As often as at an account from
    /// one source; there is no limit over all sources, by which strangers could lock the client out.
    ///
    /// # Errors
    /// When too many have failed.
    pub async fn by_secret(&self, client: &str, source: IpAddr) -> Result<Attempt, Throttled> {
        let (event, limit) = (Event::SignIn, Limit::PerAccountAndSource);
        let rate = self.limits(event).per_account_and_source;
        let (Some(rate), Some(source)) = (rate, self.source(source)) else { return Ok(Attempt::default()) };
        let key = self.take(event, limit, &[b"client", client.as_bytes(), &source.0], rate).await?;
        Ok(Attempt { counted: vec![(key, rate)] })
    }

    /// The try has succeeded: it counts for nothing.
    pub async fn uncount(&self, attempt: Attempt) {
        for (key, rate) in attempt.counted {
            self.counters.give_back(key, rate).await;
        }
    }

    /// The time since which a sign-in from a source makes it known.
    pub fn lately(&self) -> Timestamp {
        self.clock.now() - SOURCE_KNOWN_FOR
    }

    /// The source that an address stands for: itself, or its /64 in IPv6, which is one customer's. `None` when it
    /// says nothing of who is there.
    pub fn source(&self, address: IpAddr) -> Option<SourceId> {
        self.prefix(address).map(|prefix| hash(self.sources.in_force(), &prefix))
    }

    /// The same under each master secret: an account knows its sources by their hashes of then.
    fn sources(&self, address: IpAddr) -> Vec<SourceId> {
        let Some(prefix) = self.prefix(address) else { return Vec::new() };
        self.sources.iter().map(|key| hash(key, &prefix)).collect()
    }

    fn prefix(&self, address: IpAddr) -> Option<Vec<u8>> {
        if !self.settings.trusts_proxies && is_own_network(address) {
            return None;
        }
        Some(match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().into_iter().take(8).collect(),
        })
    }

    async fn take(&self, event: Event, limit: Limit, parts: &[&[u8]], rate: Rate) -> Result<Key, Throttled> {
        let key = Key::of(event, limit, parts);
        let taken = self.counters.take(key, rate, self.clock.now()).await;
        taken.map(|()| key).map_err(|wait| Throttled { event, limit, wait })
    }

    const fn limits(&self, event: Event) -> &Limits {
        match event {
            Event::SignIn => &self.settings.sign_in,
            Event::SignUp => &self.settings.sign_up,
            Event::Refresh => &self.settings.refresh,
            Event::Convert => &self.settings.convert,
        }
    }
}

fn hash(key: &hmac::Key, prefix: &[u8]) -> SourceId {
    SourceId::of(&master::mac(key, &[prefix]))
}

/// Loopback, link-local, and what RFC 1918, RFC 6598 and RFC 4193 set apart.
fn is_own_network(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            const CARRIER_GRADE: (u32, u32) = (0x6440_0000, 0xffc0_0000);
            address.is_loopback()
                || address.is_private()
                || address.is_link_local()
                || address == Ipv4Addr::UNSPECIFIED
                || address.to_bits() & CARRIER_GRADE.1 == CARRIER_GRADE.0
        }
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || address == Ipv6Addr::UNSPECIFIED
        }
    }
}

#[cfg(test)]
mod tests;
