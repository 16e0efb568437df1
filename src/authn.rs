//! Who is calling: a bearer token to a principal, from memory alone.

pub mod cache;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use self::cache::{Cache, Key};
use crate::{
    change_log::{Stale, View},
    clock::{Clock, Timestamp},
    identity,
    telemetry::metrics::Metrics,
    token::{Claims, Invalid, KeyRing, MAX_TOKEN_BYTES},
};

/// Who this request is, verified, with what upstreams are told about it made ready.
pub struct Principal {
    /// What the token says.
    pub claims: Claims,
    /// Identity headers, made once per token.
    pub headers: Box<[(HeaderName, HeaderValue)]>,
    /// Key generation it was verified under.
    pub key_generation: u64,
    /// Generation of the change log under which it was last found not to be ended.
    judged_at: AtomicU64,
    /// What it takes in memory.
    bytes: u64,
}

impl Principal {
    /// The caller of a token that holds.
    pub fn new(claims: Claims, headers: Box<[(HeaderName, HeaderValue)]>, key_generation: u64) -> Self {
        let heap = heap_bytes(&claims) + headers.iter().map(header_bytes).sum::<usize>();
        let bytes = (size_of::<Self>() + heap) as u64;
        Self { claims, headers, key_generation, judged_at: AtomicU64::new(u64::MAX), bytes }
    }
}

/// What claims take beyond their own size, near enough.
fn heap_bytes(claims: &Claims) -> usize {
    let profile = &claims.profile;
    let texts = [&profile.email, &profile.preferred_username, &profile.name, &profile.external_id];
    let lists = claims.scope.iter().chain(profile.groups.iter().map(String::as_str));
    [claims.issuer.as_str(), &claims.audience, &claims.id, claims.client.as_str()]
        .into_iter()
        .chain(texts.into_iter().flatten().map(String::as_str))
        .map(str::len)
        .chain(lists.map(|entry| entry.len() + size_of::<String>()))
        .sum()
}

fn header_bytes((name, value): &(HeaderName, HeaderValue)) -> usize {
    size_of::<(HeaderName, HeaderValue)>() + name.as_str().len() + value.len()
}

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
    identity: Arc<identity::Settings>,
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
        identity: Arc<identity::Settings>,
        clock: Clock,
        max_staleness: Option<Duration>,
        cache_bytes: u64,
        metrics: Arc<Metrics>,
    ) -> Self {
        let cache = Cache::new(cache_bytes);
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

    /// Bytes that the verified-token cache holds.
    pub fn cached_bytes(&self) -> u64 {
        self.cache.bytes()
    }

    /// Judges a token that came by another way than the header.
    ///
    /// # Errors
    /// [`Stale`] for every token, good or bad: one of a key that this node has not heard of is no stranger's.
    pub fn judge(&self, token: &str) -> Result<Result<Arc<Principal>, Rejection>, Stale> {
        let now = self.clock.now();
        if self.max_staleness.is_some_and(|most| self.changes.age(now) > most) {
            return Err(Stale);
        }
        Ok(self.judge_at(token, now))
    }

    fn judge_at(&self, token: &str, now: Timestamp) -> Result<Arc<Principal>, Rejection> {
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
    fn verify(&self, token: &str, key: Key, now: Timestamp) -> Result<Arc<Principal>, Rejection> {
        self.metrics.token_cache_misses.inc();
        // Read first: a key that goes while we verify makes the verdict void at its next use.
        let key_generation = self.keys.generation();
        let claims = self.keys.verify(token, now).map_err(|invalid| match invalid {
            Invalid::Expired => Rejection::Expired,
            Invalid::Malformed | Invalid::UnknownKey => Rejection::Foreign,
            Invalid::Signature | Invalid::Claims => Rejection::Invalid,
        })?;
        let headers = self.identity.headers_for(&claims);
        let principal = Arc::new(Principal::new(claims, headers, key_generation));
        self.still_holds(&principal, now)?;
        self.cache.insert(key, Arc::clone(&principal));
        Ok(principal)
    }

    /// What time and the change log have to say of a token that was good once.
    fn still_holds(&self, principal: &Principal, now: Timestamp) -> Result<(), Rejection> {
        let claims = &principal.claims;
        if self.keys.settings().has_expired(claims.expires_at, now) {
            return Err(Rejection::Expired);
        }
        // Read first: what ends while we look is looked for again next time.
        let generation = self.changes.generation();
        if principal.judged_at.load(Ordering::Relaxed) != generation {
            if self.changes.ends(&claims.session, &claims.subject, claims.epoch) {
                return Err(Rejection::Revoked);
            }
            principal.judged_at.store(generation, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The token of an `Authorization` header; `None` when it is of another scheme or empty. The scheme counts in
/// any case, and white space around the words does not.
fn bearer(value: &HeaderValue) -> Result<Option<&str>, Rejection> {
    let mut words = value.as_bytes().split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    if !words.next().is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer")) {
        return Ok(None);
    }
    let token = words.next().ok_or(Rejection::NoToken)?;
    match words.count() {
        0 => {}
        1 => return Err(Rejection::TwoWords),
        _ => return Err(Rejection::ManyWords),
    }
    match std::str::from_utf8(token) {
        Ok(token) if token.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(Some(token)),
        _ => Err(Rejection::Foreign),
    }
}

#[cfg(test)]
mod tests;
