//! Rules of what is kept together with a new account, and of addresses that change hands with it.

use super::{Bench, INSERTED, account, enrolment, key, new_session};
use crate::{
    change_log::Change,
    model::{Account, Epoch},
    session::Refusal,
    store::{AccountChange, CHANGE_MARGIN, Enrolment, InsertAccount, LinkSignIn, Rotation},
};

/// A first sign-in with a link, which takes the address from whoever has it unverified.
fn reclaiming(account: &Account) -> Enrolment {
    let link = Some(key("facebook", &account.id.to_string()));
    Enrolment { link, session: Some(new_session()), reclaim: true, ..enrolment(account) }
}

/// Somebody of this address, by the word of a provider.
fn owner(name: &str) -> Account {
    Account { email_verified: true, ..account(name) }
}

/// Nothing of the enrolment is kept.
async fn leaves_nothing(bench: &Bench, new: &Enrolment) {
    assert_eq!(bench.kept(&new.account).await, None);
    assert_eq!(bench.session(new.session.as_ref().unwrap().id).await, None);
    assert_eq!(bench.store().links(new.account.id).await.unwrap(), []);
}

pub async fn an_account_and_its_first_session_come_together(bench: &Bench) {
    let account = account("ann");
    let session = new_session();
    let inserted = bench.enrol(&Enrolment { session: Some(session.clone()), ..enrolment(&account) }).await;
    let InsertAccount::Inserted { session: Some(start), reclaimed: None } = inserted else { panic!("{inserted:?}") };
    assert_eq!((start.session.id, &start.account), (session.id, &account));
    assert_eq!(start.session.user_agent, session.user_agent);
    assert_eq!(bench.session(session.id).await, Some(start.session));
    assert_eq!(bench.store().links(account.id).await.unwrap(), []);
}

pub async fn an_account_its_link_and_its_first_session_come_together(bench: &Bench) {
    let account = account("ann");
    let (key, session) = (key("facebook", "42"), new_session());
    let new = Enrolment { link: Some(key.clone()), session: Some(session.clone()), ..enrolment(&account) };
    let inserted = bench.enrol(&new).await;
    let InsertAccount::Inserted { session: Some(start), reclaimed: None } = inserted else { panic!("{inserted:?}") };
    assert_eq!(start, bench.started(&account, &session));
    assert_eq!(bench.session(session.id).await, Some(start.session));
    let links = bench.there.store.links(account.id).await.unwrap();
    assert_eq!((links.len(), &links[0].key, links[0].created_at), (1, &key, bench.clock.now()));
    assert_eq!(bench.there.store.linked_account(&key).await.unwrap(), Some(account.id));
}

pub async fn an_account_may_come_with_a_link_alone(bench: &Bench) {
    let account = Account { email: None, ..account("ann") };
    let key = key("facebook", "42");
    assert_eq!(bench.enrol(&Enrolment { link: Some(key.clone()), ..enrolment(&account) }).await, INSERTED);
    assert_eq!(bench.store().linked_account(&key).await.unwrap(), Some(account.id));
    assert_eq!(bench.store().sessions_of(account.id, 10).await.unwrap(), []);
}

pub async fn a_refused_account_leaves_no_link_and_no_session(bench: &Bench) {
    bench.account("ann").await;
    let new = Enrolment { reclaim: false, ..reclaiming(&owner("ann")) };
    assert_eq!(bench.enrol(&new).await, InsertAccount::EmailTaken);
    leaves_nothing(bench, &new).await;
    assert_eq!(bench.store().linked_account(new.link.as_ref().unwrap()).await.unwrap(), None);

    let imported = |name| Account { external_id: Some("42".to_owned()), ..account(name) };
    assert_eq!(bench.enrol(&enrolment(&imported("bob"))).await, INSERTED);
    let new = reclaiming(&imported("cleo"));
    assert_eq!(bench.enrol(&new).await, InsertAccount::ExternalIdTaken);
    leaves_nothing(bench, &new).await;
    assert_eq!(bench.store().linked_account(new.link.as_ref().unwrap()).await.unwrap(), None);
}

