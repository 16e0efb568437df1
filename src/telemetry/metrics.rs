//! Figures in the Prometheus text format.
//!
//! No label value comes from a client: routes, upstreams and providers are those of the configuration, methods and
//! statuses are cut to a few classes, and every other label is a word of this program (`&'static str`) that stands in
//! [`figures`]. What words there are is there from the start, at zero, so that the first of a kind is seen as a rise.

pub mod figures;
mod process;
mod route;

use std::{sync::Arc, time::Duration};

use prometheus::{
    Counter, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder, core::Collector,
};

use self::{
    figures::{Figure, Values},
    process::Process,
};
pub use self::{
    figures::{GROUPS, Group},
    route::RouteMetrics,
};
use crate::model::Health;

/// `Content-Type` of [`Metrics::render`].
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// The commit this was built of, if the build was told: by `PASSGATE_COMMIT`, as the Dockerfile does.
pub const COMMIT: &str = match option_env!("PASSGATE_COMMIT") {
    Some(commit) if !commit.is_empty() => commit,
    _ => "unknown",
};

/// Seconds; from an answer out of memory to a slow upstream.
const DURATION_BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Seconds; from a row in memory to a store's time-out.
const STORE_BUCKETS: [f64; 11] = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// Everything counted, ready to be counted on. One per process, shared.
pub struct Metrics {
    registry: Registry,
    figures: Vec<&'static Figure>,
    requests: IntCounterVec,
    durations: HistogramVec,
    in_flight: IntGauge,
    connections: IntGauge,
    upstream_times: HistogramVec,
    upstream_failures: IntCounterVec,
    throttled: IntCounterVec,
    provider_checks: IntCounterVec,
    provider_times: HistogramVec,
    process: Process,
    /// Callers by what was found of them: `authenticated`, `anonymous`, why a bearer does not hold, or `unavailable`
    /// when only the store could have told, or the change log.
    pub authn: Counts,
    /// `authenticated` of `authn`.
    pub authenticated: IntCounter,
    /// Requests refused before any decision, by reason.
    pub refused: Counts,
    /// Requests of routes that observe, by what we would have done and what the upstream did.
    pub observed: Comparisons,
    /// Headers of clients taken out for the characters of their names.
    pub headers_dropped: IntCounter,
    /// Verified-token cache: bearers answered from it.
    pub token_cache_hits: IntCounter,
    /// Verified-token cache: bearers that had to be verified.
    pub token_cache_misses: IntCounter,
    /// Verified-token cache: bytes held.
    pub token_cache_bytes: IntGauge,
    /// Verified-token cache: tokens held.
    pub token_cache_entries: IntGauge,
    /// Sign-ins by outcome.
    pub sign_ins: Counts,
    /// Sign-ups by outcome.
    pub sign_ups: Counts,
    /// Presented refresh tokens by outcome.
    pub refreshes: Counts,
    /// Password hashes waiting for a thread.
    pub hashes_waiting: IntGauge,
    /// Password hashes being computed.
    pub hashes_running: IntGauge,
    /// What the threads for hashing count by themselves.
    pub hashing: Hashing,
    /// How the store was when it was last asked.
    pub store: StoreState,
    /// What the store was asked, and how long it took.
    pub operations: Operations,
    /// Seconds since the change log was last known to its end.
    pub change_log_age: Gauge,
    /// Seconds for which the current signing key has been signing.
    pub key_age: Gauge,
    /// Seconds until the next one signs; negative when that is overdue.
    pub key_next: Gauge,
}

