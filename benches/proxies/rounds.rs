//! Rounds: each entrant in turn, again and again, so that whatever else the machine does meets all of them alike.
//! What a request costs drifts by a third within minutes; what counts is one entrant by another in the same round.

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

    /// CPU microseconds that a request costs.
    async fn run(&mut self, count: usize) -> f64 {
        let mut requests = (self.requests)(WARM_UP + count);
        let counted = requests.split_off(WARM_UP);
        let mut clients = Clients::connect(self.server.address, CONNECTIONS).await;
        clients.send(requests, self.status).await;
        let before = machine::cpu_seconds(&self.server.processes);
        clients.send(counted, self.status).await;
        let used = machine::cpu_seconds(&self.server.processes) - before;
        used * 1e6 / as_f64(count)
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

/// CPU microseconds per request of each entrant, by rounds.
pub async fn compare(mut entrants: Vec<Entrant<'_>>, options: &Options) -> Vec<Series> {
    let mut all: Vec<_> = entrants.iter().map(|entrant| Series { name: entrant.name, values: Vec::new() }).collect();
    for round in 0..options.rounds {
        for (entrant, series) in entrants.iter_mut().zip(&mut all) {
            series.values.push(entrant.run(options.requests).await);
        }
        let told: Vec<_> = all.iter().map(|series| format!("{} {:.1}", series.name, series.values[round])).collect();
        eprintln!("round {}: {}", round + 1, told.join(", "));
    }
    all
}

#[expect(clippy::cast_precision_loss, reason = "they are no such large numbers")]
pub fn as_f64(count: usize) -> f64 {
    count as f64
}
