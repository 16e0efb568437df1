//! Routes that observe: what the upstream receives, what the client gets, and what is made of their difference.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::{Bench, Gateway, Upstream, answer::find, exchange, h2::Certificate, log::listening};

const ORIGIN: &str = "http://localhost:3000";

const ROUTES: &str = "  - { match: { path: /public/ }, upstream: app, auth: public, mode: observe }\n  \
                        - { match: { path: /optional/ }, upstream: app, auth: optional, mode: observe, cors: handle }\n  \
                        - { match: { path: /staff/ }, upstream: app, require: { staff: true }, mode: observe }\n  \
                        - { match: { path: /enforced/ }, upstream: app }\n  \
                        - { match: { path: / }, upstream: app, mode: observe }\n";

/// Answers with the status that the request asks for in `Want`, and as an app that knows nothing of us.
async fn app() -> Upstream {
    Upstream::answering(|seen| {
        let status = seen.header("Want").unwrap_or("200");
        format!(
            "HTTP/1.1 {status} Whatever\r\nContent-Length: 3\r\nWWW-Authenticate: Session\r\n\
             Access-Control-Allow-Origin: *\r\n\r\napp"
        )
        .into_bytes()
    })
    .await
}

async fn observing() -> Gateway {
    Bench::default().routes(ROUTES).start_before(app().await).await
}

/// All counts of comparisons, in the order of the labels.
async fn compared(gateway: &Gateway) -> Vec<String> {
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let text = exchange(gateway.admin, request).await.text();
    let lines = text.lines().filter_map(|line| line.strip_prefix("passgate_observed_total"));
    lines.map(str::to_owned).collect()
}

/// The lines about differences.
fn told(lines: Vec<Value>) -> Vec<Value> {
    lines.into_iter().filter(|line| line["target"] == "passgate::proxy::observe").collect()
}

#[tokio::test]
async fn the_upstream_receives_what_the_client_sent_but_for_what_is_never_passed_on_and_how_names_were_spelt() {
    let gateway = observing().await;
    let token = gateway.sign_up("ada@example.com").await.access;
    let good = format!("bEARER  {token}");
    let authorizations = [good.as_str(), "Bearer dead", "Bearer google-oauth2 ya29.x", "Basic d2ViOng=", "Bearer", ""];
    for (path, authorization) in ["/a%2Fb?c=%20d", "/optional/a", "/staff/a", "/public/a"]
        .iter()
        .flat_map(|path| authorizations.map(|a| (path, a)))
    {
        let before = gateway.upstream.requests().len();
        let answer = gateway
            .request(format!(
                "PUT {path} HTTP/1.1\r\nHost: shop.example\r\naUTHORIZATION: {authorization}\r\nCookie: sessionid=s\r\n\
                 X-Forwarded-User: mallory\r\nRemote-User: mallory\r\nX-Forwarded-For: 6.6.6.6\r\nX_Odd: 1\r\n\
                 Content-Length: 5\r\nConnection: close\r\n\r\nhello"
            ))
            .await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "app"), "{path} {authorization}");
        let seen = gateway.upstream.wait_for(before + 1).await.pop().unwrap();
        let ours = ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Request-Id", "traceparent"];
        let is_ours = |line: &&str| ours.iter().any(|name| line.split(':').next().unwrap().eq_ignore_ascii_case(name));
        let (added, sent): (Vec<&str>, Vec<&str>) = seen.head.trim_end().split("\r\n").partition(is_ours);
        assert_eq!(
            sent,
            [
                format!("PUT {path} HTTP/1.1").as_str(),
                "Host: shop.example",
                format!("authorization: {authorization}").as_str(),
                "cookie: sessionid=s",
                "Content-Length: 5",
            ]
        );
        assert_eq!(added.len(), ours.len(), "{added:?}");
        assert_eq!(seen.header("X-Forwarded-For"), Some("127.0.0.1"));
        assert_eq!(seen.body, b"hello");
    }
}