impl Metrics {
    /// All figures at zero, in a registry of their own.
    pub fn new() -> Self {
        let mut make = Maker { registry: Registry::new(), figures: Vec::new() };
        make.gauges(&figures::BUILD).with_label_values(&[env!("CARGO_PKG_VERSION"), COMMIT]).set(1.0);
        let authn = make.counts(&figures::AUTHN);
        let cache = make.counts(&figures::TOKEN_CACHE);
        Self {
            requests: make.counters(&figures::REQUESTS),
            durations: make.histograms(&figures::DURATIONS, &DURATION_BUCKETS),
            in_flight: make.int_gauge(&figures::IN_FLIGHT),
            connections: make.int_gauge(&figures::CONNECTIONS),
            upstream_times: make.histograms(&figures::UPSTREAM_TIMES, &DURATION_BUCKETS),
            upstream_failures: make.counters(&figures::UPSTREAM_FAILURES),
            throttled: make.counters(&figures::THROTTLED),
            provider_checks: make.counters(&figures::PROVIDER_CHECKS),
            provider_times: make.histograms(&figures::PROVIDER_TIMES, &DURATION_BUCKETS),
            process: Process {
                memory: make.int_gauge(&figures::PROCESS_MEMORY),
                cpu: make.keep(&figures::PROCESS_CPU, Counter::with_opts(opts(&figures::PROCESS_CPU))),
                fds: make.int_gauge(&figures::PROCESS_FDS),
                most_fds: make.int_gauge(&figures::PROCESS_MOST_FDS),
            },
            authenticated: authn.of("authenticated"),
            authn,
            refused: make.counts(&figures::REFUSED),
            observed: Comparisons(make.counters(&figures::OBSERVED)),
            headers_dropped: make.counter(&figures::HEADERS_DROPPED),
            token_cache_hits: cache.of("hit"),
            token_cache_misses: cache.of("miss"),
            token_cache_bytes: make.int_gauge(&figures::TOKEN_CACHE_BYTES),
            token_cache_entries: make.int_gauge(&figures::TOKEN_CACHE_ENTRIES),
            sign_ins: make.counts(&figures::SIGN_INS),
            sign_ups: make.counts(&figures::SIGN_UPS),
            refreshes: make.counts(&figures::REFRESHES),
            hashes_waiting: make.int_gauge(&figures::HASHES_WAITING),
            hashes_running: make.int_gauge(&figures::HASHES_RUNNING),
            hashing: Hashing {
                waits: Latency(make.keep(
                    &figures::HASH_WAITS,
                    Histogram::with_opts(buckets(&figures::HASH_WAITS, &DURATION_BUCKETS)),
                )),
                refused: make.counter(&figures::HASHES_REFUSED),
            },
            store: StoreState {
                up: make.int_gauge(&figures::STORE_UP),
                state: make.keep(
                    &figures::STORE_STATE,
                    IntGaugeVec::new(opts(&figures::STORE_STATE), &labels(&figures::STORE_STATE)),
                ),
            },
            operations: Operations {
                times: make.histograms(&figures::STORE_TIMES, &STORE_BUCKETS),
                errors: make.counts(&figures::STORE_ERRORS),
            },
            change_log_age: make.gauge(&figures::CHANGE_LOG_AGE),
            key_age: make.gauge(&figures::KEY_AGE),
            key_next: make.gauge(&figures::KEY_NEXT),
            registry: make.registry,
            figures: make.figures,
        }
    }

    /// What is registered.
    pub fn figures(&self) -> &[&'static Figure] {
        &self.figures
    }

    /// The figures of one route, or of one of our own endpoints; made once at start. The same name again
    /// counts on the same figures.
    pub fn route(&self, name: &str) -> Arc<RouteMetrics> {
        Arc::new(RouteMetrics::new(name, self.requests.clone(), self.durations.with_label_values(&[name])))
    }

    /// The figures of the upstream of this name; made once at start.
    pub fn upstream(&self, name: &str) -> UpstreamMetrics {
        UpstreamMetrics {
            times: Latency(self.upstream_times.with_label_values(&[name])),
            failures: Counts::below(&figures::UPSTREAM_FAILURES, &self.upstream_failures, name),
        }
    }

