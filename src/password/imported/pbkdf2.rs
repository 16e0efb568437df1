//! PBKDF2 (RFC 8018 section 5.2): `iterations$salt$hash`. The salt is text, and used as it is.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;

use super::{cost, output, parts};
use crate::password::hash::Unusable;

/// Ten times what Django 5.2 takes; its versions take about a fifth more each year.
const MAX_ITERATIONS: u32 = 10_000_000;

pub(in crate::password) struct Hash {
    algorithm: pbkdf2::Algorithm,
    iterations: NonZeroU32,
    salt: String,
    output: Vec<u8>,
}

impl Hash {
    /// Reads what follows the name of the algorithm, whose digests have `length` bytes.
    pub(super) fn parse(algorithm: pbkdf2::Algorithm, length: usize, text: &str) -> Result<Self, Unusable> {
        let [iterations, salt, hash] = parts(text)?;
        let iterations = NonZeroU32::new(cost(iterations)?).ok_or(Unusable::Malformed)?;
        if iterations.get() > MAX_ITERATIONS {
            return Err(Unusable::Cost);
        }
        Ok(Self { algorithm, iterations, salt: salt.to_owned(), output: output(hash, length)? })
    }

    pub(super) fn fits(&self, secret: &[u8]) -> bool {
        pbkdf2::verify(self.algorithm, self.iterations, self.salt.as_bytes(), secret, &self.output).is_ok()
    }
}
