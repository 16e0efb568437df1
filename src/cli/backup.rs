//! `passgate backup`

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Failure, store::block_on};
use crate::{
    app,
    clock::{Clock, Timestamp},
    config::Settings,
    master,
};

pub const EXAMPLES: &str = "\
Examples:
  passgate backup --to /var/backups/passgate-$(date -u +%Y%m%dT%H%M%SZ).db
  passgate --config /etc/passgate/passgate.yaml backup --to passgate-backup.db

The copy is of one moment, made beside a running gateway, which goes on. It has accounts, password hashes, sessions and
sealed signing keys; it has not the master secret, without which it cannot be used. How it is restored stands in
docs/operations.md, under \"Backup and restore\".";

/// Where to.
#[derive(Args)]
pub struct Backup {
    /// The file to make; one that exists is never overwritten
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

pub fn run(backup: &Backup, config: &Path) -> Result<(), Failure> {
    let settings = super::load(config)?;
    block_on(async {
        // Before the copy begins: what is written from now on may not be in it.
        let taken_at = Clock::system().now();
        let size = app::back_up(&settings, &backup.to).await?.ok_or_else(|| Failure::usage(REDIS))?;
        super::print(&told(&settings, &backup.to, size, taken_at))
    })
}

fn told(settings: &Settings, to: &Path, size: u64, taken_at: Timestamp) -> String {
    let master = match &settings.master {
        master::Source::File(path) => format!("the file {}", path.display()),
        master::Source::Given(_) => "`secrets.master` of the configuration".to_owned(),
    };
    format!(
        "Wrote {} ({} KiB), taken at {}.\nThe master secret ({master}) is not in it: keep a copy of that elsewhere, never \
         beside the backup.\n",
        to.display(),
        size.div_ceil(1024),
        taken_at.to_rfc3339(),
    )
}

const REDIS: &str = "the store is a Redis, which is backed up by its own means: `redis-cli BGSAVE`, and once \
`redis-cli LASTSAVE` has moved, a copy of its dump.rdb; or copies of its appendonlydir/. docs/operations.md says how \
it is restored";
