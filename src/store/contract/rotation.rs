//! Rules of refresh-token rotation: the verdicts of [`Session::judge`], carried out in one step.

use std::time::Duration;

use super::{Bench, INSTANT, RULES, presented, start};
use crate::{
    change_log::Change,
    model::{ClientId, Scope, SessionId},
    session::{Presented, Refusal, Rules, Session},
    store::{AccountChange, CHANGE_MARGIN, Rotation},
};

async fn signed_in(bench: &Bench) -> Session {
    let ann = bench.account("ann").await;
    bench.sign_in(&ann).await.session
}

pub async fn the_current_generation_moves_on_by_one(bench: &Bench) {
    let session = signed_in(bench).await;
    for n in 0..3 {
        bench.clock.advance(Duration::from_hours(1));
        let now = bench.clock.now();
        let Rotation::Rotated(start) = bench.refresh(&session, n).await else { panic!("generation {n}") };
        assert_eq!((start.now, start.session.rotated_at, start.session.generation), (now, now, n + 1));
        assert_eq!(start.access_expires_at, now + RULES.access_ttl);
        assert_eq!(start.session.access_expires_at, start.access_expires_at);
        assert_eq!(start.session.created_at, session.created_at);
        assert_eq!(bench.there.store.session(session.id).await.unwrap(), Some(start.session));
    }
    assert_eq!(bench.log().await, []);
}

pub async fn a_straggler_within_the_grace_gets_the_current_one_again(bench: &Bench) {
    let session = signed_in(bench).await;
    let rotated = start(bench.refresh(&session, 0).await).session;
    bench.clock.advance(RULES.reuse_grace);
    let answer = bench.refresh(&session, 0).await;
    let Rotation::Repeated(start) = answer else { panic!("{answer:?}") };
    assert_eq!(start.access_expires_at, bench.clock.now() + RULES.access_ttl);
    assert_eq!(start.session, Session { access_expires_at: start.access_expires_at, ..rotated });
    assert_eq!(bench.session(session.id).await, Some(start.session));
}

pub async fn a_straggler_after_the_grace_is_theft_and_ends_the_session(bench: &Bench) {
    let session = signed_in(bench).await;
    let current = start(bench.refresh(&session, 0).await);
    bench.clock.advance(RULES.reuse_grace + INSTANT);
    assert_eq!(bench.refresh(&session, 0).await, Rotation::Theft { account: session.account });

    assert_eq!(bench.session(session.id).await, None);
    assert_eq!(bench.refresh(&session, 1).await, Rotation::Refused(Refusal::Ended), "the thief's as well as ours");
    assert!(bench.here.view.ends(&session.id, &session.account, current.account.epoch));
    let until = current.access_expires_at + CHANGE_MARGIN;
    assert_eq!(bench.log().await, [Change::SessionEnded { sid: session.id, until }]);
}

pub async fn parallel_refreshes_agree_on_one_successor(bench: &Bench) {
    let session = signed_in(bench).await;
    let answers = bench
        .at_once(64, |store, _| {
            let presented = presented(&session, 0);
            async move { store.rotate_session(&presented, &RULES).await.unwrap() }
        })
        .await;
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Rotation::Rotated(_))).count(), 1);
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Rotation::Repeated(_))).count(), 63);
    assert!(answers.into_iter().all(|answer| start(answer).session.generation == 1));
    assert_eq!(bench.session(session.id).await.unwrap().generation, 1);
}

pub async fn every_straggler_of_a_quick_chain_agrees(bench: &Bench) {
    let session = signed_in(bench).await;
    for n in 0..10 {
        start(bench.refresh(&session, n).await);
        bench.clock.advance(Duration::from_secs(1));
    }
    for n in 0..10 {
        let answer = bench.refresh(&session, n).await;
        assert!(matches!(&answer, Rotation::Repeated(start) if start.session.generation == 10), "{n}: {answer:?}");
    }
    // Generation 0 was superseded 30 s before this, generation 1 a second later.
    bench.clock.advance(Duration::from_secs(20));
    assert!(matches!(bench.refresh(&session, 0).await, Rotation::Repeated(_)));
    bench.clock.advance(INSTANT);
    assert!(matches!(bench.refresh(&session, 1).await, Rotation::Repeated(_)));
    assert!(matches!(bench.refresh(&session, 0).await, Rotation::Theft { .. }));
}

pub async fn a_generation_never_handed_out_means_lost_writes(bench: &Bench) {
    let session = signed_in(bench).await;
    let answer = bench.refresh(&session, 5).await;
    let Rotation::FastForwarded { start: after, gap: 5 } = answer else { panic!("{answer:?}") };
    assert_eq!(after.session.generation, 6);
    assert_eq!(bench.session(session.id).await, Some(after.session));
    assert!(matches!(bench.refresh(&session, 5).await, Rotation::Repeated(start) if start.session.generation == 6));
    assert!(matches!(bench.refresh(&session, 6).await, Rotation::Rotated(start) if start.session.generation == 7));
}

