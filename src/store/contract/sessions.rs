//! Rules of the life of sessions.

use std::time::Duration;

use super::{Bench, INSTANT, RULES, new_session, presented};
use crate::{
    change_log::Change,
    model::{AccountId, Epoch},
    session::{Rules, Session},
    store::{AccountChange, CHANGE_MARGIN, NewSession, Rotation, SessionStart},
};

pub async fn a_session_begins_at_generation_zero(bench: &Bench) {
    let ann = bench.account("ann").await;
    let new = new_session(&ann);
    let now = bench.clock.now();
    let start = bench.store().create_session(&new).await.unwrap().unwrap();
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
    };
    assert_eq!(bench.there.store.session(new.id).await.unwrap().as_ref(), Some(&session));
    assert_eq!(start, SessionStart { access_expires_at: session.access_expires_at, session, account: ann, now });
}

pub async fn no_access_token_outlives_the_absolute_limit(bench: &Bench) {
    let ann = bench.account("ann").await;
    let rules = Rules { absolute_ttl: Duration::from_mins(20), ..RULES };
    let start = bench.store().create_session(&NewSession { rules, ..new_session(&ann) }).await.unwrap().unwrap();
    let end = start.now + rules.absolute_ttl;
    assert_eq!(start.access_expires_at, start.now + rules.access_ttl);

    bench.clock.advance(Duration::from_mins(10));
    let rotation = bench.store().rotate_session(&presented(&start.session, 0), &rules).await.unwrap();
    assert_eq!(super::start(rotation).access_expires_at, end);
    assert_eq!(bench.session(start.session.id).await.unwrap().access_expires_at, end);
}

pub async fn no_session_for_an_epoch_that_moved(bench: &Bench) {
    let ann = bench.account("ann").await;
    let before = new_session(&ann);
    let change = AccountChange::Password("new".to_owned());
    let ann = bench.store().change_account(ann.id, &change).await.unwrap().unwrap();
    assert_eq!(bench.store().create_session(&before).await.unwrap(), None);
    let ahead = NewSession { epoch: Epoch(ann.epoch.0 + 1), ..new_session(&ann) };
    assert_eq!(bench.store().create_session(&ahead).await.unwrap(), None);
    assert_eq!(bench.session(before.id).await, None);
    bench.sign_in(&ann).await;
}

pub async fn no_session_for_the_inactive_or_unknown(bench: &Bench) {
    let ann = bench.account("ann").await;
    let ann = bench.store().change_account(ann.id, &AccountChange::Active(false)).await.unwrap().unwrap();
    assert_eq!(bench.store().create_session(&new_session(&ann)).await.unwrap(), None);
    let unknown = NewSession { account: AccountId::generate(), ..new_session(&ann) };
    assert_eq!(bench.store().create_session(&unknown).await.unwrap(), None);
}

pub async fn an_ended_session_is_gone_and_logged_once(bench: &Bench) {
    let ann = bench.account("ann").await;
    let (start, other) = (bench.sign_in(&ann).await, bench.sign_in(&ann).await);
    let sid = start.session.id;
    assert!(bench.store().end_session(sid).await.unwrap());
    assert!(!bench.there.store.end_session(sid).await.unwrap(), "there is none any more");
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
    bench.store().end_session(start.session.id).await.unwrap();

    let idle = bench.sign_in(&ann).await;
    bench.clock.advance(Duration::from_hours(5));
    bench.store().end_session(idle.session.id).await.unwrap();
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
    let latest = bench.store().create_session(&NewSession { rules: long, ..new_session(&ann) }).await.unwrap().unwrap();
    bench.sign_in(&ann).await;
    bench.store().change_account(ann.id, &AccountChange::Password("new".to_owned())).await.unwrap();
    bench.store().change_account(ann.id, &AccountChange::Staff(true)).await.unwrap();

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
                        assert!(store.end_session(session.id).await.unwrap());
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
                store.create_session(&new_session(&ann)).await.unwrap()
            }
        })
        .await;
    for start in started.into_iter().flatten() {
        assert_eq!(bench.session(start.session.id).await, None);
    }
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
    assert!(bench.store().end_session(start.session.id).await.unwrap(), "it can still be ended");
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
