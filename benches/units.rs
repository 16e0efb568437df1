//! What the steps of a proxied request cost by themselves, and the judgement of a refresh token.
//!
//! `cargo bench --bench units [-- NAME]`: see docs/performance.md. What a whole request costs is measured by
//! `benches/proxies/`; this tells which step it was when that changed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench that cannot go on says so by panicking"
)]

#[path = "proxies/tokens.rs"]
#[allow(dead_code, reason = "shared with the bench of proxies")]
mod tokens;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use divan::{Bencher, black_box};
use http::{HeaderMap, HeaderValue, Method, Version, header::AUTHORIZATION};
use passgate::{
    app,
    authn::{Authenticator, Outcome},
    clock::Clock,
    config::{self, Settings},
    hygiene,
    identity::Writer,
    model::{AccountId, ClientId, Scope, SessionId},
    route::Routes,
    session::{Presented, Session, Verdict},
    store::sql::Role,
    telemetry::metrics::Metrics,
    token::{Claims, KeyRing},
};
use pingora::http::RequestHeader;

use self::tokens::Mint;

/// The one of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONFIGURATION: &str = "\
version: 1
clients:
  web: { secret: quickstart-secret, grants: [password, refresh_token], scopes: [read, write] }
upstreams: { app: \"http://127.0.0.1:8000\" }
routes:
  - { match: { path: /public/ }, upstream: app, auth: public }
  - { match: { path: /staff/ }, upstream: app, require: { staff: true } }
  - { match: { path: /reports/, methods: [GET] }, upstream: app }
  - { match: { path: / }, upstream: app }
";

/// As a browser sends it.
const HEAD: &str = "\
GET /orders/7?expand=items HTTP/1.1\r\n\
Host: api.example.com\r\n\
Connection: keep-alive\r\n\
Accept: application/json, text/plain, */*\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
Authorization: Bearer TOKEN\r\n\
Origin: http://localhost:3000\r\n\
Referer: http://localhost:3000/\r\n\
Sec-Fetch-Dest: empty\r\n\
Sec-Fetch-Mode: cors\r\n\
Sec-Fetch-Site: same-site\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n\
\r\n";

/// Tokens that the cache of verified ones knows.
const TOKENS: usize = 100;

fn main() {
    divan::main();
}

fn settings() -> Settings {
    config::parse(CONFIGURATION, "units.yaml", std::iter::empty()).map_err(|report| report.to_string()).unwrap()
}

#[divan::bench]
fn hygiene_of_a_head(bencher: Bencher) {
    let settings = settings().hygiene;
    let peer = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));
    let head = HEAD.replace("TOKEN", &"t".repeat(600));
    let request = parsed(head.as_bytes());
    bencher.with_inputs(|| request.clone()).bench_local_refs(|request| {
        hygiene::clean(black_box(&settings), peer, false, Some(black_box(head.as_bytes())), request).unwrap()
    });
}

/// As the proxy engine does it.
fn parsed(head: &[u8]) -> RequestHeader {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut parser = httparse::Request::new(&mut fields);
    assert!(parser.parse(head).unwrap().is_complete());
    let mut request = RequestHeader::build(parser.method.unwrap(), parser.path.unwrap().as_bytes(), None).unwrap();
    request.set_version(Version::HTTP_11);
    for field in parser.headers {
        request.append_header(field.name.to_owned(), HeaderValue::from_bytes(field.value).unwrap()).unwrap();
    }
    request
}

/// One that the last route takes, one that can be read in several ways, and one that the first route takes.
#[divan::bench(args = ["/orders/7", "/orders//7", "/public/logo.svg"])]
fn route_of_a_path(bencher: Bencher, path: &str) {
    let settings = settings();
    let routes = Routes::new(settings.routes, &settings.base_path);
    let host = "api.example.com";
    bencher.bench_local(|| routes.select(black_box(host), black_box(path), &Method::GET).unwrap().0);
}

/// What signs and verifies, with some tokens.
struct Scene {
    authenticator: Authenticator,
    identity: Writer,
    requests: Vec<HeaderMap>,
    claims: Claims,
}

impl Scene {
    fn set() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let (path, clock) = (directory.path().display(), Clock::system());
            let stored = format!(
                "{CONFIGURATION}store:\n  sqlite: {{ path: \"{path}/passgate.db\" }}\n\
                 secrets: {{ master_file: \"{path}/master.secret\" }}\n"
            );
            let settings = config::parse(&stored, "units.yaml", std::iter::empty());
            let settings = settings.map_err(|report| report.to_string()).unwrap();
            let opened = app::open(&settings, &clock, Role::Command).await.unwrap();
            let tokens = Mint::open(&opened, &settings).await.tokens(TOKENS);
            let (store, tokens_settings) = (Arc::clone(&opened.store), settings.tokens.clone());
            let keys = KeyRing::open(store, &opened.masters, opened.deployment_id, tokens_settings, clock.now());
            let keys = Arc::new(keys.await.unwrap());
            let claims = keys.verify(&tokens[0], clock.now()).unwrap();
            let authenticator = Authenticator::new(
                keys,
                Arc::clone(&opened.changes),
                settings.identity.clone(),
                clock,
                settings.max_staleness,
                settings.token_cache,
                Arc::new(Metrics::new()),
            );
            let bearing = |token: &String| {
                let mut headers = HeaderMap::new();
                headers.insert(AUTHORIZATION, format!("Bearer {token}").try_into().unwrap());
                headers
            };
            let requests = tokens.iter().map(bearing).collect();
            Self { authenticator, identity: Writer::new(settings.identity), requests, claims }
        })
    }
}

#[divan::bench]
fn token_that_was_seen(bencher: Bencher) {
    let scene = Scene::set();
    for request in &scene.requests {
        assert!(matches!(scene.authenticator.authenticate(request), Outcome::Authenticated(_)));
    }
    let mut requests = scene.requests.iter().cycle();
    bencher.bench_local(|| scene.authenticator.authenticate(black_box(requests.next().unwrap())));
}

/// Once for each token that is new.
#[divan::bench]
fn identity_headers(bencher: Bencher) {
    let scene = Scene::set();
    bencher.bench_local(|| scene.identity.headers_for(black_box(&scene.claims)));
}

/// Of a client that refreshed often within the grace, so that much is remembered: the current token, and the one
/// superseded longest ago.
#[divan::bench(args = [32, 0])]
fn judgement_of_a_refresh_token(bencher: Bencher, generation: u32) {
    let (rules, begun) = (settings().sessions, Clock::system().now());
    let mut session = Session {
        id: SessionId::from_bytes([1; 16]),
        account: AccountId::generate(),
        client: ClientId::from("web"),
        scope: Scope::parse("read write").unwrap(),
        created_at: begun,
        generation: 0,
        rotated_at: begun,
        superseded: Vec::new(),
        access_expires_at: begun + rules.access_ttl,
        refresh_ended: false,
        user_agent: String::new(),
    };
    let presented = |generation| Presented { sid: session.id, generation, client: session.client.clone(), scope: None };
    let all: Vec<_> = (0..=32).map(presented).collect();
    let now = begun + Duration::from_secs(1);
    for presented in &all[..32] {
        session.advance(Verdict::Rotate, presented, &rules, now);
    }
    let presented = &all[usize::try_from(generation).unwrap()];
    let expected = if generation == session.generation { Verdict::Rotate } else { Verdict::Repeat };
    assert_eq!(session.judge(presented, true, &rules, now), expected);
    bencher.bench_local(|| black_box(&session).judge(black_box(presented), true, &rules, now));
}
