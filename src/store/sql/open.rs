//! Opening the file: whose it is, whether it can be trusted, and making it when there is none.
//!
//! A new database is made whole under another name and then given its own, so a file of that name that is empty
//! or torn is a damaged one, never a beginning. Nothing here replaces or repairs what it finds.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions as _, Connection as _,
    sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous},
};

use super::{Role, SQLITE_BUSY, SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_READONLY, place::FileId, result_code};
use crate::store::StoreError;

/// In the file's header: this is a Passgate database and no other program's. "PGAT".
const APPLICATION_ID: i64 = 0x5047_4154;

/// The schema, one step per version; `PRAGMA user_version` counts the steps taken, and each step sets it.
pub(super) const MIGRATIONS: [&str; 2] =
    [include_str!("migrations/0001_accounts_sessions_log.sql"), include_str!("migrations/0002_sign_in_elsewhere.sql")];

/// For a command, which may write more at once than sign-ins do in a day: 64 MiB of pages in memory, and 32 MiB of
/// changes before they are moved into the file.
const MUCH: &str = "PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 8192;";

/// How long to wait for another process's write. Less than a caller waits, so that it hears the reason.
const BUSY: Duration = Duration::from_secs(2);

/// A file up to this size, in bytes, is checked whole before it is served; a larger one would take seconds.
const CHECKED_WHOLE: u64 = 64 << 20;

/// The store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another gateway serves it.
    #[error(
        "{} is served by another passgate process: stop that one first, or give this one a file of its own",
        .0.display()
    )]
    InUse(PathBuf),
    /// Not an SQLite file, or one that is torn.
    #[error(
        "{} is damaged: {reason}. Restore it from a backup, or move it away, together with its -wal file, to start \
         with an empty one",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An SQLite file, but not ours.
    #[error("{} is the database of another program: set store.sqlite.path to a file of Passgate's own", .0.display())]
    Foreign(PathBuf),
    /// Made by a later version.
    #[error(
        "{} was made by a newer Passgate (schema {found}, this one knows {known}): run that version, or restore the \
         backup made before the upgrade",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The latest that this program knows.
        known: usize,
    },
    /// The file, its directory or the disk is read-only.
    #[error(
        "{} cannot be written to ({source}): the file and its directory must be writable for the user that Passgate \
         runs as, on a disk that is not read-only",
        path.display()
    )]
    ReadOnly {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The directory is missing and cannot be made.
    #[error("the directory {} cannot be made: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Anything else.
    #[error("{} cannot be opened: {source}", path.display())]
    Unavailable {
        /// The file.
        path: PathBuf,
        /// What the system or SQLite said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl OpenError {
    /// As sysexits.h has them: 69 for what may be different on the next try, 64 for what an operator must mend.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::InUse(_) | Self::ReadOnly { .. } | Self::Unavailable { .. } => 69,
            Self::Damaged { .. } | Self::Foreign(_) | Self::Newer { .. } | Self::Directory { .. } => 64,
        }
    }
}

/// What a file that cannot be opened again means for those who wait.
impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Damaged { .. } => Self::Corrupt(error.to_string()),
            _ => Self::Unavailable(error.into()),
        }
    }
}

/// A database that was found good, or made.
pub(super) struct Opened {
    /// Absolute, so that it stays the same file wherever the process goes.
    pub path: PathBuf,
    /// For writing.
    pub connected: Connected,
    /// Of the one that serves.
    pub lock: Option<File>,
}

/// A connection for writing, and the file it is on.
pub(super) struct Connected {
    /// The connection.
    pub connection: SqliteConnection,
    /// The file.
    pub file: FileId,
}

/// Every connection's settings.
pub(super) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY)
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .pragma("trusted_schema", "OFF")
        .disable_statement_logging()
}

pub(super) async fn open(path: &Path, role: Role) -> Result<Opened, OpenError> {
    let path = std::path::absolute(path).map_err(|source| failed(path, source))?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|source| OpenError::Directory { path: directory.to_owned(), source })?;
    let lock = match role {
        Role::Serve => Some(lock(&path)?),
        Role::Command => None,
    };
    if !path.try_exists().map_err(|source| failed(&path, source))? {
        create(&path, directory).await?;
    }
    let size = fs::metadata(&path).map_err(|source| failed(&path, source))?.len();
    if !begins_as_a_database(&path).map_err(|source| failed(&path, source))? {
        let reason = "it does not begin as an SQLite file".to_owned();
        return Err(OpenError::Damaged { path, reason });
    }
    let mut connected = connect(&path).await?;
    if role == Role::Command {
        let set = sqlx::raw_sql(MUCH).execute(&mut connected.connection).await;
        set.map_err(|error| refused(&path, error))?;
    }
    if role == Role::Serve && size <= CHECKED_WHOLE {
        let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)")
            .fetch_one(&mut connected.connection)
            .await
            .map_err(|error| refused(&path, error))?;
        if verdict != "ok" {
            return Err(OpenError::Damaged { path, reason: verdict });
        }
    }
    Ok(Opened { path, connected, lock })
}

