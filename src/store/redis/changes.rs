//! The change log and the deployment: [`ChangeStore`].
//!
//! The log is a stream whose entries we number ourselves, without gaps. A cursor is good for one run of one server:
//! after a restart or a failover the server may have lost entries and given their numbers to others.

use std::{
    collections::HashMap,
    ops::BitXor,
    sync::{LazyLock, atomic::Ordering},
    time::Duration,
};

use super::{RedisStore, codec, connection::LISTENS_FOR, millis, script::Script};
use crate::{
    change_log::Change,
    clock::Timestamp,
    model::{AccountId, Epoch, Health, SessionId},
    store::{CHANGE_MARGIN, ChangeStore, Changes, Cursor, Deployment, StoreError},
};
use async_trait::async_trait;

/// Scripts that append begin with what all of them share.
macro_rules! log_script {
    ($file:literal) => {
        std::sync::LazyLock::new(|| {
            $crate::store::redis::script::Script::new(concat!(
                include_str!("scripts/log.lua"),
                include_str!(concat!("scripts/", $file))
            ))
        })
    };
}
pub(super) use log_script;

static APPEND: LazyLock<Script> = log_script!("append.lua");
static READ: LazyLock<Script> = log_script!("read_log.lua");
static PRUNE: LazyLock<Script> = log_script!("prune.lua");
static REPLACE_DEPLOYMENT: LazyLock<Script> = log_script!("replace_deployment.lua");

/// Entries read or looked at in one step, so that nobody waits long behind it.
const PAGE: usize = 2000;

/// How long it takes to return when the Redis cannot be listened to.
const PAUSE: Duration = Duration::from_secs(1);

#[async_trait]
impl ChangeStore for RedisStore {
    async fn read_changes(&self, cursor: Option<Cursor>) -> Result<Changes, StoreError> {
        self.within(self.read_log(cursor)).await
    }

    async fn wait_for_changes(&self) {
        let mut wait = redis::cmd("XREAD");
        wait.arg("COUNT").arg(1).arg("BLOCK").arg(millis(LISTENS_FOR));
        wait.arg("STREAMS").arg(self.0.names.log()).arg(format!("{}-0", self.read_to()));
        if let Err(error) = self.0.connection.wait::<redis::Value>(&wait).await {
            tracing::warn!(%error, "cannot listen for changes");
            tokio::time::sleep(PAUSE).await;
        }
        if let Err(error) = self.know_runs().await {
            tracing::debug!(%error, "cannot tell whether a server of the Cluster was replaced");
        }
    }

    async fn reapply_changes(&self, changes: &[Change]) -> Result<(), StoreError> {
        // As long as it takes: it is no request that waits for it.
        for change in changes {
            match *change {
                Change::SessionEnded { sid, .. } => self.within(self.delete_session(sid)).await?,
                Change::AccountEpoch { account, min_epoch, .. } => {
                    self.within(self.raise_epoch(account, min_epoch)).await?;
                }
                Change::Keys | Change::Clients => {}
            }
        }
        let mut known = HashMap::new();
        for (subject, epoch, until) in self.read_log(None).await?.entries.iter().filter_map(facts) {
            let latest = known.entry(subject).or_insert((epoch, until));
            *latest = (epoch.max(latest.0), until.max(latest.1));
        }
        for change in changes {
            let Some((subject, epoch, until)) = facts(change) else { continue };
            if known.get(&subject).is_none_or(|known| known.0 < epoch || known.1 < until) {
                self.log(change).await?;
            }
        }
        Ok(())
    }

    async fn deployment(&self) -> Result<Option<Deployment>, StoreError> {
        self.within(self.find_deployment()).await
    }

    async fn claim_deployment(&self, claim: &Deployment) -> Result<Deployment, StoreError> {
        let mut set = redis::cmd("SETNX");
        set.arg(self.0.names.beside_log("deployment"));
        set.arg(write_deployment(claim)?);
        self.within(async {
            self.0.connection.query::<()>(&set).await?;
            self.find_deployment().await?.ok_or_else(|| StoreError::Unavailable("it forgot at once".into()))
        })
        .await
    }

    async fn replace_master_check(&self, current: &Deployment, master_check: &[u8; 32]) -> Result<bool, StoreError> {
        let new = Deployment { master_check: *master_check, ..*current };
        let args = vec![write_deployment(current)?, write_deployment(&new)?];
        self.change_beside_log(&REPLACE_DEPLOYMENT, "deployment", &Change::Keys, args).await
    }

    async fn ping(&self) -> Result<Health, StoreError> {
        let mut set = redis::cmd("SET");
        set.arg(self.0.names.beside_log("ping")).arg(1).arg("PX").arg(60_000);
        match self.within(self.0.connection.query::<()>(&set)).await {
            Ok(()) => Ok(Health::Reachable),
            Err(StoreError::Unavailable(error)) if takes_no_writes(&*error) => Ok(Health::ReadOnly),
            Err(error) => Err(error),
        }
    }

    async fn close(&self) {
        self.shut().await;
    }
}

impl RedisStore {
    async fn read_log(&self, cursor: Option<Cursor>) -> Result<Changes, StoreError> {
        let from = cursor.map_or(0, |cursor| cursor.last);
        let mut page = self.read_page(from).await?;
        let whole =
            cursor.is_none_or(|cursor| cursor.log_id != page.log_id || !(page.pruned..=page.last).contains(&from));
        if whole && from != 0 {
            page = self.read_page(0).await?;
        }
        let Page { log_id, last, mut entries, .. } = page;
        let mut changes = Vec::with_capacity(entries.len());
        while let Some((number, _)) = entries.last() {
            let number = *number;
            for (_, entry) in &entries {
                changes.push(codec::read_change(entry)?);
            }
            if number >= last {
                break;
            }
            entries = self.read_page(number).await?.entries;
            entries.retain(|(number, _)| *number <= last);
        }
        if whole {
            changes.extend([Change::Keys, Change::Clients]);
        }
        self.0.read_to.store(last, Ordering::Relaxed);
        Ok(Changes { entries: changes, cursor: Cursor { log_id, last }, whole })
    }

