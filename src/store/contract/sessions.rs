//! Rules of the life of sessions.

use std::time::Duration;

use super::{Bench, INSTANT, RULES, account, new_session, presented};
use crate::{
    change_log::Change,
    model::{Account, ClientId, Epoch},
    session::{Refusal, Rules, Session},
    store::{AccountChange, CHANGE_MARGIN, MOST_SESSIONS, NewSession, Rotation, SessionStart, Sessions},
};

pub async fn a_session_begins_at_generation_zero(bench: &Bench) {
    let ann = bench.account("ann").await;
    let new = NewSession { user_agent: "Mozilla/5.0 (Zoë's; \u{1f98a})".to_owned(), ..new_session() };
    let now = bench.clock.now();
    let start = bench.begin(&ann, &new).await.unwrap();
    let session = Session {
        id: new.id,
        account: ann.id,
        client: new.client,
        scope: new.scope,
        created_at: now,
        generation: 0,
        rotated_at: now,
        superseded: Vec::new(),
        access_expires_at: now + RULES.access_ttl,
        refresh_ended: false,
        user_agent: new.user_agent,
    };
    assert_eq!(bench.there.store.session(new.id).await.unwrap().as_ref(), Some(&session));
    assert_eq!(start, SessionStart { access_expires_at: session.access_expires_at, session, account: ann, now });
}

pub async fn no_access_token_outlives_the_absolute_limit(bench: &Bench) {
    let ann = bench.account("ann").await;
    let rules = Rules { absolute_ttl: Duration::from_mins(20), ..RULES };
    let start = bench.begin(&ann, &NewSession { rules, ..new_session() }).await.unwrap();
    let end = start.now + rules.absolute_ttl;
    assert_eq!(start.access_expires_at, start.now + rules.access_ttl);

    bench.clock.advance(Duration::from_mins(10));
    let rotation = bench.store().rotate_session(&presented(&start.session, 0), &rules).await.unwrap();
    assert_eq!(super::start(rotation).access_expires_at, end);
    assert_eq!(bench.session(start.session.id).await.unwrap().access_expires_at, end);
}

pub async fn no_session_for_an_epoch_that_moved(bench: &Bench) {
    let ann = bench.account("ann").await;
    let moved = bench.change(&ann, AccountChange::Password("new".to_owned())).await;
    let new = new_session();
    assert_eq!(bench.begin(&ann, &new).await, None);
    let ahead = Account { epoch: Epoch(moved.epoch.0 + 1), ..ann };
    assert_eq!(bench.begin(&ahead, &new).await, None);
    assert_eq!(bench.session(new.id).await, None);
    bench.sign_in(&moved).await;
}

pub async fn no_session_for_the_inactive_or_unknown(bench: &Bench) {
    let ann = bench.account("ann").await;
    let ann = bench.change(&ann, AccountChange::Active(false)).await;
    assert_eq!(bench.begin(&ann, &new_session()).await, None);
    assert_eq!(bench.begin(&account("bob"), &new_session()).await, None);
}

pub async fn an_ended_session_is_gone_and_logged_once(bench: &Bench) {
    let ann = bench.account("ann").await;
    let (start, other) = (bench.sign_in(&ann).await, bench.sign_in(&ann).await);
    let sid = start.session.id;
    bench.end(&start.session).await;
    let again = bench.there.store.end_sessions(ann.id, &Sessions::One(sid)).await.unwrap();
    assert_eq!(again, [], "there is none any more");
    assert_eq!(bench.session(sid).await, None);
    assert_eq!(bench.session(other.session.id).await.as_ref(), Some(&other.session));
    assert!(bench.here.view.ends(&sid, &ann.id, ann.epoch));
    assert!(!bench.here.view.ends(&other.session.id, &ann.id, ann.epoch));
    assert_eq!(bench.log().await, [Change::SessionEnded { sid, until: start.access_expires_at + CHANGE_MARGIN }]);
}

