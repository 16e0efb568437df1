//! The change log and the deployment: [`ChangeStore`].
//!
//! `AUTOINCREMENT` never gives a number twice, so a cursor stays good when the entries before it are pruned. It does
//! not when entries after it were pruned unread, or when it is ahead of the log, which then is a restored older file.

use std::{
    path::{Path, PathBuf},
    sync::PoisonError,
    time::Duration,
};

use async_trait::async_trait;
use sqlx::{
    ConnectOptions as _, Connection as _, Row as _,
    sqlite::{SqliteConnection, SqliteRow},
};
use tokio::sync::Mutex;

use super::{SqlStore, accounts, bytes, open, parsed, place::FileId, sessions, unreadable, writer::Step};
use crate::{
    change_log::Change,
    clock::Timestamp,
    model::{Epoch, Health},
    store::{CHANGE_MARGIN, ChangeStore, Changes, Cursor, Deployment, StoreError},
};

/// How often the file is looked at for changes by others: a page-cache read, far below the half second in which a
/// gateway acts on the command line.
const POLL: Duration = Duration::from_millis(100);

/// After how many looks [`ChangeStore::wait_for_changes`] returns without cause.
const LOOKS: usize = 10;

/// How long a write may take before the store counts as one that takes none; what asks waits for a second.
const WRITES_WITHIN: Duration = Duration::from_millis(800);

/// How long it takes to return when it cannot look.
const PAUSE: Duration = Duration::from_secs(1);

#[async_trait]
impl ChangeStore for SqlStore {
    async fn read_changes(&self, cursor: Option<Cursor>) -> Result<Changes, StoreError> {
        let file = FileId::at(&self.path).map_err(|error| StoreError::Unavailable(error.into()))?;
        self.read(async |mut connection| {
            let mut snapshot = connection.begin().await?;
            let log = sqlx::query(
                "SELECT log_id, pruned, ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'changes'), 0) AS last \
                 FROM change_log",
            )
            .fetch_one(&mut *snapshot)
            .await?;
            // An older copy in the file's place may since have given the same numbers to other entries.
            let log_id = file.mark(bytes(&log, "log_id")?);
            let (pruned, last) = (number(&log, "pruned")?, number(&log, "last")?);
            let from = cursor
                .filter(|cursor| cursor.log_id == log_id && (pruned..=last).contains(&cursor.last))
                .map(|cursor| cursor.last);
            let rows = sqlx::query("SELECT * FROM changes WHERE seq > ? ORDER BY seq")
                .bind(from.map_or(Ok(0), i64::try_from).map_err(|_| unreadable("seq"))?)
                .fetch_all(&mut *snapshot)
                .await?;
            let mut entries = rows.iter().map(change).collect::<Result<Vec<_>, _>>()?;
            let whole = from.is_none();
            if whole {
                entries.extend([Change::Keys, Change::Clients]);
            }
            Ok(Changes { entries, cursor: Cursor { log_id, last }, whole })
        })
        .await
    }