    /// The figures of the identity provider of this name; made once at start.
    pub fn provider(&self, name: &str) -> ProviderMetrics {
        ProviderMetrics {
            times: Latency(self.provider_times.with_label_values(&[name])),
            checks: Counts::below(&figures::PROVIDER_CHECKS, &self.provider_checks, name),
        }
    }

    /// Counts a request refused for being too many.
    pub fn throttled(&self, what: &'static str, limit: &'static str) {
        assert_known(&figures::THROTTLED, &[what, limit]);
        self.throttled.with_label_values(&[what, limit]).inc();
    }

    /// Counts a request as in flight until the answer is dropped.
    pub fn request_started(&self) -> Held {
        Held::new(&self.in_flight)
    }

    /// Counts a connection as open until the answer is dropped.
    pub fn connection_opened(&self) -> Held {
        Held::new(&self.connections)
    }

    /// All figures as [`CONTENT_TYPE`]; those of the process as they are now.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        self.process.read();
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// A counter per word of this program.
pub struct Counts {
    figure: &'static Figure,
    counters: Box<[(&'static str, IntCounter)]>,
}

impl Counts {
    /// Of the last label's words, beneath this value of the label before it, or without one.
    fn below<'v>(figure: &'static Figure, all: &IntCounterVec, above: impl Into<Option<&'v str>>) -> Self {
        let above = above.into();
        let counter = |word: &&'static str| {
            let values: Vec<&str> = above.into_iter().chain([*word]).collect();
            (*word, all.with_label_values(&values))
        };
        let counters = figure.labels.last().map(|label| &label.values).into_iter().flat_map(|values| match values {
            Values::Words(words) => *words,
            Values::Named(_) => &[],
        });
        Self { figure, counters: counters.map(counter).collect() }
    }

    /// One more of this kind, which is a word of the figure: in builds for tests, another one panics.
    pub fn count(&self, kind: &'static str) {
        let counter = self.counters.iter().find(|(word, _)| *word == kind);
        debug_assert!(counter.is_some(), "{kind:?} is no word of {}", self.figure.name);
        if let Some((_, counter)) = counter {
            counter.inc();
        }
    }

