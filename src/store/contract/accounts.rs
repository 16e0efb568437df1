//! Rules of accounts.

use super::{Bench, INSERTED, account, enrolment, new_session, start};
use crate::{
    change_log::Change,
    model::{Account, AccountId, Epoch},
    session::Session,
    store::{AccountChange, CHANGE_MARGIN, Enrolment, InsertAccount},
};

pub async fn an_account_comes_back_as_it_was_given(bench: &Bench) {
    let account = Account {
        email: Some("Zoë.O'Hara@Bücher.example".to_owned()),
        email_verified: true,
        username: "zoë \"'; DROP TABLE accounts; --".to_owned(),
        first_name: "Zoë\u{0}\u{1f98a}".to_owned(),
        last_name: "O'Hara".to_owned(),
        groups: vec!["editors, all".to_owned(), "Ärzte \"West\"".to_owned()],
        staff: true,
        active: false,
        external_id: Some("00042".to_owned()),
        epoch: Epoch(u32::MAX),
        ..account("zoë")
    };
    let key = "zoë.o'hara@xn--bcher-kva.example";
    let hash = "$argon2id$v=19$...";
    let new = Enrolment { password_hash: Some(hash.to_owned()), ..Enrolment::of(account.clone(), Some(key)) };
    assert_eq!(bench.enrol(&new).await, INSERTED);

    assert_eq!(bench.there.store.account(account.id).await.unwrap().as_ref(), Some(&account));
    let by_address = bench.there.store.credentials(key).await.unwrap().unwrap();
    let by_id = bench.there.store.credentials_of(account.id).await.unwrap().unwrap();
    for credentials in [by_address, by_id] {
        assert_eq!(credentials.account, account);
        assert_eq!(credentials.password_hash.as_deref(), Some(hash));
    }

    assert!(bench.store().credentials("Zoë.O'Hara@Bücher.example").await.unwrap().is_none(), "not the key");
    assert_eq!(bench.store().account(AccountId::generate()).await.unwrap(), None);
    assert!(bench.store().credentials_of(AccountId::generate()).await.unwrap().is_none());
}

pub async fn accounts_without_an_address_live_side_by_side(bench: &Bench) {
    for name in ["ann", "bob"] {
        let account = Account { email: None, ..account(name) };
        assert_eq!(bench.enrol(&enrolment(&account)).await, INSERTED);
        let credentials = bench.store().credentials_of(account.id).await.unwrap().unwrap();
        assert_eq!((credentials.account, credentials.password_hash), (account, None));
    }
}

pub async fn one_address_in_two_spellings_is_one_account(bench: &Bench) {
    let first = bench.account("ann").await;
    let second = Account { email: Some("Ann@EXAMPLE.org".to_owned()), ..account("ann") };
    let new = Enrolment::of(second.clone(), first.email.as_deref());
    assert_eq!(bench.enrol(&new).await, InsertAccount::EmailTaken);
    assert_eq!(bench.kept(&second).await, None);
    assert_eq!(bench.kept(&first).await, Some(first));
}

pub async fn one_external_id_is_one_account(bench: &Bench) {
    let with_id = |name| Account { external_id: Some("42".to_owned()), ..account(name) };
    let enrol = async |account: Account| bench.enrol(&enrolment(&account)).await;
    assert_eq!(enrol(with_id("ann")).await, INSERTED);
    assert_eq!(enrol(with_id("bob")).await, InsertAccount::ExternalIdTaken);
    assert_eq!(enrol(Account { email: None, ..with_id("cleo") }).await, InsertAccount::ExternalIdTaken);
    // Both taken: the address is what a person can do something about.
    assert_eq!(enrol(with_id("ann")).await, InsertAccount::EmailTaken);
    bench.account("dan").await;
    assert_eq!(enrol(with_id("dan")).await, InsertAccount::EmailTaken, "of two different accounts");
}

pub async fn a_race_for_one_address_has_one_winner(bench: &Bench) {
    let answers = bench
        .at_once(32, |store, i| async move {
            let account = Account { username: format!("ann {i}"), ..account("ann") };
            (store.insert_account(&enrolment(&account)).await.unwrap(), account)
        })
        .await;
    let (winners, losers): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(answer, _)| *answer == INSERTED);
    assert_eq!(winners.len(), 1);
    assert!(losers.iter().all(|(answer, _)| *answer == InsertAccount::EmailTaken));
    assert_eq!(bench.store().accounts(None, 100).await.unwrap(), [winners[0].1.clone()]);
}

