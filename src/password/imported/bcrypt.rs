//! bcrypt in its modular crypt format: `$2b$cost$` and 53 characters, the salt and the hash.

use std::fmt::Write as _;

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest};
use base64::{
    Engine, alphabet,
    engine::{GeneralPurpose, general_purpose::NO_PAD},
};
use zeroize::Zeroizing;

use super::parts;
use crate::password::hash::Unusable;

/// Eight times the work of Django's 12: each step doubles it.
const MAX_COST: u32 = 15;

/// The lowest there is.
const MIN_COST: u32 = 4;

/// Bytes of a secret that count.
const KEY_LEN: usize = 72;

const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::BCRYPT, NO_PAD);

/// What was hashed.
pub(super) enum Of {
    /// The secret, of which no more than 72 bytes count.
    Secret,
    /// Its SHA-256 in hex digits.
    Digest,
}

pub(in crate::password) struct Hash {
    of: Of,
    cost: u32,
    salt: [u8; 16],
    output: [u8; 23],
}

impl Hash {
    pub(super) fn parse(of: Of, text: &str) -> Result<Self, Unusable> {
        let ["", version, cost, rest] = parts(text)? else { return Err(Unusable::Malformed) };
        // Names for bugs that had been mended: all three are the same. `2x` is the bug itself.
        if !matches!(version, "2a" | "2b" | "2y") {
            return Err(Unusable::Unknown);
        }
        let cost = match cost.as_bytes() {
            [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => u32::from(tens - b'0') * 10 + u32::from(ones - b'0'),
            _ => return Err(Unusable::Malformed),
        };
        if cost < MIN_COST {
            return Err(Unusable::Malformed);
        }
        if cost > MAX_COST {
            return Err(Unusable::Cost);
        }
        let (salt, hash) = rest.split_at_checked(22).ok_or(Unusable::Malformed)?;
        Ok(Self { of, cost, salt: decode(salt)?, output: decode(hash)? })
    }

    pub(super) fn fits(&self, secret: &[u8]) -> bool {
        let computed = match self.of {
            Of::Secret => self.compute(secret),
            Of::Digest => self.compute(hex(digest::digest(&digest::SHA256, secret).as_ref()).as_bytes()),
        };
        // The key is repeated with a NUL between, so one with a NUL of its own can be the key of another secret:
        // `a\0a` of `a`. Django's bcrypt refused such secrets up to version 3.
        let distinct = !matches!(self.of, Of::Secret) || !secret.contains(&0);
        verify_slices_are_equal(computed.as_ref(), &self.output).is_ok() && distinct
    }

    fn compute(&self, secret: &[u8]) -> Zeroizing<[u8; 23]> {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        key.iter_mut().zip(secret).for_each(|(to, from)| *to = *from);
        let with_end = key.get(..=secret.len()).unwrap_or(key.as_slice());
        let [computed @ .., _] = ::bcrypt::bcrypt(self.cost, self.salt, with_end);
        Zeroizing::new(computed)
    }
}

fn decode<const N: usize>(text: &str) -> Result<[u8; N], Unusable> {
    BASE64.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(Unusable::Malformed)
}

fn hex(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(2 * bytes.len()));
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
