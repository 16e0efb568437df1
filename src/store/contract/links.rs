//! Rules of identities at providers, and of signing in by them.

use std::time::Duration;

use super::{Bench, INSERTED, account, enrolment, key, new_session};
use crate::{
    change_log::Change,
    model::{Account, AccountId, Epoch, Link},
    store::{
        AccountChange, CHANGE_MARGIN, DeleteLink, Enrolment, InsertLink, LinkSignIn, Names, NewSession, SessionStart,
    },
};

/// An account that signs in with links alone.
async fn without_password(bench: &Bench, name: &str) -> Account {
    let account = account(name);
    assert_eq!(bench.enrol(&enrolment(&account)).await, INSERTED);
    account
}

async fn sign_in(bench: &Bench, link: &Link, names: Option<&Names>, session: &NewSession) -> LinkSignIn {
    bench.store().sign_in_by_link(&link.key, None, names, session).await.unwrap()
}

async fn delete(bench: &Bench, account: &Account, link: &Link, usable: &[&str]) -> DeleteLink {
    let usable: Vec<_> = usable.iter().map(|&provider| provider.to_owned()).collect();
    bench.store().delete_link(account.id, &link.key.provider, link.id, &usable).await.unwrap()
}

async fn links(bench: &Bench, account: &Account) -> Vec<Link> {
    bench.there.store.links(account.id).await.unwrap()
}

