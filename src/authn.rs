//! Who is calling: a bearer token to a principal, from memory alone.

pub mod cache;
mod principal;

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, header};
use memchr::memchr2;

use self::cache::{Cache, Key};
pub use self::principal::Principal;
use crate::{
    change_log::{Stale, View},
    clock::{Clock, Timestamp},
    identity,
    telemetry::metrics::Metrics,
    token::{self, Invalid, KeyRing, MAX_TOKEN_BYTES},
};

/// What a request says of its caller.
pub enum Outcome {
    /// No `Authorization`, or another scheme.
    Anonymous,
    /// A bearer token that holds.
    Authenticated(Arc<Principal>),
    /// A bearer that does not hold.
    Rejected(Rejection),
    /// A bearer of which nobody can tell for now.
    Unavailable(Stale),
}

/// Why a bearer does not hold. Clients hear [`Rejection::detail`] of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// No `Authorization`, or another scheme, where a caller is required.
    NoCredentials,
    /// `Bearer` alone.
    NoToken,
    /// `Bearer a b`.
    TwoWords,
    /// `Bearer a b c`.
    ManyWords,
    /// Not a token of ours in form, or under a key that we do not have: of another issuer, or garbage. Told to
    /// clients as [`Rejection::Invalid`].
    Foreign,
    /// A token under a key of ours that does not hold: bad signature or wrong claims.
    Invalid,
    /// Ended before its `exp`: session or epoch. Told to clients as [`Rejection::Invalid`].
    Revoked,
    /// Past its `exp`.
    Expired,
}

impl Rejection {
    /// The `detail` of the 401, as Django REST framework's clients know it.
    pub const fn detail(self) -> &'static str {
        match self {
            Self::NoCredentials => "Authentication credentials were not provided.",
            Self::NoToken => "Invalid token header. No backend provided.",
            Self::TwoWords => "Invalid token header. Invalid backend.",
            Self::ManyWords => "Invalid token header. Token string should not contain spaces.",
            Self::Foreign | Self::Invalid | Self::Revoked | Self::Expired => {
                "Invalid token header. No credentials provided."
            }
        }
    }

    /// `WWW-Authenticate` of the 401 (RFC 6750 section 3).
    pub const fn challenge(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::NoCredentials | Self::TwoWords | Self::ManyWords => r#"Bearer realm="api""#,
            Self::NoToken | Self::Foreign | Self::Invalid | Self::Revoked => {
                r#"Bearer realm="api",error="invalid_token",error_description="The access token is invalid.""#
            }
            Self::Expired => {
                r#"Bearer realm="api",error="invalid_token",error_description="The access token has expired.""#
            }
        })
    }

    /// For metrics and logs.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoCredentials => "no_credentials",
            Self::NoToken => "no_token",
            Self::TwoWords => "two_words",
            Self::ManyWords => "many_words",
            Self::Foreign => "foreign",
            Self::Invalid => "invalid",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }
}

/// Judges bearers.
pub struct Authenticator {
    keys: Arc<KeyRing>,
    changes: Arc<View>,
    identity: identity::Writer,
    clock: Clock,
    max_staleness: Option<Duration>,
    cache: Cache,
    metrics: Arc<Metrics>,
}

impl Authenticator {
    /// After `max_staleness` without the change log no bearer is judged; `None` trusts what is known for ever.
    /// `cache_bytes` bounds the verified-token cache; its look-ups are counted in `metrics`.
    pub fn new(
        keys: Arc<KeyRing>,
        changes: Arc<View>,
        identity: identity::Settings,
        clock: Clock,
        max_staleness: Option<Duration>,
        cache_bytes: u64,
        metrics: Arc<Metrics>,
    ) -> Self {
        let cache = Cache::new(cache_bytes);
        let identity = identity::Writer::new(identity);
        Self { keys, changes, identity, clock, max_staleness, cache, metrics }
    }

    /// Reads and judges the `Authorization` header (RFC 6750 section 2.1). At most one is there: hygiene saw
    /// to that.
    pub fn authenticate(&self, headers: &HeaderMap) -> Outcome {
        let judged = match headers.get(header::AUTHORIZATION).map_or(Ok(None), bearer) {
            Ok(None) => return Outcome::Anonymous,
            Ok(Some(token)) => self.judge(token),
            Err(rejection) => Ok(Err(rejection)),
        };
        match judged {
            Ok(Ok(principal)) => Outcome::Authenticated(principal),
            Ok(Err(rejection)) => Outcome::Rejected(rejection),
            Err(stale) => Outcome::Unavailable(stale),
        }
    }