pub async fn an_end_is_remembered_until_the_last_access_token_has_expired(bench: &Bench) {
    let ann = bench.account("ann").await;
    let start = bench.sign_in(&ann).await;
    // A refresh under a shorter lifetime does not shorten the life of what was signed before.
    let shorter = Rules { access_ttl: Duration::from_mins(1), ..RULES };
    let rotation = bench.store().rotate_session(&presented(&start.session, 0), &shorter).await.unwrap();
    assert_eq!(super::start(rotation).access_expires_at, start.now + shorter.access_ttl);
    bench.end(&start.session).await;

    let idle = bench.sign_in(&ann).await;
    bench.clock.advance(Duration::from_hours(5));
    bench.end(&idle.session).await;
    assert_eq!(
        bench.log().await,
        [
            Change::SessionEnded { sid: start.session.id, until: start.access_expires_at + CHANGE_MARGIN },
            // Its access token expired hours ago; the entry stays long enough for every node to read it.
            Change::SessionEnded { sid: idle.session.id, until: bench.clock.now() + CHANGE_MARGIN },
        ]
    );
}

pub async fn a_moved_epoch_is_remembered_until_the_last_access_token_has_expired(bench: &Bench) {
    let ann = bench.account("ann").await;
    let long = Rules { access_ttl: Duration::from_hours(2), ..RULES };
    bench.sign_in(&ann).await;
    let latest = bench.begin(&ann, &NewSession { rules: long, ..new_session() }).await.unwrap();
    bench.sign_in(&ann).await;
    bench.change(&ann, AccountChange::Password("new".to_owned())).await;
    bench.change(&ann, AccountChange::Staff(true)).await;

    let entry = |min_epoch, until| Change::AccountEpoch { account: ann.id, min_epoch: Epoch(min_epoch), until };
    assert_eq!(
        bench.log().await,
        [entry(1, latest.access_expires_at + CHANGE_MARGIN), entry(2, bench.clock.now() + CHANGE_MARGIN)]
    );
    // One view of both: the epoch of the second, the time of the first.
    assert_eq!(bench.here.view.remembered(), [entry(2, latest.access_expires_at + CHANGE_MARGIN)]);
}

