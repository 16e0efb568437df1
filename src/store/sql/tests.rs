//! What SQLite adds to the contract: one file, its writer, and what may be wrong with it.

use std::path::{Path, PathBuf};

use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tempfile::TempDir;

use super::*;
use crate::{
    model::Account,
    store::{
        AccountStore as _, ChangeStore as _, InsertAccount,
        contract::{self, Bench, Node, account, enrolment},
    },
};

mod backup;
mod file;
mod schema;
mod writer;

contract::store_contract!(crate::store::sql::tests::fresh);

/// A gateway and a command line on one fresh file.
pub async fn fresh() -> Bench {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("passgate.db");
    let clock = contract::clock();
    let here = node(&path, &clock, Role::Serve).await;
    let there = node(&path, &clock, Role::Command).await;
    Bench::new(clock, here, there, directory)
}

async fn node(path: &Path, clock: &Clock, role: Role) -> Node {
    let view = Arc::<View>::default();
    let store = SqlStore::open(path, clock.clone(), Arc::clone(&view), role).await.unwrap();
    Node { store: Arc::new(store), view }
}

async fn open(path: &Path, role: Role) -> Result<SqlStore, OpenError> {
    SqlStore::open(path, contract::clock(), Arc::default(), role).await
}

/// A place for a file in a directory that goes with the test.
fn place() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("passgate.db");
    (directory, path)
}

/// A file made by us, with nobody using it.
async fn closed() -> (TempDir, PathBuf) {
    let (directory, path) = place();
    open(&path, Role::Serve).await.unwrap().close().await;
    (directory, path)
}

/// Another program with the file open.
async fn raw(path: &Path) -> SqliteConnection {
    open::options(path).create_if_missing(true).connect().await.unwrap()
}

async fn execute(connection: &mut SqliteConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(connection).await.unwrap();
}

/// Keeps the account alone.
async fn insert(store: &SqlStore, account: &Account) -> Result<InsertAccount, StoreError> {
    store.insert_account(&enrolment(account)).await
}

async fn is_kept(store: &SqlStore, account: &Account) -> bool {
    store.account(account.id).await.unwrap().is_some()
}
