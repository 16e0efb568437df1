//! Rules of the change log.

use std::time::Duration;

use super::{Bench, RULES, new_session, presented};
use crate::{
    change_log::Change,
    model::{Account, AccountId, ClientId, Epoch, Scope, SessionId},
    store::{AccountChange, CHANGE_MARGIN, Changes, Cursor, Rotation, StoredClient, StoredKey},
};

async fn read(bench: &Bench, cursor: Option<Cursor>) -> Changes {
    bench.store().read_changes(cursor).await.unwrap()
}

async fn end_a_session(bench: &Bench, account: &Account) -> SessionId {
    let session = bench.sign_in(account).await.session;
    bench.end(&session).await;
    session.id
}

fn ended(changes: &Changes) -> Vec<SessionId> {
    let ended = changes.entries.iter().filter_map(|change| match change {
        Change::SessionEnded { sid, .. } => Some(*sid),
        _ => None,
    });
    ended.collect()
}

pub async fn entries_come_in_the_order_of_their_writes(bench: &Bench) {
    let ann = bench.account("ann").await;
    let sid = end_a_session(bench, &ann).await;
    let client = StoredClient {
        id: ClientId::from("cli"),
        secret: None,
        grants: Vec::new(),
        scopes: Scope::parse("read").unwrap(),
    };
    bench.store().insert_client(&client).await.unwrap();
    bench.there.store.change_account(ann.id, &AccountChange::Staff(true)).await.unwrap();
    let now = bench.clock.now();
    let key =
        StoredKey { kid: "k".into(), algorithm: "EdDSA".into(), sealed: vec![1], created_at: now, signs_from: now };
    bench.store().insert_key(&key, &[]).await.unwrap();

    let log = bench.log().await;
    assert_eq!(
        log,
        [
            Change::SessionEnded { sid, until: now + RULES.access_ttl + CHANGE_MARGIN },
            Change::Clients,
            Change::AccountEpoch { account: ann.id, min_epoch: Epoch(1), until: now + CHANGE_MARGIN },
            Change::Keys,
        ]
    );
    assert_eq!(bench.there.store.read_changes(None).await.unwrap().entries[..4], log);
}

pub async fn a_cursor_goes_on_where_it_ended(bench: &Bench) {
    let ann = bench.account("ann").await;
    let empty = read(bench, None).await;
    assert!(empty.whole);
    assert_eq!(empty.entries, [Change::Keys, Change::Clients]);

    let first = end_a_session(bench, &ann).await;
    let after_first = read(bench, Some(empty.cursor)).await;
    assert_eq!((after_first.whole, ended(&after_first)), (false, vec![first]));

    let second = end_a_session(bench, &ann).await;
    let third = end_a_session(bench, &ann).await;
    let after_all = read(bench, Some(after_first.cursor)).await;
    assert_eq!((after_all.whole, ended(&after_all)), (false, vec![second, third]));

    let nothing = read(bench, Some(after_all.cursor)).await;
    assert_eq!((nothing.whole, nothing.entries.len(), nothing.cursor), (false, 0, after_all.cursor));
}

pub async fn no_cursor_and_a_foreign_one_read_the_whole_log(bench: &Bench) {
    let ann = bench.account("ann").await;
    let sids = [end_a_session(bench, &ann).await, end_a_session(bench, &ann).await];
    let Changes { cursor, .. } = read(bench, None).await;
    let foreign = Cursor { log_id: cursor.log_id.map(|byte| !byte), ..cursor };
    for cursor in [None, Some(foreign)] {
        let changes = read(bench, cursor).await;
        assert!(changes.whole);
        assert_eq!(ended(&changes), sids);
        assert!(changes.entries.ends_with(&[Change::Keys, Change::Clients]), "either may have been missed");
    }
}

pub async fn a_cursor_ahead_of_the_log_reads_the_whole_log(bench: &Bench) {
    let ann = bench.account("ann").await;
    let sid = end_a_session(bench, &ann).await;
    let Changes { cursor, .. } = read(bench, None).await;
    for ahead in [1, 1000, u64::MAX - cursor.last] {
        let changes = read(bench, Some(Cursor { last: cursor.last + ahead, ..cursor })).await;
        assert!(changes.whole, "the store was set back");
        assert_eq!((ended(&changes), changes.cursor), (vec![sid], cursor));
    }
}

pub async fn a_node_knows_its_own_changes_at_once(bench: &Bench) {
    let ann = bench.account("ann").await;
    let (keys, clients) = (bench.here.view.keys_changed(), bench.here.view.clients_changed());
    let session = bench.sign_in(&ann).await.session;
    bench.end(&session).await;
    assert!(bench.here.view.ends(&session.id, &ann.id, ann.epoch));
    assert!(!bench.there.view.ends(&session.id, &ann.id, ann.epoch), "the other has to read");
    assert!(!keys.has_changed().unwrap() && !clients.has_changed().unwrap());

    let now = bench.clock.now();
    let key =
        StoredKey { kid: "k".into(), algorithm: "EdDSA".into(), sealed: vec![1], created_at: now, signs_from: now };
    bench.store().insert_key(&key, &[]).await.unwrap();
    assert!(keys.has_changed().unwrap() && !clients.has_changed().unwrap());
    bench.store().change_account(ann.id, &AccountChange::Active(false)).await.unwrap();
    assert!(bench.here.view.ends(&new_session().id, &ann.id, ann.epoch));
}

