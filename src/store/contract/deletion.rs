//! Rules of accounts that are deleted.

use super::{Bench, INSERTED, RULES, account, enrolment, key, new_session};
use crate::{
    change_log::Change,
    model::{Account, AccountId, Epoch, SourceId},
    session::Refusal,
    store::{
        AccountChange, CHANGE_MARGIN, DeleteLink, Enrolment, Import, ImportedLink, InsertAccount, InsertLink,
        LinkOutcome, LinkSignIn, NewSession, Rotation, Sessions,
    },
};

async fn delete(bench: &Bench, account: &Account) -> bool {
    bench.store().delete_account(account.id).await.unwrap()
}

/// Somebody who has all that an account may have.
async fn somebody(bench: &Bench) -> Account {
    let ann = Account { external_id: Some("42".to_owned()), ..account("ann") };
    let link = Some(key("facebook", "42"));
    let new = Enrolment { password_hash: Some("hash".to_owned()), link, ..enrolment(&ann) };
    assert_eq!(bench.enrol(&new).await, INSERTED);
    ann
}

pub async fn a_deleted_account_is_gone_with_all_that_was_its_own(bench: &Bench) {
    let (ann, bob) = (somebody(bench).await, bench.account("bob").await);
    let source = SourceId([7; 16]);
    let known = NewSession { source: Some(source), ..new_session() };
    let (first, second) = (bench.begin(&ann, &known).await.unwrap(), bench.sign_in(&ann).await);
    let of_bob = bench.sign_in(&bob).await;
    let google = bench.link(&ann, "google-oauth2", "108").await;

    assert!(delete(bench, &ann).await);
    let store = &*bench.there.store;
    assert_eq!(store.account(ann.id).await.unwrap(), None);
    assert!(store.credentials("ann@example.org").await.unwrap().is_none());
    assert!(store.credentials_of(ann.id).await.unwrap().is_none());
    assert_eq!(store.accounts(None, 10).await.unwrap(), std::slice::from_ref(&bob));
    assert_eq!(store.links(ann.id).await.unwrap(), []);
    for key in [key("facebook", "42"), google.key] {
        assert_eq!(store.linked_account(&key).await.unwrap(), None);
    }
    assert!(!store.knows_source("ann@example.org", source, bench.clock.now()).await.unwrap());
    assert_eq!(store.sessions_of(ann.id, 10).await.unwrap(), []);
    for ended in [&first, &second] {
        assert_eq!(bench.session(ended.session.id).await, None);
        assert!(store.active_session(ended.session.id).await.unwrap().is_none());
        assert_eq!(bench.refresh(&ended.session, 0).await, Rotation::Refused(Refusal::Ended));
    }
    assert_eq!(bench.session(of_bob.session.id).await, Some(of_bob.session), "nobody else is concerned");
    let log = bench.log().await;
    assert!(!delete(bench, &ann).await, "once");
    assert_eq!(bench.log().await, log);
}

pub async fn a_deleted_account_ends_tokens_of_every_epoch_for_as_long_as_they_live(bench: &Bench) {
    let ann = bench.account("ann").await;
    let long_ago = bench.sign_in(&ann).await;
    let today = bench.change(&ann, AccountChange::Staff(true)).await;
    bench.clock.advance(RULES.access_ttl / 2);
    let start = bench.sign_in(&today).await;
    let mut log = bench.log().await;
    assert!(delete(bench, &ann).await);
    for sid in [long_ago.session.id, start.session.id, new_session().id] {
        for epoch in [Epoch(0), today.epoch, Epoch(u32::MAX - 1)] {
            assert!(bench.here.view.ends(&sid, &ann.id, epoch));
        }
    }
    let until = start.access_expires_at + CHANGE_MARGIN;
    log.push(Change::AccountEpoch { account: ann.id, min_epoch: Epoch::GONE, until });
    assert_eq!(bench.log().await, log);
}

pub async fn nobody_cannot_be_deleted(bench: &Bench) {
    let ann = bench.account("ann").await;
    assert!(!bench.store().delete_account(AccountId::generate()).await.unwrap());
    assert_eq!(bench.kept(&ann).await, Some(ann));
    assert_eq!(bench.log().await, []);
}

