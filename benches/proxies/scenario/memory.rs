//! Memory: of a gateway that has nothing to do, of connections that are kept, and of tokens that are remembered.

use bytes::Bytes;

use crate::{
    Options,
    load::{CONNECTIONS, Clients, Connection, get, get_as},
    machine::resident_mib,
    report::{Bound, Section},
    rounds::{Series, as_f64, note},
    server::Server,
    stage::Stage,
    upstream,
};

pub const TITLE: &str = "Memory";

const NGINX: &str = "nginx";
const HAPROXY: &str = "HAProxy";
const PASSGATE: &str = "Passgate";

/// Each round starts everything anew, and rounds hardly differ.
const MOST_ROUNDS: usize = 3;
/// Kept connections that are counted.
const KEPT: usize = 1000;
/// Those before them, with which a server makes what it keeps for all.
const FIRST: usize = 50;
/// Distinct tokens.
const TOKENS: usize = 100_000;
/// Holds them all.
const LARGE_CACHE: &str = "tokens: { cache: 256MiB }\n";

pub async fn run(options: &Options) -> Section {
    let rounds = options.rounds.min(MOST_ROUNDS);
    let upstream = upstream::start().await;
    let (started, kept) = connections(&Stage::set(upstream).await, rounds).await;
    let (grown, found) = tokens(&Stage::set_with(upstream, LARGE_CACHE).await, rounds).await;

    let mut section = Section::new(TITLE);
    section.note("`VmRSS` of all processes of a proxy, each of which was just started.");
    section.table("Just started", "MiB", &started);
    section.table("Kept connection that made one request, of 1,000", "KiB", &kept);
    section.bounds("of Passgate");
    section.line("just started, MiB", &of(&started, PASSGATE), Bound::AtMost(25.0));
    section.line("kept connection, KiB", &of(&kept, PASSGATE), Bound::AtMost(30.0));
    section.line("100,000 distinct tokens in a cache of 256 MiB, MiB", &grown, Bound::AtMost(80.0));
    section.line("of which the cache knew when they came again, %", &found, Bound::None);
    section
}

fn of(series: &[Series], name: &str) -> Vec<f64> {
    series.iter().find(|series| series.name == name).unwrap().values.clone()
}

/// MiB at the start, and KiB of a kept connection.
async fn connections(stage: &Stage, rounds: usize) -> (Vec<Series>, Vec<Series>) {
    let names = [NGINX, HAPROXY, PASSGATE];
    let (mut started, mut kept) = (Series::of(&names), Series::of(&names));
    let token = stage.mint.tokens(1).remove(0);
    let (plain, bearing) = (get("/orders/7", None), get_as("/orders/7", &token));
    for _ in 0..rounds {
        let figures = [
            keep(stage.nginx().await, &plain).await,
            keep(stage.haproxy().await, &plain).await,
            keep(stage.passgate().await, &bearing).await,
        ];
        note(&mut started, &figures.map(|(mib, _)| mib));
        note(&mut kept, &figures.map(|(_, kib)| kib));
    }
    (started, kept)
}

/// One after the other, so that one connection to the upstream is enough for all.
async fn keep(server: Server, request: &[u8]) -> (f64, f64) {
    let started = resident_mib(&server.processes);
    let mut open = Vec::new();
    let mut before = started;
    for n in 0..FIRST + KEPT {
        if n == FIRST {
            before = resident_mib(&server.processes);
        }
        let mut connection = Connection::open(server.address).await;
        assert_eq!(connection.ask(request).await, 200);
        open.push(connection);
    }
    let grown = resident_mib(&server.processes) - before;
    (started, grown * 1024.0 / as_f64(KEPT))
}

/// MiB that the gateway grows by as it sees each token for the first time, and how many of them it knows, percent, when
/// they come again.
async fn tokens(stage: &Stage, rounds: usize) -> (Vec<f64>, Vec<f64>) {
    let mut series = Series::of(&["grown, MiB", "found, %"]);
    let tokens = stage.mint.tokens(TOKENS + 1);
    let requests: Vec<Bytes> = tokens.iter().map(|token| get_as("/orders/7", token)).collect();
    let (first, all) = requests.split_first().unwrap();
    for _ in 0..rounds {
        let passgate = stage.passgate().await;
        let mut clients = Clients::connect(passgate.address, CONNECTIONS).await;
        // Whatever requests need however few tokens they have.
        clients.send(vec![first.clone(); 10_000], 200).await;
        let before = resident_mib(&passgate.processes);
        clients.send(all.to_vec(), 200).await;
        let grown = resident_mib(&passgate.processes) - before;
        let (hits, _) = stage.look_ups().await;
        clients.send(all.to_vec(), 200).await;
        let (hits_again, _) = stage.look_ups().await;
        note(&mut series, &[grown, 100.0 * (hits_again - hits) / as_f64(TOKENS)]);
    }
    (series[0].values.clone(), series[1].values.clone())
}
