//! Refreshes: each is a write that must be on the disk before it is answered, so that they have to share what a disk
//! can do.

use std::{fs, path::Path, time::Instant};

use bytes::Bytes;
use passgate::token::RefreshTokens;

use crate::{
    Options, alone,
    load::{CONNECTIONS, Clients, post_token},
    machine,
    people::{self, Refreshing},
    report::{Bound, Section},
    rounds::{Series, as_f64, note},
    stage::Stage,
    upstream,
};

pub const TITLE: &str = "Refreshes";

const REFRESHES: &str = "refreshes, 32 at once";
const SYNCS: &str = "4 KiB overwritten in place with `fdatasync`, one after the other";

/// Of the usual requests: a refresh takes longer.
const PART: usize = 5;
/// Of each connection, before those that count.
const WARM_UP: usize = 10;
const SYNCS_A_ROUND: usize = 1000;
/// Counts of calls hardly differ from each other.
const MOST_COUNTS: usize = 3;

pub async fn run(options: &Options) -> Section {
    let stage = Stage::set(upstream::start().await).await;
    let (opened, settings) = stage.open().await;
    let tokens = RefreshTokens::new(&opened.masters, opened.deployment_id);
    let mut sessions = people::refreshing(&opened, &settings, 0..CONNECTIONS).await;
    opened.store.close().await;
    let each = (options.requests / PART / CONNECTIONS).max(1);

    let mut series = Series::of(&[REFRESHES, SYNCS]);
    let mut busy = Vec::new();
    let passgate = stage.passgate().await;
    let mut clients = Clients::connect(passgate.address, CONNECTIONS).await;
    for _ in 0..options.rounds {
        let syncs = alone::syncs_per_second(&stage.path("syncs"), SYNCS_A_ROUND);
        refresh_all(&mut clients, &mut sessions, &tokens, WARM_UP).await;
        let before = machine::cpu_seconds(&passgate.processes);
        let took = refresh_all(&mut clients, &mut sessions, &tokens, each).await;
        let used = machine::cpu_seconds(&passgate.processes) - before;
        let refreshes = as_f64(CONNECTIONS * each) / took;
        note(&mut series, &[refreshes, syncs]);
        busy.push(100.0 * used / took);
    }
    all_rotated(&stage, options.rounds * (WARM_UP + each)).await;
    drop((clients, passgate));

    let file = stage.path("syncs.strace");
    let traced = stage.passgate_traced("fsync,fdatasync", &file).await;
    let mut clients = Clients::connect(traced.address, CONNECTIONS).await;
    let mut joined = Vec::new();
    let counts = options.rounds.min(MOST_COUNTS);
    for _ in 0..counts {
        refresh_all(&mut clients, &mut sessions, &tokens, WARM_UP).await;
        let before = syncs(&file);
        refresh_all(&mut clients, &mut sessions, &tokens, each).await;
        joined.push(as_f64(CONNECTIONS * each) / as_f64(syncs(&file) - before));
    }

    all_rotated(&stage, counts * (WARM_UP + each)).await;

    let mut section = Section::new(TITLE);
    section.note("SQLite with `synchronous=FULL`; 32 kept-alive connections, each with a session of its own.");
    section.table("A second", "", &series);
    section.bounds("figure");
    let (refreshes, raw) = (&series[0].values, &series[1].values);
    let share: Vec<_> =
        refreshes.iter().zip(raw).map(|(refreshes, raw)| refreshes / (as_f64(CONNECTIONS) * raw)).collect();
    section.line("refreshes / (32 × `fdatasync`), round by round", &share, Bound::AtLeast(0.5));
    section.line("refreshes to one `fsync` or `fdatasync` of the gateway", &joined, Bound::AtLeast(8.0));
    section.line("gateway's core busy, %", &busy, Bound::None);
    section
}

/// Refreshes each session so many times, all of them at once; seconds that it took.
pub async fn refresh_all(
    clients: &mut Clients,
    sessions: &mut [Refreshing],
    tokens: &RefreshTokens,
    each: usize,
) -> f64 {
    let next = |session: &mut Refreshing| -> Vec<Bytes> {
        session.next(each, tokens).iter().map(|token| refresh(token)).collect()
    };
    let requests = sessions.iter_mut().map(next).collect();
    let begun = Instant::now();
    clients.send_each(requests, 200).await;
    begun.elapsed().as_secs_f64()
}

/// Each refresh of the gateway was one that wrote: none presented a token that had been used.
async fn all_rotated(stage: &Stage, each: usize) {
    let rotated = stage.metric("passgate_refreshes_total{outcome=\"rotated\"}").await;
    let all = stage.metric("passgate_refreshes_total").await;
    let expected = as_f64(CONNECTIONS * each);
    assert!([rotated, all].iter().all(|count| (count - expected).abs() < 0.5), "{rotated} of {all}, not {expected}");
}

fn refresh(token: &str) -> Bytes {
    post_token(&format!("grant_type=refresh_token&refresh_token={token}"))
}

/// Calls that were begun so far.
fn syncs(file: &Path) -> usize {
    let text = fs::read_to_string(file).unwrap();
    text.lines().filter(|line| line.contains("fsync(") || line.contains("fdatasync(")).count()
}
