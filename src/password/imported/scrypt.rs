//! scrypt (RFC 7914): `N$salt$r$p$hash`. The salt is text, and used as it is.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use scrypt::Params;
use zeroize::Zeroizing;

use super::{MAX_MEMORY, cost, output, parts};
use crate::password::hash::Unusable;

/// Most blocks of 128 bytes mixed in all, N·r·p: twelve times what Django takes (2¹⁴·8·5), eight times what others
/// recommend (2¹⁷·8·1).
const MAX_WORK: u64 = 1 << 23;

/// Length of Django's, bytes.
const OUTPUT_LEN: usize = 64;

pub(in crate::password) struct Hash {
    params: Params,
    salt: String,
    output: Vec<u8>,
}

impl Hash {
    pub(super) fn parse(text: &str) -> Result<Self, Unusable> {
        let [n, salt, r, p, hash] = parts(text)?;
        let (n, r, p) = (cost(n)?, cost(r)?, cost(p)?);
        if n < 2 || !n.is_power_of_two() {
            return Err(Unusable::Malformed);
        }
        let work = u64::from(n).saturating_mul(r.into()).saturating_mul(p.into());
        if work > MAX_WORK || memory(n, r, p) > MAX_MEMORY {
            return Err(Unusable::Cost);
        }
        let log_n = u8::try_from(n.trailing_zeros()).map_err(|_| Unusable::Malformed)?;
        let params = Params::new(log_n, r, p).map_err(|_| Unusable::Malformed)?;
        Ok(Self { params, salt: salt.to_owned(), output: output(hash, OUTPUT_LEN)? })
    }

    pub(super) fn fits(&self, secret: &[u8]) -> Result<bool, Unusable> {
        // The library aborts where there is no memory, so it is asked for before. What another thread takes in between
        // is for the margin that every machine needs.
        let bytes = memory(1 << self.params.log_n(), self.params.r(), self.params.p());
        let bytes = usize::try_from(bytes).map_err(|_| Unusable::Memory)?;
        Vec::<u8>::new().try_reserve_exact(bytes).map_err(|_| Unusable::Memory)?;

        let mut computed = Zeroizing::new([0; OUTPUT_LEN]);
        ::scrypt::scrypt(secret, self.salt.as_bytes(), &self.params, computed.as_mut())
            .map_err(|_| Unusable::Malformed)?;
        Ok(verify_slices_are_equal(computed.as_ref(), &self.output).is_ok())
    }
}

/// Bytes that one takes: N blocks of 128·r, p to begin with, and two to work in.
fn memory(n: u32, r: u32, p: u32) -> u64 {
    (u64::from(n) + u64::from(p) + 2).saturating_mul(128).saturating_mul(r.into())
}
