//! See [`super`].

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use prometheus::proto::MetricType;

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
    metrics.refused.count("path");
    metrics.observed.count("/old/", "expired", "served");
    metrics.headers_dropped.inc_by(4);
    metrics.token_cache_hits.inc();
    metrics.token_cache_misses.inc_by(2);
    metrics.sign_ins.count("ok");
    metrics.sign_ups.count("failed");
    metrics.refreshes.count("theft");
    metrics.throttled("sign_in", "per_source");
    metrics.hashes_waiting.set(3);
    metrics.hashes_running.set(1);
    metrics.store.set(Health::ReadOnly);
    metrics.store.set(Health::Reachable);
    metrics.change_log_age.set(1.5);
    set(&metrics.token_cache_bytes, 2048);
    set(&metrics.token_cache_entries, 7);
    metrics.key_age.set(86_400.0);
    metrics.key_next.set(-2.5);
    metrics.hashing.refused.inc();
    metrics.hashing.waits.observe(Duration::from_millis(20));
    metrics.operations.observe("rotate_session", Duration::from_millis(3), None);
    metrics.operations.observe("rotate_session", Duration::from_millis(7), Some("unavailable"));
    let (upstream, provider) = (metrics.upstream("app"), metrics.provider("google-oauth2"));
    upstream.times.observe(Duration::from_millis(40));
    upstream.failures.count("upstream_timeout");
    provider.times.observe(Duration::from_millis(300));
    provider.checks.count("refused");
    let text = metrics.render().unwrap();
    for line in [
        r#"passgate_authn_total{outcome="expired"} 1"#,
        r#"passgate_refused_total{reason="path"} 1"#,
        r#"passgate_observed_total{route="/old/",upstream="served",verdict="expired"} 1"#,
        "passgate_headers_dropped_total 4",
        r#"passgate_token_cache_total{result="hit"} 1"#,
        r#"passgate_token_cache_total{result="miss"} 2"#,
        r#"passgate_sign_ins_total{outcome="ok"} 1"#,
        r#"passgate_sign_ups_total{outcome="failed"} 1"#,
        r#"passgate_refreshes_total{outcome="theft"} 1"#,
        r#"passgate_throttled_total{limit="per_source",what="sign_in"} 1"#,
        r#"passgate_throttled_total{limit="per_source",what="sign_in"} 1"#,
        "passgate_token_cache_bytes 2048",
        "passgate_token_cache_entries 7",
        "passgate_signing_key_age_seconds 86400",
        "passgate_signing_key_next_seconds -2.5",
        "passgate_hashes_refused_total 1",
        r#"passgate_hash_wait_seconds_bucket{le="0.025"} 1"#,
        r#"passgate_store_operation_seconds_bucket{operation="rotate_session",le="0.005"} 1"#,
        r#"passgate_store_operation_seconds_count{operation="rotate_session"} 2"#,
        r#"passgate_store_errors_total{kind="unavailable"} 1"#,
        r#"passgate_store_errors_total{kind="corrupt"} 0"#,
        r#"passgate_upstream_response_seconds_bucket{upstream="app",le="0.05"} 1"#,
        r#"passgate_upstream_failures_total{reason="upstream_failed",upstream="app"} 0"#,
        r#"passgate_upstream_failures_total{reason="upstream_timeout",upstream="app"} 1"#,
        r#"passgate_provider_check_seconds_bucket{provider="google-oauth2",le="0.25"} 0"#,
        r#"passgate_provider_checks_total{outcome="refused",provider="google-oauth2"} 1"#,
        "passgate_hashes_waiting 3",
        "passgate_hashes_running 1",
        "passgate_store_up 1",
        r#"passgate_store_state{state="reachable"} 1"#,
        r#"passgate_store_state{state="read-only"} 0"#,
        r#"passgate_store_state{state="unreachable"} 0"#,
        "passgate_change_log_age_seconds 1.5",
        &format!(r#"passgate_build_info{{commit="{COMMIT}",version="{}"}} 1"#, env!("CARGO_PKG_VERSION")),
    ] {
        assert!(text.lines().any(|have| have == line), "{line} is missing of\n{text}");
    }
}

#[test]
fn what_is_registered_is_what_the_page_is_made_of() {
    let metrics = Metrics::new();
    let names = |figures: &[&Figure]| figures.iter().map(|figure| figure.name).collect::<Vec<_>>();
    let told: Vec<_> = GROUPS.iter().flat_map(|group| names(group.figures)).collect();
    let registered: BTreeSet<_> = names(metrics.figures()).into_iter().collect();
    assert_eq!(told.iter().copied().collect::<BTreeSet<_>>(), registered);
    assert_eq!(told.len(), registered.len(), "none is there twice");
    for family in metrics.registry.gather() {
        let figure = metrics.figures().iter().find(|figure| figure.name == family.name()).unwrap();
        let kind = match family.get_field_type() {
            MetricType::COUNTER => "counter",
            MetricType::GAUGE => "gauge",
            MetricType::HISTOGRAM => "histogram",
            other => panic!("{other:?}"),
        };
        assert_eq!(kind, figure.kind.word(), "{}", figure.name);
        assert_eq!(figure.kind.word() == "counter", figure.name.ends_with("_total"), "{}", figure.name);
    }
}

#[test]
#[should_panic(expected = "is no word of passgate_sign_ins_total")]
fn a_word_that_the_page_does_not_know_fails_the_test_that_counts_it() {
    Metrics::new().sign_ins.count("by_magic");
}

#[test]
fn the_process_tells_its_own_figures() {
    let metrics = Metrics::new();
    let figure = |name: &str| {
        let line = lines(&metrics, &format!("{name} ")).pop().unwrap();
        line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()
    };
    assert!(figure("process_resident_memory_bytes") > 1_000_000.0);
    assert!(figure("process_open_fds") > 2.0);
    assert!(figure("process_max_fds") >= figure("process_open_fds"));
    let before = figure("process_cpu_seconds_total");
    let mut spun = 0_u64;
    while figure("process_cpu_seconds_total") <= before {
        spun = std::hint::black_box(spun + 1);
    }
}
