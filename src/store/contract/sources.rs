//! Rules of where accounts signed in from.

use std::time::Duration;

use super::{Bench, INSTANT, RULES, account, enrolment, new_session};
use crate::{
    model::{Account, SourceId},
    store::{NewSession, SOURCE_KNOWN_FOR},
};

const HOME: SourceId = SourceId([1; 16]);
const AWAY: SourceId = SourceId([2; 16]);

fn from(source: SourceId) -> NewSession {
    NewSession { source: Some(source), ..new_session() }
}

/// Whether the account was signed in from there within this time, as the other node has it.
async fn knows(bench: &Bench, account: &Account, source: SourceId, within: Duration) -> bool {
    let since = bench.clock.now() - within;
    bench.there.store.knows_source(account.email.as_deref().unwrap(), source, since).await.unwrap()
}

pub async fn a_sign_in_makes_its_source_known_to_its_account_alone(bench: &Bench) {
    let (ann, bob) = (bench.account("ann").await, bench.account("bob").await);
    bench.begin(&ann, &from(HOME)).await.unwrap();
    bench.begin(&ann, &new_session()).await.unwrap();
    assert!(knows(bench, &ann, HOME, SOURCE_KNOWN_FOR).await);
    assert!(!knows(bench, &ann, AWAY, SOURCE_KNOWN_FOR).await);
    assert!(!knows(bench, &bob, HOME, SOURCE_KNOWN_FOR).await);
    assert!(!knows(bench, &account("nobody"), HOME, SOURCE_KNOWN_FOR).await);
}

pub async fn a_source_is_known_for_as_long_as_it_is_asked_for(bench: &Bench) {
    let ann = bench.account("ann").await;
    bench.begin(&ann, &from(HOME)).await.unwrap();
    bench.clock.advance(SOURCE_KNOWN_FOR);
    assert!(knows(bench, &ann, HOME, SOURCE_KNOWN_FOR).await);
    bench.clock.advance(INSTANT);
    assert!(!knows(bench, &ann, HOME, SOURCE_KNOWN_FOR).await);
    bench.begin(&ann, &from(HOME)).await.unwrap();
    assert!(knows(bench, &ann, HOME, SOURCE_KNOWN_FOR).await);
}

pub async fn a_new_account_knows_where_it_signed_up(bench: &Bench) {
    let ann = account("ann");
    let mut new = enrolment(&ann);
    new.session = Some(from(HOME));
    bench.store().insert_account(&new).await.unwrap();
    assert!(knows(bench, &ann, HOME, SOURCE_KNOWN_FOR).await);
}

pub async fn sources_beyond_what_anybody_needs_are_forgotten(bench: &Bench) {
    let (ann, bob) = (bench.account("ann").await, bench.account("bob").await);
    bench.begin(&bob, &from(HOME)).await.unwrap();
    for n in 0..60 {
        bench.begin(&ann, &from(SourceId([n; 16]))).await.unwrap();
        bench.clock.advance(INSTANT);
    }
    for (source, known) in [(0, false), (9, false), (10, true), (59, true)] {
        assert_eq!(knows(bench, &ann, SourceId([source; 16]), SOURCE_KNOWN_FOR).await, known, "{source}");
    }
    assert!(knows(bench, &bob, HOME, SOURCE_KNOWN_FOR).await);
}

pub async fn the_sweep_forgets_the_sources_of_long_ago(bench: &Bench) {
    let ann = bench.account("ann").await;
    bench.begin(&ann, &from(HOME)).await.unwrap();
    bench.clock.advance(SOURCE_KNOWN_FOR + INSTANT);
    bench.begin(&ann, &from(AWAY)).await.unwrap();
    // The session from home has expired as well.
    assert_eq!(bench.store().sweep_expired(&RULES, 100).await.unwrap(), 2);
    let long_ago = SOURCE_KNOWN_FOR + SOURCE_KNOWN_FOR;
    assert!(!knows(bench, &ann, HOME, long_ago).await);
    assert!(knows(bench, &ann, AWAY, long_ago).await);
}
