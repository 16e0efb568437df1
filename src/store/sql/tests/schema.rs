//! The schema: a file of an earlier version is brought up to date, all of a step or nothing of it.

use super::*;
use crate::{
    change_log::Change,
    clock::Timestamp,
    model::{AccountId, ClientId, Epoch, LinkKey, Scope, SessionId},
    session::Session,
    store::{
        ClientStore as _, Deployment, Enrolment, InsertLink, KeyStore as _, LinkStore as _, SessionStore as _,
        contract::new_session,
    },
};

/// The first version, as its users have it.
const FIRST: &str = include_str!("../migrations/0001_accounts_sessions_log.sql");

/// The version that this program writes.
const LATEST: usize = super::super::open::MIGRATIONS.len();

/// Something in every table of it.
const ROWS: &str = "
    INSERT INTO accounts VALUES ('01998a3c-0000-7000-8000-000000000001', 'Ann@example.org', 'ann@example.org', 0,
        'ann', 'Ann', 'Lee', '[\"ops\"]', 1, 1, '42', 'hash', 3, 1000);
    INSERT INTO sessions VALUES ('07070707070707070707070707070707', '01998a3c-0000-7000-8000-000000000001', 'web',
        'read write', 2000, 5, 3000, '[2500,3000]', 4000, 1);
    INSERT INTO clients VALUES ('cli', NULL, '[\"password\"]', 'read');
    INSERT INTO signing_keys VALUES ('k', 'EdDSA', x'0102', 1000, 2000);
    INSERT INTO changes (kind, sid, until) VALUES ('session', '08080808080808080808080808080808', 9000);
    INSERT INTO deployment VALUES (1, x'01010101010101010101010101010101', zeroblob(32));
";

/// A file of the first version with something in it, and nobody using it.
async fn first_version() -> (TempDir, PathBuf) {
    let (directory, path) = place();
    let mut connection = raw(&path).await;
    execute(&mut connection, FIRST).await;
    execute(&mut connection, ROWS).await;
    connection.close().await.unwrap();
    assert_eq!(version(&path).await, 1);
    (directory, path)
}

async fn version(path: &Path) -> usize {
    let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut raw(path).await).await.unwrap();
    usize::try_from(version).unwrap()
}

async fn log_id(path: &Path) -> Vec<u8> {
    sqlx::query_scalar("SELECT log_id FROM change_log").fetch_one(&mut raw(path).await).await.unwrap()
}

fn ann() -> Account {
    Account {
        id: "01998a3c-0000-7000-8000-000000000001".parse().unwrap(),
        email: Some("Ann@example.org".to_owned()),
        email_verified: false,
        username: "ann".to_owned(),
        first_name: "Ann".to_owned(),
        last_name: "Lee".to_owned(),
        groups: vec!["ops".to_owned()],
        staff: true,
        active: true,
        external_id: Some("42".to_owned()),
        epoch: Epoch(3),
        created_at: Timestamp::from_millis(1000),
    }
}

fn session(account: AccountId) -> Session {
    Session {
        id: SessionId::from_bytes([7; 16]),
        account,
        client: ClientId::from("web"),
        scope: Scope::parse("read write").unwrap(),
        created_at: Timestamp::from_millis(2000),
        generation: 5,
        rotated_at: Timestamp::from_millis(3000),
        superseded: vec![Timestamp::from_millis(2500), Timestamp::from_millis(3000)],
        access_expires_at: Timestamp::from_millis(4000),
        refresh_ended: true,
        user_agent: String::new(),
    }
}

