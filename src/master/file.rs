//! The master secret's file: read with care, made once, never overwritten.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::{OpenError, random};
use crate::secret::Secret;

/// The text of the file; `None` when there is none.
pub(super) fn read(path: &Path) -> Result<Option<Secret>, OpenError> {
    let read = fs::read_to_string(path).and_then(|text| Ok((Secret::new(text), fs::metadata(path)?)));
    match read {
        Ok((text, metadata)) => {
            let mode = metadata.permissions().mode();
            // Only a warning: orchestrators mount secrets with modes of their own.
            if mode & 0o077 != 0 {
                tracing::warn!(
                    file = %path.display(),
                    mode = format_args!("{:03o}", mode & 0o777),
                    "others than the owner can read the master secret; `chmod 600` keeps it private"
                );
            }
            Ok(Some(text))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(OpenError::Read { path: path.to_owned(), source }),
    }
}

/// Makes the file with a fresh secret, on disk before this returns. Whoever is first makes it; false says
/// that it was somebody else. It is written under another name first, so that nobody reads half of it.
pub(super) fn make(path: &Path) -> Result<(Secret, bool), OpenError> {
    let failed = |source| OpenError::Make { path: path.to_owned(), source };
    let text = Secret::new(BASE64_URL_SAFE_NO_PAD.encode(*Zeroizing::new(random::<48>())));
    let unnamed = path.with_extension(format!("new-{}", uuid::Uuid::now_v7().simple()));
    let named = write(&unnamed, &text).and_then(|()| fs::hard_link(&unnamed, path)).and_then(|()| sync_directory(path));
    remove(&unnamed);
    match named {
        Ok(()) => {
            tracing::info!(file = %path.display(), "made a master secret; keep a copy of it apart from those of the store");
            Ok((text, true))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            read(path)?.map(|text| (text, false)).ok_or_else(|| failed(error))
        }
        Err(error) => Err(failed(error)),
    }
}

fn write(path: &Path, text: &Secret) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.expose().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

/// Removes a file that [`make`] has made.
pub(super) fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(file = %path.display(), %error, "cannot remove a master secret that is of no use");
    }
}

/// A new name lasts only when its directory is on disk too.
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}