pub async fn accounts_are_listed_by_id_page_by_page(bench: &Bench) {
    let mut all = Vec::new();
    for i in 0..7 {
        all.push(bench.account(&format!("p{i}")).await);
    }
    all.sort_by_key(|account| account.id);

    let mut listed: Vec<Account> = Vec::new();
    loop {
        let page = bench.store().accounts(listed.last().map(|account| account.id), 3).await.unwrap();
        assert!(page.len() <= 3);
        if page.is_empty() {
            break;
        }
        listed.extend(page);
    }
    assert_eq!(listed, all);
    assert_eq!(bench.store().accounts(None, 0).await.unwrap(), []);
}

pub async fn a_new_password_moves_the_epoch_and_ends_every_session(bench: &Bench) {
    let (ann, bob) = (bench.account("ann").await, bench.account("bob").await);
    let (first, second, other) = (bench.sign_in(&ann).await, bench.sign_in(&ann).await, bench.sign_in(&bob).await);

    let after = bench.change(&ann, AccountChange::Password("new".to_owned())).await;
    assert_eq!(after, Account { epoch: Epoch(1), ..ann.clone() });
    let credentials = bench.store().credentials("ann@example.org").await.unwrap().unwrap();
    assert_eq!((credentials.account, credentials.password_hash.as_deref()), (after, Some("new")));

    for ended in [&first, &second] {
        assert_eq!(bench.session(ended.session.id).await, None);
        assert!(bench.here.view.ends(&ended.session.id, &ann.id, ann.epoch));
    }
    assert!(!bench.here.view.ends(&first.session.id, &ann.id, Epoch(1)), "what comes after is not concerned");
    assert_eq!(bench.session(other.session.id).await, Some(other.session), "nor is anybody else");
    assert!(
        matches!(bench.log().await[..], [Change::AccountEpoch { account, min_epoch: Epoch(1), .. }] if account == ann.id)
    );
}

pub async fn the_same_password_again_is_a_change_too(bench: &Bench) {
    let ann = bench.account("ann").await;
    for epoch in 1..=3 {
        assert_eq!(bench.change(&ann, AccountChange::Password("same".to_owned())).await.epoch, Epoch(epoch));
    }
}

pub async fn deactivation_moves_the_epoch_and_ends_every_session(bench: &Bench) {
    let ann = bench.account("ann").await;
    let start = bench.sign_in(&ann).await;
    let after = bench.change(&ann, AccountChange::Active(false)).await;
    assert_eq!(after, Account { epoch: Epoch(1), active: false, ..ann.clone() });
    assert_eq!(bench.kept(&ann).await, Some(after));
    assert_eq!(bench.session(start.session.id).await, None);
    assert!(bench.here.view.ends(&start.session.id, &ann.id, ann.epoch));
}

pub async fn activation_moves_nothing(bench: &Bench) {
    let ann = bench.account("ann").await;
    bench.change(&ann, AccountChange::Active(false)).await;
    let logged = bench.log().await;
    let after = bench.change(&ann, AccountChange::Active(true)).await;
    assert_eq!((after.active, after.epoch), (true, Epoch(1)));
    assert_eq!(bench.kept(&ann).await, Some(after));
    assert_eq!(bench.log().await, logged);
}

pub async fn staff_and_groups_move_the_epoch_and_end_nothing(bench: &Bench) {
    let ann = bench.account("ann").await;
    let start = bench.sign_in(&ann).await;
    let groups = vec!["editors".to_owned()];

    bench.change(&ann, AccountChange::Staff(true)).await;
    let after = bench.change(&ann, AccountChange::Groups(groups.clone())).await;
    assert_eq!(after, Account { staff: true, groups, epoch: Epoch(2), ..ann.clone() });
    assert_eq!(bench.kept(&ann).await, Some(after));

    assert_eq!(bench.session(start.session.id).await, Some(start.session.clone()));
    let ends = |epoch| bench.here.view.ends(&start.session.id, &ann.id, Epoch(epoch));
    assert_eq!((ends(0), ends(1), ends(2)), (true, true, false), "old claims do not hold any more");
}

pub async fn a_change_that_changes_nothing_moves_nothing(bench: &Bench) {
    let ann = bench.account("ann").await;
    let start = bench.sign_in(&ann).await;
    for same in [AccountChange::Active(true), AccountChange::Staff(false), AccountChange::Groups(Vec::new())] {
        assert_eq!(bench.change(&ann, same).await, ann);
    }
    assert_eq!(bench.kept(&ann).await, Some(ann));
    assert_eq!(bench.session(start.session.id).await, Some(start.session));
    assert_eq!(bench.log().await, []);
}