    async fn read_page(&self, from: u64) -> Result<Page, StoreError> {
        let mut script = READ.prepare();
        script.key(self.0.names.log()).key(self.0.names.beside_log("state"));
        script.arg(random_id()?).arg(from).arg(PAGE);
        let (id, run, last, pruned, entries): (String, String, u64, u64, Vec<(u64, String)>) =
            self.0.connection.run(&script).await?;
        let id = u128::from_str_radix(&id, 16).map_err(|_| codec::unreadable("the change log's id"))?;
        // Another run may have lost entries, and given their numbers to others.
        let run = run.get(..32).and_then(|run| u128::from_str_radix(run, 16).ok()).unwrap_or(0);
        let runs = u128::from(self.0.runs.load(Ordering::Relaxed));
        Ok(Page { log_id: (id ^ run ^ runs).to_be_bytes(), last, pruned, entries })
    }

    /// Learns which runs of which servers hold what is kept in a Cluster: the log is on one of them, and another may
    /// lose the end of a session.
    pub(super) async fn know_runs(&self) -> Result<(), StoreError> {
        if !self.0.connection.is_cluster() {
            return Ok(());
        }
        let mut info = redis::cmd("INFO");
        info.arg("server");
        let servers = self.within(self.0.connection.ask_each::<String>(&info)).await?;
        let ids = servers.iter().filter_map(|(_, info)| info.lines().find_map(|line| line.strip_prefix("run_id:")));
        let runs = ids.filter_map(|id| u64::from_str_radix(id.get(..16)?, 16).ok());
        self.0.runs.store(runs.fold(0, BitXor::bitxor), Ordering::Relaxed);
        Ok(())
    }

    /// Appends entries, and takes away the note that they were to be written, if there is one.
    pub(super) async fn append(&self, note: &str, entries: &[&str]) -> Result<(), StoreError> {
        let mut script = APPEND.prepare();
        script.key(self.0.names.log()).key(self.0.names.beside_log("state"));
        script.key(self.0.names.beside_log("unfinished"));
        script.arg(random_id()?).arg(note).arg(entries);
        self.0.connection.run(&script).await
    }

    /// Appends what is no part of another change; this node knows it at once.
    async fn log(&self, change: &Change) -> Result<(), StoreError> {
        let entry = codec::write_change(change, Timestamp::default());
        self.within(self.append("", &[entry.as_str()])).await?;
        self.0.changes.apply(change);
        Ok(())
    }

    /// When an entry is forgotten that is about no access token: every node has read it by then.
    pub(super) async fn short_until(&self) -> Result<Timestamp, StoreError> {
        Ok(self.time_now().await? + CHANGE_MARGIN)
    }

    /// Deletes up to `limit` entries that no living token can be concerned by.
    pub(super) async fn prune(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut script = PRUNE.prepare();
        script.key(self.0.names.log()).key(self.0.names.beside_log("state"));
        script.arg(now.millis()).arg(limit).arg(PAGE);
        self.0.connection.run(&script).await
    }

    /// Deletes a session without a word to the change log, which knows.
    async fn delete_session(&self, sid: SessionId) -> Result<(), StoreError> {
        let Some(account) = self.account_of(sid).await? else { return Ok(()) };
        self.delete_row(account, sid).await
    }

    async fn find_deployment(&self) -> Result<Option<Deployment>, StoreError> {
        let mut get = redis::cmd("GET");
        get.arg(self.0.names.beside_log("deployment"));
        let text: Option<String> = self.0.connection.query(&get).await?;
        let read = |text: String| codec::read("the deployment", &text);
        let found: Option<([u8; 16], [u8; 32])> = text.map(read).transpose()?;
        Ok(found.map(|(id, master_check)| Deployment { id, master_check }))
    }
}

fn write_deployment(deployment: &Deployment) -> Result<String, StoreError> {
    codec::write(&(deployment.id, deployment.master_check))
}

/// A part of the log, and the state of all of it.
struct Page {
    log_id: [u8; 16],
    last: u64,
    pruned: u64,
    entries: Vec<(u64, String)>,
}

/// What an entry is about.
#[derive(PartialEq, Eq, Hash)]
enum Subject {
    Session(SessionId),
    Account(AccountId),
}

/// What an entry ends, of what epoch, and until when that matters.
fn facts(change: &Change) -> Option<(Subject, Epoch, Timestamp)> {
    match *change {
        Change::SessionEnded { sid, until } => Some((Subject::Session(sid), Epoch::default(), until)),
        Change::AccountEpoch { account, min_epoch, until } => Some((Subject::Account(account), min_epoch, until)),
        Change::Keys | Change::Clients => None,
    }
}

/// Whether it is a server that would still have answered a read: a replica, one that is full, one that cannot save, one
/// with fewer replicas than it is to write to.
fn takes_no_writes(error: &(dyn std::error::Error + 'static)) -> bool {
    let code = error.downcast_ref::<redis::RedisError>().and_then(redis::RedisError::code);
    matches!(code, Some("READONLY" | "OOM" | "MISCONF" | "NOREPLICAS"))
}

/// 32 random hex digits.
pub(super) fn random_id() -> Result<String, StoreError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|error| StoreError::Unavailable(error.into()))?;
    Ok(SessionId::from_bytes(bytes).to_string())
}
