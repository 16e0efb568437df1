//! Rules of accounts that come from another system, and of links that wait there under an address.

use super::{Bench, account, key, new_session};
use crate::{
    model::{Account, LinkKey},
    store::{AccountChange, DeleteLink, Import, Imported, ImportedLink, InsertLink, LinkOutcome, LinkSignIn, Names},
};

const GOOGLE: &str = "google-oauth2";
const ADDRESS: &str = "Ann@example.org";

fn import(name: &str, pk: &str, links: &[(&str, &str, bool)]) -> Import {
    let account = Account { external_id: Some(pk.to_owned()), ..account(name) };
    let link = |&(provider, uid, by_email): &(&str, &str, bool)| ImportedLink {
        provider: provider.to_owned(),
        uid: uid.to_owned(),
        by_email,
    };
    Import {
        email_key: account.email.clone(),
        account,
        password_hash: Some("pbkdf2_sha256$1$salt$hash".to_owned()),
        links: links.iter().map(link).collect(),
    }
}

async fn keep(bench: &Bench, imports: &[&Import]) -> Vec<Imported> {
    let imports = imports.iter().map(|import| (*import).clone()).collect();
    bench.store().import_accounts(imports).await.unwrap()
}

fn new(links: usize) -> Imported {
    Imported { present: None, address_of: None, links: vec![LinkOutcome::New; links] }
}

/// What the account is linked to, as its owner sees it.
async fn linked(bench: &Bench, account: &Account) -> Vec<LinkKey> {
    bench.there.store.links(account.id).await.unwrap().into_iter().map(|link| link.key).collect()
}

async fn sign_in(bench: &Bench, sub: &str, verified_email: Option<&str>) -> LinkSignIn {
    bench.store().sign_in_by_link(&key(GOOGLE, sub), verified_email, None, &new_session()).await.unwrap()
}

/// Ann, who was known by her address.
async fn waiting(bench: &Bench) -> Account {
    let ann = import("ann", "1", &[(GOOGLE, ADDRESS, true)]);
    assert_eq!(keep(bench, &[&ann]).await, [new(1)]);
    ann.account
}

fn account_of(answer: &LinkSignIn) -> &Account {
    match answer {
        LinkSignIn::SignedIn(start) | LinkSignIn::TakenOver(start) => &start.account,
        other => panic!("{other:?}"),
    }
}

pub async fn an_import_comes_back_as_it_was_given(bench: &Bench) {
    let ann = import("ann", "1", &[("facebook", "42", false), (GOOGLE, ADDRESS, true)]);
    let mut bob = import("bob", "2", &[]);
    bob.account = Account {
        email_verified: true,
        staff: true,
        active: false,
        groups: vec!["ops".to_owned(), "éditeurs".to_owned()],
        last_name: "O'Hara \u{1f98a}".to_owned(),
        ..bob.account
    };
    let cleo = Import { email_key: None, password_hash: None, ..import("cleo", "3", &[]) };
    let cleo = Import { account: Account { email: None, ..cleo.account.clone() }, ..cleo };
    assert_eq!(keep(bench, &[&ann, &bob, &cleo]).await, [new(2), new(0), new(0)]);
    for import in [&ann, &bob, &cleo] {
        assert_eq!(bench.kept(&import.account).await.as_ref(), Some(&import.account));
        let kept = bench.there.store.credentials_of(import.account.id).await.unwrap().unwrap();
        assert_eq!(kept.password_hash, import.password_hash);
    }
    let kept = bench.store().credentials("bob@example.org").await.unwrap().unwrap();
    assert_eq!(kept.account, bob.account);
    assert_eq!(linked(bench, &ann.account).await, [key("facebook", "42"), key(GOOGLE, ADDRESS)]);
    assert_eq!(bench.log().await, [], "no token is concerned");
}