    /// The counter of this kind, for where it is counted with every request.
    #[expect(clippy::expect_used, reason = "words of this module, looked up by every test of it")]
    fn of(&self, kind: &'static str) -> IntCounter {
        let (_, counter) = self.counters.iter().find(|(word, _)| *word == kind).expect("a word of the figure");
        counter.clone()
    }
}

/// How long something took. Observing takes no lock.
#[derive(Clone)]
pub struct Latency(Histogram);

impl Latency {
    /// Once more, so long.
    pub fn observe(&self, took: Duration) {
        self.0.observe(took.as_secs_f64());
    }
}

/// The figures of one upstream.
pub struct UpstreamMetrics {
    /// From sending a request to the head of its answer.
    pub times: Latency,
    /// Requests it did not answer, by our reason for the answer in its stead.
    pub failures: Counts,
}

/// The figures of one identity provider.
pub struct ProviderMetrics {
    /// How long a check took.
    pub times: Latency,
    /// Checks by outcome: `ok`, `refused`, `failed`, `busy`.
    pub checks: Counts,
}

/// What threads for hashing count.
#[derive(Clone)]
pub struct Hashing {
    /// From when a job was taken in to when a thread took it.
    pub waits: Latency,
    /// Jobs refused, every place being taken.
    pub refused: IntCounter,
}

/// In no registry: for who hashes without serving.
impl Default for Hashing {
    fn default() -> Self {
        Metrics::new().hashing
    }
}

/// Operations of the store.
pub struct Operations {
    times: HistogramVec,
    errors: Counts,
}

impl Operations {
    /// The store was asked for `operation`, one of [`figures::OPERATIONS`], and answered after so long; `failed` is the
    /// kind of its error.
    pub fn observe(&self, operation: &'static str, took: Duration, failed: Option<&'static str>) {
        assert_known(&figures::STORE_TIMES, &[operation]);
        self.times.with_label_values(&[operation]).observe(took.as_secs_f64());
        if let Some(kind) = failed {
            self.errors.count(kind);
        }
    }
}

/// A counter per route and two words of this program.
pub struct Comparisons(IntCounterVec);

impl Comparisons {
    /// One more of this `route`, which would have come to `verdict`, while `upstream` is what became of it.
    pub fn count(&self, route: &str, verdict: &'static str, upstream: &'static str) {
        assert_known(&figures::OBSERVED, &[route, verdict, upstream]);
        self.0.with_label_values(&[route, verdict, upstream]).inc();
    }
}

/// A gauge for each state of the store, of which one is 1.
pub struct StoreState {
    up: IntGauge,
    state: IntGaugeVec,
}

impl StoreState {
    /// It is so now.
    pub fn set(&self, health: Health) {
        self.up.set(i64::from(health == Health::Reachable));
        for state in Health::ALL {
            self.state.with_label_values(&[state.word()]).set(i64::from(state == health));
        }
    }
}

/// Counts in a gauge for as long as it lives, so that what is aborted is uncounted too.
#[must_use = "it counts for as long as it is held"]
pub struct Held(IntGauge);

impl Held {
    fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Sets a gauge to a size, as far as it can be told.
pub fn set(gauge: &IntGauge, size: u64) {
    gauge.set(i64::try_from(size).unwrap_or(i64::MAX));
}

/// In builds for tests, panics for a word that the page does not know.
fn assert_known(figure: &Figure, values: &[&str]) {
    debug_assert!(
        figure.labels.iter().zip(values).all(|(label, value)| match label.values {
            Values::Words(words) => words.contains(value),
            Values::Named(_) => true,
        }),
        "{values:?} are no words of {}",
        figure.name
    );
}

fn opts(figure: &Figure) -> Opts {
    Opts::new(figure.name, figure.help)
}

fn buckets(figure: &Figure, bounds: &[f64]) -> HistogramOpts {
    HistogramOpts::from(opts(figure)).buckets(bounds.to_vec())
}

fn labels(figure: &Figure) -> Vec<&'static str> {
    figure.labels.iter().map(|label| label.name).collect()
}

/// Makes figures and puts them into the registry.
struct Maker {
    registry: Registry,
    figures: Vec<&'static Figure>,
}

impl Maker {
    #[expect(clippy::expect_used, reason = "names and labels are constants of `figures`, made by every test")]
    fn keep<C: Collector + Clone + 'static>(&mut self, figure: &'static Figure, made: prometheus::Result<C>) -> C {
        let made = made.expect("a valid name, help and labels");
        self.registry.register(Box::new(made.clone())).expect("a name of its own");
        self.figures.push(figure);
        made
    }

    fn gauge(&mut self, figure: &'static Figure) -> Gauge {
        self.keep(figure, Gauge::with_opts(opts(figure)))
    }

    fn int_gauge(&mut self, figure: &'static Figure) -> IntGauge {
        self.keep(figure, IntGauge::with_opts(opts(figure)))
    }

    fn gauges(&mut self, figure: &'static Figure) -> GaugeVec {
        self.keep(figure, GaugeVec::new(opts(figure), &labels(figure)))
    }

    fn counter(&mut self, figure: &'static Figure) -> IntCounter {
        self.keep(figure, IntCounter::with_opts(opts(figure)))
    }

    fn counters(&mut self, figure: &'static Figure) -> IntCounterVec {
        self.keep(figure, IntCounterVec::new(opts(figure), &labels(figure)))
    }

    fn histograms(&mut self, figure: &'static Figure, bounds: &[f64]) -> HistogramVec {
        self.keep(figure, HistogramVec::new(buckets(figure, bounds), &labels(figure)))
    }

    fn counts(&mut self, figure: &'static Figure) -> Counts {
        let all = self.counters(figure);
        Counts::below(figure, &all, None)
    }
}

#[cfg(test)]
mod tests;