pub async fn what_a_deleted_account_had_is_free(bench: &Bench) {
    let by_email =
        ImportedLink { provider: "google-oauth2".to_owned(), uid: "ann@example.org".to_owned(), by_email: true };
    let imported = |name: &str| {
        let account = Account { external_id: Some("1".to_owned()), ..account(name) };
        Import { email_key: account.email.clone(), account, password_hash: None, links: vec![by_email.clone()] }
    };
    let first = somebody(bench).await;
    let waiting = imported("bob");
    bench.store().import_accounts(vec![waiting.clone()]).await.unwrap();
    let link_of_first = bench.store().links(first.id).await.unwrap().remove(0);
    for account in [&first, &waiting.account] {
        assert!(delete(bench, account).await);
    }

    let second = somebody(bench).await;
    assert_ne!(second.id, first.id);
    let by_address = bench.there.store.credentials("ann@example.org").await.unwrap().unwrap();
    assert_eq!(by_address.account, second);
    assert_eq!(bench.store().linked_account(&key("facebook", "42")).await.unwrap(), Some(second.id));
    let link = bench.store().links(second.id).await.unwrap().remove(0);
    assert!(link.id > link_of_first.id, "the id of a link is given once");
    assert!(bench.begin(&second, &new_session()).await.is_some());

    let again = imported("bob");
    let outcome = bench.store().import_accounts(vec![again.clone()]).await.unwrap().remove(0);
    assert_eq!((outcome.present, outcome.address_of, outcome.links), (None, None, vec![LinkOutcome::New]));
    let google = key("google-oauth2", "108");
    let answer = bench.store().sign_in_by_link(&google, Some("ann@example.org"), None, &new_session()).await.unwrap();
    let LinkSignIn::TakenOver(start) = answer else { panic!("{answer:?}") };
    assert_eq!(start.account, again.account);
}

pub async fn a_deleted_account_takes_part_in_nothing(bench: &Bench) {
    let ann = somebody(bench).await;
    let start = bench.sign_in(&ann).await;
    let link = bench.store().links(ann.id).await.unwrap().remove(0);
    assert!(delete(bench, &ann).await);
    let log = bench.log().await;

    let store = &*bench.there.store;
    assert_eq!(bench.begin(&ann, &new_session()).await, None);
    let by_link = store.sign_in_by_link(&link.key, Some("ann@example.org"), None, &new_session()).await.unwrap();
    assert_eq!(by_link, LinkSignIn::Unknown);
    for change in [AccountChange::Active(true), AccountChange::SignOut, AccountChange::Password("new".to_owned())] {
        assert_eq!(store.change_account(ann.id, &change).await.unwrap(), None);
    }
    assert!(!store.change_own_password(ann.id, ann.epoch, "new", start.session.id).await.unwrap());
    assert!(!store.replace_password_hash(ann.id, "hash", "new").await.unwrap());
    assert_eq!(store.insert_link(ann.id, &key("gitlab", "7")).await.unwrap(), InsertLink::NoAccount);
    let usable = ["facebook".to_owned()];
    assert_eq!(store.delete_link(ann.id, "facebook", link.id, &usable).await.unwrap(), DeleteLink::Unknown);
    assert_eq!(store.end_sessions(ann.id, &Sessions::One(start.session.id)).await.unwrap(), []);
    assert_eq!(store.end_refreshing(ann.id, &start.session.client).await.unwrap(), 0);
    store.reapply_changes(&log).await.unwrap();
    bench.store().sweep_expired(&RULES, 100).await.unwrap();
    assert_eq!(bench.kept(&ann).await, None);
    assert_eq!(bench.log().await, log);
}

pub async fn a_race_to_delete_has_one_winner(bench: &Bench) {
    let ann = somebody(bench).await;
    bench.sign_in(&ann).await;
    let answers = bench.at_once(16, |store, _| async move { store.delete_account(ann.id).await.unwrap() }).await;
    assert_eq!(answers.iter().filter(|deleted| **deleted).count(), 1);
    assert_eq!(bench.log().await.len(), 1);
}

