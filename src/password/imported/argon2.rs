//! Argon2 (RFC 9106) as a PHC string.

use argon2::Params;

use super::MAX_MEMORY;
use crate::password::{
    hash::{Memory, Unusable},
    phc::Phc,
};

/// Most memory filled in all passes together, KiB: ten times what Django takes (100 MiB, twice).
const MAX_WORK: u64 = 2 << 20;

/// Most lanes; Django takes 8.
const MAX_PARALLELISM: u32 = 64;

pub(in crate::password) struct Hash(Phc);

impl Hash {
    pub(super) fn parse(text: &str) -> Result<Self, Unusable> {
        let affordable = |params: &Params| {
            let memory = u64::from(params.m_cost());
            memory <= MAX_MEMORY / 1024
                && memory.saturating_mul(params.t_cost().into()) <= MAX_WORK
                && params.p_cost() <= MAX_PARALLELISM
        };
        Phc::parse(&format!("${text}"), affordable).map(Self)
    }

    pub(super) fn fits(&self, secret: &[u8], memory: &mut Memory) -> Result<bool, Unusable> {
        self.0.fits(secret, memory)
    }
}
