//! Figures in the Prometheus text format.
//!
//! No label value comes from a client: routes are those of the configuration, methods and statuses are cut to
//! a few classes, and every other label is a word of this program (`&'static str`).

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::{Method, StatusCode};
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder, core::Collector,
};

use crate::model::Health;

/// `Content-Type` of [`Metrics::render`].
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// Seconds; from an answer out of memory to a slow upstream.
const DURATION_BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Everything counted, ready to be counted on. One per process, shared.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    in_flight: IntGauge,
    connections: IntGauge,
    throttled: IntCounterVec,
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
    /// How the store was when it was last asked.
    pub store: StoreState,
    /// Seconds since the change log was last known to its end.
    pub change_log_age: Gauge,
}

impl Metrics {
    /// All figures at zero, in a registry of their own.
    pub fn new() -> Self {
        let make = Maker(Registry::new());
        let build = make.keep(IntGaugeVec::new(
            Opts::new("passgate_build_info", "1, with the running version as label"),
            &["version"],
        ));
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let authn = make.counts("passgate_authn_total", "Callers, by what was found of them", "outcome");
        let cache = make.counters("passgate_token_cache_total", "Look-ups in the verified-token cache", &["result"]);
        Self {
            requests: make.counters(
                "passgate_requests_total",
                "Requests answered, by route, method and status class",
                &["route", "method", "status"],
            ),
            durations: make.keep(HistogramVec::new(
                HistogramOpts::new("passgate_request_duration_seconds", "From a request's head to its answer's end")
                    .buckets(DURATION_BUCKETS.to_vec()),
                &["route"],
            )),
            in_flight: make.gauge("passgate_requests_in_flight", "Requests not yet answered to the end"),
            connections: make.gauge("passgate_connections_open", "Connections from clients"),
            throttled: make.counters(
                "passgate_throttled_total",
                "Requests refused for being too many, by what they were and by the limit of the configuration",
                &["what", "limit"],
            ),
            authenticated: authn.of("authenticated"),
            authn,
            refused: make.counts("passgate_refused_total", "Requests refused before any decision", "reason"),
            observed: Comparisons(make.counters(
                "passgate_observed_total",
                "Requests of routes that observe, by what Passgate would have done and what the upstream did",
                &["route", "verdict", "upstream"],
            )),
            headers_dropped: make.counter(
                "passgate_headers_dropped_total",
                "Headers of clients taken out for the characters of their names",
            ),
            token_cache_hits: cache.with_label_values(&["hit"]),
            token_cache_misses: cache.with_label_values(&["miss"]),
            sign_ins: make.counts("passgate_sign_ins_total", "Sign-ins", "outcome"),
            sign_ups: make.counts("passgate_sign_ups_total", "Sign-ups", "outcome"),
            refreshes: make.counts("passgate_refreshes_total", "Presented refresh tokens", "outcome"),
            hashes_waiting: make.gauge("passgate_hashes_waiting", "Password hashes waiting for a thread"),
            hashes_running: make.gauge("passgate_hashes_running", "Password hashes being computed"),
            store: StoreState {
                up: make.gauge("passgate_store_up", "1 when the store answered last, and took a write"),
                state: make.keep(IntGaugeVec::new(
                    Opts::new("passgate_store_state", "1 for how the store was when it was last asked"),
                    &["state"],
                )),
            },
            change_log_age: make.keep(Gauge::new(
                "passgate_change_log_age_seconds",
                "How long ago this node last knew the change log to its end",
            )),
            registry: make.0,
        }
    }

    /// The figures of one route, or of one of our own endpoints; made once at start. The same name again
    /// counts on the same figures.
    pub fn route(&self, name: &str) -> Arc<RouteMetrics> {
        Arc::new(RouteMetrics {
            name: name.into(),
            requests: self.requests.clone(),
            cells: Cells::default(),
            durations: self.durations.with_label_values(&[name]),
        })
    }