pub async fn a_sign_out_moves_the_epoch_and_ends_every_session(bench: &Bench) {
    let (ann, bob) = (bench.account("ann").await, bench.account("bob").await);
    let (first, second, other) = (bench.sign_in(&ann).await, bench.sign_in(&ann).await, bench.sign_in(&bob).await);

    let after = bench.change(&ann, AccountChange::SignOut).await;
    assert_eq!(after, Account { epoch: Epoch(1), ..ann.clone() });
    let credentials = bench.store().credentials("ann@example.org").await.unwrap().unwrap();
    assert_eq!((&credentials.account, credentials.password_hash.as_deref()), (&after, Some("hash")));

    for ended in [&first, &second] {
        assert_eq!(bench.session(ended.session.id).await, None);
        assert!(bench.here.view.ends(&ended.session.id, &ann.id, ann.epoch));
    }
    assert_eq!(bench.session(other.session.id).await, Some(other.session));
    let until = first.access_expires_at + CHANGE_MARGIN;
    assert_eq!(bench.log().await, [Change::AccountEpoch { account: ann.id, min_epoch: Epoch(1), until }]);
    assert_eq!(bench.begin(&ann, &new_session()).await, None, "a sign-in under way is ended too");
    bench.sign_in(&after).await;
}

pub async fn a_sign_out_without_a_session_is_a_change_too(bench: &Bench) {
    let ann = bench.account("ann").await;
    for epoch in 1..=3 {
        assert_eq!(bench.change(&ann, AccountChange::SignOut).await.epoch, Epoch(epoch));
    }
    assert_eq!(bench.log().await.len(), 3);
    assert!(bench.here.view.ends(&new_session().id, &ann.id, Epoch(2)));
}

pub async fn nobody_cannot_be_changed(bench: &Bench) {
    let nobody = AccountId::generate();
    for change in [AccountChange::Password("new".to_owned()), AccountChange::Active(false), AccountChange::SignOut] {
        assert_eq!(bench.store().change_account(nobody, &change).await.unwrap(), None);
    }
    assert_eq!(bench.log().await, []);
}

pub async fn a_rehash_replaces_only_the_hash_it_was_made_from(bench: &Bench) {
    let ann = bench.account("ann").await;
    let start = bench.sign_in(&ann).await;
    let store = bench.store();
    assert!(!store.replace_password_hash(ann.id, "another", "new").await.unwrap());
    assert!(!store.replace_password_hash(AccountId::generate(), "hash", "new").await.unwrap());
    assert!(store.replace_password_hash(ann.id, "hash", "new").await.unwrap());
    assert!(!store.replace_password_hash(ann.id, "hash", "newer").await.unwrap(), "somebody was faster");

    let credentials = store.credentials("ann@example.org").await.unwrap().unwrap();
    assert_eq!((credentials.account, credentials.password_hash.as_deref()), (ann, Some("new")));
    assert_eq!(bench.session(start.session.id).await, Some(start.session));
    assert_eq!(bench.log().await, []);
}

pub async fn parallel_changes_are_all_counted(bench: &Bench) {
    let ann = bench.account("ann").await;
    let id = ann.id;
    let mut epochs: Vec<u32> = bench
        .at_once(24, |store, i| async move {
            let change = AccountChange::Password(format!("hash {i}"));
            store.change_account(id, &change).await.unwrap().unwrap().epoch.0
        })
        .await;
    epochs.sort_unstable();
    assert_eq!(epochs, (1..=24).collect::<Vec<_>>(), "each saw what the one before it left");
}

/// Whether the account's owner got a new password, proven under its epoch as given.
async fn set_own(bench: &Bench, account: &Account, keep: &Session) -> bool {
    bench.store().change_own_password(account.id, account.epoch, "new", keep.id).await.unwrap()
}

pub async fn an_own_password_keeps_its_session_and_ends_the_others(bench: &Bench) {
    let (ann, bob) = (bench.account("ann").await, bench.account("bob").await);
    let (kept, of_bob) = (bench.sign_in(&ann).await, bench.sign_in(&bob).await);
    let others = [bench.sign_in(&ann).await, bench.sign_in(&ann).await];
    assert!(set_own(bench, &ann, &kept.session).await);

    let credentials = bench.there.store.credentials_of(ann.id).await.unwrap().unwrap();
    let after = Account { epoch: Epoch(1), ..ann.clone() };
    assert_eq!((credentials.account, credentials.password_hash.as_deref()), (after, Some("new")));
    assert_eq!(bench.store().sessions_of(ann.id, 10).await.unwrap(), [kept.session]);
    let log = bench.log().await;
    assert_eq!(log.len(), others.len());
    for ended in others {
        assert_eq!(bench.session(ended.session.id).await, None);
        assert!(bench.here.view.ends(&ended.session.id, &ann.id, ann.epoch));
        let until = ended.access_expires_at + CHANGE_MARGIN;
        assert!(log.contains(&Change::SessionEnded { sid: ended.session.id, until }));
    }
    let credentials = bench.store().credentials_of(bob.id).await.unwrap().unwrap();
    assert_eq!((credentials.account, credentials.password_hash.as_deref()), (bob, Some("hash")));
    assert_eq!(bench.session(of_bob.session.id).await, Some(of_bob.session));
}

