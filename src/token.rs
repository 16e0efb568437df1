//! Tokens: claims, signing keys, signer, verifier, refresh tokens. The only module that sees a signature or a
//! token's spelling.

pub mod claims;
mod jws;
pub mod keys;
pub mod refresh;
mod rotation;
mod signing_key;

#[cfg(test)]
pub(crate) mod fixture;

use std::time::Duration;

use aws_lc_rs::digest;

pub use claims::{Claim, Claims, Profile};
pub use jws::MAX_BYTES as MAX_TOKEN_BYTES;
pub use keys::{Invalid, KeyRing};
pub use refresh::{Handle, RefreshTokens};

use crate::clock::Timestamp;

/// Signature algorithms (RFC 7518 section 3.1, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519.
    EdDsa,
    /// ECDSA over P-256 with SHA-256.
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256, 2048 bits: verifies fast and signs in milliseconds.
    Rs256,
}

impl Algorithm {
    /// All of them, by their JWA names.
    pub const ALL: [(&'static str, Self); 3] = [("EdDSA", Self::EdDsa), ("ES256", Self::Es256), ("RS256", Self::Rs256)];

    /// The JWA name: `alg`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }

    /// The algorithm of this JWA name, in exactly this spelling.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find_map(|(known, algorithm)| (known == name).then_some(algorithm))
    }
}

/// Of access tokens and the keys that sign them.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `iss`: the public URL.
    pub issuer: String,
    /// Further issuers accepted at verification, from before the public URL changed.
    pub accepted_issuers: Vec<String>,
    /// `aud`.
    pub audience: String,
    /// What new keys sign with.
    pub algorithm: Algorithm,
    /// Lifetime of an access token.
    pub access_ttl: Duration,
    /// Allowance for clocks that differ, at verification.
    pub leeway: Duration,
    /// A key signs for this long.
    pub rotate_every: Duration,
    /// A key is published for this long before it signs.
    pub publish_ahead: Duration,
    /// The claims of the profile that identity headers or some route use; the others stay out of tokens.
    pub profile: Vec<Claim>,
}

impl Settings {
    /// Whether a token of this `exp` has ended (RFC 7519 section 4.1.4).
    pub fn has_expired(&self, expires_at: Timestamp, now: Timestamp) -> bool {
        now >= expires_at + self.leeway
    }
}

/// SHA-256.
pub(crate) fn sha256(data: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
    hash
}
