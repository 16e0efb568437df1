//! Every figure moves when its thing happens, seen from outside.

use std::{collections::BTreeSet, fs, net::SocketAddr, sync::Arc, time::Duration};

use passgate::telemetry::metrics::Metrics;
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

use super::*;
use crate::support::{
    Bench, PASSWORD, Tokens, Upstream,
    provider::{Fault, Google, Person, google},
};

/// These say what does not change while a process runs.
const CONSTANT: [&str; 2] = ["passgate_build_info", "process_max_fds"];

/// What becomes visible, at the latest.
const SOON: Duration = Duration::from_secs(20);

/// The figures that were seen to move.
#[derive(Default)]
struct Seen(BTreeSet<&'static str>);

impl Seen {
    /// While this is done, or soon after it, each of these series changes.
    async fn moves<T>(&mut self, gateway: &Gateway, series: &[&str], done: impl Future<Output = T>) -> T {
        let before = Values::of(gateway).await;
        let answer = done.await;
        self.moved(gateway, &before, series).await;
        answer
    }

    async fn moved(&mut self, gateway: &Gateway, before: &Values, series: &[&str]) {
        let metrics = Metrics::new();
        for name in series {
            let waiting = async {
                while Values::of(gateway).await.value(name) == before.value(name) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            let moved = tokio::time::timeout(SOON, waiting).await;
            assert!(moved.is_ok(), "{name} stays at {:?}", before.value(name));
            let name = name.split('{').next().unwrap();
            self.0.insert(figure(&metrics, name).unwrap_or_else(|| panic!("{name} is not registered")).name);
        }
    }
}

/// The lines of one reading.
struct Values(String);

impl Values {
    async fn of(gateway: &Gateway) -> Self {
        Self(page(gateway).await)
    }

    fn value(&self, series: &str) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
    }
}

/// An upstream that takes its time for every answer, and then waits until it is told to go on.
async fn slow_upstream(go_on: Arc<Notify>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let go_on = Arc::clone(&go_on);
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                tokio::time::sleep(Duration::from_millis(400)).await;
                go_on.notified().await;
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
            });
        }
    });
    address
}

struct Scene {
    gateway: Gateway,
    google: Google,
    /// Has the slow upstream answer.
    go_on: Arc<Notify>,
}

impl Scene {
    async fn start() -> Self {
        let (google, go_on) = (Google::start().await, Arc::<Notify>::default());
        let slow = slow_upstream(Arc::clone(&go_on)).await;
        let gateway = Bench::default()
            .upstreams(&format!("  slow: http://{slow}\n  gone: http://127.0.0.1:1\n"))
            .routes(
                "  - { match: { path: /slow/ }, upstream: slow, auth: public }\n  \
                 - { match: { path: /gone/ }, upstream: gone, auth: public }\n  \
                 - { match: { path: /old/ }, upstream: app, mode: observe }\n  \
                 - { match: { path: / }, upstream: app }\n",
            )
            .providers(&[google.yaml()])
            .set("clients.web.grants", "[password, refresh_token, convert_token]")
            .set("server.trusted_proxies", "[127.0.0.1/32]")
            .set("limits.sign_up", "off")
            .set("limits.sign_in.per_account_and_source", "20/1h")
            .start_before(Upstream::start().await)
            .await;
        Self { gateway, google, go_on }
    }

    async fn try_to_sign_in(&self, email: &str, password: &str) -> u16 {
        let body = json!({ "grant_type": "password", "username": email, "password": password, "client_id": "web",
                           "client_secret": "quickstart-secret" });
        // As from outside.
        let headers = [("Content-Type", "application/json"), ("X-Forwarded-For", "203.0.113.9")];
        self.gateway.send("POST", "/api-auth/token", &headers, body.to_string().as_bytes()).await.status
    }

    async fn convert(&self, token: &str) -> u16 {
        let body = json!({ "grant_type": "convert_token", "backend": "google-oauth2", "token": token, "client_id": "web",
                           "client_secret": "quickstart-secret" });
        self.gateway.post_json("/api-auth/convert-token", body).await.status
    }
}

fn person(email: &str) -> Value {
    json!({ "email": email, "username": "ada", "first_name": "Ada", "password": PASSWORD })
}

