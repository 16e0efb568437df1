//! The file: made, opened again, and what may be wrong with it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use tokio::task::JoinSet;

use super::*;
use crate::{
    change_log::Change,
    model::{AccountId, Epoch, LinkKey},
    session::Refusal,
    store::{
        Changes, Enrolment, LinkStore as _, Rotation, SessionStore as _, Sessions,
        contract::{INSERTED, RULES, enrolment, new_session, presented},
        sql::changes::append,
    },
};

#[tokio::test]
async fn a_new_store_is_made_with_its_directory_for_its_owner_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("var/lib/passgate.db");
    let store = open(&path, Role::Serve).await.unwrap();
    insert(&store, &account("ann")).await.unwrap();

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    let mut names = Vec::new();
    for file in fs::read_dir(path.parent().unwrap()).unwrap() {
        let file = file.unwrap();
        assert_eq!(mode(&file.path()), 0o600, "{file:?}");
        names.push(file.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["passgate.db", "passgate.db-shm", "passgate.db-wal", "passgate.db.lock"], "and no draft");
}

#[tokio::test]
async fn writes_are_made_durable_before_they_are_answered() {
    let (_directory, path) = place();
    let store = open(&path, Role::Serve).await.unwrap();
    let settings = store.writer.write(|step| {
        Box::pin(async move {
            let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut step.connection).await?;
            let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut step.connection).await?;
            let foreign_keys: bool = sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(&mut step.connection).await?;
            Ok((journal, synchronous, foreign_keys))
        })
    });
    let full = 2;
    assert_eq!(settings.await.unwrap(), ("wal".to_owned(), full, true));
}

