//! A copy of the file, made beside whoever works on it.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use sqlx::{ConnectOptions as _, Connection as _};

use super::open::{self, OpenError};

/// No copy was made.
#[derive(Debug, thiserror::Error)]
pub enum BackUpError {
    /// There is nothing to copy.
    #[error("there is no store at {}: nothing was copied", .0.display())]
    Missing(PathBuf),
    /// There is something in its place.
    #[error("{} exists already, and no backup is ever overwritten: name a new file", .0.display())]
    Exists(PathBuf),
    /// The store cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The copy cannot be written.
    #[error("{} cannot be written: {source}", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// What the system or SQLite said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl BackUpError {
    /// As sysexits.h has them: 64 for what was asked for, 69 for what may be different on the next try.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Missing(_) | Self::Exists(_) => 64,
            Self::Open(error) => error.exit_code(),
            Self::Write { .. } => 69,
        }
    }
}

/// Copies the database at `from`, as it is at one moment, into a new file `to` that only its owner can read; its size,
/// bytes. Reading it holds up nobody who writes. The copy is whole and on disk before it has its name, which no other
/// file ever loses to it.
pub async fn back_up(from: &Path, to: &Path) -> Result<u64, BackUpError> {
    if !from.try_exists().map_err(|source| open::failed(from, source))? {
        return Err(BackUpError::Missing(from.to_owned()));
    }
    // Told before the work; what counts is that naming the copy fails.
    if fs::symlink_metadata(to).is_ok() {
        return Err(BackUpError::Exists(to.to_owned()));
    }
    let draft = draft(to)?;
    let copied = async {
        let failed = |source: io::Error| write_error(to, source);
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(failed)?;
        copy(from, &draft).await?;
        let file = File::open(&draft).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        name(&draft, to)?;
        Ok(file.metadata().map_err(failed)?.len())
    };
    let copied = copied.await;
    _ = fs::remove_file(&draft);
    copied
}

/// Beside `to`, so that it only has to be given its name.
fn draft(to: &Path) -> Result<PathBuf, BackUpError> {
    let Some(name) = to.file_name() else {
        return Err(write_error(to, io::Error::from(io::ErrorKind::IsADirectory)));
    };
    let name = format!(".{}.partial-{}", name.to_string_lossy(), uuid::Uuid::now_v7().simple());
    Ok(to.with_file_name(name))
}

async fn copy(from: &Path, draft: &Path) -> Result<(), BackUpError> {
    let options = open::options(from).read_only(true);
    let mut connection = options.connect().await.map_err(|error| open::refused(from, error))?;
    open::inspect(&mut connection, from).await?;
    let path = draft.to_str().ok_or_else(|| write_error(draft, "its name is no UTF-8"))?;
    // An empty file is taken for a new one, and keeps its mode.
    let copied = sqlx::query("VACUUM INTO ?").bind(path).execute(&mut connection).await;
    _ = connection.close().await;
    copied.map(drop).map_err(|error| write_error(draft, error))
}

/// Gives the draft its name, unless there is a file of that name.
fn name(draft: &Path, to: &Path) -> Result<(), BackUpError> {
    let named = match fs::hard_link(draft, to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(BackUpError::Exists(to.to_owned())),
        // Some file systems have no links.
        Err(_) if fs::symlink_metadata(to).is_ok() => return Err(BackUpError::Exists(to.to_owned())),
        Err(_) => fs::rename(draft, to),
        Ok(()) => Ok(()),
    };
    let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    named.and_then(|()| File::open(directory)?.sync_all()).map_err(|error| write_error(to, error))
}

fn write_error(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> BackUpError {
    BackUpError::Write { path: path.to_owned(), source: source.into() }
}