pub async fn a_superseded_generation_is_still_theft_after_a_fast_forward(bench: &Bench) {
    let session = signed_in(bench).await;
    start(bench.refresh(&session, 5).await);
    assert!(matches!(bench.refresh(&session, 3).await, Rotation::Theft { .. }));
    assert_eq!(bench.session(session.id).await, None);
}

pub async fn what_is_refused_burns_nothing(bench: &Bench) {
    let session = signed_in(bench).await;
    let good = presented(&session, 0);
    let unknown = SessionId::from_bytes([0xEE; 16]);
    let short = Rules { absolute_ttl: Duration::from_secs(1), ..RULES };
    bench.clock.advance(Duration::from_secs(1));
    let attempts = [
        (Presented { sid: unknown, ..good.clone() }, RULES, Refusal::Ended),
        (Presented { client: ClientId::from("mobile"), ..good.clone() }, RULES, Refusal::OtherClient),
        // Even a stolen token ends nothing in the hands of another client.
        (Presented { client: ClientId::from("mobile"), generation: 9, ..good.clone() }, RULES, Refusal::OtherClient),
        (Presented { scope: Scope::parse("read admin"), ..good.clone() }, RULES, Refusal::ScopeTooWide),
        (good.clone(), short, Refusal::Expired),
    ];
    for (presented, rules, refusal) in attempts {
        let answer = bench.store().rotate_session(&presented, &rules).await.unwrap();
        assert_eq!(answer, Rotation::Refused(refusal));
        assert_eq!(bench.session(session.id).await.as_ref(), Some(&session), "after {refusal:?}");
    }
    assert_eq!(bench.log().await, []);
    assert!(matches!(bench.refresh(&session, 0).await, Rotation::Rotated(_)));
}

pub async fn the_idle_limit_counts_from_the_last_rotation(bench: &Bench) {
    let session = signed_in(bench).await;
    for n in 0..2 {
        bench.clock.advance(RULES.idle_ttl);
        assert!(matches!(bench.refresh(&session, n).await, Rotation::Rotated(_)), "at the limit it still holds");
    }
    bench.clock.advance(RULES.idle_ttl + INSTANT);
    assert_eq!(bench.refresh(&session, 2).await, Rotation::Refused(Refusal::Expired));
}

pub async fn the_absolute_limit_counts_from_sign_in(bench: &Bench) {
    let session = signed_in(bench).await;
    let rules = Rules { idle_ttl: RULES.absolute_ttl, ..RULES };
    let refresh = async |n| bench.store().rotate_session(&presented(&session, n), &rules).await.unwrap();
    bench.clock.advance(RULES.absolute_ttl.saturating_sub(INSTANT));
    assert_eq!(start(refresh(0).await).access_expires_at, session.created_at + RULES.absolute_ttl);
    bench.clock.advance(INSTANT);
    assert_eq!(refresh(1).await, Rotation::Refused(Refusal::Expired));
}

pub async fn a_repeated_token_extends_no_limit(bench: &Bench) {
    let session = signed_in(bench).await;
    let rules = Rules { idle_ttl: Duration::from_secs(40), ..RULES };
    let refresh = async |n| bench.store().rotate_session(&presented(&session, n), &rules).await.unwrap();
    start(refresh(0).await);
    bench.clock.advance(Duration::from_secs(30));
    assert!(matches!(refresh(0).await, Rotation::Repeated(_)));
    bench.clock.advance(Duration::from_secs(11));
    assert_eq!(refresh(1).await, Rotation::Refused(Refusal::Expired), "idle since the rotation, not the repetition");
}

pub async fn a_narrowed_scope_stays_narrow(bench: &Bench) {
    let session = signed_in(bench).await;
    let ask = async |n, scope| {
        let presented = Presented { scope: Scope::parse(scope), ..presented(&session, n) };
        bench.store().rotate_session(&presented, &RULES).await.unwrap()
    };
    assert_eq!(start(ask(0, "read").await).session.scope.to_string(), "read");
    assert_eq!(start(bench.refresh(&session, 1).await).session.scope.to_string(), "read");
    assert_eq!(ask(2, "read write").await, Rotation::Refused(Refusal::ScopeTooWide));
}

pub async fn a_refresh_brings_fresh_claims(bench: &Bench) {
    let session = signed_in(bench).await;
    bench.account("bob").await;
    let changed = bench.store().change_account(session.account, &AccountChange::Staff(true)).await.unwrap().unwrap();
    let start = start(bench.refresh(&session, 0).await);
    assert!(start.account.staff);
    assert_eq!(start.account, changed);
    assert!(!bench.here.view.ends(&session.id, &session.account, start.account.epoch));
}
