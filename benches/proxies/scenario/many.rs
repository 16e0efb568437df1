//! More people than a cache is warm for: 100,000 tokens at random, and tokens that nobody has seen.

use std::cell::Cell;

use bytes::Bytes;

use crate::{
    Options,
    load::{CONNECTIONS, Clients, get_as},
    report::{Bound, Section},
    rounds::{Entrant, compare},
    stage::Stage,
    upstream,
};

pub const TITLE: &str = "Many tokens";

const HAPROXY_RS256: &str = "HAProxy, `jwt_verify` RS256";
const PASSGATE_SEEN: &str = "Passgate, any of 100,000 tokens seen once before";
const PASSGATE_NEW: &str = "Passgate, every token new";

/// Tokens that were seen.
pub const SEEN: usize = 100_000;
/// For HAProxy, which remembers none: more of them would cost it the same.
const OF_HAPROXY: usize = 500;

pub async fn run(options: &Options) -> Section {
    let stage = Stage::set(upstream::start().await).await;
    let tokens = stage.mint.tokens(SEEN);
    let (verifying, rs256) = stage.haproxy_verifying(&tokens[..OF_HAPROXY]).await;
    let requests = bearing(&tokens);
    // Each at its own: one fills the cache with tokens that do not come back.
    let seen = stage.passgate().await;
    Clients::connect(seen.address, CONNECTIONS).await.send(requests.clone(), 200).await;
    let before = stage.look_ups().await;
    let series = {
        let entrants = vec![
            Entrant::new(HAPROXY_RS256, &verifying, bearing(&rs256)),
            Entrant::making(PASSGATE_SEEN, &seen, at_random(requests)),
        ];
        compare(entrants, options).await
    };
    let after = stage.look_ups().await;
    let hits = 100.0 * (after.0 - before.0) / (after.0 + after.1 - before.0 - before.1);
    drop(seen);
    let new = stage.passgate().await;
    let entrants = vec![
        Entrant::new(HAPROXY_RS256, &verifying, bearing(&rs256)),
        Entrant::making(PASSGATE_NEW, &new, |count| bearing(&stage.mint.tokens(count))),
    ];
    let series_new = compare(entrants, options).await;

    let mut section = Section::new(TITLE);
    section.note(&format!("Of the 100,000, the cache at its default size knew {hits:.0} % when they came again."));
    section.table("CPU per request", "µs", &series);
    section.table("CPU per request, in further rounds", "µs", &series_new);
    section.ratios();
    section.ratio(&series, PASSGATE_SEEN, HAPROXY_RS256, Bound::AtMost(0.75));
    section.ratio(&series_new, PASSGATE_NEW, HAPROXY_RS256, Bound::AtMost(1.5));
    section
}

fn bearing(tokens: &[String]) -> Vec<Bytes> {
    tokens.iter().map(|token| get_as("/orders/7", token)).collect()
}

/// Any of them, in an order that is the same in every run.
fn at_random(requests: Vec<Bytes>) -> impl FnMut(usize) -> Vec<Bytes> {
    let state = Cell::new(0x9e37_79b9_7f4a_7c15_u64);
    let pick = move || {
        // xorshift64, Marsaglia 2003.
        let mut x = state.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        state.set(x);
        usize::try_from(x >> 33).unwrap()
    };
    move |count| (0..count).map(|_| requests[pick() % requests.len()].clone()).collect()
}
