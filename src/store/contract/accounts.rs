//! Rules of accounts.

use super::{Bench, account, new_session};
use crate::{
    change_log::Change,
    model::{Account, AccountId, Epoch},
    store::{AccountChange, InsertAccount, Store},
};

async fn insert(store: &dyn Store, account: &Account) -> InsertAccount {
    store.insert_account(account, account.email.as_deref(), None, None).await.unwrap()
}

async fn change(bench: &Bench, account: &Account, change: AccountChange) -> Account {
    bench.store().change_account(account.id, &change).await.unwrap().expect("the account is there")
}

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
    let inserted = bench.store().insert_account(&account, Some(key), Some("$argon2id$v=19$..."), None).await.unwrap();
    assert_eq!(inserted, InsertAccount::Inserted(None));

    assert_eq!(bench.there.store.account(account.id).await.unwrap().as_ref(), Some(&account));
    let credentials = bench.there.store.credentials(key).await.unwrap().unwrap();
    assert_eq!(credentials.account, account);
    assert_eq!(credentials.password_hash.as_deref(), Some("$argon2id$v=19$..."));

    assert!(bench.store().credentials("Zoë.O'Hara@Bücher.example").await.unwrap().is_none(), "not the key");
    assert_eq!(bench.store().account(AccountId::generate()).await.unwrap(), None);
}

pub async fn accounts_without_an_address_live_side_by_side(bench: &Bench) {
    for name in ["ann", "bob"] {
        let account = Account { email: None, ..account(name) };
        assert_eq!(insert(bench.store(), &account).await, InsertAccount::Inserted(None));
        assert_eq!(bench.store().account(account.id).await.unwrap(), Some(account));
    }
}

pub async fn one_address_in_two_spellings_is_one_account(bench: &Bench) {
    let first = bench.account("ann").await;
    let second = Account { email: Some("Ann@EXAMPLE.org".to_owned()), ..account("ann") };
    let refused = bench.store().insert_account(&second, first.email.as_deref(), None, None).await.unwrap();
    assert_eq!(refused, InsertAccount::EmailTaken);
    assert_eq!(bench.store().account(second.id).await.unwrap(), None);
    assert_eq!(bench.store().account(first.id).await.unwrap(), Some(first));
}

pub async fn one_external_id_is_one_account(bench: &Bench) {
    let with_id = |name| Account { external_id: Some("42".to_owned()), ..account(name) };
    assert_eq!(insert(bench.store(), &with_id("ann")).await, InsertAccount::Inserted(None));
    assert_eq!(insert(bench.store(), &with_id("bob")).await, InsertAccount::ExternalIdTaken);
    let nameless = Account { email: None, ..with_id("cleo") };
    assert_eq!(insert(bench.store(), &nameless).await, InsertAccount::ExternalIdTaken);
    // Both taken: the address is what a person can do something about.
    assert_eq!(insert(bench.store(), &with_id("ann")).await, InsertAccount::EmailTaken);
    bench.account("dan").await;
    assert_eq!(insert(bench.store(), &with_id("dan")).await, InsertAccount::EmailTaken, "of two different accounts");
}

pub async fn a_race_for_one_address_has_one_winner(bench: &Bench) {
    let answers = bench
        .at_once(32, |store, i| async move {
            let account = Account { username: format!("ann {i}"), ..account("ann") };
            (insert(&*store, &account).await, account)
        })
        .await;
    let (winners, losers): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|(answer, _)| matches!(answer, InsertAccount::Inserted(_)));
    assert_eq!(winners.len(), 1);
    assert!(losers.iter().all(|(answer, _)| *answer == InsertAccount::EmailTaken));
    assert_eq!(bench.store().accounts(None, 100).await.unwrap(), [winners[0].1.clone()]);
}

pub async fn an_account_and_its_first_session_come_together(bench: &Bench) {
    let account = account("ann");
    let session = new_session(&account);
    let inserted = bench.store().insert_account(&account, Some("ann"), Some("hash"), Some(&session)).await.unwrap();
    let InsertAccount::Inserted(Some(start)) = inserted else { panic!("{inserted:?}") };
    assert_eq!((start.session.id, &start.account), (session.id, &account));
    assert_eq!(bench.session(session.id).await, Some(start.session));
}

pub async fn a_refused_account_leaves_no_session(bench: &Bench) {
    let first = bench.account("ann").await;
    let second = account("ann");
    let session = new_session(&second);
    let refused = bench.store().insert_account(&second, first.email.as_deref(), None, Some(&session)).await.unwrap();
    assert_eq!(refused, InsertAccount::EmailTaken);
    assert_eq!(bench.session(session.id).await, None);
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

    let after = change(bench, &ann, AccountChange::Password("new".to_owned())).await;
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
        assert_eq!(change(bench, &ann, AccountChange::Password("same".to_owned())).await.epoch, Epoch(epoch));
    }
}

pub async fn deactivation_moves_the_epoch_and_ends_every_session(bench: &Bench) {
    let ann = bench.account("ann").await;
    let start = bench.sign_in(&ann).await;
    let after = change(bench, &ann, AccountChange::Active(false)).await;
    assert_eq!(after, Account { epoch: Epoch(1), active: false, ..ann.clone() });
    assert_eq!(bench.store().account(ann.id).await.unwrap(), Some(after));
    assert_eq!(bench.session(start.session.id).await, None);
    assert!(bench.here.view.ends(&start.session.id, &ann.id, ann.epoch));
}

pub async fn activation_moves_nothing(bench: &Bench) {
    let ann = bench.account("ann").await;
    change(bench, &ann, AccountChange::Active(false)).await;
    let logged = bench.log().await;
    let after = change(bench, &ann, AccountChange::Active(true)).await;
    assert_eq!((after.active, after.epoch), (true, Epoch(1)));
    assert_eq!(bench.store().account(ann.id).await.unwrap(), Some(after));
    assert_eq!(bench.log().await, logged);
}

pub async fn staff_and_groups_move_the_epoch_and_end_nothing(bench: &Bench) {
    let ann = bench.account("ann").await;
    let start = bench.sign_in(&ann).await;
    let groups = vec!["editors".to_owned()];

    change(bench, &ann, AccountChange::Staff(true)).await;
    let after = change(bench, &ann, AccountChange::Groups(groups.clone())).await;
    assert_eq!(after, Account { staff: true, groups, epoch: Epoch(2), ..ann.clone() });
    assert_eq!(bench.store().account(ann.id).await.unwrap(), Some(after));

    assert_eq!(bench.session(start.session.id).await, Some(start.session.clone()));
    let ends = |epoch| bench.here.view.ends(&start.session.id, &ann.id, Epoch(epoch));
    assert_eq!((ends(0), ends(1), ends(2)), (true, true, false), "old claims do not hold any more");
}

pub async fn a_change_that_changes_nothing_moves_nothing(bench: &Bench) {
    let ann = bench.account("ann").await;
    let start = bench.sign_in(&ann).await;
    for same in [AccountChange::Active(true), AccountChange::Staff(false), AccountChange::Groups(Vec::new())] {
        assert_eq!(change(bench, &ann, same).await, ann);
    }
    assert_eq!(bench.store().account(ann.id).await.unwrap(), Some(ann));
    assert_eq!(bench.session(start.session.id).await, Some(start.session));
    assert_eq!(bench.log().await, []);
}

pub async fn nobody_cannot_be_changed(bench: &Bench) {
    let nobody = AccountId::generate();
    for change in [AccountChange::Password("new".to_owned()), AccountChange::Active(false)] {
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
