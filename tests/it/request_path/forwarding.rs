//! What the upstream is told beside who is calling.

use crate::support::{Bench, Gateway};

#[tokio::test]
async fn the_upstream_learns_how_the_client_came() {
    let gateway = Gateway::start().await;
    let request = "GET /public/a HTTP/1.1\r\nHost: Shop.Example:8080\r\nConnection: close\r\n\r\n";
    assert_eq!(gateway.request(request).await.status, 200);
    let seen = gateway.upstream.only();
    assert_eq!(seen.header("Host"), Some("Shop.Example:8080"), "forwarded as received");
    assert_eq!(seen.header("X-Forwarded-Host"), Some("Shop.Example:8080"));
    assert_eq!(seen.header("X-Forwarded-Proto"), Some("http"));
    assert_eq!(seen.header("X-Forwarded-For"), Some("127.0.0.1"));
    let parent = seen.header("traceparent").expect("a trace begins here");
    assert_eq!((parent.len(), &parent[..3]), (55, "00-"));
    assert!(seen.header("X-Request-Id").is_some());
}

#[tokio::test]
async fn the_request_id_is_the_same_for_upstream_and_client() {
    let gateway = Gateway::start().await;
    let answer = gateway.get("/public/a", None).await;
    assert_eq!(answer.header("X-Request-Id"), gateway.upstream.only().header("X-Request-Id"));
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_and_the_chain_before_it_is_not() {
    let gateway = Bench::default().server("  trusted_proxies: [127.0.0.0/8, 10.0.0.0/8]\n").start().await;
    let headers = [
        ("X-Forwarded-For", "6.6.6.6, 203.0.113.7, 10.1.2.3"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "shop.example"),
        ("X-Request-Id", "from-the-edge.1"),
    ];
    assert_eq!(gateway.send("GET", "/public/a", &headers, b"").await.status, 200);
    let seen = gateway.upstream.only();
    let chain = seen.header("X-Forwarded-For").unwrap();
    assert!(chain.ends_with("203.0.113.7, 10.1.2.3, 127.0.0.1"), "{chain}");
    assert_eq!(seen.header("X-Forwarded-Proto"), Some("https"));
    assert_eq!(seen.header("X-Forwarded-Host"), Some("shop.example"));
    assert_eq!(seen.header("X-Request-Id"), Some("from-the-edge.1"));
}

#[tokio::test]
async fn a_trace_goes_on_and_a_broken_one_begins_anew() {
    let gateway = Gateway::start().await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    gateway.send("GET", "/public/a", &[("traceparent", parent), ("tracestate", "vendor=1")], b"").await;
    gateway.send("GET", "/public/a", &[("traceparent", "00-zz"), ("tracestate", "vendor=1")], b"").await;
    let seen = gateway.upstream.wait_for(2).await;
    assert_eq!((seen[0].header("traceparent"), seen[0].header("tracestate")), (Some(parent), Some("vendor=1")));
    assert_ne!(seen[1].header("traceparent"), Some("00-zz"));
    assert_eq!(seen[1].header("tracestate"), None);
}

#[tokio::test]
async fn a_route_sets_headers_and_an_upstream_chooses_its_host() {
    let gateway = Bench::default()
        .upstreams("  named: { servers: [\"http://127.0.0.1:1\"], host: inner.example }\n")
        .routes("  - { match: { path: / }, upstream: app, auth: public, set_headers: { X-Tenant: blue } }\n")
        .start()
        .await;
    assert_eq!(gateway.send("GET", "/a", &[("X-Tenant", "red")], b"").await.status, 200);
    assert_eq!(gateway.upstream.only().header("X-Tenant"), Some("blue"));
}

#[tokio::test]
async fn bodies_pass_both_ways_byte_by_byte() {
    let upstream = crate::support::Upstream::answering(|seen| {
        let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", seen.body.len()).into_bytes();
        answer.extend_from_slice(&seen.body);
        answer
    })
    .await;
    let gateway = Bench::default().start_before(upstream).await;
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let answer = gateway.send("POST", "/public/a", &[], &body).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body == body, "the body changed on its way");
    // GET with a body passes too.
    assert_eq!(gateway.send("GET", "/public/a", &[], b"hello").await.text(), "hello");
}

#[tokio::test]
async fn expect_100_continue_works() {
    let gateway = Gateway::start().await;
    let answer = gateway.send("POST", "/public/a", &[("Expect", "100-continue")], b"hello").await;
    assert_eq!(answer.status, 200);
    assert_eq!(gateway.upstream.only().body, b"hello");
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed() {
    let gateway = Gateway::start().await;
    let answer = gateway.request("GET /public/a HTTP/1.0\r\nHost: a.example\r\n\r\n").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
}