pub async fn an_import_again_changes_nothing(bench: &Bench) {
    let links = [("facebook", "42", false), (GOOGLE, ADDRESS, true)];
    let ann = import("ann", "1", &links);
    keep(bench, &[&ann]).await;
    // Its owner has been here in the meantime, and so was somebody in the other system.
    let ann_now = bench.change(&ann.account, AccountChange::Staff(true)).await;
    bench.store().replace_password_hash(ann.account.id, "pbkdf2_sha256$1$salt$hash", "renewed").await.unwrap();
    let log = bench.log().await;
    let again = Import { password_hash: Some("other".to_owned()), ..import("another", "1", &links) };
    let present = Imported { present: Some(ann_now.clone()), address_of: None, links: vec![LinkOutcome::Present; 2] };
    for _ in 0..2 {
        assert_eq!(keep(bench, &[&again]).await, std::slice::from_ref(&present));
    }
    let kept = bench.store().credentials("ann@example.org").await.unwrap().unwrap();
    assert_eq!((kept.account, kept.password_hash.as_deref()), (ann_now, Some("renewed")));
    assert!(bench.store().credentials("another@example.org").await.unwrap().is_none());
    assert_eq!(bench.store().accounts(None, 10).await.unwrap().len(), 1);
    assert_eq!(linked(bench, &ann.account).await.len(), 2);
    assert_eq!(bench.log().await, log);
}

pub async fn an_import_that_was_cut_short_is_completed(bench: &Bench) {
    let (ann, bob) = (import("ann", "1", &[]), import("bob", "2", &[("facebook", "42", false)]));
    keep(bench, &[&ann]).await;
    let outcomes = keep(bench, &[&ann, &bob]).await;
    assert_eq!(outcomes[0].present, Some(ann.account));
    assert_eq!(outcomes[1], new(1));
    assert_eq!(bench.kept(&bob.account).await, Some(bob.account));
    assert_eq!(keep(bench, &[]).await, []);
}

pub async fn a_judgement_is_what_an_import_would_be_and_writes_nothing(bench: &Bench) {
    let ann = import("ann", "1", &[("facebook", "42", false)]);
    keep(bench, &[&ann]).await;
    bench.account("dan").await;
    let imports = [
        import("ann", "1", &[("facebook", "42", false), ("facebook", "43", false)]),
        import("bob", "2", &[("facebook", "42", false), (GOOGLE, ADDRESS, true)]),
        import("dan", "3", &[]),
    ];
    let judged = bench.store().judge_imports(imports.to_vec()).await.unwrap();
    assert_eq!(bench.store().accounts(None, 10).await.unwrap().len(), 2);
    assert_eq!(linked(bench, &ann.account).await, [key("facebook", "42")]);
    let [first, second, third] = &imports;
    assert_eq!(keep(bench, &[first, second, third]).await, judged);
    assert_eq!(bench.store().accounts(None, 10).await.unwrap().len(), 4);
}

pub async fn an_imported_account_never_takes_an_address(bench: &Bench) {
    let here = bench.account("ann").await;
    let mut ann = import("ann", "1", &[("facebook", "42", false)]);
    ann.account.email_verified = true;
    let outcome = Imported { address_of: Some(here.id), ..new(1) };
    assert_eq!(keep(bench, &[&ann]).await, [outcome]);
    let kept = bench.kept(&ann.account).await.unwrap();
    assert_eq!(kept, Account { email: None, email_verified: false, ..ann.account });
    let credentials = bench.store().credentials("ann@example.org").await.unwrap().unwrap();
    assert_eq!(credentials.account, here);
    let start = bench.store().sign_in_by_link(&key("facebook", "42"), None, None, &new_session()).await.unwrap();
    assert_eq!(account_of(&start), &kept, "and signs in by its links");

    // Two of one address in one step as well.
    let outcomes = keep(bench, &[&import("bob", "2", &[]), &import("bob", "3", &[])]).await;
    assert!(outcomes[0].address_of.is_none() && outcomes[1].address_of.is_some(), "{outcomes:?}");
}

pub async fn an_imported_link_never_takes_an_identity(bench: &Bench) {
    let here = bench.account("ann").await;
    bench.link(&here, "facebook", "42").await;
    let first = import("bob", "1", &[("facebook", "42", false), (GOOGLE, ADDRESS, true)]);
    let second = import("cleo", "2", &[(GOOGLE, ADDRESS, true), ("facebook", "43", false)]);
    let outcomes = keep(bench, &[&first, &second]).await;
    assert_eq!(outcomes[0].links, [LinkOutcome::Taken, LinkOutcome::New]);
    assert_eq!(outcomes[1].links, [LinkOutcome::Taken, LinkOutcome::New]);
    assert_eq!(linked(bench, &here).await, [key("facebook", "42")]);
    assert_eq!(linked(bench, &first.account).await, [key(GOOGLE, ADDRESS)]);
    assert_eq!(linked(bench, &second.account).await, [key("facebook", "43")]);
}