    /// Counts a request refused for being too many.
    pub fn throttled(&self, what: &'static str, limit: &'static str) {
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

    /// All figures as [`CONTENT_TYPE`].
    pub fn render(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// A counter per word of this program.
pub struct Counts(IntCounterVec);

impl Counts {
    /// One more of this kind.
    pub fn count(&self, kind: &'static str) {
        self.of(kind).inc();
    }

    /// The counter of this kind, for where it is counted with every request.
    fn of(&self, kind: &'static str) -> IntCounter {
        self.0.with_label_values(&[kind])
    }
}

/// A counter per route and two words of this program.
pub struct Comparisons(IntCounterVec);

impl Comparisons {
    /// One more of this `route`, which would have come to `verdict`, while `upstream` is what became of it.
    pub fn count(&self, route: &str, verdict: &'static str, upstream: &'static str) {
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

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

type Cells = [[OnceLock<IntCounter>; CLASSES.len()]; METHODS.len()];

/// The figures of one route. Counting looks no label up after the first request of a kind.
pub struct RouteMetrics {
    name: Box<str>,
    requests: IntCounterVec,
    cells: Cells,
    durations: Histogram,
}

impl RouteMetrics {
    /// The route's name, or our own endpoint's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One request answered; without a status when the client was gone before.
    pub fn answered(&self, method: &Method, status: Option<StatusCode>, took: Duration) {
        let method = METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(METHODS.len() - 1);
        let class = match status.map(|status| status.as_u16() / 100) {
            Some(class @ 1..=5) => usize::from(class) - 1,
            _ => CLASSES.len() - 1,
        };
        if let (Some(cell), Some(method), Some(class)) =
            (self.cells.get(method).and_then(|row| row.get(class)), METHODS.get(method), CLASSES.get(class))
        {
            cell.get_or_init(|| self.requests.with_label_values(&[&*self.name, method, class])).inc();
        }
        self.durations.observe(took.as_secs_f64());
    }
}

/// Makes figures and puts them into the registry.
struct Maker(Registry);

impl Maker {
    #[expect(clippy::expect_used, reason = "names and labels are constants of this file, made by every test of it")]
    fn keep<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let figure = made.expect("a valid name, help and labels");
        self.0.register(Box::new(figure.clone())).expect("a name of its own");
        figure
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.keep(IntGauge::new(name, help))
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.keep(IntCounter::new(name, help))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.keep(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn counts(&self, name: &str, help: &str, label: &str) -> Counts {
        Counts(self.counters(name, help, &[label]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(metrics: &Metrics, prefix: &str) -> Vec<String> {
        metrics.render().unwrap().lines().filter(|line| line.starts_with(prefix)).map(str::to_owned).collect()
    }

    #[test]
    fn requests_are_counted_by_route_method_and_class_and_timed_by_route() {
        let metrics = Metrics::new();
        let orders = metrics.route("shop.example/orders/");
        orders.answered(&Method::GET, Some(StatusCode::OK), Duration::from_millis(3));
        orders.answered(&Method::GET, Some(StatusCode::CREATED), Duration::from_millis(4));
        orders.answered(&Method::GET, Some(StatusCode::BAD_GATEWAY), Duration::from_secs(2));
        metrics.route("none").answered(&Method::POST, None, Duration::ZERO);
        assert_eq!(
            lines(&metrics, "passgate_requests_total"),
            [
                r#"passgate_requests_total{method="GET",route="shop.example/orders/",status="2xx"} 2"#,
                r#"passgate_requests_total{method="GET",route="shop.example/orders/",status="5xx"} 1"#,
                r#"passgate_requests_total{method="POST",route="none",status="none"} 1"#,
            ]
        );
        let seconds = "passgate_request_duration_seconds";
        assert_eq!(
            lines(&metrics, &format!("{seconds}_count")),
            [
                format!(r#"{seconds}_count{{route="none"}} 1"#),
                format!(r#"{seconds}_count{{route="shop.example/orders/"}} 3"#)
            ]
        );
    }

    #[test]
    fn a_client_cannot_make_new_series_by_inventing_methods() {
        let metrics = Metrics::new();
        let route = metrics.route("/");
        for n in 0..1000 {
            let method = Method::from_bytes(format!("M{n}").as_bytes()).unwrap();
            route.answered(&method, Some(StatusCode::METHOD_NOT_ALLOWED), Duration::ZERO);
        }
        assert_eq!(
            lines(&metrics, "passgate_requests_total"),
            [r#"passgate_requests_total{method="other",route="/",status="4xx"} 1000"#]
        );
    }

    #[test]
    fn two_routes_of_one_name_share_their_figures() {
        let metrics = Metrics::new();
        for route in [metrics.route("/"), metrics.route("/")] {
            route.answered(&Method::GET, Some(StatusCode::OK), Duration::ZERO);
        }
        assert_eq!(
            lines(&metrics, "passgate_requests_total"),
            [r#"passgate_requests_total{method="GET",route="/",status="2xx"} 2"#]
        );
    }

    #[test]
    fn what_is_held_counts_until_dropped() {
        let metrics = Metrics::new();
        let request = metrics.request_started();
        let connections = [metrics.connection_opened(), metrics.connection_opened()];
        assert_eq!(lines(&metrics, "passgate_requests_in_flight"), ["passgate_requests_in_flight 1"]);
        assert_eq!(lines(&metrics, "passgate_connections_open"), ["passgate_connections_open 2"]);
        drop((request, connections));
        assert_eq!(lines(&metrics, "passgate_requests_in_flight"), ["passgate_requests_in_flight 0"]);
        assert_eq!(lines(&metrics, "passgate_connections_open"), ["passgate_connections_open 0"]);
    }

    #[test]
    fn every_other_figure_moves_when_its_thing_happens() {
        let metrics = Metrics::new();
        metrics.authn.count("expired");
        metrics.refused.count("dot_segment");
        metrics.observed.count("/old/", "expired", "served");
        metrics.headers_dropped.inc_by(4);
        metrics.token_cache_hits.inc();
        metrics.token_cache_misses.inc_by(2);
        metrics.sign_ins.count("ok");
        metrics.sign_ups.count("email_taken");
        metrics.refreshes.count("theft");
        metrics.throttled("sign_in", "per_source");
        metrics.hashes_waiting.set(3);
        metrics.hashes_running.set(1);
        metrics.store.set(Health::ReadOnly);
        metrics.store.set(Health::Reachable);
        metrics.change_log_age.set(1.5);
        let text = metrics.render().unwrap();
        for line in [
            r#"passgate_authn_total{outcome="expired"} 1"#,
            r#"passgate_refused_total{reason="dot_segment"} 1"#,
            r#"passgate_observed_total{route="/old/",upstream="served",verdict="expired"} 1"#,
            "passgate_headers_dropped_total 4",
            r#"passgate_token_cache_total{result="hit"} 1"#,
            r#"passgate_token_cache_total{result="miss"} 2"#,
            r#"passgate_sign_ins_total{outcome="ok"} 1"#,
            r#"passgate_sign_ups_total{outcome="email_taken"} 1"#,
            r#"passgate_refreshes_total{outcome="theft"} 1"#,
            r#"passgate_throttled_total{limit="per_source",what="sign_in"} 1"#,
            "passgate_hashes_waiting 3",
            "passgate_hashes_running 1",
            "passgate_store_up 1",
            r#"passgate_store_state{state="reachable"} 1"#,
            r#"passgate_store_state{state="read-only"} 0"#,
            r#"passgate_store_state{state="unreachable"} 0"#,
            "passgate_change_log_age_seconds 1.5",
            concat!(r#"passgate_build_info{version=""#, env!("CARGO_PKG_VERSION"), r#""} 1"#),
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is missing of\n{text}");
        }
    }
}
