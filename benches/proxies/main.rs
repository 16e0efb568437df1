//! What Passgate costs, beside nginx and HAProxy on the same machine in the same minutes: docs/performance.md.
//!
//! `cargo bench --bench proxies -- [SCENARIO…] [--rounds N] [--requests N] [--print-only]`: by default all scenarios,
//! whose figures go into that page. `make bench` installs what it needs first. With `training` alone, nothing is
//! measured.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench that cannot go on says so by panicking"
)]

mod alone;
mod load;
mod machine;
mod people;
mod plain;
mod report;
mod rounds;
mod scenario;
mod server;
mod stage;
mod strace;
mod tokens;
mod training;
mod upstream;

use std::path::Path;

use self::scenario::SCENARIOS;

/// The one of the gateway, whose hashes are held against those made here.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Files that may be open: a thousand connections, and what they lead to.
const DESCRIPTORS: u64 = 8192;

/// What the arguments say.
pub struct Options {
    /// How often each entrant has its turn.
    pub rounds: usize,
    /// Requests in each turn.
    pub requests: usize,
    print_only: bool,
    /// Names of scenarios; none are all.
    chosen: Vec<String>,
}

impl Options {
    fn of(mut arguments: impl Iterator<Item = String>) -> Self {
        let mut options = Self { rounds: 9, requests: 20_000, print_only: false, chosen: Vec::new() };
        while let Some(argument) = arguments.next() {
            let mut number = || arguments.next().and_then(|text| text.parse().ok()).expect("a number follows");
            match argument.as_str() {
                "--rounds" => options.rounds = number(),
                "--requests" => options.requests = number(),
                "--print-only" => options.print_only = true,
                // cargo says so to every bench.
                "--bench" => {}
                name if SCENARIOS.iter().any(|scenario| scenario.name == name) => options.chosen.push(argument),
                unknown => panic!("{unknown} is none of {:?}", SCENARIOS.map(|scenario| scenario.name)),
            }
        }
        options
    }
}

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    if arguments.get(1).is_some_and(|first| first == alone::MARK) {
        return alone::main(&arguments[2..]);
    }
    let is_training = arguments.iter().any(|argument| argument == training::NAME);
    if !is_training {
        machine::leave_proxy_core();
    }
    rlimit::increase_nofile_limit(DESCRIPTORS).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if is_training {
        return runtime.block_on(training::run());
    }
    runtime.block_on(measure(&Options::of(arguments.into_iter().skip(1))));
}

async fn measure(options: &Options) {
    // Clients and upstream never sleep: what it takes to wake them would count as work of whoever sends to them, and
    // the slower a proxy is, the oftener they would have had the time to fall asleep.
    tokio::spawn(async {
        loop {
            tokio::task::yield_now().await;
        }
    });
    println!("{}\n", machine::describe());
    let mut sections = Vec::new();
    for scenario in SCENARIOS {
        if options.chosen.is_empty() || options.chosen.iter().any(|name| name == scenario.name) {
            eprintln!("{} …", scenario.name);
            let section = (scenario.run)(options).await;
            println!("{}", section.markdown());
            sections.push(section);
        }
    }
    if !options.print_only {
        let page = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/performance.md"));
        report::write(page, &SCENARIOS.map(|scenario| scenario.title), &sections);
    }
}
