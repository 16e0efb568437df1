//! Argon2 hashes (RFC 9106) as PHC strings, which is how we keep those we make.

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, Version,
    password_hash::phc::{Output, ParamsString, Salt},
};
use zeroize::Zeroizing;

use super::hash::{Memory, Unusable};

/// Length of the hashes we make, bytes.
const OUTPUT_LEN: usize = 32;

/// A PHC string, understood.
pub(super) struct Phc {
    argon2: Argon2<'static>,
    algorithm: Algorithm,
    version: Version,
    salt: Salt,
    output: Output,
}

impl Phc {
    /// Reads a PHC string of one of the argon2 family, whose costs must be `affordable`.
    pub(super) fn parse(text: &str, affordable: impl Fn(&Params) -> bool) -> Result<Self, Unusable> {
        let phc = PasswordHash::new(text).map_err(|_| Unusable::Malformed)?;
        let algorithm = match phc.algorithm.as_str() {
            id @ ("argon2id" | "argon2i" | "argon2d") => Algorithm::new(id).map_err(|_| Unusable::Unknown)?,
            _ => return Err(Unusable::Unknown),
        };
        // Strings without `v` are from before there was a second version.
        let version = match phc.version {
            Some(number) => Version::try_from(number).map_err(|_| Unusable::Unknown)?,
            None => Version::V0x10,
        };
        let params = Params::try_from(&phc).map_err(|_| Unusable::Malformed)?;
        if !affordable(&params) {
            return Err(Unusable::Cost);
        }
        let salt = phc.salt.ok_or(Unusable::Malformed)?;
        let output = phc.hash.ok_or(Unusable::Malformed)?;
        Ok(Self { argon2: Argon2::new(algorithm, version, params), algorithm, version, salt, output })
    }

    /// Whether it is the hash of `secret`. Compares in constant time.
    pub(super) fn fits(&self, secret: &[u8], memory: &mut Memory) -> Result<bool, Unusable> {
        let mut bytes = Zeroizing::new([0; Output::MAX_LENGTH]);
        let out = bytes.get_mut(..self.output.len()).ok_or(Unusable::Malformed)?;
        compute(&self.argon2, secret, &self.salt, out, memory)?;
        Ok(Output::new(out).is_ok_and(|output| output == self.output))
    }

    /// Whether it was made otherwise than we make hashes now.
    pub(super) fn is_outdated(&self, today: &Params) -> bool {
        let params = self.argon2.params();
        self.algorithm != Algorithm::Argon2id
            || self.version != Version::V0x13
            || self.output.len() != OUTPUT_LEN
            || (params.m_cost(), params.t_cost(), params.p_cost()) != (today.m_cost(), today.t_cost(), today.p_cost())
    }
}

/// Costs for new hashes.
pub(super) fn params(memory_kib: u32, iterations: u32, parallelism: u32) -> argon2::Result<Params> {
    Params::new(memory_kib, iterations, parallelism, Some(OUTPUT_LEN))
}

/// A new hash under a fresh salt.
pub(super) fn create(secret: &[u8], today: &Params, memory: &mut Memory) -> Result<String, Unusable> {
    let salt = Salt::generate();
    let mut out = Zeroizing::new([0; OUTPUT_LEN]);
    compute(&Argon2::new(Algorithm::Argon2id, Version::V0x13, today.clone()), secret, &salt, out.as_mut(), memory)?;
    let phc = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(today).map_err(|_| Unusable::Malformed)?,
        salt: Some(salt),
        hash: Some(Output::new(out.as_ref()).map_err(|_| Unusable::Malformed)?),
    };
    Ok(phc.to_string())
}

/// The work of one hash at today's cost, for nothing.
pub(super) fn in_vain(secret: &[u8], today: &Params, memory: &mut Memory) -> Result<(), Unusable> {
    let mut out = Zeroizing::new([0; OUTPUT_LEN]);
    compute(&Argon2::new(Algorithm::Argon2id, Version::V0x13, today.clone()), secret, &[0; 16], out.as_mut(), memory)
}

fn compute(
    argon2: &Argon2<'_>,
    secret: &[u8],
    salt: &[u8],
    out: &mut [u8],
    memory: &mut Memory,
) -> Result<(), Unusable> {
    let blocks = memory.blocks(argon2.params().block_count())?;
    argon2.hash_password_into_with_memory(secret, salt, out, blocks)?;
    memory.computed += 1;
    Ok(())
}
