//! A start: how long nobody is served when a gateway is started anew.

use std::time::{Duration, Instant};

use crate::{
    Options,
    load::{Connection, get_as},
    people,
    report::{Bound, Section},
    rounds::{Series, note},
    stage::Stage,
    upstream,
};

pub const TITLE: &str = "A start";

const EMPTY: &str = "no accounts";
const FULL: &str = "100,000 accounts in SQLite";

const ACCOUNTS: usize = 100_000;
/// Nothing takes that long to start.
const PATIENCE: Duration = Duration::from_secs(30);

pub async fn run(options: &Options) -> Section {
    let upstream = upstream::start().await;
    let (empty, full) = (Stage::set(upstream).await, Stage::set(upstream).await);
    let (opened, _) = full.open().await;
    people::fill(&opened, ACCOUNTS).await;
    opened.store.close().await;
    let size = std::fs::metadata(full.path("passgate.db")).unwrap().len();

    let mut series = Series::of(&[EMPTY, FULL]);
    for _ in 0..options.rounds {
        let figures = [start(&empty).await, start(&full).await];
        note(&mut series, &figures);
    }

    let mut section = Section::new(TITLE);
    section.note(&format!(
        "From the start of the process to the first answer from the upstream, to a request with a token. The file with \
         100,000 accounts has {} MiB; the system has read it before.",
        size >> 20
    ));
    section.bounds("milliseconds");
    section.line(EMPTY, &series[0].values, Bound::None);
    section.line(FULL, &series[1].values, Bound::AtMost(150.0));
    section
}

/// Milliseconds. Once it accepts the connection, the request waits with it.
async fn start(stage: &Stage) -> f64 {
    let request = get_as("/orders/7", &stage.mint.tokens(1)[0]);
    let begun = Instant::now();
    let server = stage.passgate_starting();
    let mut connection = loop {
        match Connection::try_open(server.address).await {
            Ok(connection) => break connection,
            // As often as the system can tell.
            Err(error) => assert!(begun.elapsed() < PATIENCE, "it does not start: {error}"),
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(connection.ask(&request).await, 200);
    begun.elapsed().as_secs_f64() * 1e3
}