#[tokio::test]
async fn the_command_line_may_come_before_the_first_start() {
    let (_directory, path) = place();
    let ann = account("ann");
    let command = open(&path, Role::Command).await.unwrap();
    insert(&command, &ann).await.unwrap();
    command.close().await;
    assert!(is_kept(&open(&path, Role::Serve).await.unwrap(), &ann).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn those_who_begin_at_once_share_one_store() {
    let (_directory, path) = place();
    let tasks: Vec<_> = (0..8)
        .map(|i| {
            let path = path.clone();
            tokio::spawn(async move {
                let store = open(&path, Role::Command).await.unwrap();
                insert(&store, &account(&format!("p{i}"))).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let store = open(&path, Role::Serve).await.unwrap();
    assert_eq!(store.accounts(None, 100).await.unwrap().len(), 8);
}

#[tokio::test]
async fn a_store_opened_again_has_everything() {
    let (_directory, path) = place();
    let store = open(&path, Role::Serve).await.unwrap();
    let ann = account("ann");
    let new = Enrolment { password_hash: Some("hash".to_owned()), ..enrolment(&ann) };
    store.insert_account(&new).await.unwrap();
    let kept = store.create_session(ann.id, ann.epoch, &new_session()).await.unwrap().unwrap().session;
    let ended = store.create_session(ann.id, ann.epoch, &new_session()).await.unwrap().unwrap().session;
    store.rotate_session(&presented(&kept, 0), &RULES).await.unwrap();
    store.end_sessions(ann.id, &Sessions::One(ended.id)).await.unwrap();
    let key = LinkKey { provider: "facebook".to_owned(), subject: "42".to_owned() };
    store.insert_link(ann.id, &key).await.unwrap();
    let (before, links) = (store.read_changes(None).await.unwrap(), store.links(ann.id).await.unwrap());
    store.close().await;

    let store = open(&path, Role::Serve).await.unwrap();
    let credentials = store.credentials("ann@example.org").await.unwrap().unwrap();
    assert_eq!((&credentials.account, credentials.password_hash.as_deref()), (&ann, Some("hash")));
    assert_eq!((links.len(), store.links(ann.id).await.unwrap()), (1, links));
    assert_eq!(store.session(kept.id).await.unwrap().unwrap().generation, 1);
    assert_eq!(store.session(ended.id).await.unwrap(), None);
    let after = store.read_changes(None).await.unwrap();
    assert_eq!((after.entries, after.cursor), (before.entries, before.cursor));
}

/// Where the child of the next test finds its file.
const CHILD: &str = "PASSGATE_TEST_STORE";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "run as a child, to be killed"]
async fn sign_up_until_killed() {
    let path = PathBuf::from(std::env::var_os(CHILD).expect("run as a child"));
    let store = Arc::new(open(&path, Role::Serve).await.unwrap());
    let mut endless = JoinSet::<()>::new();
    for _ in 0..8 {
        let store = Arc::clone(&store);
        endless.spawn(async move {
            loop {
                let account = account(&AccountId::generate().to_string());
                insert(&store, &account).await.unwrap();
                println!("kept {}", account.id);
            }
        });
    }
    // Only when the parent has gone and nobody reads any more.
    endless.join_next().await.unwrap().unwrap();
}

#[tokio::test]
async fn an_acknowledged_write_survives_a_kill() {
    let (_directory, path) = place();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", "store::sql::tests::file::sign_up_until_killed"])
        .env(CHILD, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let kept = |line: String| line.strip_prefix("kept ")?.parse::<AccountId>().ok();
    let mut acknowledged: Vec<_> = lines.by_ref().filter_map(kept).take(100).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    acknowledged.extend(lines.filter_map(kept));
    assert!(acknowledged.len() >= 100);

    let store = open(&path, Role::Serve).await.unwrap();
    for id in acknowledged {
        assert!(store.account(id).await.unwrap().is_some(), "{id}");
    }
}

#[tokio::test]
async fn one_gateway_serves_a_file_and_the_command_line_works_beside_it() {
    let (_directory, path) = place();
    let first = open(&path, Role::Serve).await.unwrap();
    let second = open(&path, Role::Serve).await.err().unwrap();
    assert!(matches!(&second, OpenError::InUse(of) if *of == path), "{second}");
    open(&path, Role::Command).await.unwrap();
    drop(first);
    open(&path, Role::Serve).await.unwrap();
}

#[tokio::test]
async fn the_command_line_is_seen_by_the_next_look() {
    let (_directory, path) = place();
    let gateway = open(&path, Role::Serve).await.unwrap();
    let command = open(&path, Role::Command).await.unwrap();
    assert!(!gateway.watcher.moved().await.unwrap());
    insert(&command, &account("ann")).await.unwrap();
    assert!(gateway.watcher.moved().await.unwrap());
    assert!(!gateway.watcher.moved().await.unwrap());
}

/// Opens a file that must be refused, and shows that it was left alone.
async fn refusal(path: &Path) -> OpenError {
    let before = fs::read(path).unwrap();
    let refused = open(path, Role::Serve).await.err().expect("a refusal");
    assert!(fs::read(path).unwrap() == before, "the file was touched");
    refused
}

#[tokio::test]
async fn what_is_no_database_is_refused_and_left_alone() {
    let (_directory, path) = place();
    for content in [&b"not a database, but long enough to have a header of one hundred bytes".repeat(9)[..], b"x", b""]
    {
        fs::write(&path, content).unwrap();
        let refused = refusal(&path).await;
        assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    }
}

#[tokio::test]
async fn a_torn_file_is_refused_and_left_alone() {
    let (_directory, path) = closed().await;
    let whole = fs::read(&path).unwrap();
    assert!(whole.len() > 16 * 4096);
    let mut scribbled = whole.clone();
    scribbled[3 * 4096..5 * 4096].fill(0xA5);
    for torn in [&whole[..whole.len() / 2], &whole[..100], &scribbled] {
        fs::write(&path, torn).unwrap();
        let refused = refusal(&path).await;
        assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    }
}

#[tokio::test]
async fn a_lost_file_is_not_replaced_beside_its_write_ahead_log() {
    let (_directory, path) = closed().await;
    let wal = path.with_extension("db-wal");
    fs::rename(&path, &wal).unwrap();
    let refused = open(&path, Role::Serve).await.err().unwrap();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    assert!(!path.exists() && wal.exists());
}

#[tokio::test]
async fn the_database_of_another_program_is_refused_and_left_alone() {
    let (_directory, path) = place();
    let mut other = raw(&path).await;
    execute(&mut other, "CREATE TABLE accounts (id); INSERT INTO accounts VALUES (1)").await;
    other.close().await.unwrap();
    let refused = refusal(&path).await;
    assert!(matches!(&refused, OpenError::Foreign(of) if *of == path), "{refused}");
}

#[tokio::test]
async fn the_file_of_a_newer_version_is_refused_and_left_alone() {
    let (_directory, path) = closed().await;
    let mut newer = raw(&path).await;
    execute(&mut newer, "PRAGMA user_version = 99").await;
    newer.close().await.unwrap();
    let refused = refusal(&path).await;
    assert!(matches!(refused, OpenError::Newer { found: 99, .. }), "{refused}");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_refused() {
    let (_directory, path) = closed().await;
    let mut read_only = open::options(&path).read_only(true).connect().await.unwrap();
    let error = open::prepare(&mut read_only).await.unwrap_err();
    let refused = open::refused(&path, error);
    assert!(matches!(refused, OpenError::ReadOnly { .. }), "{refused}");

    // The same by permissions, of which root takes no notice.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    if fs::OpenOptions::new().write(true).open(&path).is_err() {
        let refused = refusal(&path).await;
        assert!(matches!(refused, OpenError::ReadOnly { .. }), "{refused}");
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let (directory, path) = place();
    fs::write(&path, "a file where a directory should be").unwrap();
    let refused = open(&path.join("passgate.db"), Role::Serve).await.err().unwrap();
    assert!(matches!(&refused, OpenError::Directory { path: of, .. } if *of == path), "{refused}");
    drop(directory);
}

#[tokio::test]
async fn a_row_that_we_never_wrote_is_corruption_and_not_a_refusal() {
    let (_directory, path) = place();
    let store = open(&path, Role::Serve).await.unwrap();
    let ann = account("ann");
    insert(&store, &ann).await.unwrap();
    let start = store.create_session(ann.id, ann.epoch, &new_session()).await.unwrap().unwrap();
    execute(&mut raw(&path).await, "UPDATE sessions SET superseded = '[\"yesterday\"]'").await;
    assert!(matches!(store.session(start.session.id).await, Err(StoreError::Corrupt(_))));
    let answer = store.rotate_session(&presented(&start.session, 0), &RULES).await;
    assert!(matches!(answer, Err(StoreError::Corrupt(_))), "{answer:?}");
    let unknown = new_session().begin(ann.id, contract::clock().now());
    assert_eq!(
        store.rotate_session(&presented(&unknown, 0), &RULES).await.unwrap(),
        Rotation::Refused(Refusal::Ended),
        "others go on"
    );
}

#[tokio::test]
async fn a_session_left_to_a_deactivated_account_is_good_for_nothing() {
    let (_directory, path) = place();
    let store = open(&path, Role::Serve).await.unwrap();
    let ann = account("ann");
    insert(&store, &ann).await.unwrap();
    let session = store.create_session(ann.id, ann.epoch, &new_session()).await.unwrap().unwrap().session;
    assert!(store.active_session(session.id).await.unwrap().is_some());
    // By hand, where ours would have ended the session with it.
    execute(&mut raw(&path).await, "UPDATE accounts SET active = 0").await;
    assert_eq!(store.active_session(session.id).await.unwrap(), None);
    let answer = store.rotate_session(&presented(&session, 0), &RULES).await.unwrap();
    assert_eq!(answer, Rotation::Refused(Refusal::AccountInactive));
    assert!(!store.change_own_password(ann.id, ann.epoch, "new", session.id).await.unwrap());
    assert!(store.credentials_of(ann.id).await.unwrap().unwrap().password_hash.is_none());
}

fn names(directory: &TempDir) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn the_last_to_close_keeps_all_that_is_queued_and_leaves_one_file() {
    let (directory, path) = place();
    let gateway = Arc::new(open(&path, Role::Serve).await.unwrap());
    let command = open(&path, Role::Command).await.unwrap();
    let ann = account("ann");
    let mut insertion = Box::pin(insert(&gateway, &ann));
    assert!(futures_util::poll!(&mut insertion).is_pending());
    gateway.close().await;
    assert!(insertion.await.is_ok());
    let late = insert(&gateway, &account("bob")).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    assert!(matches!(gateway.account(ann.id).await, Err(StoreError::Unavailable(_))));
    command.close().await;
    assert_eq!(names(&directory), ["passgate.db", "passgate.db.lock"]);
    assert!(is_kept(&open(&path, Role::Serve).await.unwrap(), &ann).await, "its lock is free too");
}

#[tokio::test]
async fn nothing_is_acknowledged_while_the_file_is_not_where_it_belongs() {
    let (directory, path) = place();
    let store = open(&path, Role::Serve).await.unwrap();
    let (ann, bob) = (account("ann"), account("bob"));
    insert(&store, &ann).await.unwrap();
    let away = directory.path().join("away.db");
    fs::rename(&path, &away).unwrap();
    let refused = insert(&store, &bob).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(matches!(store.account(ann.id).await, Err(StoreError::Unavailable(_))));
    assert!(store.ping().await.is_err() && store.watcher.moved().await.is_err());
    assert!(!path.exists(), "a lost file is not made anew");

    fs::rename(&away, &path).unwrap();
    assert_eq!(insert(&store, &bob).await.unwrap(), INSERTED);
    assert!(is_kept(&store, &ann).await);
    assert!(store.watcher.moved().await.unwrap(), "something may have been missed");
}

#[tokio::test]
async fn a_file_moved_away_amid_a_write_does_not_have_it_acknowledged() {
    let (directory, path) = place();
    let view = Arc::<View>::default();
    let store = SqlStore::open(&path, contract::clock(), Arc::clone(&view), Role::Serve).await.unwrap();
    let ann = account("ann");
    insert(&store, &ann).await.unwrap();
    let (from, to) = (path.clone(), directory.path().join("away.db"));
    let written = store.writer.write(move |step| {
        Box::pin(async move {
            let until = step.now();
            append(step, Change::AccountEpoch { account: ann.id, min_epoch: Epoch(1), until }).await?;
            fs::rename(from, to).unwrap();
            Ok(())
        })
    });
    assert!(matches!(written.await, Err(StoreError::Unavailable(_))));
    assert_eq!(view.remembered(), []);
}

#[tokio::test]
async fn another_file_put_in_its_place_is_the_store_from_then_on() {
    let (directory, path) = place();
    let store = open(&path, Role::Serve).await.unwrap();
    let (ann, bob) = (account("ann"), account("bob"));
    insert(&store, &ann).await.unwrap();
    let copy = directory.path().join("copy.db");
    let backup = sqlx::AssertSqlSafe(format!("VACUUM INTO '{}'", copy.display()));
    sqlx::query(backup).execute(&mut raw(&path).await).await.unwrap();
    insert(&store, &bob).await.unwrap();
    let Changes { cursor, .. } = store.read_changes(None).await.unwrap();

    for suffix in ["db-wal", "db-shm"] {
        fs::remove_file(path.with_extension(suffix)).unwrap();
    }
    fs::rename(&copy, &path).unwrap();
    assert!(store.watcher.moved().await.unwrap());
    assert!(is_kept(&store, &ann).await && !is_kept(&store, &bob).await, "as the copy has it");
    assert!(store.read_changes(Some(cursor)).await.unwrap().whole, "whatever its entries are numbered");
    insert(&store, &bob).await.unwrap();
    store.close().await;
    assert!(is_kept(&open(&path, Role::Serve).await.unwrap(), &bob).await);
}

#[tokio::test]
async fn the_database_of_another_program_put_in_its_place_is_left_alone() {
    let (directory, path) = place();
    let store = open(&path, Role::Serve).await.unwrap();
    let foreign = directory.path().join("foreign.db");
    let mut other = raw(&foreign).await;
    execute(&mut other, "CREATE TABLE accounts (id)").await;
    other.close().await.unwrap();
    for suffix in ["db-wal", "db-shm"] {
        fs::remove_file(path.with_extension(suffix)).unwrap();
    }
    fs::rename(&foreign, &path).unwrap();
    let before = fs::read(&path).unwrap();
    let refused = insert(&store, &account("ann")).await.unwrap_err();
    assert!(refused.to_string().contains("another program"), "{refused}");
    assert!(fs::read(&path).unwrap() == before);
}