    /// What tokens are judged by.
    pub fn rules(&self) -> &token::Settings {
        self.keys.settings()
    }

    /// Bytes that the verified-token cache holds.
    pub fn cached_bytes(&self) -> u64 {
        self.cache.bytes()
    }

    /// Tokens that it holds.
    pub fn cached_tokens(&self) -> usize {
        self.cache.len()
    }

    /// Judges a token that came by another way than the header.
    ///
    /// # Errors
    /// [`Stale`] for every token, good or bad: one of a key that this node has not heard of is no stranger's.
    pub fn judge(&self, token: &[u8]) -> Result<Result<Arc<Principal>, Rejection>, Stale> {
        let now = self.clock.now();
        if self.max_staleness.is_some_and(|most| self.changes.age(now) > most) {
            return Err(Stale);
        }
        Ok(self.judge_at(token, now))
    }

    fn judge_at(&self, token: &[u8], now: Timestamp) -> Result<Arc<Principal>, Rejection> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Rejection::Foreign);
        }
        let key = Cache::key(token);
        if let Some(principal) = self.cache.get(&key) {
            if principal.key_generation == self.keys.generation() {
                self.metrics.token_cache_hits.inc();
                self.still_holds(&principal, now).inspect_err(|_| self.cache.remove(&key))?;
                return Ok(principal);
            }
            self.cache.remove(&key);
        }
        self.verify(token, key, now)
    }

    /// What a token that the cache does not know is worth. Only what holds is remembered: a stranger must not
    /// be able to fill the cache.
    fn verify(&self, token: &[u8], key: Key, now: Timestamp) -> Result<Arc<Principal>, Rejection> {
        self.metrics.token_cache_misses.inc();
        // Read first: a key that goes while we verify makes the verdict void at its next use.
        let key_generation = self.keys.generation();
        let token = std::str::from_utf8(token).map_err(|_| Rejection::Foreign)?;
        let claims = self.keys.verify(token, now).map_err(|invalid| match invalid {
            Invalid::Expired => Rejection::Expired,
            Invalid::Malformed | Invalid::UnknownKey => Rejection::Foreign,
            Invalid::Signature | Invalid::Claims => Rejection::Invalid,
        })?;
        let headers = self.identity.headers_for(&claims);
        let principal = Arc::new(Principal::new(claims, &self.keys.settings().issuer, headers, key_generation));
        self.still_holds(&principal, now)?;
        self.cache.insert(key, Arc::clone(&principal));
        Ok(principal)
    }

    /// What time and the change log have to say of a token that was good once.
    fn still_holds(&self, principal: &Principal, now: Timestamp) -> Result<(), Rejection> {
        if self.keys.settings().has_expired(principal.expires_at, now) {
            return Err(Rejection::Expired);
        }
        // Read first: what ends while we look is looked for again next time.
        let generation = self.changes.generation();
        if !principal.was_judged_at(generation) {
            if self.changes.ends(&principal.session, &principal.subject, principal.epoch) {
                return Err(Rejection::Revoked);
            }
            principal.set_judged_at(generation);
        }
        Ok(())
    }
}

/// The token of an `Authorization` header; `None` when it is of another scheme or empty. The scheme counts in
/// any case, and white space around the words does not.
fn bearer(value: &HeaderValue) -> Result<Option<&[u8]>, Rejection> {
    let (scheme, rest) = first_word(value.as_bytes());
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Ok(None);
    }
    let (token, rest) = first_word(rest);
    if token.is_empty() {
        return Err(Rejection::NoToken);
    }
    match rest.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty()).count() {
        0 => Ok(Some(token)),
        1 => Err(Rejection::TwoWords),
        _ => Err(Rejection::ManyWords),
    }
}

/// The first of the words that blanks separate, empty when there is none, and what stands behind it.
fn first_word(text: &[u8]) -> (&[u8], &[u8]) {
    let text = text.trim_ascii_start();
    text.split_at_checked(memchr2(b' ', b'\t', text).unwrap_or(text.len())).unwrap_or((text, &[]))
}

#[cfg(test)]
mod tests;
