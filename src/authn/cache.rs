//! The verified-token cache: principals by the BLAKE3 hash of their whole token.
//!
//! All 32 bytes of the hash are compared. A shorter key would one day answer one person's token with another
//! person's identity. BLAKE3 and not SHA-256, which costs three times as much on processors without instructions for
//! it.

use std::sync::Arc;

use quick_cache::{Weighter, sync};

use super::Principal;

/// The hash of a token.
pub(super) type Key = [u8; 32];

/// Bytes of an entry in the cache's own books, beside key and principal.
const OVERHEAD: u64 = 96;
/// What an entry usually weighs, for the cache to plan by.
const TYPICAL: u64 = 1024;

/// Principals that were verified, bounded in bytes.
pub(super) struct Cache(sync::Cache<Key, Arc<Principal>, ByBytes>);

#[derive(Clone)]
struct ByBytes;

impl Weighter<Key, Arc<Principal>> for ByBytes {
    fn weight(&self, _: &Key, principal: &Arc<Principal>) -> u64 {
        size_of::<Key>() as u64 + OVERHEAD + principal.bytes() as u64
    }
}

impl Cache {
    /// Holds at most `bytes`; with 0 it keeps nothing.
    pub(super) fn new(bytes: u64) -> Self {
        let items = usize::try_from(bytes / TYPICAL).unwrap_or(usize::MAX);
        Self(sync::Cache::with_weighter(items, bytes, ByBytes))
    }

    /// The key of a token.
    pub(super) fn key(token: &[u8]) -> Key {
        *blake3::hash(token).as_bytes()
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<Principal>> {
        self.0.get(key)
    }

    pub(super) fn insert(&self, key: Key, principal: Arc<Principal>) {
        self.0.insert(key, principal);
    }

    pub(super) fn remove(&self, key: &Key) {
        self.0.remove(key);
    }

    /// Principals held.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> u64 {
        self.0.weight()
    }
}
