//! Copies of the file.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::store::{contract, sql::backup::BackUpError};

async fn open(path: &Path, role: Role) -> SqlStore {
    SqlStore::open(path, contract::clock(), Arc::default(), role).await.unwrap()
}

/// A store with some accounts, and a directory for it and its copies.
async fn store(accounts: usize) -> (tempfile::TempDir, PathBuf, SqlStore) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("passgate.db");
    let store = open(&path, Role::Serve).await;
    for n in 0..accounts {
        enrol(&store, n).await;
    }
    (directory, path, store)
}

async fn enrol(store: &SqlStore, n: usize) {
    let account = contract::account(&format!("a{n}"));
    store.insert_account(&contract::enrolment(&account)).await.unwrap();
}

async fn accounts_of(path: &Path) -> usize {
    let store = open(path, Role::Serve).await;
    let accounts = store.accounts(None, u32::MAX).await.unwrap().len();
    store.close().await;
    accounts
}

fn names(directory: &tempfile::TempDir) -> Vec<String> {
    let entries = std::fs::read_dir(directory.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with("passgate.db"));
    names.sort();
    names
}

#[tokio::test]
async fn a_copy_is_whole_alone_and_private() {
    let (directory, path, store) = store(3).await;
    let copy = directory.path().join("copy");
    let size = back_up(&path, &copy).await.unwrap();
    let metadata = std::fs::metadata(&copy).unwrap();
    assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (size, 0o600));
    assert_eq!(names(&directory), ["copy"], "nothing is left beside it");
    enrol(&store, 3).await;
    assert_eq!(accounts_of(&copy).await, 3);
    store.close().await;
    assert_eq!(accounts_of(&path).await, 4);
}

#[tokio::test]
async fn a_store_that_nobody_has_open_is_copied_as_well() {
    let (directory, path, store) = store(2).await;
    store.close().await;
    let copy = directory.path().join("copy");
    back_up(&path, &copy).await.unwrap();
    assert_eq!(accounts_of(&copy).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_made_amid_writes_is_of_one_moment() {
    let (directory, path, store) = store(50).await;
    let store = Arc::new(store);
    let writes = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            for n in 50..250 {
                enrol(&store, n).await;
            }
        }
    });
    let mut before = 50;
    for n in 0.. {
        let copy = directory.path().join(format!("copy{n}"));
        back_up(&path, &copy).await.unwrap();
        let copied = open(&copy, Role::Command).await;
        let accounts = copied.accounts(None, u32::MAX).await.unwrap();
        let mut numbers: Vec<usize> = accounts.iter().map(|account| account.username[1..].parse().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..numbers.len()).collect::<Vec<_>>(), "what was written first is there first");
        assert!(numbers.len() >= before);
        before = numbers.len();
        if writes.is_finished() {
            break;
        }
    }
    writes.await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_there_is_never_overwritten() {
    let (directory, path, _store) = store(1).await;
    let (file, link) = (directory.path().join("file"), directory.path().join("link"));
    std::fs::write(&file, "precious").unwrap();
    std::os::unix::fs::symlink(directory.path().join("nowhere"), &link).unwrap();
    for there in [&file, &link, &path] {
        let refused = back_up(&path, there).await;
        assert!(matches!(&refused, Err(BackUpError::Exists(_))), "{there:?} {refused:?}");
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    assert_eq!(names(&directory), ["file", "link"]);
}

#[tokio::test]
async fn what_cannot_be_copied_or_written_is_told_and_leaves_nothing() {
    let (directory, path, _store) = store(1).await;
    let in_it = |name: &str| directory.path().join(name);
    let nothing = back_up(&in_it("absent"), &in_it("copy")).await;
    assert!(matches!(nothing, Err(BackUpError::Missing(_))), "{nothing:?}");
    std::fs::write(in_it("letter"), "no database".repeat(1000)).unwrap();
    let damaged = back_up(&in_it("letter"), &in_it("copy")).await;
    assert!(matches!(damaged, Err(BackUpError::Open(OpenError::Damaged { .. }))), "{damaged:?}");
    let nowhere = back_up(&path, &in_it("nowhere/copy")).await;
    assert!(matches!(nowhere, Err(BackUpError::Write { .. })), "{nowhere:?}");
    assert_eq!(names(&directory), ["letter"]);
}