#[tokio::test]
async fn the_client_gets_the_upstream_s_answer_and_nothing_of_ours() {
    let gateway = observing().await;
    for (path, status) in [("/a", "200"), ("/a", "401"), ("/a", "403"), ("/a", "302"), ("/optional/a", "500")] {
        let headers = [("Authorization", "Bearer dead"), ("Want", status), ("Origin", ORIGIN)];
        let answer = gateway.send("GET", path, &headers, b"").await;
        assert_eq!((answer.status.to_string().as_str(), answer.text().as_str()), (status, "app"));
        assert_eq!(answer.reason, "Whatever");
        let names: Vec<&str> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
        let (sent, of_the_connection) = names.split_at(3);
        assert_eq!(sent, ["Content-Length", "WWW-Authenticate", "Access-Control-Allow-Origin"], "{status}");
        assert_eq!(of_the_connection, ["x-request-id", "Date", "Connection"], "{status}");
        assert_eq!(answer.header("WWW-Authenticate"), Some("Session"));
        assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"));
    }
}

/// Path, authorization, the upstream's status; then our verdict, our refusal, the upstream's label, and whether they
/// differ.
type Cell<'a> = (&'a str, Option<&'a str>, u16, &'static str, Option<u16>, &'static str, bool);

#[tokio::test]
async fn each_cell_of_the_table_is_counted_and_a_difference_is_told() {
    let gateway = observing().await;
    let ended = gateway.sign_up("eve@example.com").await.access;
    let form = [("client_id", "web"), ("client_secret", "quickstart-secret")];
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let bearer = format!("Bearer {ended}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
    assert_eq!(gateway.send("POST", "/api-auth/revoke-token", &headers, body.as_bytes()).await.status, 204);
    let good = gateway.sign_up("ada@example.com").await.access;
    let tampered = format!("{}AAAA", &good[..good.len() - 4]);
    let (good, ended, tampered) = (format!("Bearer {good}"), bearer, format!("Bearer {tampered}"));
    let (good, ended, tampered) = (Some(&*good), Some(&*ended), Some(&*tampered));
    let foreign = Some("Bearer CANARY9XqTz0b1c2d3e4f5g6h7i8");
    let basic = Some("Basic d2ViOng=");

    let cells: &[Cell<'_>] = &[
        // Somebody whom both know, or do not.
        ("/", good, 200, "allow", None, "served", false),
        ("/", good, 401, "allow", None, "401", true),
        ("/", good, 403, "allow", None, "403", true),
        ("/", good, 404, "allow", None, "other", false),
        ("/", None, 200, "no_credentials", Some(401), "served", true),
        ("/", None, 302, "no_credentials", Some(401), "served", true),
        ("/", None, 401, "no_credentials", Some(401), "401", false),
        ("/", None, 403, "no_credentials", Some(401), "403", false),
        ("/", None, 404, "no_credentials", Some(401), "other", false),
        ("/", basic, 204, "no_credentials", Some(401), "served", true),
        ("/", ended, 200, "revoked", Some(401), "served", true),
        ("/", ended, 401, "revoked", Some(401), "401", false),
        ("/", tampered, 200, "invalid", Some(401), "served", true),
        ("/", Some("Bearer google-oauth2 CANARY"), 200, "two_words", Some(401), "served", true),
        // Whose token only the upstream knows.
        ("/", foreign, 200, "foreign", Some(401), "served", false),
        ("/", foreign, 401, "foreign", Some(401), "401", false),
        ("/", foreign, 403, "foreign", Some(401), "403", false),
        // `require`.
        ("/staff/", good, 200, "forbidden", Some(403), "served", true),
        ("/staff/", good, 403, "forbidden", Some(403), "403", false),
        ("/staff/", good, 401, "forbidden", Some(403), "401", false),
        ("/staff/", None, 200, "no_credentials", Some(401), "served", true),
        // Strangers are welcome, dead tokens are not.
        ("/optional/", None, 200, "allow", None, "served", false),
        ("/optional/", None, 401, "allow", None, "401", true),
        ("/optional/", ended, 200, "revoked", Some(401), "served", true),
        ("/optional/", ended, 401, "revoked", Some(401), "401", false),
        // Everybody is welcome: an upstream that thinks otherwise would be laid open.
        ("/public/", None, 200, "allow", None, "served", false),
        ("/public/", ended, 200, "allow", None, "served", false),
        ("/public/", None, 401, "allow", None, "401", true),
        ("/public/", good, 403, "allow", None, "403", true),
    ];
    let (lines, _guard) = listening();
    let mut counts = std::collections::BTreeMap::new();
    for (route, authorization, status, verdict, refusal, upstream, differs) in cells {
        let (path, want) = (format!("{route}x?CANARY"), status.to_string());
        let mut headers = vec![("Want", want.as_str())];
        headers.extend(authorization.map(|value| ("Authorization", value)));
        let answer = gateway.send("GET", &path, &headers, b"").await;
        assert_eq!(answer.status, *status);
        let label = format!(r#"{{route="{route}",upstream="{upstream}",verdict="{verdict}"}}"#);
        *counts.entry(label).or_insert(0) += 1;

        let mut told = told(lines.take());
        let cell = format!("{route} {authorization:?} {status}: {told:?}");
        assert_eq!(told.len(), usize::from(*differs), "{cell}");
        let Some(mut line) = told.pop() else { continue };
        assert!(!line.to_string().contains("CANARY"), "{cell}");
        let line = line.as_object_mut().unwrap();
        line.remove("timestamp").unwrap();
        let mut expected = json!({
            "level": "INFO", "target": "passgate::proxy::observe",
            "message": "a route that observes would have decided otherwise than its upstream",
            "request_id": answer.header("X-Request-Id").unwrap(), "method": "GET", "path": format!("{route}x"),
            "route": route, "verdict": verdict, "upstream_status": status, "untold": 0,
        });
        if let Some(refusal) = refusal {
            expected["refusal"] = json!(refusal);
        }
        assert_eq!(json!(line), expected, "{cell}");
    }
    let counts: Vec<_> = counts.into_iter().map(|(label, count)| format!("{label} {count}")).collect();
    assert_eq!(compared(&gateway).await, counts);
}

#[tokio::test]
async fn a_flood_of_one_difference_is_counted_whole_told_in_part_and_hides_no_other() {
    let gateway = observing().await;
    let (lines, _guard) = listening();
    for n in 0..50 {
        assert_eq!(gateway.get(&format!("/{n}"), None).await.status, 200);
    }
    assert_eq!(told(lines.take()).len(), 5);
    gateway.send("GET", "/public/a", &[("Want", "401")], b"").await;
    let told = told(lines.take());
    assert_eq!((told.len(), &told[0]["route"]), (1, &json!("/public/")));
    let all = compared(&gateway).await;
    assert!(all.iter().any(|line| line == r#"{route="/",upstream="served",verdict="no_credentials"} 50"#), "{all:?}");
}

#[tokio::test]
async fn over_http2_it_is_the_same() {
    let certificate = Certificate::generate();
    let bench = Bench::default().routes(ROUTES).tls(&certificate.cert_pem, &certificate.key_pem);
    let gateway = bench.start_before(app().await).await;
    let (lines, _guard) = listening();
    let request = http::Request::post("https://localhost/a?b")
        .header("authorization", "Bearer a b")
        .header("x-forwarded-user", "mallory")
        .header("want", "403")
        .body(())
        .unwrap();
    let answer = certificate.request(gateway.address, request, b"hello").await;
    assert_eq!((answer.status, answer.text().as_str()), (403, "app"));
    let request =
        http::Request::get("https://localhost/a").header("authorization", "Bearer a b").header("want", "200").body(());
    assert_eq!(certificate.request(gateway.address, request.unwrap(), b"").await.status, 200);
    let seen = gateway.upstream.wait_for(2).await;
    assert_eq!((seen[0].target(), seen[0].body.as_slice()), ("/a?b", &b"hello"[..]));
    for seen in seen {
        assert_eq!(seen.header("authorization"), Some("Bearer a b"));
        assert!(!seen.has_alias_of("X-Forwarded-User"), "{}", seen.head);
    }
    // The stream ends before the request is taken note of.
    let patience = tokio::time::Duration::from_secs(20);
    let both = async {
        while compared(&gateway).await.len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(patience, both).await.unwrap();
    let told = told(lines.take());
    assert_eq!((told.len(), &told[0]["upstream_status"]), (1, &json!(200)));
}

#[tokio::test]
async fn bodies_stream_both_ways_while_the_request_would_have_been_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let routes = "  - { match: { path: / }, upstream: stream, mode: observe }\n";
    let upstream = format!("  stream: http://{}\n", listener.local_addr().unwrap());
    let gateway = Bench::default().upstreams(&upstream).routes(routes).start().await;

    let mut client = TcpStream::connect(gateway.address).await.unwrap();
    client.write_all(b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n").await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    until(&mut server, b"3\r\none\r\n").await;
    server.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n").await.unwrap();
    until(&mut client, b"5\r\nfirst\r\n").await;
    client.write_all(b"3\r\ntwo\r\n0\r\n\r\n").await.unwrap();
    until(&mut server, b"3\r\ntwo\r\n0\r\n\r\n").await;
    server.write_all(b"6\r\nsecond\r\n0\r\n\r\n").await.unwrap();
    until(&mut client, b"6\r\nsecond\r\n0\r\n\r\n").await;
}

/// Reads until these bytes have come.
async fn until(stream: &mut TcpStream, wanted: &[u8]) {
    let mut bytes = Vec::new();
    while find(&bytes, wanted).is_none() {
        let read = tokio::time::timeout(tokio::time::Duration::from_secs(20), stream.read_buf(&mut bytes)).await;
        let read = read.unwrap_or_else(|_| panic!("only {:?}", String::from_utf8_lossy(&bytes)));
        assert!(matches!(read, Ok(n) if n > 0), "ended after {:?}", String::from_utf8_lossy(&bytes));
    }
}

#[tokio::test]
async fn preflights_are_the_upstream_s_and_no_verdict() {
    let gateway = observing().await;
    let headers = [("Origin", ORIGIN), ("Access-Control-Request-Method", "PUT"), ("Want", "403")];
    // Whatever the route says of CORS.
    for path in ["/a", "/optional/a"] {
        let answer = gateway.send("OPTIONS", path, &headers, b"").await;
        assert_eq!((answer.status, answer.header("Access-Control-Allow-Origin")), (403, Some("*")), "{path}");
        assert_eq!(gateway.upstream.requests().pop().unwrap().line(), format!("OPTIONS {path} HTTP/1.1"));
    }
    assert_eq!(compared(&gateway).await, Vec::<String>::new());
    assert_eq!(gateway.send("OPTIONS", "/enforced/a", &headers, b"").await.status, 200, "ours, where we enforce");
    gateway.send("OPTIONS", "/a", &[("Want", "401")], b"").await;
    let one = [r#"{route="/",upstream="401",verdict="no_credentials"} 1"#];
    assert_eq!(compared(&gateway).await, one, "without what makes it a preflight");
}

#[tokio::test]
async fn an_upstream_that_fails_has_decided_nothing() {
    let gateway = Bench::default().routes(ROUTES).start_before(Upstream::answering(|_| Vec::new()).await).await;
    let (lines, _guard) = listening();
    assert_eq!(gateway.get("/a", None).await.status, 502);
    assert_eq!(gateway.upstream.requests().len(), 1);
    assert_eq!(compared(&gateway).await, Vec::<String>::new());
    assert_eq!(told(lines.take()), Vec::<Value>::new());
}

#[tokio::test]
async fn a_request_that_had_to_be_sent_again_is_compared_once() {
    // Keeps its first connection for the second request, and then drops it.
    let served = std::sync::atomic::AtomicUsize::new(0);
    let flaky = Upstream::answering(move |_| match served.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
        1 => Vec::new(),
        _ => b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\napp".to_vec(),
    })
    .await;
    let gateway = Bench::default().routes(ROUTES).start_before(flaky).await;
    for _ in 0..2 {
        assert_eq!(gateway.get("/a", None).await.status, 200);
    }
    assert_eq!(gateway.upstream.requests().len(), 3);
    assert_eq!(compared(&gateway).await, [r#"{route="/",upstream="served",verdict="no_credentials"} 2"#]);
}

#[tokio::test]
async fn what_is_refused_before_any_decision_still_is_and_so_is_what_other_routes_refuse() {
    let gateway = observing().await;
    for (path, status) in
        [("/a/%2e%2e/b", 400), ("/enforced/a", 401), ("/x;/enforced/a", 200), ("/;x/enforced", 400), ("/ENFORCED", 400)]
    {
        assert_eq!(gateway.get(path, None).await.status, status, "{path}");
    }
    let huge = [("Content-Length", "70000000")];
    assert_eq!(gateway.send("GET", "/a", &huge, b"").await.status, 413);
    assert_eq!(gateway.upstream.only().target(), "/x;/enforced/a");
    let token = gateway.sign_up("ada@example.com").await.access;
    assert_eq!(gateway.get("/enforced/a", Some(&token)).await.status, 200);
    let seen = gateway.upstream.requests().pop().unwrap();
    assert!(seen.header("X-Forwarded-User").is_some() && seen.header("Authorization").is_none(), "{}", seen.head);
}