pub async fn a_node_hears_of_the_changes_of_another(bench: &Bench) {
    let ann = bench.account("ann").await;
    let session = bench.sign_in(&ann).await.session;
    let mut cursor = bench.there.store.read_changes(None).await.unwrap().cursor;
    bench.end(&session).await;

    let heard = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            bench.there.store.wait_for_changes().await;
            let changes = bench.there.store.read_changes(Some(cursor)).await.unwrap();
            assert!(!changes.whole);
            for change in &changes.entries {
                bench.there.view.apply(change);
            }
            cursor = changes.cursor;
            if bench.there.view.ends(&session.id, &ann.id, ann.epoch) {
                break;
            }
        }
    });
    heard.await.expect("the other node hears of it");
}

pub async fn pruned_entries_that_were_read_are_not_missed(bench: &Bench) {
    let ann = bench.account("ann").await;
    end_a_session(bench, &ann).await;
    end_a_session(bench, &ann).await;
    let Changes { cursor, .. } = read(bench, None).await;

    bench.clock.advance(RULES.access_ttl + CHANGE_MARGIN);
    assert_eq!(bench.store().sweep_expired(&RULES, 100).await.unwrap(), 2);
    assert_eq!(bench.log().await, []);
    let nothing = read(bench, Some(cursor)).await;
    assert_eq!((nothing.whole, nothing.entries.len(), nothing.cursor), (false, 0, cursor));

    let next = end_a_session(bench, &ann).await;
    let changes = read(bench, Some(cursor)).await;
    assert_eq!((changes.whole, ended(&changes)), (false, vec![next]));
}

pub async fn pruned_entries_that_were_not_read_mean_the_whole_log(bench: &Bench) {
    let ann = bench.account("ann").await;
    let Changes { cursor, .. } = read(bench, None).await;
    end_a_session(bench, &ann).await;
    bench.clock.advance(RULES.access_ttl + CHANGE_MARGIN);
    assert_eq!(bench.store().sweep_expired(&RULES, 100).await.unwrap(), 1);

    let next = end_a_session(bench, &ann).await;
    let changes = read(bench, Some(cursor)).await;
    assert_eq!((changes.whole, ended(&changes)), (true, vec![next]));
    let again = read(bench, Some(changes.cursor)).await;
    assert_eq!((again.whole, again.entries.len()), (false, 0), "once is enough");
}

pub async fn entries_are_kept_until_their_time(bench: &Bench) {
    let ann = bench.account("ann").await;
    let first = end_a_session(bench, &ann).await;
    bench.clock.advance(Duration::from_secs(1));
    let second = end_a_session(bench, &ann).await;
    let kept = async || {
        bench.store().sweep_expired(&RULES, 100).await.unwrap();
        ended(&read(bench, None).await)
    };
    bench.clock.advance(RULES.access_ttl + Duration::from_secs(118));
    assert_eq!(kept().await, [first, second]);
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(kept().await, [second]);
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(kept().await, []);
}

pub async fn what_is_remembered_restores_what_was_lost(bench: &Bench) {
    let (ann, bob) = (bench.account("ann").await, bench.account("bob").await);
    let (lost, kept) = (bench.sign_in(&ann).await, bench.sign_in(&ann).await);
    let of_bob = bench.sign_in(&bob).await;
    // As a store that was set back finds it: the end of a session and a new password are not in it.
    let until = bench.clock.now() + RULES.access_ttl + CHANGE_MARGIN;
    let remembered = [
        Change::SessionEnded { sid: lost.session.id, until },
        Change::AccountEpoch { account: bob.id, min_epoch: Epoch(3), until },
        Change::Keys,
        Change::Clients,
    ];
    bench.store().reapply_changes(&remembered).await.unwrap();

    assert_eq!(bench.session(lost.session.id).await, None);
    assert!(matches!(bench.refresh(&lost.session, 0).await, Rotation::Refused(_)));
    assert_eq!(bench.session(kept.session.id).await, Some(kept.session.clone()));
    assert_eq!(bench.store().account(bob.id).await.unwrap().unwrap().epoch, Epoch(3));
    assert_eq!(bench.session(of_bob.session.id).await, None, "it may have been ended with the epoch");
    assert_eq!(bench.begin(&bob, &new_session()).await, None);
    assert_eq!(bench.log().await, remembered[..2], "and other nodes hear of it");
    assert!(bench.here.view.ends(&lost.session.id, &ann.id, ann.epoch));
}

pub async fn what_is_remembered_twice_is_written_once(bench: &Bench) {
    let ann = bench.account("ann").await;
    end_a_session(bench, &ann).await;
    bench.sign_in(&ann).await;
    let ann = bench.store().change_account(ann.id, &AccountChange::Staff(true)).await.unwrap().unwrap();
    let session = bench.sign_in(&ann).await.session;
    let log = bench.log().await;
    for _ in 0..2 {
        bench.store().reapply_changes(&bench.here.view.remembered()).await.unwrap();
        bench.there.store.reapply_changes(&log).await.unwrap();
    }
    assert_eq!(bench.log().await, log);
    assert_eq!(bench.store().account(ann.id).await.unwrap(), Some(ann));
    assert_eq!(bench.session(session.id).await, Some(session.clone()));
    assert!(matches!(
        bench.store().rotate_session(&presented(&session, 0), &RULES).await.unwrap(),
        Rotation::Rotated(_)
    ));
}

pub async fn what_is_remembered_of_the_unknown_is_harmless(bench: &Bench) {
    let until = bench.clock.now() + CHANGE_MARGIN;
    let unknown = [
        Change::SessionEnded { sid: SessionId::from_bytes([7; 16]), until },
        Change::AccountEpoch { account: AccountId::generate(), min_epoch: Epoch(1), until },
    ];
    bench.store().reapply_changes(&unknown).await.unwrap();
    bench.store().reapply_changes(&[]).await.unwrap();
    assert_eq!(bench.store().accounts(None, 10).await.unwrap(), []);
    // Its account may have been lost with it, its tokens were not.
    assert_eq!(bench.log().await, unknown);
}