pub async fn an_account_that_is_there_gets_the_links_it_lacks(bench: &Bench) {
    let ann = import("ann", "1", &[("facebook", "42", false)]);
    keep(bench, &[&ann]).await;
    let again = import("ann", "1", &[("facebook", "42", false), ("facebook", "43", false), (GOOGLE, ADDRESS, true)]);
    let outcomes = keep(bench, &[&again]).await;
    assert_eq!(outcomes[0].links, [LinkOutcome::Present, LinkOutcome::New, LinkOutcome::New]);
    let all = [key("facebook", "42"), key("facebook", "43"), key(GOOGLE, ADDRESS)];
    assert_eq!(linked(bench, &ann.account).await, all);
}

pub async fn a_link_by_address_is_taken_over_by_the_first_verified_identity(bench: &Bench) {
    let ann = waiting(bench).await;
    let (new, names) = (new_session(), Names { first: "Ann".to_owned(), last: "Lee".to_owned() });
    let answer = bench.store().sign_in_by_link(&key(GOOGLE, "108"), Some(ADDRESS), Some(&names), &new).await.unwrap();
    let renamed = Account { first_name: names.first, last_name: names.last, ..ann.clone() };
    assert_eq!(answer, LinkSignIn::TakenOver(bench.started(&renamed, &new)));
    assert!(bench.session(new.id).await.is_some());
    assert_eq!(linked(bench, &ann).await, [key(GOOGLE, "108")]);
    assert_eq!(bench.store().linked_account(&key(GOOGLE, "108")).await.unwrap(), Some(ann.id));
    // From now on the address does not matter.
    for address in [None, Some("elsewhere@example.org"), Some(ADDRESS)] {
        assert!(matches!(sign_in(bench, "108", address).await, LinkSignIn::SignedIn(_)), "{address:?}");
    }
    assert_eq!(bench.log().await, []);
}

pub async fn a_link_by_address_opens_to_its_exact_spelling_alone(bench: &Bench) {
    let ann = waiting(bench).await;
    for address in [None, Some("ann@example.org"), Some("Ann@Example.org"), Some("Ann@example.org "), Some("")] {
        assert_eq!(sign_in(bench, "108", address).await, LinkSignIn::Unknown, "{address:?}");
    }
    for provider in ["facebook", "Google-oauth2"] {
        let answer = bench.store().sign_in_by_link(&key(provider, "108"), Some(ADDRESS), None, &new_session()).await;
        assert_eq!(answer.unwrap(), LinkSignIn::Unknown, "{provider}");
    }
    assert_eq!(linked(bench, &ann).await, [key(GOOGLE, ADDRESS)]);
    assert_eq!(bench.store().sessions_of(ann.id, 10).await.unwrap(), []);
}

pub async fn a_link_by_address_opens_once(bench: &Bench) {
    let ann = waiting(bench).await;
    assert_eq!(account_of(&sign_in(bench, "108", Some(ADDRESS)).await), &ann);
    // The address has gone to somebody else.
    assert_eq!(sign_in(bench, "109", Some(ADDRESS)).await, LinkSignIn::Unknown);
    assert_eq!(linked(bench, &ann).await, [key(GOOGLE, "108")]);
    // An identity that has an account opens no other's.
    let bob = import("bob", "2", &[(GOOGLE, "bob@example.org", true)]);
    keep(bench, &[&bob]).await;
    assert_eq!(account_of(&sign_in(bench, "108", Some("bob@example.org")).await), &ann);
    assert_eq!(linked(bench, &bob.account).await, [key(GOOGLE, "bob@example.org")]);
}

