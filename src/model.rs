//! The nouns that every layer shares: accounts, clients, scopes, principals.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Timestamp;

/// `sub`: a UUIDv7, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(Uuid);

impl AccountId {
    /// A new id; ids made later sort later.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id of the given bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Its 16 bytes, as stores keep it.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for AccountId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(Self)
    }
}

/// `sid`: SHA-256 of a session's handle, cut to 16 bytes. Public: it derives no refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// The id of the given bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its 16 bytes, as stores keep it.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// 32 lower-case hex digits, the form of the `sid` claim and of logs.
impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for SessionId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const ERROR: &str = "a session id is 32 lower-case hex digits";
        if text.len() != 32 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(ERROR);
        }
        u128::from_str_radix(text, 16).map(|n| Self(n.to_be_bytes())).map_err(|_| ERROR)
    }
}

impl Serialize for SessionId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Where a sign-in came from, hashed: an address, or its network. To be recognised, not to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourceId(pub [u8; 16]);

impl SourceId {
    /// The first half of a hash.
    pub fn of(hash: &[u8; 32]) -> Self {
        let (half, _) = hash.split_first_chunk().unwrap_or((&[0; 16], &[]));
        Self(*half)
    }
}

/// `client_id`: the name of an OAuth client application (RFC 6749 section 2.2). Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(Arc<str>);

impl ClientId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ClientId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Bumped whenever what older tokens of the account say stops being true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u32);

impl Epoch {
    /// Above the epoch of any account: from here on no token of it holds. The change log says so of a deleted one.
    pub const GONE: Self = Self(u32::MAX);

    /// The one after it; the last is below [`Epoch::GONE`].
    #[must_use]
    pub const fn next(self) -> Self {
        if self.0 < Self::GONE.0 - 1 { Self(self.0 + 1) } else { self }
    }
}

/// A set of scope tokens in the order they were asked for (RFC 6749 section 3.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(Box<[Box<str>]>);

impl Scope {
    /// Reads space-separated tokens; a repeated one counts once. `None` when empty, or when a token has a
    /// character outside RFC 6749's `scope-token`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut tokens: Vec<Box<str>> = Vec::new();
        for token in text.split(' ').filter(|token| !token.is_empty()) {
            if !token.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5B | 0x5D..=0x7E)) {
                return None;
            }
            if !tokens.iter().any(|seen| **seen == *token) {
                tokens.push(token.into());
            }
        }
        (!tokens.is_empty()).then(|| Self(tokens.into()))
    }

    /// Whether `token` is among them.
    pub fn contains(&self, token: &str) -> bool {
        self.0.iter().any(|own| **own == *token)
    }

    /// Whether every token of ours is also in `wider`.
    pub fn is_subset_of(&self, wider: &Self) -> bool {
        self.0.iter().all(|token| wider.contains(token))
    }

    /// The tokens in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl Serialize for Scope {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(Self::default());
        }
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a scope (RFC 6749 section 3.3)"))
    }
}

/// Whom a provider vouches for: the provider's name and its own id of the person, both compared byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LinkKey {
    /// Its key in the configuration, the `backend` of the HTTP contract.
    pub provider: String,
    /// What the provider calls the person by; its `sub` where it speaks OpenID Connect.
    pub subject: String,
}

/// An identity at a provider by which an account signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// `association_id`: given once, never again.
    pub id: i64,
    /// The identity; of one account at most.
    pub key: LinkKey,
    /// When it was linked.
    pub created_at: Timestamp,
}

/// A person we know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// `sub`.
    pub id: AccountId,
    /// The address in the spelling given, for display; uniqueness and sign-in go by
    /// [`email::key`](crate::account::email::key). Absent for those who only sign in by other means.
    pub email: Option<String>,
    /// Whether somebody trustworthy vouched for the address.
    pub email_verified: bool,
    /// What others may call the account; never unique, never an identifier.
    pub username: String,
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// Names of the groups it is in.
    pub groups: Vec<String>,
    /// Whether it may see and do what staff may.
    pub staff: bool,
    /// Inactive accounts neither sign in nor refresh.
    pub active: bool,
    /// The key that existing upstreams know the person by (Django's integer pk); unique where present.
    pub external_id: Option<String>,
    /// See [`Epoch`].
    pub epoch: Epoch,
    /// When it was made.
    pub created_at: Timestamp,
}

/// How a store is, from the point of view of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It answers, and takes writes.
    Reachable,
    /// It answers, and takes no writes: a replica, a full one, one that cannot save.
    ReadOnly,
    /// It does not answer.
    Unreachable,
}

impl Health {
    /// The best first.
    pub const ALL: [Self; 3] = [Self::Reachable, Self::ReadOnly, Self::Unreachable];

    /// For `/readyz`, and for metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reachable => "reachable",
            Self::ReadOnly => "read-only",
            Self::Unreachable => "unreachable",
        }
    }
}