#[tokio::test]
async fn every_figure_of_the_page_moves_when_its_thing_happens() {
    let mut seen = Seen::default();
    let scene = Scene::start().await;
    traffic(&mut seen, &scene).await;
    sign_ins(&mut seen, &scene).await;
    refreshes(&mut seen, &scene).await;
    providers(&mut seen, &scene).await;
    outage(&mut seen, &scene).await;
    lost_writes(&mut seen, &scene).await;
    // Before hashes that take, and give back, as much memory as it looks for.
    process(&mut seen, &scene.gateway).await;
    hashing(&mut seen).await;

    let metrics = Metrics::new();
    let registered: BTreeSet<_> = metrics.figures().iter().map(|figure| figure.name).collect();
    let constant: BTreeSet<_> = CONSTANT.into_iter().collect();
    assert!(constant.is_subset(&registered));
    let unseen: Vec<_> = registered.difference(&seen.0).filter(|name| !constant.contains(**name)).collect();
    assert!(unseen.is_empty(), "nothing here makes these move: {unseen:?}");
}

async fn traffic(seen: &mut Seen, Scene { gateway, go_on, .. }: &Scene) {
    let tokens = gateway.sign_up("ada@example.test").await;
    let first = [
        r#"passgate_requests_total{method="GET",route="/",status="2xx"}"#,
        r#"passgate_request_duration_seconds_count{route="/"}"#,
        r#"passgate_upstream_response_seconds_count{upstream="app"}"#,
        r#"passgate_authn_total{outcome="authenticated"}"#,
        r#"passgate_token_cache_total{result="miss"}"#,
        "passgate_token_cache_bytes",
        "passgate_token_cache_entries",
    ];
    seen.moves(gateway, &first, gateway.get("/a", Some(&tokens.access))).await;
    let again = [r#"passgate_token_cache_total{result="hit"}"#];
    seen.moves(gateway, &again, gateway.get("/a", Some(&tokens.access))).await;
    for (outcome, bearer) in [("anonymous", None), ("foreign", Some("no.such.token")), ("two_words", Some("a b"))] {
        let authn = [&*format!("passgate_authn_total{{outcome=\"{outcome}\"}}")];
        seen.moves(gateway, &authn, gateway.get("/a", bearer)).await;
    }
    let observed = [r#"passgate_observed_total{route="/old/",upstream="served",verdict="no_credentials"}"#];
    seen.moves(gateway, &observed, gateway.get("/old/", None)).await;
    let refused = [
        r#"passgate_refused_total{reason="path"}"#,
        r#"passgate_requests_total{method="GET",route="none",status="4xx"}"#,
    ];
    seen.moves(gateway, &refused, gateway.get("/%2e%2e/", None)).await;
    let odd = gateway.send("GET", "/a", &[("X_Odd", "1")], b"");
    seen.moves(gateway, &["passgate_headers_dropped_total"], odd).await;
    let failed = [
        r#"passgate_upstream_failures_total{reason="upstream_failed",upstream="gone"}"#,
        r#"passgate_requests_total{method="GET",route="/gone/",status="5xx"}"#,
    ];
    assert_eq!(seen.moves(gateway, &failed, gateway.get("/gone/", None)).await.status, 502);

    // A slow upstream is seen as such, and its requests while they wait for it.
    let idle = Values::of(gateway).await;
    let looked_at = async {
        seen.moved(gateway, &idle, &["passgate_requests_in_flight", "passgate_connections_open"]).await;
        go_on.notify_one();
    };
    let (answer, ()) = tokio::join!(gateway.get("/slow/", None), looked_at);
    assert_eq!(answer.status, 204);
    let slow = |le: &str| format!("passgate_upstream_response_seconds_bucket{{upstream=\"slow\",le=\"{le}\"}}");
    let now = Values::of(gateway).await;
    assert_eq!((now.value(&slow("0.25")), now.value(&slow("30"))), (Some("0"), Some("1")));
}

async fn sign_ins(seen: &mut Seen, scene: &Scene) {
    let gateway = &scene.gateway;
    let outcome = |outcome: &str| format!("passgate_sign_ins_total{{outcome=\"{outcome}\"}}");
    let signed_up = [r#"passgate_sign_ups_total{outcome="ok"}"#, &outcome("ok")];
    seen.moves(gateway, &signed_up, gateway.post_json("/api-auth/create/", person("bob@example.test"))).await;
    let failed = [r#"passgate_sign_ups_total{outcome="failed"}"#];
    seen.moves(gateway, &failed, gateway.post_json("/api-auth/create/", person("bob@example.test"))).await;
    seen.moves(gateway, &[&outcome("ok")], scene.try_to_sign_in("bob@example.test", PASSWORD)).await;
    let wrong = scene.try_to_sign_in("bob@example.test", "wrong");
    assert_eq!(seen.moves(gateway, &[&outcome("wrong_password")], wrong).await, 400);
    for _ in 1..20 {
        assert_eq!(scene.try_to_sign_in("bob@example.test", "wrong").await, 400);
    }
    let throttled = [r#"passgate_throttled_total{limit="per_account_and_source",what="sign_in"}"#];
    assert_eq!(seen.moves(gateway, &throttled, scene.try_to_sign_in("bob@example.test", PASSWORD)).await, 429);
    let unknown = scene.try_to_sign_in("nobody@example.test", PASSWORD);
    seen.moves(gateway, &[&outcome("unknown_account")], unknown).await;
    gateway.sign_up("eve@example.test").await;
    gateway.deactivate("eve@example.test").await;
    let inactive = scene.try_to_sign_in("eve@example.test", PASSWORD);
    seen.moves(gateway, &[&outcome("inactive_account")], inactive).await;
}

async fn refreshes(seen: &mut Seen, Scene { gateway, .. }: &Scene) {
    let outcome = |outcome: &str| format!("passgate_refreshes_total{{outcome=\"{outcome}\"}}");
    let first = gateway.sign_up("cleo@example.test").await;
    let rotated = [&*outcome("rotated"), r#"passgate_store_operation_seconds_count{operation="rotate_session"}"#];
    let next = Tokens::of(&seen.moves(gateway, &rotated, gateway.refresh(&first.refresh)).await);
    seen.moves(gateway, &[&outcome("repeated")], gateway.refresh(&first.refresh)).await;
    seen.moves(gateway, &[&outcome("not_ours")], gateway.refresh("pgr_made-up")).await;
    let later = async { gateway.advance(Duration::from_mins(1)) };
    seen.moves(gateway, &["passgate_signing_key_age_seconds", "passgate_signing_key_next_seconds"], later).await;
    assert_eq!(seen.moves(gateway, &[&outcome("theft")], gateway.refresh(&first.refresh)).await.status, 400);
    seen.moves(gateway, &[&outcome("refused")], gateway.refresh(&next.refresh)).await;
}

async fn providers(seen: &mut Seen, scene: &Scene) {
    let outcome =
        |outcome: &str| format!("passgate_provider_checks_total{{outcome=\"{outcome}\",provider=\"google-oauth2\"}}");
    let gateway = &scene.gateway;
    let good = scene.google.user(Person::new("g-1").email("gina@example.test"));
    let checked = [&*outcome("ok"), r#"passgate_provider_check_seconds_count{provider="google-oauth2"}"#];
    assert_eq!(seen.moves(gateway, &checked, scene.convert(&good)).await, 200);
    let refused = [&*outcome("refused"), r#"passgate_sign_ins_total{outcome="provider_refused"}"#];
    seen.moves(gateway, &refused, scene.convert("unknown-to-google")).await;
    scene.google.fails(google::TOKENINFO, Fault::Status(503));
    scene.google.fails(google::USERINFO, Fault::Status(503));
    let failed = [&*outcome("failed"), r#"passgate_sign_ins_total{outcome="provider_failed"}"#];
    seen.moves(gateway, &failed, scene.convert(&good)).await;
    scene.google.recovers();
}

async fn outage(seen: &mut Seen, scene: &Scene) {
    let gateway = &scene.gateway;
    let tokens = gateway.sign_up("dora@example.test").await;
    let file = gateway.directory.path().join("passgate.db");
    let away = file.with_extension("away");
    let down = [
        "passgate_store_up",
        r#"passgate_store_state{state="unreachable"}"#,
        r#"passgate_store_errors_total{kind="unavailable"}"#,
        r#"passgate_refreshes_total{outcome="unavailable"}"#,
    ];
    let refreshed = async {
        fs::rename(&file, &away).unwrap();
        gateway.refresh(&tokens.refresh).await.status
    };
    assert_eq!(seen.moves(gateway, &down, refreshed).await, 503);
    let unavailable = [r#"passgate_sign_ins_total{outcome="unavailable"}"#];
    assert_eq!(seen.moves(gateway, &unavailable, scene.try_to_sign_in("ada@example.test", PASSWORD)).await, 503);
    let gina = scene.google.user(Person::new("g-1").email("gina@example.test"));
    assert_eq!(seen.moves(gateway, &unavailable, scene.convert(&gina)).await, 503);
    let later = async { gateway.advance(Duration::from_mins(1)) };
    seen.moves(gateway, &["passgate_change_log_age_seconds"], later).await;
    seen.moves(gateway, &["passgate_store_up"], async { fs::rename(&away, &file).unwrap() }).await;
}

/// An older copy takes the place of the file.
async fn lost_writes(seen: &mut Seen, Scene { gateway, .. }: &Scene) {
    let first = gateway.sign_up("finn@example.test").await;
    let file = gateway.directory.path().join("passgate.db");
    let copy = file.with_extension("copy");
    let backup = format!("VACUUM INTO '{}'", copy.display());
    let mut other = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(backup)).execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    let second = Tokens::of(&gateway.refresh(&first.refresh).await);
    let third = Tokens::of(&gateway.refresh(&second.refresh).await);
    for suffix in ["db-wal", "db-shm"] {
        fs::remove_file(file.with_extension(suffix)).unwrap();
    }
    fs::rename(&copy, &file).unwrap();
    let ahead = async {
        while gateway.refresh(&third.refresh).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    seen.moves(gateway, &[r#"passgate_refreshes_total{outcome="fast_forward"}"#], ahead).await;
}

/// Hashes that take long on one thread, with one more that may wait.
async fn hashing(seen: &mut Seen) {
    let bench = [("memory", "64MiB"), ("iterations", "25"), ("max_concurrent", "1"), ("queue", "1")]
        .iter()
        .fold(Bench::default(), |bench, (key, value)| bench.set(&format!("hashing.{key}"), value));
    let gateway = bench.start().await;
    let before = Values::of(&gateway).await;
    let sign_up = async |name: &str| {
        let person = person(&format!("{name}@example.test"));
        gateway.post_json("/api-auth/create/", person).await.status
    };
    let series = [
        "passgate_hashes_running",
        "passgate_hashes_waiting",
        "passgate_hash_wait_seconds_count",
        "passgate_hashes_refused_total",
    ];
    let (a, b, c, d, ()) =
        tokio::join!(sign_up("a"), sign_up("b"), sign_up("c"), sign_up("d"), seen.moved(&gateway, &before, &series));
    let mut statuses = [a, b, c, d];
    statuses.sort_unstable();
    assert!(statuses.starts_with(&[201]) && statuses.ends_with(&[503]), "{statuses:?}");
    let sign_in = async || {
        let body = json!({ "grant_type": "password", "username": "a@example.test", "password": PASSWORD,
                           "client_id": "web", "client_secret": "quickstart-secret" });
        gateway.post_json("/api-auth/token", body).await.status
    };
    let busy = [r#"passgate_sign_ins_total{outcome="busy"}"#];
    seen.moves(&gateway, &busy, async { tokio::join!(sign_in(), sign_in(), sign_in(), sign_in()) }).await;
}

async fn process(seen: &mut Seen, gateway: &Gateway) {
    // The gateway is in the process of its test.
    let before = Values::of(gateway).await;
    let memory = std::hint::black_box(vec![1_u8; 64 << 20]);
    let clients =
        [TcpStream::connect(gateway.address).await.unwrap(), TcpStream::connect(gateway.address).await.unwrap()];
    let series = ["process_resident_memory_bytes", "process_open_fds", "process_cpu_seconds_total"];
    seen.moved(gateway, &before, &series).await;
    let resident = |values: &Values| -> u64 { values.value("process_resident_memory_bytes").unwrap().parse().unwrap() };
    assert!(resident(&Values::of(gateway).await) > resident(&before) + (32 << 20));
    drop((memory, clients));
}
