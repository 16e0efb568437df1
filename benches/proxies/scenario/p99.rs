//! Sign-ins in the way: what proxied requests wait when more people sign in than can be hashed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{
    task::JoinSet,
    time::{sleep, sleep_until},
};

use super::sign_in;
use crate::{
    Options,
    load::{Connection, get_as},
    people,
    report::{Bound, Section, median, percentile},
    rounds::{Series, note},
    stage::Stage,
    upstream,
};

pub const TITLE: &str = "Proxied requests beside a queue of sign-ins";

const CALM: &str = "calm";
const FLOODED: &str = "64 sign-ins waiting";

/// Proxied requests: connections, each of which sends one this often, whether or not it is late.
const CLIENTS: usize = 8;
const EVERY: Duration = Duration::from_millis(4);
/// How long each of the two lasts.
const TURN: Duration = Duration::from_secs(3);

/// `hashing.queue`.
const QUEUE: f64 = 64.0;
/// As many sign in as can wait, one whose hash is computed, and those for whom there is no place.
const SIGNING_IN: usize = 80;
/// Until they try again.
const PAUSE: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(20);

pub async fn run(options: &Options) -> Section {
    let stage = Stage::set(upstream::start().await).await;
    let (opened, settings) = stage.open().await;
    let (addresses, _) = people::with_password(&opened, &settings, SIGNING_IN).await;
    opened.store.close().await;
    let sign_ins: Vec<_> = addresses.iter().map(|address| sign_in(address)).collect();
    let request = get_as("/orders/7", &stage.mint.tokens(1)[0]);

    let passgate = stage.passgate().await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(Connection::open(passgate.address).await);
    }
    let (mut high, mut middle) = (Series::of(&[CALM, FLOODED]), Series::of(&[CALM, FLOODED]));
    let (mut done, mut refused) = (0, 0);
    send(&mut clients, &request).await;
    for _ in 0..options.rounds {
        waiting(&stage, 0.0).await;
        let calm = send(&mut clients, &request).await;
        let flood = Flood::begin(passgate.address, &sign_ins).await;
        waiting(&stage, QUEUE).await;
        let before = flood.told();
        let flooded = send(&mut clients, &request).await;
        let after = flood.told();
        assert!(after.0 > before.0 && after.1 > before.1, "some sign in, and for some there is no place: {after:?}");
        done += after.0 - before.0;
        refused += after.1 - before.1;
        note(&mut high, &[&calm, &flooded].map(|took| percentile(took, 99)));
        note(&mut middle, &[&calm, &flooded].map(|took| median(took)));
    }

    let mut section = Section::new(TITLE);
    section.note(&format!(
        "2,000 requests a second on 8 connections, each sent when its time has come, beside {SIGNING_IN} clients that \
         sign in again and again: the queue stays full, {done} were signed in and {refused} answered 503. The hashing \
         thread has the same core as everything else of the gateway."
    ));
    section.table("99th percentile", "ms", &high);
    section.table("Median", "ms", &middle);
    section.ratios();
    section.ratio(&high, FLOODED, CALM, Bound::AtMost(3.0));
    section
}

/// Milliseconds that each request took from when it was due.
async fn send(clients: &mut Vec<Connection>, request: &Bytes) -> Vec<f64> {
    let mut running = JoinSet::new();
    let first = tokio::time::Instant::now();
    let offset = EVERY / u32::try_from(CLIENTS).unwrap();
    for (n, mut connection) in (0..).zip(clients.drain(..)) {
        let request = request.clone();
        running.spawn(async move {
            let mut took = Vec::new();
            let mut due = first + offset * n;
            while due < first + TURN {
                // Timers are good to a millisecond, which is not the gateway's fault.
                let late = tokio::time::Instant::now() > due;
                sleep_until(due).await;
                let begun = if late { due.into_std() } else { Instant::now() };
                assert_eq!(connection.ask(&request).await, 200);
                took.push(begun.elapsed().as_secs_f64() * 1e3);
                due += EVERY;
            }
            (connection, took)
        });
    }
    let mut all = Vec::new();
    while let Some(ended) = running.join_next().await {
        let (connection, took) = ended.unwrap();
        clients.push(connection);
        all.extend(took);
    }
    all
}

/// Returns when so many hashes wait, or nearly.
async fn waiting(stage: &Stage, hashes: f64) {
    let begun = Instant::now();
    loop {
        let waiting = stage.metric("passgate_hashes_waiting").await;
        if (waiting - hashes).abs() < 3.0 {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{waiting} hashes wait");
        sleep(Duration::from_millis(50)).await;
    }
}

/// People who sign in, until it is dropped.
struct Flood {
    _running: JoinSet<()>,
    done: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
}

impl Flood {
    async fn begin(address: std::net::SocketAddr, requests: &[Bytes]) -> Self {
        let (done, refused) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let mut running = JoinSet::new();
        for request in requests {
            let request = request.clone();
            let mut connection = Connection::open(address).await;
            let (done, refused) = (Arc::clone(&done), Arc::clone(&refused));
            running.spawn(async move {
                loop {
                    match connection.ask(&request).await {
                        200 => drop(done.fetch_add(1, Ordering::Relaxed)),
                        503 => {
                            refused.fetch_add(1, Ordering::Relaxed);
                            sleep(PAUSE).await;
                        }
                        other => panic!("a sign-in is answered {other}"),
                    }
                }
            });
        }
        Self { _running: running, done, refused }
    }

    /// How many were signed in, and for how many there was no place.
    fn told(&self) -> (usize, usize) {
        (self.done.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }
}