pub async fn a_taken_identity_is_told_before_a_taken_address(bench: &Bench) {
    let (ann, bob) = (bench.account("ann").await, bench.account("bob").await);
    let link = bench.link(&ann, "facebook", "42").await;
    for (name, reclaim) in [("ann", false), ("bob", false), ("cleo", false), ("ann", true), ("bob", true)] {
        // Whoever was slower finds the account by the identity, whatever its address.
        let new = Enrolment { link: Some(link.key.clone()), reclaim, ..reclaiming(&owner(name)) };
        assert_eq!(bench.enrol(&new).await, InsertAccount::LinkTaken, "{name}");
        leaves_nothing(bench, &new).await;
    }
    assert_eq!(bench.store().links(ann.id).await.unwrap(), [link]);
    assert_eq!((bench.kept(&ann).await, bench.kept(&bob).await), (Some(ann), Some(bob)), "and nothing is reclaimed");
    assert_eq!(bench.log().await, []);
}

pub async fn a_race_of_first_sign_ins_with_one_identity_makes_one_account(bench: &Bench) {
    let answers = bench
        .at_once(32, |store, i| async move {
            // Every one with an address of its own: only the identity is the same.
            let new = Enrolment { link: Some(key("facebook", "42")), ..reclaiming(&owner(&format!("ann{i}"))) };
            (store.insert_account(&new).await.unwrap(), new)
        })
        .await;
    let (winners, losers): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|(answer, _)| matches!(answer, InsertAccount::Inserted { .. }));
    assert_eq!(winners.len(), 1);
    let winner = &winners[0].1.account;
    assert_eq!(bench.store().accounts(None, 100).await.unwrap(), std::slice::from_ref(winner));
    assert_eq!(bench.store().linked_account(&key("facebook", "42")).await.unwrap(), Some(winner.id));
    for (answer, new) in &losers {
        assert_eq!(*answer, InsertAccount::LinkTaken);
        leaves_nothing(bench, new).await;
    }
}

pub async fn an_account_that_loses_its_address_is_locked(bench: &Bench) {
    let squatter = bench.account("ann").await;
    let link = bench.link(&squatter, "google-oauth2", "42").await;
    let (first, second) = (bench.sign_in(&squatter).await, bench.sign_in(&squatter).await);
    let owner = Account { email: Some("Ann@Example.org".to_owned()), ..owner("ann") };
    let new = Enrolment { email_key: squatter.email.clone(), ..reclaiming(&owner) };

    let inserted = bench.enrol(&new).await;
    let InsertAccount::Inserted { session: Some(start), reclaimed } = inserted else { panic!("{inserted:?}") };
    assert_eq!(reclaimed, Some(squatter.id));
    assert_eq!(start, bench.started(&owner, new.session.as_ref().unwrap()));
    assert_eq!(bench.session(start.session.id).await, Some(start.session));
    let credentials = bench.store().credentials("ann@example.org").await.unwrap().unwrap();
    assert_eq!((credentials.account, credentials.password_hash), (owner, None), "not the squatter's password");

    let locked = Account { email: None, active: false, epoch: Epoch(1), ..squatter.clone() };
    assert_eq!(bench.there.store.account(squatter.id).await.unwrap().as_ref(), Some(&locked));
    for ended in [&first, &second] {
        assert_eq!(bench.session(ended.session.id).await, None);
        assert!(bench.here.view.ends(&ended.session.id, &squatter.id, squatter.epoch));
        assert_eq!(bench.refresh(&ended.session, 0).await, Rotation::Refused(Refusal::Ended));
    }
    let until = first.access_expires_at + CHANGE_MARGIN;
    assert_eq!(bench.log().await, [Change::AccountEpoch { account: squatter.id, min_epoch: Epoch(1), until }]);

    let answer = bench.store().sign_in_by_link(&link.key, None, None, &new_session()).await.unwrap();
    assert_eq!(answer, LinkSignIn::Inactive(squatter.id));
    for account in [&squatter, &locked] {
        assert_eq!(bench.begin(account, &new_session()).await, None);
    }
}

pub async fn an_address_is_reclaimed_only_when_asked(bench: &Bench) {
    let ann = bench.account("ann").await;
    let start = bench.sign_in(&ann).await;
    let new = Enrolment { reclaim: false, ..reclaiming(&owner("ann")) };
    assert_eq!(bench.enrol(&new).await, InsertAccount::EmailTaken);
    assert_eq!(bench.kept(&ann).await, Some(ann));
    assert_eq!(bench.session(start.session.id).await, Some(start.session));
    assert_eq!(bench.log().await, []);
}

