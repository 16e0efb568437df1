//! Sign-ins: nearly all of what one takes is the password's hash, which is meant to be dear.

use std::time::Instant;

use crate::{
    Options, alone,
    load::{Connection, post_token},
    machine,
    people::{self, PASSWORD},
    report::{Bound, Section},
    rounds::{Series, as_f64, note},
    stage::Stage,
    upstream,
};

pub const TITLE: &str = "Sign-ins";

const HASH: &str = "the hash alone";
const HASH_CPU: &str = "the hash alone, CPU";
const SIGN_IN: &str = "a sign-in";
const SIGN_IN_CPU: &str = "a sign-in, CPU";

const ACCOUNTS: usize = 50;
/// Of the usual requests: each takes as long as hundreds of them.
const PART: usize = 400;
/// Before those that count.
const WARM_UP: usize = 3;

pub async fn run(options: &Options) -> Section {
    let stage = Stage::set(upstream::start().await).await;
    let (opened, settings) = stage.open().await;
    let (addresses, hash) = people::with_password(&opened, &settings, ACCOUNTS).await;
    opened.store.close().await;
    let requests: Vec<_> = addresses.iter().map(|address| sign_in(address)).collect();
    let count = (options.requests / PART).max(1);

    let passgate = stage.passgate().await;
    let mut connection = Connection::open(passgate.address).await;
    let mut series = Series::of(&[HASH, HASH_CPU, SIGN_IN, SIGN_IN_CPU]);
    let mut next = requests.iter().cycle();
    for _ in 0..options.rounds {
        let (hash, hash_cpu) = alone::hash_seconds(&stage.configuration(), &hash, count);
        for request in next.by_ref().take(WARM_UP) {
            assert_eq!(connection.ask(request).await, 200);
        }
        let (begun, before) = (Instant::now(), machine::cpu_seconds(&passgate.processes));
        for request in next.by_ref().take(count) {
            assert_eq!(connection.ask(request).await, 200);
        }
        let (took, used) = (begun.elapsed().as_secs_f64(), machine::cpu_seconds(&passgate.processes) - before);
        let [took, used] = [took, used].map(|seconds| seconds / as_f64(count));
        note(&mut series, &[hash, hash_cpu, took, used].map(|seconds| seconds * 1e3));
    }

    let mut section = Section::new(TITLE);
    section.note("One after the other, each with its session kept in SQLite; argon2id at its default costs.");
    section.table("Time", "ms", &series);
    section.ratios();
    section.ratio(&series, HASH, SIGN_IN, Bound::AtLeast(0.9));
    section.ratio(&series, HASH_CPU, SIGN_IN_CPU, Bound::AtLeast(0.9));
    section
}

/// With the password that everybody has.
pub fn sign_in(address: &str) -> bytes::Bytes {
    let address = address.replace('@', "%40");
    post_token(&format!("grant_type=password&username={address}&password={PASSWORD}"))
}
