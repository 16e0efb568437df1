//! Accounts, their links and clients out of a Django database, into the store.
//!
//! Three steps: [`gather`] reads every row of the source into [`scratch`], where those that belong together find each
//! other whatever their order; [`keep`] makes accounts and clients of them; the store takes them, some hundred in a
//! step, each account with its links. What is there already is left as it is, so an import that was cut short is
//! completed by the next. Hashes and addresses go nowhere but into the store and the operator's report.

mod account;
mod client;
mod database;
mod dump;
mod gather;
mod keep;
mod link;
mod mapping;
mod record;
mod report;
mod scratch;
mod source;

use std::io::{self, Write};

pub use self::{
    mapping::{EmailVerified, Field, Mapping},
    record::{Label, is_name},
    report::{Count, Kind, Note, Reason, SHOWN, Summary},
    source::{Source, Tables},
};
use self::{report::Report, scratch::Scratch};
use crate::{
    clock::Clock,
    model::{ClientId, Scope},
    store::{Store, StoreError},
};

/// An import that did not come to its end. What it has written holds, and the next one goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source is not what it was said to be; what to do about it.
    #[error("{0}")]
    Input(String),
    /// The source is out of reach.
    #[error("{0}")]
    Unavailable(String),
    /// The operator's report cannot be written.
    #[error("the report cannot be written: {0}")]
    Report(#[source] io::Error),
    /// Where rows wait is full, or gone.
    #[error("the rows that were read cannot be kept aside (is there room where TMPDIR points to?): {0}")]
    Scratch(#[source] sqlx::Error),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where accounts and clients go to.
pub struct Target<'a> {
    /// The store; absent when there is none yet and nothing is to be written.
    pub store: Option<&'a dyn Store>,
    /// HMAC of client secrets.
    pub client_secret_mac: &'a dyn Fn(&str) -> [u8; 32],
    /// Clients of the configuration.
    pub configured_clients: Vec<ClientId>,
    /// Providers of the configuration.
    pub configured_providers: Vec<String>,
    /// What imported clients may ask for.
    pub scopes: Scope,
    /// Judge everything, write nothing.
    pub dry_run: bool,
    /// When it happens.
    pub clock: Clock,
}

/// Is told how far it is.
pub trait Progress {
    /// So many rows were read, and so many bytes where the source is a file.
    fn reading(&self, rows: u64, bytes: u64);
    /// So many accounts of so many are done.
    fn writing(&self, done: u64, of: u64);
}

/// Imports what `source` has into `target`, and answers by which model it knew the users. Each row that is left out or
/// changed is written to `report`, as a line of JSON.
pub async fn run(
    source: Source,
    mapping: &Mapping,
    target: &Target<'_>,
    report: Option<&mut dyn Write>,
    progress: &dyn Progress,
) -> Result<(String, Summary), Error> {
    let mut scratch = Scratch::open().await?;
    let model = gather::gather(source, mapping, &mut scratch, progress).await?;
    let mut report = Report::new(report);
    keep::accounts(&mut scratch, mapping, target, &mut report, progress).await?;
    keep::strays(&mut scratch, &mut report).await?;
    keep::clients(&mut scratch, target, &mut report).await?;
    scratch.close().await;
    report.flush()?;
    Ok((model, report.summary))
}
