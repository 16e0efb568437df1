//! Password hashes as they are stored: PHC strings, told apart by their id.
//!
//! New hashes are argon2id (RFC 9106). Hashes of other kinds, as an import may bring them, get an arm in
//! [`Stored::parse`] and are reported as outdated once they have verified.

use argon2::{
    Algorithm, Argon2, Block, Params, PasswordHash, Version,
    password_hash::phc::{Output, ParamsString, Salt},
};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Highest costs that a stored hash may ask of us, where today's settings are not higher still: more is no
/// hash that we made, but one that was imported to tie us up.
const MAX_MEMORY_KIB: u32 = 1024 * 1024;
const MAX_ITERATIONS: u32 = 20;
const MAX_PARALLELISM: u32 = 16;

/// Length of the hashes we make, bytes.
const OUTPUT_LEN: usize = 32;

/// The memory that a thread hashes in, kept from one hash to the next.
#[derive(Default)]
pub(super) struct Memory {
    blocks: Vec<Block>,
    /// Hashes computed in it.
    pub(super) computed: u64,
}

impl Memory {
    /// Gives back what hashes at today's cost do not need.
    pub(super) fn shrink(&mut self, today: &Params) {
        if self.blocks.len() > today.block_count() {
            self.blocks.truncate(today.block_count());
            self.blocks.shrink_to_fit();
        }
    }
}

/// The text that is hashed: NFKC, so that a password is the same from every keyboard.
pub(super) fn normalise(password: &Secret) -> Zeroizing<String> {
    // Grown in one step: a string that grows leaves copies behind.
    let length = password.expose().nfkc().map(char::len_utf8).sum();
    let mut text = Zeroizing::new(String::with_capacity(length));
    text.extend(password.expose().nfkc());
    text
}

/// A stored hash that cannot be verified. Never shows the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Not a PHC string, or one without salt or output.
    #[error("it is not a whole PHC string")]
    Malformed,
    /// Of an algorithm, or a version of one, that we do not know.
    #[error("its algorithm is unknown")]
    Unknown,
    /// It asks for more work than any hash should.
    #[error("its cost is absurd")]
    Cost,
    /// There is not enough memory for it.
    #[error("it takes more memory than there is")]
    Memory,
}

impl From<argon2::Error> for Unusable {
    fn from(error: argon2::Error) -> Self {
        match error {
            argon2::Error::OutOfMemory => Self::Memory,
            _ => Self::Malformed,
        }
    }
}

/// A stored hash, understood.
pub(super) struct Stored {
    argon2: Argon2<'static>,
    algorithm: Algorithm,
    version: Version,
    salt: Salt,
    output: Output,
}

impl Stored {
    /// Reads a PHC string, refusing costs above the caps or `today`'s, whichever is higher.
    pub(super) fn parse(text: &str, today: &Params) -> Result<Self, Unusable> {
        let phc = PasswordHash::new(text).map_err(|_| Unusable::Malformed)?;
        match phc.algorithm.as_str() {
            id @ ("argon2id" | "argon2i" | "argon2d") => Self::argon2(id, &phc, today),
            _ => Err(Unusable::Unknown),
        }
    }

    fn argon2(id: &str, phc: &PasswordHash, today: &Params) -> Result<Self, Unusable> {
        let algorithm = Algorithm::new(id).map_err(|_| Unusable::Unknown)?;
        // Strings without `v` are from before there was a second version.
        let version = match phc.version {
            Some(number) => Version::try_from(number).map_err(|_| Unusable::Unknown)?,
            None => Version::V0x10,
        };
        let params = Params::try_from(phc).map_err(|_| Unusable::Malformed)?;
        if params.m_cost() > MAX_MEMORY_KIB.max(today.m_cost())
            || params.t_cost() > MAX_ITERATIONS.max(today.t_cost())
            || params.p_cost() > MAX_PARALLELISM.max(today.p_cost())
        {
            return Err(Unusable::Cost);
        }
        let salt = phc.salt.ok_or(Unusable::Malformed)?;
        let output = phc.hash.ok_or(Unusable::Malformed)?;
        Ok(Self { argon2: Argon2::new(algorithm, version, params), algorithm, version, salt, output })
    }