    async fn wait_for_changes(&self) {
        for _ in 0..LOOKS {
            match self.watcher.moved().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot look for changes");
                    return tokio::time::sleep(PAUSE).await;
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn reapply_changes(&self, changes: &[Change]) -> Result<(), StoreError> {
        let changes = changes.to_vec();
        self.writer
            .write(move |step| {
                Box::pin(async move {
                    for change in changes {
                        reapply(step, change).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    async fn deployment(&self) -> Result<Option<Deployment>, StoreError> {
        self.read(async |mut connection| deployment(&mut connection).await).await
    }

    async fn claim_deployment(&self, claim: &Deployment) -> Result<Deployment, StoreError> {
        let claim = *claim;
        self.writer
            .write(move |step| {
                Box::pin(async move {
                    if let Some(first) = deployment(&mut step.connection).await? {
                        return Ok(first);
                    }
                    sqlx::query("INSERT INTO deployment (one, id, master_check) VALUES (1, ?, ?)")
                        .bind(claim.id.to_vec())
                        .bind(claim.master_check.to_vec())
                        .execute(&mut step.connection)
                        .await?;
                    Ok(claim)
                })
            })
            .await
    }

    async fn replace_master_check(&self, current: &Deployment, master_check: &[u8; 32]) -> Result<bool, StoreError> {
        let (current, master_check) = (*current, master_check.to_vec());
        self.writer
            .write(move |step| {
                Box::pin(async move {
                    let replaced =
                        sqlx::query("UPDATE deployment SET master_check = ? WHERE id = ? AND master_check = ?")
                            .bind(master_check)
                            .bind(current.id.to_vec())
                            .bind(current.master_check.to_vec())
                            .execute(&mut step.connection)
                            .await?;
                    if replaced.rows_affected() == 0 {
                        return Ok(false);
                    }
                    append(step, Change::Keys).await?;
                    Ok(true)
                })
            })
            .await
    }

    async fn ping(&self) -> Result<Health, StoreError> {
        self.deployment().await?;
        // Takes the write lock and gives it back: nothing is written, and all that a write needs has answered.
        let written = self.writer.write(|_| Box::pin(async { Ok(()) }));
        match tokio::time::timeout(WRITES_WITHIN, written).await {
            Ok(Ok(())) => Ok(Health::Reachable),
            _ => Ok(Health::ReadOnly),
        }
    }

    /// The last one to close leaves a single file, without its log.
    async fn close(&self) {
        self.readers.load_full().pool.close().await;
        self.watcher.close().await;
        self.writer.close().await;
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// When an entry is forgotten that concerns access tokens of up to `access_expires_at`. Never right away: every
/// node is to read it before it is pruned.
pub(super) fn until(access_expires_at: Timestamp, now: Timestamp) -> Timestamp {
    access_expires_at.max(now) + CHANGE_MARGIN
}

/// Appends an entry; this node's view takes it in after the commit.
pub(super) async fn append(step: &mut Step, change: Change) -> Result<(), StoreError> {
    let (kind, sid, account, min_epoch, until) = match &change {
        Change::SessionEnded { sid, until } => ("session", Some(sid.to_string()), None, None, *until),
        Change::AccountEpoch { account, min_epoch, until } => {
            ("account", None, Some(account.to_string()), Some(min_epoch.0), *until)
        }
        Change::Keys => ("keys", None, None, None, until(step.now(), step.now())),
        Change::Clients => ("clients", None, None, None, until(step.now(), step.now())),
    };
    sqlx::query("INSERT INTO changes (kind, sid, account, min_epoch, until) VALUES (?, ?, ?, ?, ?)")
        .bind(kind)
        .bind(sid)
        .bind(account)
        .bind(min_epoch)
        .bind(until.millis())
        .execute(&mut step.connection)
        .await?;
    step.logged(change);
    Ok(())
}

/// Deletes up to `limit` entries that no living token can be concerned by.
pub(super) async fn prune(step: &mut Step, limit: u32) -> Result<u64, StoreError> {
    let pruned: Vec<i64> = sqlx::query_scalar(
        "DELETE FROM changes WHERE seq IN (SELECT seq FROM changes WHERE until <= ? ORDER BY seq LIMIT ?) RETURNING seq",
    )
    .bind(step.now().millis())
    .bind(limit)
    .fetch_all(&mut step.connection)
    .await?;
    if let Some(highest) = pruned.iter().max() {
        sqlx::query("UPDATE change_log SET pruned = max(pruned, ?)")
            .bind(highest)
            .execute(&mut step.connection)
            .await?;
    }
    Ok(pruned.len() as u64)
}

async fn reapply(step: &mut Step, change: Change) -> Result<(), StoreError> {
    let known: bool = match &change {
        Change::SessionEnded { sid, until } => {
            sessions::delete(step, *sid).await?;
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM changes WHERE sid = ? AND until >= ?)")
                .bind(sid.to_string())
                .bind(until.millis())
                .fetch_one(&mut step.connection)
                .await?
        }
        Change::AccountEpoch { account, min_epoch, until } => {
            accounts::raise_epoch(step, *account, *min_epoch).await?;
            sqlx::query_scalar(
                "SELECT EXISTS (SELECT 1 FROM changes WHERE account = ? AND min_epoch >= ? AND until >= ?)",
            )
            .bind(account.to_string())
            .bind(min_epoch.0)
            .bind(until.millis())
            .fetch_one(&mut step.connection)
            .await?
        }
        Change::Keys | Change::Clients => true,
    };
    if known { Ok(()) } else { append(step, change).await }
}

async fn deployment(connection: &mut SqliteConnection) -> Result<Option<Deployment>, sqlx::Error> {
    let row = sqlx::query("SELECT id, master_check FROM deployment").fetch_optional(connection).await?;
    row.map(|row| Ok(Deployment { id: bytes(&row, "id")?, master_check: bytes(&row, "master_check")? })).transpose()
}

fn change(row: &SqliteRow) -> Result<Change, sqlx::Error> {
    let until = Timestamp::from_millis(row.try_get("until")?);
    match row.try_get("kind")? {
        "session" => Ok(Change::SessionEnded { sid: parsed(row, "sid")?, until }),
        "account" => Ok(Change::AccountEpoch {
            account: parsed(row, "account")?,
            min_epoch: Epoch(row.try_get("min_epoch")?),
            until,
        }),
        "keys" => Ok(Change::Keys),
        "clients" => Ok(Change::Clients),
        _ => Err(unreadable("kind")),
    }
}

fn number(row: &SqliteRow, column: &'static str) -> Result<u64, sqlx::Error> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(|_| unreadable(column))
}

/// Sees that others wrote to the file, or put another in its place: `PRAGMA data_version` moves for every commit but
/// the connection's own, and this one makes none.
pub(super) struct Watcher {
    path: PathBuf,
    /// Absent when the file could not be looked at.
    seen: Mutex<Option<Seen>>,
}

struct Seen {
    connection: SqliteConnection,
    file: FileId,
    version: i64,
}

impl Seen {
    async fn connect(path: &Path) -> Result<Self, sqlx::Error> {
        let file = FileId::at(path)?;
        let mut connection = open::options(path).read_only(true).connect().await?;
        let version = data_version(&mut connection).await?;
        Ok(Self { connection, file, version })
    }
}

impl Watcher {
    pub async fn connect(path: &Path) -> Result<Self, sqlx::Error> {
        let seen = Seen::connect(path).await?;
        Ok(Self { path: path.to_owned(), seen: Mutex::new(Some(seen)) })
    }

    pub async fn close(&self) {
        if let Some(seen) = self.seen.lock().await.take() {
            _ = seen.connection.close().await;
        }
    }

    /// Whether anything was written since this was last asked, or may have been.
    pub async fn moved(&self) -> Result<bool, sqlx::Error> {
        let mut slot = self.seen.lock().await;
        // Left empty by a failure, so that the next look connects again.
        let Some(mut seen) = slot.take().filter(|seen| seen.file.is_at(&self.path)) else {
            *slot = Some(Seen::connect(&self.path).await?);
            return Ok(true);
        };
        let version = data_version(&mut seen.connection).await?;
        let moved = version != seen.version;
        *slot = Some(Seen { version, ..seen });
        Ok(moved)
    }
}

async fn data_version(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("PRAGMA data_version").fetch_one(connection).await
}