/// That `store` has what the first version had.
async fn has_everything(store: &SqlStore) {
    let ann = ann();
    let credentials = store.credentials("ann@example.org").await.unwrap().unwrap();
    assert_eq!((&credentials.account, credentials.password_hash.as_deref()), (&ann, Some("hash")));
    assert_eq!(store.session(SessionId::from_bytes([7; 16])).await.unwrap(), Some(session(ann.id)));
    let [client] = &store.clients().await.unwrap()[..] else { panic!("one client") };
    assert_eq!((client.id.as_str(), &client.grants[..]), ("cli", &["password".to_owned()][..]));
    assert!(client.secret.is_none());
    let [key] = &store.keys().await.unwrap()[..] else { panic!("one key") };
    assert_eq!((key.kid.as_str(), &key.sealed[..]), ("k", &[1, 2][..]));
    assert_eq!(store.deployment().await.unwrap(), Some(Deployment { id: [1; 16], master_check: [0; 32] }));
    let ended = Change::SessionEnded { sid: SessionId::from_bytes([8; 16]), until: Timestamp::from_millis(9000) };
    assert_eq!(store.read_changes(None).await.unwrap().entries[..], [ended, Change::Keys, Change::Clients]);
}

#[tokio::test]
async fn a_new_file_has_the_latest_schema() {
    let (_directory, path) = closed().await;
    assert_eq!(version(&path).await, LATEST);
}

#[tokio::test]
async fn a_file_of_the_first_version_is_brought_up_to_date_with_all_it_has() {
    let (_directory, path) = first_version().await;
    let (log, ann) = (log_id(&path).await, ann());
    let key = LinkKey { provider: "facebook".to_owned(), subject: "42".to_owned() };

    let store = open(&path, Role::Serve).await.unwrap();
    has_everything(&store).await;
    assert_eq!(store.links(ann.id).await.unwrap(), []);
    let InsertLink::Inserted(link) = store.insert_link(ann.id, &key).await.unwrap() else { panic!("not linked") };
    let new = new_session();
    store.create_session(ann.id, ann.epoch, &new).await.unwrap().unwrap();
    store.close().await;
    assert_eq!((version(&path).await, log_id(&path).await), (LATEST, log), "it is the same log");

    let store = open(&path, Role::Serve).await.unwrap();
    has_everything(&store).await;
    assert_eq!(store.links(ann.id).await.unwrap(), [link]);
    assert_eq!(store.session(new.id).await.unwrap().unwrap().user_agent, new.user_agent);
    store.close().await;
    assert_eq!(version(&path).await, LATEST);
}

#[tokio::test]
async fn a_file_is_brought_up_to_date_by_whoever_opens_it() {
    let (_directory, path) = first_version().await;
    open(&path, Role::Command).await.unwrap().close().await;
    assert_eq!(version(&path).await, LATEST);
    has_everything(&open(&path, Role::Serve).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn those_who_bring_a_file_up_to_date_at_once_do_it_once() {
    let (_directory, path) = first_version().await;
    let tasks: Vec<_> = (0..8)
        .map(|i| {
            let path = path.clone();
            tokio::spawn(async move {
                let store = open(&path, Role::Command).await.unwrap();
                let link = Some(LinkKey { provider: "facebook".to_owned(), subject: i.to_string() });
                let new = Enrolment { link, ..enrolment(&account(&format!("p{i}"))) };
                store.insert_account(&new).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let store = open(&path, Role::Serve).await.unwrap();
    has_everything(&store).await;
    assert_eq!(store.accounts(None, 100).await.unwrap().len(), 1 + 8);
    assert_eq!(version(&path).await, LATEST);
}

#[tokio::test]
async fn a_step_that_fails_midway_leaves_nothing_behind() {
    let (_directory, path) = first_version().await;
    // The second half of the next step has been done by somebody else.
    execute(&mut raw(&path).await, "ALTER TABLE sessions ADD COLUMN user_agent TEXT").await;
    let refused = open(&path, Role::Serve).await.err().unwrap();
    assert!(matches!(refused, OpenError::Unavailable { .. }), "{refused}");
    assert_eq!(version(&path).await, 1);
    let links: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE tbl_name = 'links'")
        .fetch_one(&mut raw(&path).await)
        .await
        .unwrap();
    assert_eq!(links, 0);

    execute(&mut raw(&path).await, "ALTER TABLE sessions DROP COLUMN user_agent").await;
    has_everything(&open(&path, Role::Serve).await.unwrap()).await;
}