    /// Whether `text` is the password. Compares in constant time.
    pub(super) fn fits(&self, text: &str, memory: &mut Memory) -> Result<bool, Unusable> {
        let mut bytes = Zeroizing::new([0; Output::MAX_LENGTH]);
        let out = bytes.get_mut(..self.output.len()).ok_or(Unusable::Malformed)?;
        compute(&self.argon2, text, &self.salt, out, memory)?;
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
pub(super) fn create(text: &str, today: &Params, memory: &mut Memory) -> Result<String, Unusable> {
    let salt = Salt::generate();
    let mut out = Zeroizing::new([0; OUTPUT_LEN]);
    compute(&Argon2::new(Algorithm::Argon2id, Version::V0x13, today.clone()), text, &salt, out.as_mut(), memory)?;
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
pub(super) fn in_vain(text: &str, today: &Params, memory: &mut Memory) -> Result<(), Unusable> {
    let mut out = Zeroizing::new([0; OUTPUT_LEN]);
    compute(&Argon2::new(Algorithm::Argon2id, Version::V0x13, today.clone()), text, &[0; 16], out.as_mut(), memory)
}

fn compute(argon2: &Argon2<'_>, text: &str, salt: &[u8], out: &mut [u8], memory: &mut Memory) -> Result<(), Unusable> {
    let blocks = &mut memory.blocks;
    if let Some(missing) = argon2.params().block_count().checked_sub(blocks.len()) {
        // Refused rather than aborted when an imported hash asks for more than the machine has.
        blocks.try_reserve_exact(missing).map_err(|_| Unusable::Memory)?;
        blocks.resize(blocks.len() + missing, Block::new());
    }
    argon2.hash_password_into_with_memory(text.as_bytes(), salt, out, blocks)?;
    memory.computed += 1;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn today() -> Params {
        params(64, 1, 1).unwrap()
    }

    #[test]
    fn a_hash_is_a_phc_string_that_fits_its_password_alone() {
        let mut memory = Memory::default();
        let text = create("tea for two", &today(), &mut memory).unwrap();
        assert!(text.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{text}");
        let stored = Stored::parse(&text, &today()).unwrap();
        assert_eq!(stored.fits("tea for two", &mut memory), Ok(true));
        assert_eq!(stored.fits("tea for twO", &mut memory), Ok(false));
        assert!(!stored.is_outdated(&today()));
    }

    #[test]
    fn every_hash_has_a_salt_of_its_own() {
        let mut memory = Memory::default();
        let mut make = || create("tea for two", &today(), &mut memory).unwrap();
        assert_ne!(make(), make());
    }

    #[test]
    fn memory_left_by_a_larger_hash_changes_nothing() {
        let mut memory = Memory::default();
        let large = params(256, 2, 2).unwrap();
        let before = create("tea for two", &large, &mut memory).unwrap();
        let after = create("tea for two", &today(), &mut memory).unwrap();
        let verify = |text: &str, memory: &mut Memory| {
            Stored::parse(text, &today()).unwrap().fits("tea for two", memory).unwrap()
        };
        assert!(verify(&before, &mut memory));
        assert!(memory.blocks.len() >= 256);
        memory.shrink(&today());
        assert_eq!((memory.blocks.len(), memory.blocks.capacity()), (64, 64));
        assert!(verify(&after, &mut memory));
        assert!(verify(&after, &mut Memory::default()));
    }

    /// The test vectors of the reference implementation's README and test.c.
    #[test]
    fn hashes_of_the_reference_implementation_verify_as_outdated() {
        for text in [
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
            "$argon2i$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY",
        ] {
            let stored = Stored::parse(text, &today()).unwrap();
            assert_eq!(stored.fits("password", &mut Memory::default()), Ok(true), "{text}");
            assert!(stored.is_outdated(&today()));
        }
    }

    #[test]
    fn an_imported_hash_of_absurd_cost_is_refused_before_any_work() {
        let rest = "c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        for cost in
            ["m=1048577,t=1,p=1", "m=4294967295,t=1,p=1", "m=64,t=21,p=1", "m=64,t=4294967295,p=1", "m=512,t=1,p=17"]
        {
            let text = format!("$argon2id$v=19${cost}${rest}");
            assert_eq!(Stored::parse(&text, &today()).err(), Some(Unusable::Cost), "{cost}");
        }
        let costly = params(64, 25, 1).unwrap();
        let text = format!("$argon2id$v=19$m=64,t=25,p=1${rest}");
        assert!(Stored::parse(&text, &costly).is_ok(), "what today's settings make holds under them");
    }

    #[test]
    fn what_is_no_hash_of_a_known_kind_is_told_apart() {
        for (text, why) in [
            ("", Unusable::Malformed),
            ("plain text", Unusable::Malformed),
            ("!", Unusable::Malformed),
            ("$argon2id$v=19$m=64,t=1,p=1", Unusable::Malformed),
            ("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ", Unusable::Malformed),
            (
                "$argon2id$v=19$m=64,t=0,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
                Unusable::Malformed,
            ),
            ("$argon2id$v=20$m=64,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", Unusable::Unknown),
            ("$scrypt$ln=1,r=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", Unusable::Unknown),
        ] {
            assert_eq!(Stored::parse(text, &today()).err(), Some(why), "{text}");
        }
    }

    #[test]
    fn passwords_are_hashed_in_one_normal_form() {
        let normal = |text: &str| normalise(&Secret::from(text)).to_string();
        assert_eq!(normal("caf\u{e9}"), normal("cafe\u{301}"));
        assert_eq!(normal("\u{ff21}\u{fb01}"), "Afi");
        assert_eq!(normal("  as typed  "), "  as typed  ");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*", tail in "[ -~]{0,80}") {
            let _ = Stored::parse(&text, &today());
            let _ = Stored::parse(&format!("$argon2id${tail}"), &today());
        }
    }
}
