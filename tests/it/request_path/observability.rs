//! What operators see: health, metrics, and the built-in echo.

use serde_json::json;

use crate::support::{Bench, Gateway, exchange};

async fn admin(gateway: &Gateway, path: &str) -> crate::support::Answer {
    exchange(gateway.admin, format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).await
}

#[tokio::test]
async fn a_running_gateway_is_live_and_ready() {
    let gateway = Gateway::start().await;
    assert_eq!(admin(&gateway, "/livez").await.status, 200);
    let ready = admin(&gateway, "/readyz").await;
    assert_eq!((ready.status, &ready.json()["store"]), (200, &json!("reachable")));
    assert_eq!(gateway.get("/metrics", None).await.status, 401, "the admin's paths are routed on the public listener");
}

#[tokio::test]
async fn what_happens_is_counted() {
    let gateway = Gateway::start().await;
    let tokens = gateway.sign_up("ada@example.com").await;
    gateway.get("/a", Some(&tokens.access)).await;
    gateway.get("/a", None).await;
    gateway.get("/public/%2e%2e/", None).await;
    let text = admin(&gateway, "/metrics").await.text();
    for line in ["passgate_requests_total", "passgate_authn_total", "passgate_refused_total", "passgate_build_info"] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}

#[tokio::test]
async fn whoami_echoes_what_an_upstream_would_receive() {
    let gateway = Bench::default()
        .upstreams("  echo: whoami\n")
        .routes("  - { match: { path: / }, upstream: echo }\n")
        .start()
        .await;
    let tokens = gateway.sign_up("ada@example.com").await;
    let answer = gateway.get("/hello?x=1", Some(&tokens.access)).await;
    assert_eq!(answer.status, 200);
    let echo = answer.json();
    assert_eq!((&echo["method"], &echo["path"]), (&json!("GET"), &json!("/hello")));
    assert!(echo["headers"]["x-forwarded-user"].is_string(), "{echo}");
    assert!(echo["headers"].get("authorization").is_none(), "{echo}");
}
