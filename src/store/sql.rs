//! The SQL store: SQLite in one file, which one process serves and the command line works beside.
//!
//! Reads go to a few read-only connections. Every write is one operation of the writer, which commits
//! many at once; what an operation appended to the change log is in this node's view before its caller hears of it.

mod accounts;
mod backup;
mod changes;
mod clients;
mod imports;
mod keys;
mod links;
mod open;
mod place;
mod sessions;
mod sources;
mod writer;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, Mutex},
    time::Duration,
};

use arc_swap::ArcSwap;
use serde::de::DeserializeOwned;
use sqlx::{
    Row as _, Sqlite,
    pool::{PoolConnection, PoolOptions},
    sqlite::{SqlitePool, SqliteRow},
};

pub use self::{
    backup::{BackUpError, back_up},
    open::OpenError,
    writer::Stats,
};
use self::{changes::Watcher, place::FileId, writer::Writer};
use crate::{change_log::View, clock::Clock, store::StoreError};

/// How long a caller waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Read-only connections, each a thread.
const READERS: u32 = 4;

/// What a process is to the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The gateway: one per file, for as long as the store is open.
    Serve,
    /// The command line: any number, also beside a gateway.
    Command,
}

/// A store in one SQLite file.
pub struct SqlStore {
    path: PathBuf,
    readers: ArcSwap<Readers>,
    writer: Writer,
    watcher: Watcher,
    /// Held by the one that serves, until it closes.
    lock: Mutex<Option<File>>,
}

/// Read-only connections to one file.
struct Readers {
    pool: SqlitePool,
    file: FileId,
}

impl Readers {
    /// Each connects when it is first needed.
    fn new(path: &Path, file: FileId) -> Self {
        let pool = PoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(PATIENCE)
            .max_lifetime(None)
            .idle_timeout(None)
            .test_before_acquire(false)
            .connect_lazy_with(open::options(path).read_only(true));
        Self { pool, file }
    }
}

impl SqlStore {
    /// Opens the store at `path`; makes it, and the directories above it, when there is none, whatever the role:
    /// accounts can be made before the first start. What this process appends to the change log goes to `changes`
    /// at once.
    pub async fn open(path: &Path, clock: Clock, changes: Arc<View>, role: Role) -> Result<Self, OpenError> {
        let open::Opened { path, connected, lock } = open::open(path, role).await?;
        let readers = ArcSwap::from_pointee(Readers::new(&path, connected.file));
        let writer = Writer::start(connected, path.clone(), clock, changes);
        let watcher = Watcher::connect(&path).await.map_err(|error| open::refused(&path, error))?;
        Ok(Self { path, readers, writer, watcher, lock: Mutex::new(lock) })
    }

    /// What was written since the store was opened.
    pub fn stats(&self) -> Stats {
        self.writer.stats()
    }

    /// Runs a read on one of the read-only connections.
    async fn read<T>(
        &self,
        read: impl AsyncFnOnce(PoolConnection<Sqlite>) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let pool = self.readers()?;
        let answer = tokio::time::timeout(PATIENCE, async { read(pool.acquire().await?).await });
        Ok(answer.await.map_err(|_| StoreError::Unavailable("the read took too long".into()))??)
    }

    /// The connections to the file that is there now.
    fn readers(&self) -> Result<SqlitePool, StoreError> {
        let file = FileId::at(&self.path).map_err(|error| StoreError::Unavailable(error.into()))?;
        let readers = self.readers.load();
        if readers.file == file {
            return Ok(readers.pool.clone());
        }
        let readers = Readers::new(&self.path, file);
        let pool = readers.pool.clone();
        self.readers.store(Arc::new(readers));
        Ok(pool)
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match (result_code(&error), &error) {
            (Some(SQLITE_CORRUPT | SQLITE_NOTADB), _)
            | (_, sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Decode(_)) => {
                Self::Corrupt(error.to_string())
            }
            _ => Self::Unavailable(error.into()),
        }
    }
}

// https://www.sqlite.org/rescode.html
const SQLITE_BUSY: i32 = 5;
const SQLITE_READONLY: i32 = 8;
const SQLITE_CORRUPT: i32 = 11;
const SQLITE_NOTADB: i32 = 26;

/// The primary result code of an error that SQLite itself gave.
fn result_code(error: &sqlx::Error) -> Option<i32> {
    let extended: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}

/// A text column read by its type's own spelling.
fn parsed<T: FromStr>(row: &SqliteRow, column: &'static str) -> Result<T, sqlx::Error> {
    let text: &str = row.try_get(column)?;
    text.parse().map_err(|_| unreadable(column))
}

/// A text column that holds JSON.
fn json<T: DeserializeOwned>(row: &SqliteRow, column: &'static str) -> Result<T, sqlx::Error> {
    let text: &str = row.try_get(column)?;
    serde_json::from_str(text).map_err(|_| unreadable(column))
}

/// A blob of fixed length.
fn bytes<const N: usize>(row: &SqliteRow, column: &'static str) -> Result<[u8; N], sqlx::Error> {
    row.try_get::<&[u8], _>(column)?.try_into().map_err(|_| unreadable(column))
}

/// The error of a column that holds what we never wrote. Its value stays out of logs.
fn unreadable(column: &str) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: "not a value that Passgate writes".into() }
}
