//! System calls: what a request asks of the kernel, which is most of what a proxy does for it.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Options,
    load::{get, get_as},
    report::{Bound, Section, median},
    rounds::{Entrant, Series, as_f64, note},
    stage::Stage,
    strace::Strace,
    upstream,
};

pub const TITLE: &str = "System calls of a request";

const NGINX: &str = "nginx, no authentication";
const PASSGATE: &str = "Passgate, token seen before";
const PASSGATE_PUBLIC: &str = "Passgate, `auth: public`";

/// Counts hardly differ from each other.
const MOST_ROUNDS: usize = 3;
/// A part of the usual requests: each call of a watched process takes many times as long.
const PART: usize = 2;
/// Calls by which less than this of a request is spent are told together.
const FEW: f64 = 0.01;

pub async fn run(options: &Options) -> Section {
    let stage = Stage::set(upstream::start().await).await;
    let tokens = stage.mint.tokens(1);
    let (nginx, passgate) = (stage.nginx().await, stage.passgate().await);
    let mut entrants = [
        Entrant::new(NGINX, &nginx, vec![get("/orders/7", None)]),
        Entrant::new(PASSGATE, &passgate, vec![get_as("/orders/7", &tokens[0])]),
        Entrant::new(PASSGATE_PUBLIC, &passgate, vec![get("/public/7", None)]),
    ];
    let names = entrants.each_ref().map(|entrant| entrant.name);
    let count = options.requests / PART;
    let mut all = Series::of(&names);
    let mut kinds = [const { Vec::new() }; 3];
    for _ in 0..options.rounds.min(MOST_ROUNDS) {
        let mut totals = Vec::new();
        for (entrant, kinds) in entrants.iter_mut().zip(&mut kinds) {
            let (mut clients, requests) = entrant.ready(count).await;
            let strace = Strace::attach(&entrant.server.processes, stage.directory()).await;
            clients.send(requests, entrant.status).await;
            let calls = strace.detach();
            totals.push(as_f64(calls.values().sum()) / as_f64(count));
            kinds.push(calls);
        }
        note(&mut all, &totals);
    }

    let mut section = Section::new(TITLE);
    section.note(
        "Counted by strace in all threads, while 32 connections are served; what a proxy does of its own accord is \
         counted, too.",
    );
    let per_request = kinds.map(|rounds| per_request(&rounds, count));
    section.columns("calls per request", &names, &by_name(&per_request));
    section.bounds("calls per request");
    for (name, bound) in names.iter().zip([Bound::None, Bound::AtMost(5.5), Bound::AtMost(5.5)]) {
        section.line(name, &all.iter().find(|series| series.name == *name).unwrap().values, bound);
    }
    section
}

/// Of each call, by its name, the median of the rounds.
fn per_request(rounds: &[BTreeMap<String, usize>], count: usize) -> BTreeMap<String, f64> {
    let names: BTreeSet<_> = rounds.iter().flat_map(BTreeMap::keys).collect();
    let of = |name: &String| {
        let values: Vec<_> =
            rounds.iter().map(|calls| as_f64(calls.get(name).copied().unwrap_or(0)) / as_f64(count)).collect();
        (name.clone(), median(&values))
    };
    names.into_iter().map(of).collect()
}

/// A line for each call, the most frequent first, with the figures of all.
fn by_name(all: &[BTreeMap<String, f64>]) -> Vec<(String, Vec<f64>)> {
    let names: BTreeSet<_> = all.iter().flat_map(BTreeMap::keys).collect();
    let of = |name: &str| -> Vec<f64> { all.iter().map(|calls| calls.get(name).copied().unwrap_or(0.0)).collect() };
    let most = |figures: &[f64]| figures.iter().copied().fold(0.0, f64::max);
    let lines = names.into_iter().map(|name| (format!("`{name}`"), of(name)));
    let (mut lines, few): (Vec<_>, Vec<_>) = lines.partition(|(_, figures)| most(figures) >= FEW);
    lines.sort_by(|(_, one), (_, other)| most(other).total_cmp(&most(one)));
    let rest = (0..all.len()).map(|at| few.iter().map(|(_, figures)| figures[at]).sum()).collect();
    lines.push(("all others".to_owned(), rest));
    lines
}
