//! The writer: what is committed together, and what fails alone.

use futures_util::poll;
use tokio::{sync::oneshot, task::JoinHandle};

use super::*;
use crate::{
    change_log::Change,
    model::{AccountId, SessionId},
    store::{
        InsertAccount, SessionStore as _, Sessions,
        contract::{INSERTED, new_session},
        sql::{
            changes::append,
            writer::{BATCH, QUEUE},
        },
    },
};

/// Keeps the writer busy with one operation until told to go on, so that what is asked meanwhile is one batch.
async fn hold(store: &Arc<SqlStore>) -> (oneshot::Sender<()>, JoinHandle<Result<(), StoreError>>) {
    let (release, released) = oneshot::channel::<()>();
    let (begin, held) = oneshot::channel();
    let store = Arc::clone(store);
    let operation = tokio::spawn(async move {
        let operation = store.writer.write(move |_| {
            Box::pin(async move {
                begin.send(()).unwrap();
                _ = released.await;
                Ok(())
            })
        });
        operation.await
    });
    held.await.unwrap();
    (release, operation)
}

/// Queues the insertion of an account; the answer is yet to come.
async fn queue(store: &Arc<SqlStore>, account: &Account) -> JoinHandle<Result<InsertAccount, StoreError>> {
    let (store, account) = (Arc::clone(store), account.clone());
    queued(async move { insert(&store, &account).await }).await
}

/// Polls `write` once, which queues it, and leaves the rest to a task.
async fn queued<T: Send + 'static>(write: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    let mut write = Box::pin(write);
    assert!(poll!(&mut write).is_pending());
    tokio::spawn(write)
}

#[tokio::test]
async fn what_waits_together_is_committed_together() {
    let (_directory, path) = place();
    let store = Arc::new(open(&path, Role::Serve).await.unwrap());
    let (release, held) = hold(&store).await;
    let mut answers = Vec::new();
    for i in 0..BATCH + 10 {
        answers.push(queue(&store, &account(&format!("p{i}"))).await);
    }
    release.send(()).unwrap();
    held.await.unwrap().unwrap();
    for answer in answers {
        assert_eq!(answer.await.unwrap().unwrap(), INSERTED);
    }
    let operations = 1 + BATCH as u64 + 10;
    assert_eq!(store.stats(), Stats { commits: 3, operations }, "the held one, a full batch, the rest");
}

#[tokio::test]
async fn who_asks_again_a_moment_later_is_waited_for() {
    const EACH: u64 = 20;
    let (_directory, path) = place();
    let store = Arc::new(open(&path, Role::Serve).await.unwrap());
    let mut asking = Vec::new();
    for i in 0..32_u64 {
        let store = Arc::clone(&store);
        asking.push(tokio::spawn(async move {
            for n in 0..EACH {
                // As those do whose next request is still to be read.
                for _ in 0..i % 3 {
                    tokio::task::yield_now().await;
                }
                insert(&store, &account(&format!("p{i}-{n}"))).await.unwrap();
            }
        }));
    }
    for asking in asking {
        asking.await.unwrap();
    }
    let Stats { commits, operations } = store.stats();
    assert_eq!(operations, 32 * EACH);
    assert!(commits < 2 * EACH, "{commits} commits, where {EACH} would do");
}

#[tokio::test]
async fn an_operation_that_fails_harms_no_other_and_leaves_nothing() {
    let (_directory, path) = place();
    let view = Arc::<View>::default();
    let store = SqlStore::open(&path, contract::clock(), Arc::clone(&view), Role::Serve).await.unwrap();
    let store = Arc::new(store);
    let [before, failing, after] = ["before", "failing", "after"].map(account);
    let (release, held) = hold(&store).await;
    let first = queue(&store, &before).await;
    let (own, spoilt) = (Arc::clone(&store), failing.clone());
    let second = queued(async move {
        let write = own.writer.write(move |step| {
            Box::pin(async move {
                let id = spoilt.id.to_string();
                sqlx::query("INSERT INTO clients VALUES (?, NULL, '[]', '')")
                    .bind(&id)
                    .execute(&mut step.connection)
                    .await?;
                let until = step.now();
                append(step, Change::SessionEnded { sid: SessionId::from_bytes([7; 16]), until }).await?;
                sqlx::query("INSERT INTO sessions (sid) VALUES (?)").bind(id).execute(&mut step.connection).await?;
                Ok(())
            })
        });
        write.await
    })
    .await;
    let third = queue(&store, &after).await;
    release.send(()).unwrap();
    held.await.unwrap().unwrap();

    assert!(first.await.unwrap().is_ok() && third.await.unwrap().is_ok());
    assert!(matches!(second.await.unwrap(), Err(StoreError::Unavailable(_))));
    assert!(is_kept(&store, &before).await && is_kept(&store, &after).await);
    assert_eq!(view.remembered(), [], "nor does this node remember it");
    let mut connection = raw(&path).await;
    for sql in ["SELECT count(*) FROM clients", "SELECT count(*) FROM changes"] {
        assert_eq!(sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut connection).await.unwrap(), 0, "{sql}");
    }
    assert_eq!(store.stats(), Stats { commits: 2, operations: 3 });
}

