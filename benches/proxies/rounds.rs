//! Rounds: each entrant in turn, again and again, so that whatever else the machine does meets all of them alike.
//! What a request costs drifts by a third within minutes; what counts is one entrant by another in the same round.

use std::{process, time::Instant};

use bytes::Bytes;

use super::{
    Options,
    load::{CONNECTIONS, Clients},
    machine,
    server::Server,
};

/// Requests before those that count: connections are made, to the upstream as well, and caches filled.
const WARM_UP: usize = 500;

/// A proxy, and what it is asked.
pub struct Entrant<'a> {
    pub name: &'static str,
    pub server: &'a Server,
    /// What it must answer.
    pub status: u16,
    /// Makes so many requests.
    pub requests: Box<dyn FnMut(usize) -> Vec<Bytes> + 'a>,
}

impl<'a> Entrant<'a> {
    /// One that forwards each of `requests` in turn.
    pub fn new(name: &'static str, server: &'a Server, requests: Vec<Bytes>) -> Self {
        Self::making(name, server, in_turn(requests))
    }

    /// One whose requests are made as they are needed.
    pub fn making(name: &'static str, server: &'a Server, requests: impl FnMut(usize) -> Vec<Bytes> + 'a) -> Self {
        Self { name, server, status: 200, requests: Box::new(requests) }
    }

    /// It refuses them.
    pub fn refused(mut self) -> Self {
        self.status = 401;
        self
    }

    /// Its connections, warm, and so many requests that are to count.
    pub async fn ready(&mut self, count: usize) -> (Clients, Vec<Bytes>) {
        let mut requests = (self.requests)(WARM_UP + count);
        let counted = requests.split_off(WARM_UP);
        let mut clients = Clients::connect(self.server.address, CONNECTIONS).await;
        clients.send(requests, self.status).await;
        (clients, counted)
    }

    /// CPU microseconds that a request costs; how much of its core the proxy had, and how much of its own the load
    /// generator, percent.
    async fn run(&mut self, count: usize) -> [f64; 3] {
        let (mut clients, requests) = self.ready(count).await;
        let cpu = || [&self.server.processes[..], &[process::id()]].map(machine::cpu_seconds);
        let (begun, before) = (Instant::now(), cpu());
        clients.send(requests, self.status).await;
        let (took, after) = (begun.elapsed().as_secs_f64(), cpu());
        let [used, own] = [after[0] - before[0], after[1] - before[1]];
        [used * 1e6 / as_f64(count), 100.0 * used / took, 100.0 * own / took]
    }
}

/// Goes on where it stopped.
fn in_turn(requests: Vec<Bytes>) -> impl FnMut(usize) -> Vec<Bytes> {
    let mut next = 0;
    move |count| {
        let from = next;
        next = (next + count) % requests.len();
        requests.iter().cycle().skip(from).take(count).cloned().collect()
    }
}

/// A figure of one entrant, in each round.
pub struct Series {
    pub name: &'static str,
    pub values: Vec<f64>,
}

impl Series {
    /// One for each of these names.
    pub fn of(names: &[&'static str]) -> Vec<Self> {
        names.iter().map(|name| Self { name, values: Vec::new() }).collect()
    }
}

/// Adds the figures of a round, one for each series.
pub fn note(series: &mut [Series], figures: &[f64]) {
    for (series, figure) in series.iter_mut().zip(figures) {
        series.values.push(*figure);
    }
    let told: Vec<_> =
        series.iter().zip(figures).map(|(series, figure)| format!("{} {figure:.2}", series.name)).collect();
    eprintln!("round {}: {}", series[0].values.len(), told.join(", "));
}

/// What was found of each entrant, by rounds.
pub struct Comparison {
    /// CPU microseconds per request.
    pub cost: Vec<Series>,
    /// How much of its core the proxy had, percent. One that waits for the load generator has less than all, and
    /// spends more on each request: fewer are ready at once.
    pub busy: Vec<Series>,
}

/// CPU microseconds per request of each entrant, by rounds.
pub async fn compare(entrants: Vec<Entrant<'_>>, options: &Options) -> Vec<Series> {
    compare_busy(entrants, options).await.cost
}

/// The same, and who waited for whom.
pub async fn compare_busy(mut entrants: Vec<Entrant<'_>>, options: &Options) -> Comparison {
    let names: Vec<_> = entrants.iter().map(|entrant| entrant.name).collect();
    let [mut cost, mut busy, mut own] = [(); 3].map(|()| Series::of(&names));
    for _ in 0..options.rounds {
        let mut figures = Vec::new();
        for entrant in &mut entrants {
            figures.push(entrant.run(options.requests).await);
        }
        for (what, series) in [&mut cost, &mut busy, &mut own].into_iter().enumerate() {
            let figures: Vec<_> = figures.iter().map(|figures| figures[what]).collect();
            eprint!("{}", ["µs; ", "its core, %; ", "the load generator's, %; "][what]);
            note(series, &figures);
        }
    }
    Comparison { cost, busy }
}

#[expect(clippy::cast_precision_loss, reason = "they are no such large numbers")]
pub fn as_f64(count: usize) -> f64 {
    count as f64
}