pub async fn a_link_by_address_is_no_identity_itself(bench: &Bench) {
    let ann = waiting(bench).await;
    assert_eq!(sign_in(bench, ADDRESS, None).await, LinkSignIn::Unknown, "who is called so is somebody else");
    assert_eq!(bench.store().linked_account(&key(GOOGLE, ADDRESS)).await.unwrap(), None);
    let bob = bench.account("bob").await;
    bench.link(&bob, GOOGLE, ADDRESS).await;
    assert_eq!(account_of(&sign_in(bench, ADDRESS, None).await), &bob);
    assert_eq!(account_of(&sign_in(bench, "108", Some(ADDRESS)).await), &ann);
    // Its owner may link the identity by hand, too.
    let cleo = import("cleo", "2", &[(GOOGLE, "cleo@example.org", true)]);
    keep(bench, &[&cleo]).await;
    let answer = bench.store().insert_link(cleo.account.id, &key(GOOGLE, "cleo@example.org")).await.unwrap();
    assert!(matches!(answer, InsertLink::Inserted(_)), "{answer:?}");
}

pub async fn a_link_by_address_of_the_inactive_waits(bench: &Bench) {
    let ann = waiting(bench).await;
    bench.change(&ann, AccountChange::Active(false)).await;
    assert_eq!(sign_in(bench, "108", Some(ADDRESS)).await, LinkSignIn::Inactive(ann.id));
    assert_eq!(linked(bench, &ann).await, [key(GOOGLE, ADDRESS)]);
    bench.change(&ann, AccountChange::Active(true)).await;
    assert!(matches!(sign_in(bench, "109", Some(ADDRESS)).await, LinkSignIn::TakenOver(_)));
}

pub async fn a_race_for_a_link_by_address_has_one_winner(bench: &Bench) {
    let ann = waiting(bench).await;
    let answers = bench
        .at_once(32, |store, i| async move {
            let key = key(GOOGLE, &i.to_string());
            store.sign_in_by_link(&key, Some(ADDRESS), None, &new_session()).await.unwrap()
        })
        .await;
    let winners: Vec<_> = (0..32).filter(|&i| matches!(answers[i], LinkSignIn::TakenOver(_))).collect();
    let [winner] = winners[..] else { panic!("{winners:?}") };
    assert_eq!(answers.iter().filter(|answer| **answer == LinkSignIn::Unknown).count(), 31);
    assert_eq!(linked(bench, &ann).await, [key(GOOGLE, &winner.to_string())]);
    assert_eq!(bench.store().sessions_of(ann.id, 100).await.unwrap().len(), 1);
}

pub async fn one_identity_at_once_takes_a_link_by_address_over_once(bench: &Bench) {
    let ann = waiting(bench).await;
    let answers = bench
        .at_once(16, |store, _| async move {
            store.sign_in_by_link(&key(GOOGLE, "108"), Some(ADDRESS), None, &new_session()).await.unwrap()
        })
        .await;
    assert!(answers.iter().all(|answer| account_of(answer) == &ann));
    assert_eq!(answers.iter().filter(|answer| matches!(answer, LinkSignIn::TakenOver(_))).count(), 1);
    assert_eq!(bench.store().linked_account(&key(GOOGLE, "108")).await.unwrap(), Some(ann.id));
    assert_eq!(bench.store().sessions_of(ann.id, 100).await.unwrap().len(), 16);
}

pub async fn a_link_by_address_that_was_taken_over_is_not_imported_again(bench: &Bench) {
    let ann = waiting(bench).await;
    sign_in(bench, "108", Some(ADDRESS)).await;
    let outcomes = keep(bench, &[&import("ann", "1", &[(GOOGLE, ADDRESS, true)])]).await;
    assert_eq!(outcomes[0].links, [LinkOutcome::Present]);
    let other = keep(bench, &[&import("bob", "2", &[(GOOGLE, ADDRESS, true)])]).await;
    assert_eq!(other[0].links, [LinkOutcome::Taken]);
    assert_eq!(linked(bench, &ann).await, [key(GOOGLE, "108")]);
    assert_eq!(sign_in(bench, "109", Some(ADDRESS)).await, LinkSignIn::Unknown);
}

pub async fn a_link_by_address_can_be_deleted(bench: &Bench) {
    let ann = waiting(bench).await;
    let link = bench.store().links(ann.id).await.unwrap().remove(0);
    let deleted = bench.there.store.delete_link(ann.id, GOOGLE, link.id, &[]).await.unwrap();
    assert_eq!(deleted, DeleteLink::Deleted, "there is a password");
    assert_eq!(sign_in(bench, "108", Some(ADDRESS)).await, LinkSignIn::Unknown);
    assert_eq!(linked(bench, &ann).await, []);
}