#[tokio::test]
async fn a_commit_that_fails_is_told_to_every_waiter_and_changes_no_view() {
    let (_directory, path) = place();
    let view = Arc::<View>::default();
    let store = SqlStore::open(&path, contract::clock(), Arc::clone(&view), Role::Serve).await.unwrap();
    let store = Arc::new(store);
    let ann = account("ann");
    insert(&store, &ann).await.unwrap();
    let session = store.create_session(ann.id, ann.epoch, &new_session()).await.unwrap().unwrap().session;

    let (release, held) = hold(&store).await;
    let bob = account("bob");
    let insertion = queue(&store, &bob).await;
    let own = Arc::clone(&store);
    let one = Sessions::One(session.id);
    let end = queued(async move { own.end_sessions(ann.id, &one).await }).await;
    let own = Arc::clone(&store);
    let spoiler = queued(async move {
        // A session of nobody, found out at the commit.
        let write = own.writer.write(|step| {
            Box::pin(async move {
                sqlx::query("PRAGMA defer_foreign_keys = ON").execute(&mut step.connection).await?;
                sqlx::query("INSERT INTO sessions VALUES ('0', 'nobody', '', '', 0, 0, 0, '[]', 0, 0, '')")
                    .execute(&mut step.connection)
                    .await?;
                Ok(())
            })
        });
        write.await
    })
    .await;
    release.send(()).unwrap();
    held.await.unwrap().unwrap();

    assert!(matches!(insertion.await.unwrap(), Err(StoreError::Unavailable(_))));
    assert!(matches!(end.await.unwrap(), Err(StoreError::Unavailable(_))));
    assert!(matches!(spoiler.await.unwrap(), Err(StoreError::Unavailable(_))));
    assert!(!is_kept(&store, &bob).await);
    assert!(!view.ends(&session.id, &ann.id, ann.epoch), "it did not end");

    let ended = store.end_sessions(ann.id, &Sessions::One(session.id)).await.unwrap();
    assert_eq!(ended, [session.id], "the writer goes on");
    assert!(view.ends(&session.id, &ann.id, ann.epoch));
}

#[tokio::test]
async fn an_operation_that_panics_takes_no_more_than_its_batch_along() {
    let (_directory, path) = place();
    let store = open(&path, Role::Serve).await.unwrap();
    let answer: Result<(), _> = store.writer.write(|_| Box::pin(async { panic!("on purpose") })).await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))));
    insert(&store, &account("ann")).await.unwrap();
}

#[tokio::test]
async fn a_use_case_goes_on_when_its_caller_has_gone() {
    let (_directory, path) = place();
    let store = Arc::new(open(&path, Role::Serve).await.unwrap());
    let ann = account("ann");
    let (release, held) = hold(&store).await;
    {
        let mut abandoned = Box::pin(insert(&store, &ann));
        assert!(poll!(&mut abandoned).is_pending());
    }
    release.send(()).unwrap();
    held.await.unwrap().unwrap();
    store.ping().await.unwrap();
    assert!(is_kept(&store, &ann).await);
}

#[tokio::test]
async fn a_full_queue_is_an_outage_and_not_a_wait() {
    let (_directory, path) = place();
    let store = Arc::new(open(&path, Role::Serve).await.unwrap());
    let (release, held) = hold(&store).await;
    let (nobody, none) = (AccountId::generate(), Sessions::One(SessionId::from_bytes([0; 16])));
    let mut waiting = Vec::new();
    for _ in 0..QUEUE {
        let (own, none) = (Arc::clone(&store), none.clone());
        waiting.push(queued(async move { own.end_sessions(nobody, &none).await }).await);
    }
    let refused = store.end_sessions(nobody, &none).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");

    release.send(()).unwrap();
    held.await.unwrap().unwrap();
    for answer in waiting {
        assert_eq!(answer.await.unwrap().unwrap(), []);
    }
}

#[tokio::test]
async fn what_was_answered_as_too_late_is_not_done_later() {
    let (_directory, path) = place();
    let store = Arc::new(open(&path, Role::Serve).await.unwrap());
    let ann = account("ann");
    let (release, held) = hold(&store).await;
    let late = queue(&store, &ann).await;
    tokio::time::pause();
    assert!(matches!(late.await.unwrap(), Err(StoreError::Unavailable(_))));
    assert!(matches!(held.await.unwrap(), Err(StoreError::Unavailable(_))));
    tokio::time::resume();

    release.send(()).unwrap();
    store.ping().await.unwrap();
    assert!(!is_kept(&store, &ann).await);
}

#[tokio::test]
async fn a_file_locked_by_another_program_is_an_outage_that_passes() {
    let (_directory, path) = place();
    let store = open(&path, Role::Serve).await.unwrap();
    let ann = account("ann");
    let mut other = raw(&path).await;
    execute(&mut other, "BEGIN IMMEDIATE").await;
    let answer = insert(&store, &ann).await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    assert!(!is_kept(&store, &ann).await, "reading goes on");
    execute(&mut other, "ROLLBACK").await;
    assert_eq!(insert(&store, &ann).await.unwrap(), INSERTED, "nothing of it is left");
}

#[tokio::test]
async fn a_full_disk_is_an_outage_that_passes() {
    let (_directory, path) = place();
    let store = open(&path, Role::Serve).await.unwrap();
    let limit = async |sql: &'static str| {
        let limited = store.writer.write(move |step| {
            Box::pin(async move { Ok(sqlx::query(sql).execute(&mut step.connection).await.map(drop)?) })
        });
        limited.await.unwrap();
    };
    // SQLite's own limit fails the way the disk does: SQLITE_FULL.
    limit("PRAGMA max_page_count = 1").await;
    let mut filled = 0;
    let refused = loop {
        let account = Account { first_name: "x".repeat(4000), ..account(&format!("p{filled}")) };
        match insert(&store, &account).await {
            Ok(_) => filled += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused}");
    limit("PRAGMA max_page_count = 1000000").await;
    insert(&store, &account("after")).await.unwrap();
    assert_eq!(store.accounts(None, 1000).await.unwrap().len(), filled + 1);
}