pub async fn revocation_and_refresh_at_once_leave_nothing_alive(bench: &Bench) {
    let ann = bench.account("ann").await;
    for _ in 0..8 {
        let start = bench.sign_in(&ann).await;
        let session = start.session.clone();
        let answers = bench
            .at_once(16, move |store, i| {
                let session = session.clone();
                async move {
                    if i == 7 {
                        let ended = store.end_sessions(session.account, &Sessions::One(session.id)).await.unwrap();
                        assert_eq!(ended, [session.id]);
                        return None;
                    }
                    Some(store.rotate_session(&presented(&session, 0), &RULES).await.unwrap())
                }
            })
            .await;
        let sid = start.session.id;
        assert_eq!(bench.session(sid).await, None);
        let remembered_until = bench.log().await.into_iter().find_map(|change| match change {
            Change::SessionEnded { sid: ended, until } if ended == sid => Some(until),
            _ => None,
        });
        for answer in answers.into_iter().flatten() {
            match answer {
                Rotation::Rotated(start) | Rotation::Repeated(start) => {
                    assert!(remembered_until.unwrap() > start.access_expires_at, "its access token is dead as well");
                }
                Rotation::Refused(_) => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(bench.refresh(&start.session, 1).await, Rotation::Refused(_)));
    }
}

pub async fn a_new_password_and_sign_ins_at_once_leave_no_old_session(bench: &Bench) {
    let ann = bench.account("ann").await;
    let started = bench
        .at_once(24, |store, i| {
            let ann = ann.clone();
            async move {
                if i == 11 {
                    store.change_account(ann.id, &AccountChange::Password("new".to_owned())).await.unwrap();
                    return None;
                }
                store.create_session(ann.id, ann.epoch, &new_session()).await.unwrap()
            }
        })
        .await;
    for start in started.into_iter().flatten() {
        assert_eq!(bench.session(start.session.id).await, None);
    }
}

/// Signs the account in with another client than the others have.
async fn sign_in_with(bench: &Bench, account: &Account, client: &str) -> SessionStart {
    let new = NewSession { client: ClientId::from(client), ..new_session() };
    bench.begin(account, &new).await.expect("an account that may sign in")
}

pub async fn sessions_are_listed_the_last_used_first(bench: &Bench) {
    let ann = bench.account("ann").await;
    let mut sessions = Vec::new();
    for i in 0..3 {
        let new = NewSession { user_agent: format!("Browser {i}"), ..new_session() };
        sessions.push(bench.begin(&ann, &new).await.unwrap().session);
        bench.clock.advance(Duration::from_secs(1));
    }
    let [first, second, third] = &sessions[..] else { unreachable!() };
    let list = async |limit| bench.there.store.sessions_of(ann.id, limit).await.unwrap();
    assert_eq!(list(10).await, [third.clone(), second.clone(), first.clone()]);
    let used = super::start(bench.refresh(first, 0).await).session;
    assert_eq!(list(10).await, [used.clone(), third.clone(), second.clone()]);
    assert_eq!(list(2).await, [used.clone(), third.clone()]);
    assert_eq!(list(0).await, []);
    bench.end(third).await;
    assert_eq!(list(u32::MAX).await, [used, second.clone()]);
}

pub async fn a_list_of_sessions_is_of_one_account(bench: &Bench) {
    let (ann, bob, cleo) = (bench.account("ann").await, bench.account("bob").await, bench.account("cleo").await);
    let (of_ann, of_bob) = (bench.sign_in(&ann).await.session, bench.sign_in(&bob).await.session);
    let list = async |account: &Account| bench.store().sessions_of(account.id, 10).await.unwrap();
    assert_eq!((list(&ann).await, list(&bob).await), (vec![of_ann], vec![of_bob]));
    assert_eq!((list(&cleo).await, list(&account("dan")).await), (vec![], vec![]));
}

pub async fn an_account_ends_only_sessions_of_its_own(bench: &Bench) {
    let (ann, bob) = (bench.account("ann").await, bench.account("bob").await);
    let (of_ann, of_bob) = (bench.sign_in(&ann).await.session, bench.sign_in(&bob).await.session);
    for account in [bob.id, account("dan").id] {
        assert_eq!(bench.store().end_sessions(account, &Sessions::One(of_ann.id)).await.unwrap(), []);
    }
    assert_eq!(bench.session(of_ann.id).await.as_ref(), Some(&of_ann));
    assert_eq!(bench.session(of_bob.id).await, Some(of_bob));
    assert!(!bench.here.view.ends(&of_ann.id, &ann.id, ann.epoch));
    assert_eq!(bench.log().await, []);
}

pub async fn sessions_with_one_client_end_together(bench: &Bench) {
    let (ann, bob) = (bench.account("ann").await, bench.account("bob").await);
    let web = [bench.sign_in(&ann).await, bench.sign_in(&ann).await];
    let others =
        [sign_in_with(bench, &ann, "mobile").await, sign_in_with(bench, &ann, "Web").await, bench.sign_in(&bob).await];
    let end = async |client| {
        let mut ended = bench.store().end_sessions(ann.id, &Sessions::With(ClientId::from(client))).await.unwrap();
        ended.sort();
        ended
    };
    assert_eq!(end("cli").await, []);
    let mut sids = web.each_ref().map(|start| start.session.id);
    sids.sort();
    assert_eq!(end("web").await, sids);
    assert_eq!(end("web").await, [], "there are none any more");

    let log = bench.log().await;
    assert_eq!(log.len(), 2);
    for ended in web {
        let sid = ended.session.id;
        assert_eq!(bench.session(sid).await, None);
        assert!(bench.here.view.ends(&sid, &ann.id, ann.epoch));
        assert!(log.contains(&Change::SessionEnded { sid, until: ended.access_expires_at + CHANGE_MARGIN }));
    }
    for going_on in others {
        let Session { id, account, .. } = going_on.session;
        assert_eq!(bench.session(id).await, Some(going_on.session));
        assert!(!bench.here.view.ends(&id, &account, Epoch(0)));
    }
}

pub async fn ended_refresh_tokens_leave_access_tokens_alive(bench: &Bench) {
    let ann = bench.account("ann").await;
    let starts = [bench.sign_in(&ann).await, bench.sign_in(&ann).await];
    let current = super::start(bench.refresh(&starts[0].session, 0).await).session;
    let end = async || bench.store().end_refreshing(ann.id, &ClientId::from("web")).await.unwrap();
    assert_eq!((end().await, end().await), (2, 0));

    for n in 0..3 {
        assert_eq!(bench.refresh(&current, n).await, Rotation::Refused(Refusal::Ended), "generation {n}");
    }
    assert_eq!(bench.refresh(&starts[1].session, 0).await, Rotation::Refused(Refusal::Ended));
    for before in [current, starts[1].session.clone()] {
        assert!(!bench.here.view.ends(&before.id, &ann.id, ann.epoch));
        assert_eq!(bench.session(before.id).await, Some(Session { refresh_ended: true, ..before }));
    }
    assert_eq!(bench.log().await, []);

    let later = bench.sign_in(&ann).await;
    assert!(
        matches!(bench.refresh(&later.session, 0).await, Rotation::Rotated(_)),
        "what comes after is not concerned"
    );
    bench.end(&starts[0].session).await;
    assert!(bench.here.view.ends(&starts[0].session.id, &ann.id, ann.epoch), "it can still be ended altogether");
}

pub async fn ended_refresh_tokens_are_of_one_account_and_client(bench: &Bench) {
    let (ann, bob) = (bench.account("ann").await, bench.account("bob").await);
    let (web, mobile, of_bob) =
        (bench.sign_in(&ann).await, sign_in_with(bench, &ann, "mobile").await, bench.sign_in(&bob).await);
    let end = async |account, client| bench.store().end_refreshing(account, &ClientId::from(client)).await.unwrap();
    assert_eq!(end(ann.id, "Web").await, 0);
    assert_eq!(end(account("dan").id, "web").await, 0);
    assert_eq!(end(ann.id, "web").await, 1);
    assert_eq!(bench.refresh(&web.session, 0).await, Rotation::Refused(Refusal::Ended));
    for other in [mobile, of_bob] {
        assert_eq!(bench.session(other.session.id).await.as_ref(), Some(&other.session));
        assert!(matches!(bench.refresh(&other.session, 0).await, Rotation::Rotated(_)));
    }
}

pub async fn ended_refresh_tokens_and_refreshes_at_once_leave_none(bench: &Bench) {
    let ann = bench.account("ann").await;
    for _ in 0..8 {
        let session = bench.sign_in(&ann).await.session;
        let own = session.clone();
        bench
            .at_once(16, move |store, i| {
                let own = own.clone();
                async move {
                    if i == 7 {
                        assert_eq!(store.end_refreshing(own.account, &own.client).await.unwrap(), 1);
                    } else {
                        store.rotate_session(&presented(&own, 0), &RULES).await.unwrap();
                    }
                }
            })
            .await;
        assert!(bench.session(session.id).await.unwrap().refresh_ended);
        for n in 0..3 {
            assert_eq!(bench.refresh(&session, n).await, Rotation::Refused(Refusal::Ended), "generation {n}");
        }
    }
}

pub async fn a_session_too_many_ends_the_one_longest_unused(bench: &Bench) {
    let (ann, bob) = (bench.account("ann").await, bench.account("bob").await);
    let other = bench.sign_in(&bob).await.session;
    let mut sessions = Vec::new();
    for _ in 0..MOST_SESSIONS {
        sessions.push(bench.sign_in(&ann).await.session);
        bench.clock.advance(INSTANT);
    }
    // The first is used again, so that the second is the one.
    super::start(bench.refresh(&sessions[0], 0).await);
    assert_eq!(bench.log().await, []);
    let last = bench.sign_in(&ann).await.session;
    assert_eq!(bench.session(sessions[1].id).await, None);
    assert!(bench.here.view.ends(&sessions[1].id, &ann.id, ann.epoch));
    assert_eq!(bench.log().await.len(), 1);
    for kept in [&sessions[0], &sessions[2], &last, &other] {
        assert!(bench.session(kept.id).await.is_some());
    }
}

pub async fn an_active_session_comes_with_its_account(bench: &Bench) {
    let ann = bench.account("ann").await;
    let session = bench.sign_in(&ann).await.session;
    bench.sign_in(&bench.account("bob").await).await;
    let read = async || bench.there.store.active_session(session.id).await.unwrap();
    assert_eq!(read().await, Some((session.clone(), ann.clone())));

    let today = bench.change(&ann, AccountChange::Staff(true)).await;
    let refreshed = super::start(bench.refresh(&session, 0).await).session;
    assert_eq!(read().await, Some((refreshed, today)), "as both are now");
}

pub async fn no_active_session_of_the_ended_or_inactive(bench: &Bench) {
    let ann = bench.account("ann").await;
    let (ended, left) = (bench.sign_in(&ann).await.session, bench.sign_in(&ann).await.session);
    let read = async |id| bench.there.store.active_session(id).await.unwrap();
    bench.end(&ended).await;
    assert_eq!(read(ended.id).await, None);
    assert_eq!(read(new_session().id).await, None);
    assert!(read(left.id).await.is_some());
    bench.change(&ann, AccountChange::Active(false)).await;
    assert_eq!(read(left.id).await, None);
    bench.change(&ann, AccountChange::Active(true)).await;
    assert_eq!(read(left.id).await, None, "nor does it come back");
}

pub async fn the_sweep_takes_the_expired_and_leaves_the_living(bench: &Bench) {
    let ann = bench.account("ann").await;
    let rules = Rules { idle_ttl: Duration::from_hours(10), absolute_ttl: Duration::from_hours(30), ..RULES };
    let idle = bench.sign_in(&ann).await.session;
    let old = bench.sign_in(&ann).await.session;
    for n in 0..3 {
        bench.clock.advance(Duration::from_hours(10));
        if n < 2 {
            super::start(bench.refresh(&old, n).await);
        }
    }
    let young = bench.sign_in(&ann).await.session;
    let swept = bench.store().sweep_expired(&rules, 100).await.unwrap();
    assert_eq!(swept, 2);
    assert_eq!((bench.session(idle.id).await, bench.session(old.id).await), (None, None));
    assert_eq!(bench.session(young.id).await.as_ref(), Some(&young));

    // At the idle limit it still holds, one moment later it does not; the absolute limit is its own end.
    bench.clock.advance(rules.idle_ttl);
    assert_eq!(bench.store().sweep_expired(&rules, 100).await.unwrap(), 0);
    bench.clock.advance(INSTANT);
    assert_eq!(bench.store().sweep_expired(&rules, 100).await.unwrap(), 1);
    assert_eq!(bench.log().await, [], "what has expired needs no entry");
}

pub async fn the_sweep_spares_sessions_whose_access_tokens_live(bench: &Bench) {
    let ann = bench.account("ann").await;
    let start = bench.sign_in(&ann).await;
    let rules = Rules { idle_ttl: Duration::from_mins(1), ..RULES };
    bench.clock.advance(Duration::from_mins(5));
    assert_eq!(bench.store().sweep_expired(&rules, 100).await.unwrap(), 0);
    bench.end(&start.session).await;
}

pub async fn the_sweep_takes_no_more_than_it_is_told(bench: &Bench) {
    let ann = bench.account("ann").await;
    for _ in 0..5 {
        bench.sign_in(&ann).await;
    }
    bench.clock.advance(RULES.absolute_ttl);
    let mut swept = Vec::new();
    for _ in 0..4 {
        swept.push(bench.store().sweep_expired(&RULES, 2).await.unwrap());
    }
    assert_eq!(swept, [2, 2, 1, 0]);
}
