//! Upstreams that are down, slow or rude.

use tokio::net::TcpListener;

use crate::support::{Bench, Upstream};

/// An address where nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn an_upstream_that_is_down_is_502_with_the_request_id() {
    let gateway = Bench::default()
        .upstreams(&format!("  down: http://{}\n", nobody().await))
        .routes("  - { match: { path: / }, upstream: down, auth: public }\n")
        .start()
        .await;
    let answer = gateway.send("GET", "/a", &[("Origin", "http://localhost:3000")], b"").await;
    assert_eq!(answer.status, 502);
    assert_eq!(answer.json()["request_id"].as_str(), answer.header("X-Request-Id"));
    assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("http://localhost:3000"));
    assert_eq!(answer.header("Server"), None);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_502_and_no_reason_not_to_start() {
    let gateway = Bench::default()
        .upstreams("  lost: http://no-such-name.invalid:80\n")
        .routes("  - { match: { path: /lost }, upstream: lost, auth: public }\n  - { match: { path: / }, upstream: app, auth: public }\n")
        .start()
        .await;
    assert_eq!(gateway.get("/lost", None).await.status, 502);
    assert_eq!(gateway.get("/a", None).await.status, 200);
}

#[tokio::test]
async fn a_server_that_cannot_be_connected_to_is_passed_over_for_any_method() {
    let good = Upstream::start().await;
    let gateway = Bench::default()
        .upstreams(&format!("  pair: {{ servers: [\"http://{}\", \"http://{}\"] }}\n", nobody().await, good.address))
        .routes("  - { match: { path: / }, upstream: pair, auth: public }\n")
        .start()
        .await;
    for _ in 0..6 {
        assert_eq!(gateway.send("POST", "/a", &[], b"hello").await.status, 200);
    }
    assert!(good.requests().iter().all(|seen| seen.body == b"hello"));
    assert_eq!(good.requests().len(), 6);
}

#[tokio::test]
async fn an_upstream_that_keeps_silent_is_504() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = Bench::default()
        .upstreams(&format!("  silent: http://{}\n", silent.local_addr().unwrap()))
        .routes("  - { match: { path: / }, upstream: silent, auth: public, timeouts: { read: 300ms } }\n")
        .start()
        .await;
    let answer = gateway.get("/a", None).await;
    assert_eq!(answer.status, 504);
    assert!(answer.json()["request_id"].is_string());
}

#[tokio::test]
async fn a_request_that_was_sent_is_not_sent_again() {
    let rude = Upstream::answering(|_| Vec::new()).await;
    let gateway = Bench::default().start_before(rude).await;
    let answer = gateway.send("POST", "/public/a", &[], b"pay").await;
    assert_eq!(answer.status, 502);
    assert_eq!(gateway.upstream.requests().len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_no_http_is_502() {
    let rude = Upstream::answering(|_| b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()).await;
    let gateway = Bench::default().start_before(rude).await;
    assert_eq!(gateway.get("/public/a", None).await.status, 502);
}
