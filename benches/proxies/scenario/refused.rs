//! Requests that are refused: what an attacker, or a client gone astray, can make the gateway do.

use bytes::Bytes;

use crate::{
    Options,
    load::{get, get_as},
    report::{Bound, Section},
    rounds::{Entrant, compare},
    stage::Stage,
    tokens::{with_bad_signature, with_unknown_key},
    upstream,
};

pub const TITLE: &str = "Requests that are refused";

const ACCEPTED: &str = "accepted";

pub async fn run(options: &Options) -> Section {
    let stage = Stage::set(upstream::start().await).await;
    let tokens = stage.mint.tokens(1);
    let token = &tokens[0];
    let expired = stage.mint.expired();
    let of = |token: &str| get_as("/orders/7", token);
    let refused: [(&str, Bytes, f64); 5] = [
        ("no token", get("/orders/7", None), 1.5),
        ("malformed", of("no-token-of-ours"), 1.5),
        ("unknown key", of(&with_unknown_key(token)), 1.5),
        ("expired", of(&expired), 1.5),
        ("bad signature", of(&with_bad_signature(token)), 0.6),
    ];

    let passgate = stage.passgate().await;
    let mut entrants = vec![Entrant::new(ACCEPTED, &passgate, vec![of(token)])];
    entrants.extend(
        refused.iter().map(|(name, request, _)| Entrant::new(name, &passgate, vec![request.clone()]).refused()),
    );
    let series = compare(entrants, options).await;

    let mut section = Section::new(TITLE);
    section.note("The ratios tell how many requests are refused in the time of one that is accepted and forwarded.");
    section.table("CPU per request", "µs", &series);
    section.ratios();
    for (name, _, least) in refused {
        section.ratio(&series, ACCEPTED, name, Bound::AtLeast(least));
    }
    section
}