pub async fn a_verified_or_imported_address_is_not_reclaimed(bench: &Bench) {
    let imported = Account { external_id: Some("42".to_owned()), ..account("bob") };
    let both = Account { external_id: Some("43".to_owned()), ..owner("cleo") };
    for has_it in [owner("ann"), imported, both] {
        assert_eq!(bench.enrol(&enrolment(&has_it)).await, INSERTED);
        let start = bench.sign_in(&has_it).await;
        let new = reclaiming(&owner(&has_it.username));
        assert_eq!(bench.enrol(&new).await, InsertAccount::EmailTaken);
        leaves_nothing(bench, &new).await;
        assert_eq!(bench.kept(&has_it).await, Some(has_it));
        assert_eq!(bench.session(start.session.id).await, Some(start.session));
    }
    assert_eq!(bench.log().await, []);
}

pub async fn a_refused_enrolment_reclaims_nothing(bench: &Bench) {
    let ann = bench.account("ann").await;
    let start = bench.sign_in(&ann).await;
    let imported = |account| Account { external_id: Some("42".to_owned()), ..account };
    assert_eq!(bench.enrol(&enrolment(&imported(account("bob")))).await, INSERTED);
    let new = reclaiming(&imported(owner("ann")));
    assert_eq!(bench.enrol(&new).await, InsertAccount::ExternalIdTaken);
    leaves_nothing(bench, &new).await;
    assert_eq!(bench.kept(&ann).await, Some(ann));
    assert_eq!(bench.session(start.session.id).await, Some(start.session));
    assert_eq!(bench.log().await, []);
}

pub async fn an_address_that_is_free_needs_no_reclaiming(bench: &Bench) {
    let bob = bench.account("bob").await;
    for new in [owner("ann"), Account { email: None, ..owner("cleo") }] {
        let inserted = bench.enrol(&reclaiming(&new)).await;
        assert!(matches!(inserted, InsertAccount::Inserted { session: Some(_), reclaimed: None }), "{inserted:?}");
    }
    assert_eq!(bench.kept(&bob).await, Some(bob));
    assert_eq!(bench.log().await, []);
}

pub async fn a_race_to_reclaim_one_address_has_one_winner(bench: &Bench) {
    let ann = bench.account("ann").await;
    let answers = bench
        .at_once(32, |store, _| async move {
            let new = reclaiming(&owner("ann"));
            (store.insert_account(&new).await.unwrap(), new)
        })
        .await;
    let (winners, losers): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|(answer, _)| matches!(answer, InsertAccount::Inserted { .. }));
    assert_eq!(winners.len(), 1);
    let (InsertAccount::Inserted { reclaimed, .. }, new) = &winners[0] else { unreachable!() };
    assert_eq!(*reclaimed, Some(ann.id));
    let credentials = bench.store().credentials("ann@example.org").await.unwrap().unwrap();
    assert_eq!(credentials.account, new.account);
    for (answer, new) in &losers {
        assert_eq!(*answer, InsertAccount::EmailTaken, "the winner has it verified");
        leaves_nothing(bench, new).await;
    }
}

pub async fn reclaiming_and_sign_ins_at_once_leave_the_squatter_no_session(bench: &Bench) {
    let squatter = bench.account("ann").await;
    let link = bench.link(&squatter, "google-oauth2", "42").await;
    let started = bench
        .at_once(24, |store, i| {
            let (squatter, link) = (squatter.clone(), link.clone());
            async move {
                match i {
                    11 => {
                        let inserted = store.insert_account(&reclaiming(&owner("ann"))).await.unwrap();
                        assert!(matches!(inserted, InsertAccount::Inserted { reclaimed: Some(_), .. }));
                        None
                    }
                    _ if i % 3 == 0 => store.create_session(squatter.id, squatter.epoch, &new_session()).await.unwrap(),
                    _ => match store.sign_in_by_link(&link.key, None, None, &new_session()).await.unwrap() {
                        LinkSignIn::SignedIn(start) => Some(start),
                        LinkSignIn::Inactive(_) => None,
                        LinkSignIn::Unknown | LinkSignIn::TakenOver(_) => panic!("its link stays"),
                    },
                }
            }
        })
        .await;
    for start in started.into_iter().flatten() {
        assert_eq!(bench.session(start.session.id).await, None);
        assert!(bench.there.view.ends(&start.session.id, &squatter.id, start.account.epoch));
    }
    assert_eq!(bench.store().sessions_of(squatter.id, 10).await.unwrap(), []);
    let reactivated = bench.change(&squatter, AccountChange::Active(true)).await;
    assert_eq!((reactivated.email, reactivated.epoch), (None, Epoch(1)), "it stays without the address");
}