/// Connects to the file that is there, whoever put it there, after a look at whether it may be used. Looks through
/// SQLite alone: closing a file of one's own would drop the locks of this process's other connections to it.
pub(super) async fn connect(path: &Path) -> Result<Connected, OpenError> {
    let begun = Instant::now();
    loop {
        match try_connect(path).await {
            // SQLite waits for other processes by itself, but not while one changes the journal's mode or, the last
            // one to close the file, clears it away.
            Err(OpenError::Unavailable { source, .. }) if is_busy(&*source) && begun.elapsed() < BUSY => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            done => return done,
        }
    }
}

fn is_busy(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    error.downcast_ref().and_then(result_code) == Some(SQLITE_BUSY)
}

async fn try_connect(path: &Path) -> Result<Connected, OpenError> {
    let file = FileId::at(path).map_err(|source| failed(path, source))?;
    let mut connection = options(path).connect().await.map_err(|error| refused(path, error))?;
    inspect(&mut connection, path).await?;
    prepare(&mut connection).await.map_err(|error| refused(path, error))?;
    Ok(Connected { connection, file })
}

/// Takes the lock of the one that serves. Its file stays: deleting it would let two hold it.
fn lock(path: &Path) -> Result<File, OpenError> {
    let lock = beside(path, ".lock");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(&lock).map_err(|source| failed(&lock, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(&lock, source)),
    }
}

/// Makes an empty database, unless somebody else is faster.
async fn create(path: &Path, directory: &Path) -> Result<(), OpenError> {
    for suffix in ["-wal", "-journal"] {
        // SQLite would take what is in there for changes of the new file.
        if fs::metadata(beside(path, suffix)).is_ok_and(|found| found.len() > 0) {
            let reason = format!("only its {suffix} file is left, which holds the latest changes of a lost file");
            return Err(OpenError::Damaged { path: path.to_owned(), reason });
        }
    }
    let draft = beside(path, &format!(".new-{}", uuid::Uuid::now_v7().simple()));
    let made = async {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)
            .map_err(|source| failed(path, source))?;
        fill(&draft).await.map_err(|error| refused(path, error))?;
        match fs::hard_link(&draft, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            // Some file systems have no links; there, two that begin at the same moment are not told apart.
            Err(_) => fs::rename(&draft, path),
            Ok(()) => Ok(()),
        }
        .and_then(|()| File::open(directory)?.sync_all())
        .map_err(|source| failed(path, source))
    };
    let made = made.await;
    for leftover in ["", "-wal", "-shm", "-journal"] {
        _ = fs::remove_file(beside(&draft, leftover));
    }
    made
}

/// Writes the schema into an empty file and closes it, all of it in the one file.
async fn fill(draft: &Path) -> Result<(), sqlx::Error> {
    let mut connection = options(draft).connect().await?;
    prepare(&mut connection).await?;
    connection.close().await
}

/// Asked before SQLite is, to which a file shorter than a page is an empty database; and never later, see [`connect`].
fn begins_as_a_database(path: &Path) -> io::Result<bool> {
    let mut begin = Vec::new();
    File::open(path)?.take(16).read_to_end(&mut begin)?;
    Ok(begin == b"SQLite format 3\0")
}

/// Refuses what this program must not touch.
pub(super) async fn inspect(connection: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let header = async {
        let application: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *connection).await?;
        let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await?;
        Ok((application, version))
    };
    let (application, found) = header.await.map_err(|error| refused(path, error))?;
    if application != APPLICATION_ID {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    if usize::try_from(found).is_ok_and(|found| found > MIGRATIONS.len()) {
        return Err(OpenError::Newer { path: path.to_owned(), found, known: MIGRATIONS.len() });
    }
    Ok(())
}

/// Brings the schema up to date, and shows that the file can be written: SQLite opens one that cannot all the same.
pub(super) async fn prepare(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    // Kept in the file; a copy made by `VACUUM INTO` has lost it.
    sqlx::query("PRAGMA journal_mode = WAL").execute(&mut *connection).await?;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await?;
    let mut missing = MIGRATIONS.into_iter().skip(usize::try_from(version).unwrap_or(0)).peekable();
    // Nothing to keep of a mere trial.
    let end = if missing.peek().is_some() { "COMMIT" } else { "ROLLBACK" };
    for migration in missing {
        sqlx::raw_sql(migration).execute(&mut *connection).await?;
    }
    sqlx::query("UPDATE change_log SET pruned = pruned").execute(&mut *connection).await?;
    sqlx::query(end).execute(connection).await.map(drop)
}

/// What an error of SQLite means for the file as a whole.
pub(super) fn refused(path: &Path, error: sqlx::Error) -> OpenError {
    let path = path.to_owned();
    match result_code(&error) {
        Some(SQLITE_CORRUPT | SQLITE_NOTADB) => OpenError::Damaged { path, reason: error.to_string() },
        Some(SQLITE_READONLY) => OpenError::ReadOnly { path, source: error.into() },
        _ => OpenError::Unavailable { path, source: error.into() },
    }
}

/// What an error of the file system means.
pub(super) fn failed(path: &Path, source: io::Error) -> OpenError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            OpenError::ReadOnly { path, source: source.into() }
        }
        _ => OpenError::Unavailable { path, source: source.into() },
    }
}

/// The file of the same name with `suffix` after it.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
