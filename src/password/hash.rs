//! Password hashes as they are stored: PHC strings of our own, and what an import brought.
//!
//! New hashes are argon2id (RFC 9106). What another system made is reported as outdated once it has verified, and
//! so replaced at its owner's first sign-in.

use argon2::{Block, Params};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::{imported::Imported, phc::Phc};
use crate::secret::Secret;

/// Highest costs that a PHC string may ask of us, where today's settings are not higher still: more is no
/// hash that we made, but one that was imported to tie us up.
const MAX_MEMORY_KIB: u32 = 1024 * 1024;
const MAX_ITERATIONS: u32 = 20;
const MAX_PARALLELISM: u32 = 16;

/// The memory that a thread hashes in, kept from one hash to the next.
#[derive(Default)]
pub(super) struct Memory {
    blocks: Vec<Block>,
    /// Hashes computed in it.
    pub(super) computed: u64,
}

impl Memory {
    /// At least `count` blocks.
    pub(super) fn blocks(&mut self, count: usize) -> Result<&mut [Block], Unusable> {
        if let Some(missing) = count.checked_sub(self.blocks.len()) {
            // Refused rather than aborted when an imported hash asks for more than the machine has.
            self.blocks.try_reserve_exact(missing).map_err(|_| Unusable::Memory)?;
            self.blocks.resize(count, Block::new());
        }
        Ok(&mut self.blocks)
    }

    /// Gives back what hashes at today's cost do not need.
    pub(super) fn shrink(&mut self, today: &Params) {
        if self.blocks.len() > today.block_count() {
            self.blocks.truncate(today.block_count());
            self.blocks.shrink_to_fit();
        }
    }
}

/// The text that we hash: NFKC, so that a password is the same from every keyboard.
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
    /// Not a whole hash of the kind that it says it is.
    #[error("it is not a whole hash")]
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
    /// It says that there is no password, as Django does with a `!`.
    #[error("it stands for no password")]
    NoPassword,
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
pub(super) enum Stored {
    /// Of the kind that we make.
    Own(Phc),
    /// Made elsewhere.
    Imported(Imported),
}

impl Stored {
    /// Reads a hash, refusing costs above the caps; for our own kind `today`'s are the caps where they are higher.
    pub(super) fn parse(text: &str, today: &Params) -> Result<Self, Unusable> {
        if !text.starts_with('$') {
            return Imported::parse(text).map(Self::Imported);
        }
        let affordable = |params: &Params| {
            params.m_cost() <= MAX_MEMORY_KIB.max(today.m_cost())
                && params.t_cost() <= MAX_ITERATIONS.max(today.t_cost())
                && params.p_cost() <= MAX_PARALLELISM.max(today.p_cost())
        };
        Phc::parse(text, affordable).map(Self::Own)
    }

    /// Whether `password` is the one.
    pub(super) fn fits(&self, password: &Secret, memory: &mut Memory) -> Result<bool, Unusable> {
        match self {
            Self::Own(phc) => phc.fits(normalise(password).as_bytes(), memory),
            Self::Imported(imported) => imported.fits(password, memory),
        }
    }

    /// Whether it was made otherwise than we make hashes now.
    pub(super) fn is_outdated(&self, today: &Params) -> bool {
        match self {
            Self::Own(phc) => phc.is_outdated(today),
            Self::Imported(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::password::phc::{create, params};

    fn today() -> Params {
        params(64, 1, 1).unwrap()
    }

    fn make(password: &str, costs: &Params, memory: &mut Memory) -> String {
        create(normalise(&Secret::from(password)).as_bytes(), costs, memory).unwrap()
    }

    fn fits(stored: &Stored, password: &str, memory: &mut Memory) -> Result<bool, Unusable> {
        stored.fits(&Secret::from(password), memory)
    }

    #[test]
    fn a_hash_is_a_phc_string_that_fits_its_password_alone() {
        let mut memory = Memory::default();
        let text = make("tea for two", &today(), &mut memory);
        assert!(text.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{text}");
        let stored = Stored::parse(&text, &today()).unwrap();
        assert_eq!(fits(&stored, "tea for two", &mut memory), Ok(true));
        assert_eq!(fits(&stored, "tea for twO", &mut memory), Ok(false));
        assert!(!stored.is_outdated(&today()));
    }

    #[test]
    fn every_hash_has_a_salt_of_its_own() {
        let mut memory = Memory::default();
        let mut make = || make("tea for two", &today(), &mut memory);
        assert_ne!(make(), make());
    }

    #[test]
    fn memory_left_by_a_larger_hash_changes_nothing() {
        let mut memory = Memory::default();
        let large = params(256, 2, 2).unwrap();
        let before = make("tea for two", &large, &mut memory);
        let after = make("tea for two", &today(), &mut memory);
        let verify = |text: &str, memory: &mut Memory| {
            fits(&Stored::parse(text, &today()).unwrap(), "tea for two", memory).unwrap()
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
            assert_eq!(fits(&stored, "password", &mut Memory::default()), Ok(true), "{text}");
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
            ("!", Unusable::NoPassword),
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