pub async fn a_deletion_and_sign_ins_at_once_leave_nothing_alive(bench: &Bench) {
    let ann = somebody(bench).await;
    let living = bench.sign_in(&ann).await.session;
    let started = bench
        .at_once(24, |store, i| {
            let (id, epoch, living) = (ann.id, ann.epoch, living.clone());
            async move {
                match i {
                    11 => {
                        assert!(store.delete_account(id).await.unwrap());
                        None
                    }
                    _ if i % 3 == 0 => store.create_session(id, epoch, &new_session()).await.unwrap(),
                    _ if i % 3 == 1 => {
                        match store.rotate_session(&super::presented(&living, 0), &RULES).await.unwrap() {
                            Rotation::Rotated(start) | Rotation::Repeated(start) => Some(start),
                            Rotation::Refused(Refusal::Ended) => None,
                            other => panic!("{other:?}"),
                        }
                    }
                    _ => {
                        let key = key("facebook", "42");
                        match store.sign_in_by_link(&key, None, None, &new_session()).await.unwrap() {
                            LinkSignIn::SignedIn(start) => Some(start),
                            LinkSignIn::Unknown | LinkSignIn::Inactive(_) => None,
                            LinkSignIn::TakenOver(_) => panic!("it was no link by address"),
                        }
                    }
                }
            }
        })
        .await;
    let log = bench.log().await;
    let [Change::AccountEpoch { until, .. }] = log[..] else { panic!("{log:?}") };
    for start in started.into_iter().flatten() {
        assert_eq!(bench.session(start.session.id).await, None);
        assert!(until >= start.access_expires_at + CHANGE_MARGIN, "it is remembered for as long as its tokens live");
    }
    assert_eq!(bench.kept(&ann).await, None);
    assert_eq!(bench.store().sessions_of(ann.id, 100).await.unwrap(), []);
}

pub async fn a_deletion_and_sign_ups_at_once_leave_one_account_or_none(bench: &Bench) {
    let first = somebody(bench).await;
    let answers = bench
        .at_once(24, |store, i| async move {
            if i == 11 {
                assert!(store.delete_account(first.id).await.unwrap());
                return None;
            }
            let second = account("ann");
            let inserted = store.insert_account(&enrolment(&second)).await.unwrap();
            assert!(inserted == INSERTED || inserted == InsertAccount::EmailTaken, "{inserted:?}");
            (inserted == INSERTED).then_some(second)
        })
        .await;
    let mut made: Vec<_> = answers.into_iter().flatten().collect();
    assert!(made.len() <= 1, "{made:?}");
    if made.is_empty() {
        made.push(bench.account("ann").await);
    }
    let kept = bench.there.store.credentials("ann@example.org").await.unwrap().unwrap();
    assert_eq!(kept.account, made[0]);
    assert_eq!(bench.store().accounts(None, 10).await.unwrap(), made);
}

pub async fn a_deletion_and_links_at_once_leave_the_identity_free(bench: &Bench) {
    let ann = somebody(bench).await;
    let gitlab = key("gitlab", "7");
    bench
        .at_once(16, |store, i| {
            let gitlab = gitlab.clone();
            async move {
                if i == 7 {
                    assert!(store.delete_account(ann.id).await.unwrap());
                } else {
                    store.insert_link(ann.id, &gitlab).await.unwrap();
                }
            }
        })
        .await;
    assert_eq!(bench.store().linked_account(&gitlab).await.unwrap(), None);
    let bob = bench.account("bob").await;
    bench.link(&bob, "gitlab", "7").await;
}

pub async fn a_deletion_that_was_lost_is_made_again(bench: &Bench) {
    // As a store that was set back finds it: the account is there, and signed in.
    let ann = somebody(bench).await;
    let start = bench.sign_in(&ann).await;
    let until = start.access_expires_at + CHANGE_MARGIN;
    let remembered = [Change::AccountEpoch { account: ann.id, min_epoch: Epoch::GONE, until }];
    bench.store().reapply_changes(&remembered).await.unwrap();
    bench.store().reapply_changes(&remembered).await.unwrap();

    assert_eq!(bench.kept(&ann).await, None);
    assert_eq!(bench.refresh(&start.session, 0).await, Rotation::Refused(Refusal::Ended));
    assert_eq!(bench.begin(&ann, &new_session()).await, None);
    assert_eq!(bench.log().await, remembered, "and other nodes hear of it");
    somebody(bench).await;
}
