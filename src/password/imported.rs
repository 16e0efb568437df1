//! Hashes as Django (5.2) stores them, of passwords and of client secrets: `algorithm$…`, one file per algorithm.
//!
//! What was hashed is what was typed, byte for byte, in no normal form. Each algorithm caps what a hash may cost, so
//! that an imported file cannot tie us up: two or three seconds of one core of 2026, which is about ten times what
//! Django asks for by itself, and [`MAX_MEMORY`].

mod argon2;
mod bcrypt;
mod pbkdf2;
mod scrypt;

use aws_lc_rs::pbkdf2::{PBKDF2_HMAC_SHA1, PBKDF2_HMAC_SHA256};
use base64::{Engine, prelude::BASE64_STANDARD};

use super::hash::{Memory, Unusable};
use crate::secret::Secret;

/// Longest hash, bytes. Django's columns hold 128 characters for a password and 255 for a client secret.
const MAX_LENGTH: usize = 512;

/// Most memory that one may take, bytes: as much as two and a half of Django's argon2 (100 MiB), or the largest scrypt
/// that anybody recommends (128 MiB) twice. Each of the hashing threads may need it at once.
const MAX_MEMORY: u64 = 256 << 20;

/// A hash that Django made, understood and affordable.
pub(super) enum Imported {
    /// `pbkdf2_sha256`, which is Django's default, and `pbkdf2_sha1`.
    Pbkdf2(pbkdf2::Hash),
    /// `bcrypt_sha256` and `bcrypt`.
    Bcrypt(bcrypt::Hash),
    /// `scrypt`.
    Scrypt(scrypt::Hash),
    /// `argon2`.
    Argon2(argon2::Hash),
}

impl Imported {
    pub(super) fn parse(text: &str) -> Result<Self, Unusable> {
        if text.starts_with('!') {
            return Err(Unusable::NoPassword);
        }
        if text.len() > MAX_LENGTH {
            return Err(Unusable::Malformed);
        }
        let (algorithm, rest) = text.split_once('$').ok_or(Unusable::Malformed)?;
        match algorithm {
            "pbkdf2_sha256" => pbkdf2::Hash::parse(PBKDF2_HMAC_SHA256, 32, rest).map(Self::Pbkdf2),
            "pbkdf2_sha1" => pbkdf2::Hash::parse(PBKDF2_HMAC_SHA1, 20, rest).map(Self::Pbkdf2),
            "bcrypt_sha256" => bcrypt::Hash::parse(bcrypt::Of::Digest, rest).map(Self::Bcrypt),
            "bcrypt" => bcrypt::Hash::parse(bcrypt::Of::Secret, rest).map(Self::Bcrypt),
            "scrypt" => scrypt::Hash::parse(rest).map(Self::Scrypt),
            "argon2" => argon2::Hash::parse(rest).map(Self::Argon2),
            // Those without a cost (`md5`, `unsalted_sha1`, …) among them: whoever has the file has the passwords.
            _ => Err(Unusable::Unknown),
        }
    }

    /// Whether it is the hash of `secret`. Compares in constant time.
    pub(super) fn fits(&self, secret: &Secret, memory: &mut Memory) -> Result<bool, Unusable> {
        let secret = secret.expose().as_bytes();
        let fits = match self {
            // Works in the memory, and counts there.
            Self::Argon2(hash) => return hash.fits(secret, memory),
            Self::Pbkdf2(hash) => hash.fits(secret),
            Self::Bcrypt(hash) => hash.fits(secret),
            Self::Scrypt(hash) => hash.fits(secret)?,
        };
        memory.computed += 1;
        Ok(fits)
    }
}

/// The parts between `$`, of which there must be as many.
fn parts<const N: usize>(text: &str) -> Result<[&str; N], Unusable> {
    text.split('$').collect::<Vec<_>>().try_into().map_err(|_| Unusable::Malformed)
}

/// A cost as Django writes it: decimal, at least 1.
fn cost(text: &str) -> Result<u32, Unusable> {
    if text.is_empty() || text.starts_with('0') || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Unusable::Malformed);
    }
    text.parse().map_err(|_| Unusable::Cost)
}

/// A hash of `length` bytes. Another length is refused: a longer one costs as many times more.
fn output(base64: &str, length: usize) -> Result<Vec<u8>, Unusable> {
    let bytes = BASE64_STANDARD.decode(base64).map_err(|_| Unusable::Malformed)?;
    if bytes.len() == length { Ok(bytes) } else { Err(Unusable::Malformed) }
}

#[cfg(test)]
pub(super) mod tests;