pub async fn an_own_password_leaves_the_tokens_of_its_session_alive(bench: &Bench) {
    let ann = bench.account("ann").await;
    let (kept, _) = (bench.sign_in(&ann).await, bench.sign_in(&ann).await);
    assert!(set_own(bench, &ann, &kept.session).await);
    for change in bench.log().await {
        bench.there.view.apply(&change);
    }
    let refreshed = start(bench.refresh(&kept.session, 0).await);
    assert_eq!(refreshed.account.epoch, Epoch(1));
    for view in [&bench.here.view, &bench.there.view] {
        for epoch in [ann.epoch, refreshed.account.epoch] {
            assert!(!view.ends(&kept.session.id, &ann.id, epoch));
        }
    }
}

pub async fn an_own_password_that_nothing_proves_any_more_changes_nothing(bench: &Bench) {
    let (ann, bob) = (bench.account("ann").await, bench.account("bob").await);
    let (own, other, ended) = (bench.sign_in(&ann).await, bench.sign_in(&ann).await, bench.sign_in(&ann).await);
    let of_bob = bench.sign_in(&bob).await;
    bench.end(&ended.session).await;
    let today = bench.change(&ann, AccountChange::Staff(true)).await;
    let log = bench.log().await;

    let ahead = Account { epoch: Epoch(2), ..ann.clone() };
    let nobody = Account { id: AccountId::generate(), ..today.clone() };
    for (account, session) in
        [(&ann, &own), (&ahead, &own), (&today, &of_bob), (&today, &ended), (&nobody, &own), (&bob, &own)]
    {
        assert!(!set_own(bench, account, &session.session).await);
    }
    for account in [&today, &bob] {
        let credentials = bench.store().credentials_of(account.id).await.unwrap().unwrap();
        assert_eq!((&credentials.account, credentials.password_hash.as_deref()), (account, Some("hash")));
    }
    for going_on in [own.session.clone(), other.session, of_bob.session] {
        assert_eq!(bench.session(going_on.id).await, Some(going_on));
    }
    assert_eq!(bench.log().await, log);

    let inactive = bench.change(&ann, AccountChange::Active(false)).await;
    let log = bench.log().await;
    assert!(!set_own(bench, &inactive, &own.session).await);
    let credentials = bench.store().credentials_of(ann.id).await.unwrap().unwrap();
    assert_eq!((credentials.account, credentials.password_hash.as_deref()), (inactive, Some("hash")));
    assert_eq!(bench.log().await, log);
}

pub async fn an_own_password_and_sign_ins_at_once_leave_one_session(bench: &Bench) {
    let ann = bench.account("ann").await;
    let kept = bench.sign_in(&ann).await.session;
    let started = bench
        .at_once(24, |store, i| {
            let (id, epoch, keep) = (ann.id, ann.epoch, kept.id);
            async move {
                if i == 11 {
                    assert!(store.change_own_password(id, epoch, "new", keep).await.unwrap());
                    return None;
                }
                store.create_session(id, epoch, &new_session()).await.unwrap()
            }
        })
        .await;
    for start in started.into_iter().flatten() {
        assert_eq!(bench.session(start.session.id).await, None);
        assert!(bench.there.view.ends(&start.session.id, &ann.id, start.account.epoch));
    }
    assert_eq!(bench.store().sessions_of(ann.id, 10).await.unwrap(), [kept]);
    assert_eq!(bench.begin(&ann, &new_session()).await, None, "nor does one come later");
}

pub async fn a_race_of_own_passwords_has_one_winner(bench: &Bench) {
    let ann = bench.account("ann").await;
    let mut sessions = Vec::new();
    for _ in 0..16 {
        sessions.push(bench.sign_in(&ann).await.session);
    }
    let own = sessions.clone();
    let answers = bench
        .at_once(16, move |store, i| {
            let (id, epoch, keep) = (ann.id, ann.epoch, own[i].id);
            async move { store.change_own_password(id, epoch, &format!("hash {i}"), keep).await.unwrap() }
        })
        .await;
    let winners: Vec<_> = (0..16).filter(|&i| answers[i]).collect();
    let [winner] = winners[..] else { panic!("{winners:?}") };
    let credentials = bench.store().credentials_of(ann.id).await.unwrap().unwrap();
    assert_eq!(credentials.account.epoch, Epoch(1));
    assert_eq!(credentials.password_hash, Some(format!("hash {winner}")));
    assert_eq!(bench.store().sessions_of(ann.id, 100).await.unwrap(), [sessions[winner].clone()]);
}
