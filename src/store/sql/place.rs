//! Which file a name leads to.
//!
//! A connection stays with the file that it opened, even when that was deleted or another one was put in its place.
//! What is written there is lost, so nothing may be acknowledged before the name was looked at again.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path};

/// One file, whatever its name. No other has the same numbers while a connection has it open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The file of this name. Asked before connecting: a file that is replaced between the two is then found to be
    /// another one, and never the other way round.
    pub fn at(path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        Ok(Self { device: found.dev(), inode: found.ino() })
    }

    /// Its numbers mixed into the id of a change log.
    pub fn mark(self, log_id: [u8; 16]) -> [u8; 16] {
        let numbers = u128::from(self.device) << 64 | u128::from(self.inode);
        (u128::from_be_bytes(log_id) ^ numbers).to_be_bytes()
    }

    /// Whether `path` still leads to it.
    pub fn is_at(self, path: &Path) -> bool {
        Self::at(path).is_ok_and(|found| found == self)
    }
}