pub async fn links_come_back_as_they_were_given_the_oldest_first(bench: &Bench) {
    let ann = bench.account("ann").await;
    let bob = bench.account("bob").await;
    let mut made = Vec::new();
    for (provider, subject) in [("google-oauth2", "z"), ("facebook", "42"), ("google-oauth2", "a"), ("äpp", "'\"; --")]
    {
        let link = bench.link(&ann, provider, subject).await;
        assert_eq!((&link.key, link.created_at), (&key(provider, subject), bench.clock.now()));
        made.push(link);
        bench.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(links(bench, &ann).await, made);
    assert_eq!(links(bench, &bob).await, []);
    assert_eq!(bench.kept(&ann).await, Some(ann), "its epoch does not move");
    assert_eq!(bench.log().await, []);
}

pub async fn an_identity_is_compared_byte_by_byte(bench: &Bench) {
    let (ann, bob) = (bench.account("ann").await, bench.account("bob").await);
    let long = "x".repeat(1000);
    let longer = format!("{long}x");
    // Somewhere each of these sorts, folds, matches or normalises as the one beside it.
    let alike = [
        ("ann", "Ann"),
        ("42", "042"),
        ("bob", "bob "),
        (" ", "\t"),
        ("", "\u{200b}"),
        ("%", "a%"),
        ("a_c", "abc"),
        ("\u{e9}", "e\u{301}"),
        ("ß", "ss"),
        ("ﬁ", "fi"),
        ("K", "\u{212a}"),
        ("İ", "i\u{307}"),
        ("a", "\u{430}"),
        ("\u{1f98a}", "\u{fffd}"),
        (&long, &longer),
    ];
    for (of_ann, of_bob) in alike {
        bench.link(&ann, "facebook", of_ann).await;
        bench.link(&bob, "facebook", of_bob).await;
    }
    for provider in ["Facebook", "facebook ", "google-oauth2"] {
        assert_eq!(bench.store().linked_account(&key(provider, "42")).await.unwrap(), None);
        bench.link(&bob, provider, "42").await;
    }
    for (of_ann, of_bob) in alike {
        for (subject, owner) in [(of_ann, &ann), (of_bob, &bob)] {
            let key = key("facebook", subject);
            assert_eq!(bench.there.store.linked_account(&key).await.unwrap(), Some(owner.id), "{subject:?}");
            assert!(links(bench, owner).await.iter().any(|link| link.key == key), "{subject:?}");
        }
    }
    assert_eq!(links(bench, &ann).await.len(), alike.len());
    assert_eq!(links(bench, &bob).await.len(), alike.len() + 3);
}

pub async fn an_identity_is_of_one_account(bench: &Bench) {
    let (ann, bob) = (bench.account("ann").await, bench.account("bob").await);
    let link = bench.link(&ann, "facebook", "42").await;
    assert_eq!(bench.there.store.insert_link(bob.id, &link.key).await.unwrap(), InsertLink::Taken);
    assert_eq!((links(bench, &ann).await, links(bench, &bob).await), (vec![link], vec![]));
}

pub async fn a_race_to_link_one_identity_has_one_winner(bench: &Bench) {
    let mut accounts = Vec::new();
    for i in 0..32 {
        accounts.push(bench.account(&format!("p{i}")).await.id);
    }
    let own = accounts.clone();
    let answers = bench
        .at_once(32, move |store, i| {
            let account = own[i];
            async move { store.insert_link(account, &key("facebook", "42")).await.unwrap() }
        })
        .await;
    let winners: Vec<_> = (0..32).filter(|&i| matches!(answers[i], InsertLink::Inserted(_))).collect();
    let [winner] = winners[..] else { panic!("{winners:?}") };
    assert_eq!(answers.iter().filter(|answer| **answer == InsertLink::Taken).count(), 31);
    assert_eq!(bench.store().linked_account(&key("facebook", "42")).await.unwrap(), Some(accounts[winner]));
    for (i, account) in accounts.into_iter().enumerate() {
        let kept = bench.store().links(account).await.unwrap().into_iter().map(InsertLink::Inserted);
        assert_eq!(kept.collect::<Vec<_>>(), if i == winner { vec![answers[i].clone()] } else { vec![] });
    }
}

pub async fn linking_again_changes_nothing(bench: &Bench) {
    let ann = bench.account("ann").await;
    let link = bench.link(&ann, "facebook", "42").await;
    bench.link(&ann, "facebook", "43").await;
    bench.clock.advance(Duration::from_hours(1));
    let again = bench.there.store.insert_link(ann.id, &link.key).await.unwrap();
    assert_eq!(again, InsertLink::Present(link));
    assert_eq!(links(bench, &ann).await.len(), 2);
}

pub async fn the_id_of_a_link_is_given_once(bench: &Bench) {
    let (ann, bob) = (bench.account("ann").await, bench.account("bob").await);
    let mut given = Vec::new();
    for _ in 0..3 {
        // The latest id as well as one in the middle, and the same identity again.
        for account in [&ann, &bob, &ann] {
            let link = bench.link(account, "facebook", &given.len().to_string()).await;
            given.push(link.id);
        }
        for account in [&ann, &bob] {
            for link in links(bench, account).await {
                assert_eq!(delete(bench, account, &link, &[]).await, DeleteLink::Deleted);
            }
        }
        given.push(bench.link(&bob, "facebook", "the same").await.id);
    }
    let count = given.len();
    given.sort_unstable();
    given.dedup();
    assert_eq!((given.len(), count), (12, 12));
}

pub async fn the_inactive_and_unknown_link_nothing(bench: &Bench) {
    let ann = bench.account("ann").await;
    let link = bench.link(&ann, "facebook", "42").await;
    bench.change(&ann, AccountChange::Active(false)).await;
    for (account, subject) in [(ann.id, "43"), (ann.id, "42"), (AccountId::generate(), "43")] {
        let answer = bench.store().insert_link(account, &key("facebook", subject)).await.unwrap();
        assert_eq!(answer, InsertLink::NoAccount);
    }
    assert_eq!(bench.store().linked_account(&key("facebook", "43")).await.unwrap(), None);
    assert_eq!(links(bench, &ann).await, [link], "what it has it keeps");
}

pub async fn an_account_deletes_only_links_of_its_own(bench: &Bench) {
    let (ann, bob) = (bench.account("ann").await, bench.account("bob").await);
    let (first, second) = (bench.link(&ann, "facebook", "1").await, bench.link(&ann, "google-oauth2", "2").await);
    let of_bob = bench.link(&bob, "facebook", "3").await;
    let ask = async |account, provider, id| {
        bench.store().delete_link(account, provider, id, &["facebook".to_owned()]).await.unwrap()
    };
    for (account, provider, id) in [
        (ann.id, "facebook", of_bob.id),
        (ann.id, "google-oauth2", first.id),
        (ann.id, "Facebook", first.id),
        (ann.id, "", first.id),
        (bob.id, "facebook", first.id),
        (AccountId::generate(), "facebook", first.id),
        (ann.id, "facebook", 0),
        (ann.id, "facebook", -1),
        (ann.id, "facebook", i64::MAX),
        (ann.id, "facebook", i64::MIN),
    ] {
        assert_eq!(ask(account, provider, id).await, DeleteLink::Unknown, "{provider} {id}");
    }
    assert_eq!(links(bench, &ann).await, [first.clone(), second.clone()]);
    assert_eq!(links(bench, &bob).await, [of_bob]);

    assert_eq!(ask(ann.id, "facebook", first.id).await, DeleteLink::Deleted);
    assert_eq!(ask(ann.id, "facebook", first.id).await, DeleteLink::Unknown, "there is none any more");
    assert_eq!(links(bench, &ann).await, [second]);
    assert_eq!(bench.store().linked_account(&first.key).await.unwrap(), None);
    bench.link(&bob, "facebook", "1").await;
}

pub async fn the_only_way_in_stays(bench: &Bench) {
    let ann = without_password(bench, "ann").await;
    // A password is no way in without an address to give with it.
    let bob = Account { email: None, ..account("bob") };
    let new = Enrolment { password_hash: Some("hash".to_owned()), ..enrolment(&bob) };
    assert_eq!(bench.enrol(&new).await, INSERTED);
    for account in [&ann, &bob] {
        let link = bench.link(account, "facebook", &account.username).await;
        assert_eq!(delete(bench, account, &link, &["facebook", "google-oauth2"]).await, DeleteLink::LastWay);
        assert_eq!(delete(bench, account, &link, &[]).await, DeleteLink::LastWay);
        assert!(matches!(sign_in(bench, &link, None, &new_session()).await, LinkSignIn::SignedIn(_)));
        assert_eq!(links(bench, account).await, [link]);
    }
}

pub async fn a_password_with_an_address_is_another_way_in(bench: &Bench) {
    let ann = bench.account("ann").await;
    let link = bench.link(&ann, "facebook", "42").await;
    let start = bench.sign_in(&ann).await;
    assert_eq!(delete(bench, &ann, &link, &[]).await, DeleteLink::Deleted);
    assert_eq!(links(bench, &ann).await, []);
    assert_eq!(bench.session(start.session.id).await, Some(start.session), "sessions go on");
    assert_eq!(bench.kept(&ann).await, Some(ann));
    assert_eq!(bench.log().await, []);
}

pub async fn another_link_is_a_way_in_while_its_provider_is_usable(bench: &Bench) {
    let ann = without_password(bench, "ann").await;
    let (first, second) = (bench.link(&ann, "facebook", "1").await, bench.link(&ann, "gone", "2").await);
    assert_eq!(delete(bench, &ann, &first, &["facebook"]).await, DeleteLink::LastWay, "the other's provider is gone");
    assert_eq!(delete(bench, &ann, &second, &[]).await, DeleteLink::LastWay);
    assert_eq!(delete(bench, &ann, &second, &["gone"]).await, DeleteLink::LastWay, "its own provider is no other way");
    assert_eq!(links(bench, &ann).await, [first.clone(), second.clone()]);

    assert_eq!(delete(bench, &ann, &second, &["facebook"]).await, DeleteLink::Deleted);
    let third = bench.link(&ann, "facebook", "3").await;
    assert_eq!(delete(bench, &ann, &first, &["facebook"]).await, DeleteLink::Deleted, "two of one provider are two");
    assert_eq!(delete(bench, &ann, &third, &["facebook"]).await, DeleteLink::LastWay);
    assert_eq!(links(bench, &ann).await, [third]);
}

pub async fn a_race_to_delete_the_last_two_links_leaves_one(bench: &Bench) {
    for round in 0..8 {
        let ann = without_password(bench, &format!("ann{round}")).await;
        let both = [
            bench.link(&ann, "facebook", &round.to_string()).await,
            bench.link(&ann, "google-oauth2", &round.to_string()).await,
        ];
        let own = both.clone();
        let answers = bench
            .at_once(2, move |store, i| {
                let (link, usable) = (own[i].clone(), own.clone().map(|link| link.key.provider));
                async move { store.delete_link(ann.id, &link.key.provider, link.id, &usable).await.unwrap() }
            })
            .await;
        let left = match answers[..] {
            [DeleteLink::Deleted, DeleteLink::LastWay] => &both[1],
            [DeleteLink::LastWay, DeleteLink::Deleted] => &both[0],
            _ => panic!("{answers:?}"),
        };
        assert_eq!(bench.store().links(ann.id).await.unwrap(), std::slice::from_ref(left));
    }
}

pub async fn a_sign_in_by_link_begins_a_session(bench: &Bench) {
    let ann = bench.account("ann").await;
    let link = bench.link(&ann, "facebook", "42").await;
    let ann = bench.change(&ann, AccountChange::Staff(true)).await;
    bench.clock.advance(Duration::from_hours(1));
    let new = new_session();
    let answer = sign_in(bench, &link, None, &new).await;
    let start = bench.started(&ann, &new);
    assert_eq!(answer, LinkSignIn::SignedIn(start.clone()), "under the epoch of today");
    assert_eq!(bench.there.store.session(new.id).await.unwrap(), Some(start.session));
}

pub async fn a_sign_in_by_link_takes_names_over_and_moves_no_epoch(bench: &Bench) {
    let ann = bench.account("ann").await;
    let link = bench.link(&ann, "facebook", "42").await;
    let before = bench.sign_in(&ann).await;
    let mut last = ann.clone();
    for (first, last_name) in [("Zoë \u{1f98a}", "O'Hara"), ("Zoë \u{1f98a}", ""), ("Z", ""), ("Z", "")] {
        let names = Names { first: first.to_owned(), last: last_name.to_owned() };
        let answer = sign_in(bench, &link, Some(&names), &new_session()).await;
        let LinkSignIn::SignedIn(SessionStart { account, .. }) = answer else { panic!("{answer:?}") };
        last = Account { first_name: names.first, last_name: names.last, ..ann.clone() };
        assert_eq!(account, last);
        assert_eq!(bench.there.store.account(ann.id).await.unwrap().as_ref(), Some(&last));
    }
    sign_in(bench, &link, None, &new_session()).await;
    let credentials = bench.store().credentials("ann@example.org").await.unwrap().unwrap();
    assert_eq!((credentials.account, credentials.password_hash.as_deref()), (last, Some("hash")));
    assert_eq!(bench.session(before.session.id).await, Some(before.session));
    assert_eq!(bench.log().await, []);
}

pub async fn no_link_signs_the_inactive_in(bench: &Bench) {
    let ann = bench.account("ann").await;
    let link = bench.link(&ann, "facebook", "42").await;
    let inactive = bench.change(&ann, AccountChange::Active(false)).await;
    let (log, new) = (bench.log().await, new_session());
    let names = Names { first: "New".to_owned(), last: "Name".to_owned() };
    assert_eq!(sign_in(bench, &link, Some(&names), &new).await, LinkSignIn::Inactive(ann.id));
    assert_eq!(bench.session(new.id).await, None);
    assert_eq!(bench.kept(&ann).await, Some(inactive), "its names as well");
    assert_eq!(bench.log().await, log);
    assert_eq!(bench.store().linked_account(&link.key).await.unwrap(), Some(ann.id), "the link stays");

    bench.change(&ann, AccountChange::Active(true)).await;
    assert!(matches!(sign_in(bench, &link, None, &new).await, LinkSignIn::SignedIn(_)));
}

pub async fn an_unknown_identity_signs_nobody_in(bench: &Bench) {
    let ann = bench.account("ann").await;
    let link = bench.link(&ann, "facebook", "42").await;
    let deleted = bench.link(&ann, "facebook", "43").await;
    delete(bench, &ann, &deleted, &[]).await;
    for key in [key("google-oauth2", "42"), key("facebook", "4"), key("facebook", "ann@example.org"), deleted.key] {
        let new = new_session();
        assert_eq!(
            bench.store().sign_in_by_link(&key, Some("ann@example.org"), None, &new).await.unwrap(),
            LinkSignIn::Unknown
        );
        assert_eq!(bench.session(new.id).await, None);
    }
    assert_eq!(links(bench, &ann).await, [link]);
}

pub async fn deactivation_and_sign_ins_by_link_at_once_leave_nothing_alive(bench: &Bench) {
    for round in 0..4 {
        let ann = bench.account(&format!("ann{round}")).await;
        let link = bench.link(&ann, "facebook", &round.to_string()).await;
        let id = ann.id;
        let answers = bench
            .at_once(24, move |store, i| {
                let link = link.clone();
                async move {
                    if i == 11 {
                        store.change_account(id, &AccountChange::Active(false)).await.unwrap();
                        return None;
                    }
                    Some(store.sign_in_by_link(&link.key, None, None, &new_session()).await.unwrap())
                }
            })
            .await;
        let remembered_until = bench.log().await.into_iter().find_map(|change| match change {
            Change::AccountEpoch { account, min_epoch: Epoch(1), until } if account == id => Some(until),
            _ => None,
        });
        for answer in answers.into_iter().flatten() {
            match answer {
                LinkSignIn::SignedIn(start) => {
                    assert_eq!(bench.session(start.session.id).await, None);
                    assert!(bench.there.view.ends(&start.session.id, &id, start.account.epoch));
                    assert!(remembered_until.unwrap() >= start.access_expires_at + CHANGE_MARGIN);
                }
                LinkSignIn::Inactive(inactive) => assert_eq!(inactive, id),
                LinkSignIn::Unknown | LinkSignIn::TakenOver(_) => panic!("its link stays"),
            }
        }
        assert_eq!(bench.store().sessions_of(id, 100).await.unwrap(), []);
    }
}
