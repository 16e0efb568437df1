//! What operators see: health, metrics, and the built-in echo.

use std::time::Duration;

use serde_json::json;
use tokio::net::TcpStream;

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
    for _ in 0..3 {
        gateway.get("/a", Some(&tokens.access)).await;
    }
    gateway.get("/a", None).await;
    gateway.get("/a", Some("no.such.token")).await;
    gateway.get("/public/%2e%2e/", None).await;
    gateway.send("GET", "/public/", &[("X_Odd", "1"), ("X.Odd", "2")], b"").await;
    gateway.get("/api-auth/currentUser/", Some(&tokens.access)).await;
    gateway.get("/api-auth/currentUser/", None).await;
    let again =
        json!({ "email": "ada@example.com", "username": "a", "first_name": "A", "password": "correct-horse-7" });
    gateway.post_json("/api-auth/create/", &again).await;
    let wrong = json!({ "grant_type": "password", "username": "ada@example.com", "password": "wrong-horse-7",
                        "client_id": "web", "client_secret": "quickstart-secret" });
    gateway.post_json("/api-auth/token", &wrong).await;
    gateway.refresh(&tokens.refresh).await;
    gateway.refresh("pgr_made-up").await;

    let text = admin(&gateway, "/metrics").await.text();
    for line in [
        r#"passgate_authn_total{outcome="anonymous"} 2"#,
        r#"passgate_authn_total{outcome="authenticated"} 4"#,
        r#"passgate_authn_total{outcome="foreign"} 1"#,
        r#"passgate_refused_total{reason="path"} 1"#,
        "passgate_headers_dropped_total 2",
        r#"passgate_refreshes_total{outcome="not_ours"} 1"#,
        r#"passgate_refreshes_total{outcome="rotated"} 1"#,
        r#"passgate_requests_total{method="GET",route="/",status="2xx"} 3"#,
        r#"passgate_requests_total{method="GET",route="/",status="4xx"} 2"#,
        r#"passgate_requests_total{method="GET",route="none",status="4xx"} 1"#,
        r#"passgate_sign_ins_total{outcome="ok"} 2"#,
        r#"passgate_sign_ins_total{outcome="wrong_password"} 1"#,
        r#"passgate_sign_ups_total{outcome="failed"} 1"#,
        r#"passgate_sign_ups_total{outcome="ok"} 1"#,
        r#"passgate_token_cache_total{result="hit"} 3"#,
        r#"passgate_token_cache_total{result="miss"} 2"#,
        "passgate_store_up 1",
        "passgate_requests_in_flight 0",
    ] {
        assert!(text.lines().any(|have| have == line), "{line} is missing of\n{text}");
    }
}

#[tokio::test]
async fn connections_of_clients_are_counted_while_they_are_open() {
    let gateway = Gateway::start().await;
    let open = async |count: usize| {
        let line = format!("passgate_connections_open {count}");
        while !admin(&gateway, "/metrics").await.text().lines().any(|have| have == line) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let patiently = async |count| tokio::time::timeout(Duration::from_secs(20), open(count)).await.unwrap();
    let clients =
        [TcpStream::connect(gateway.address).await.unwrap(), TcpStream::connect(gateway.address).await.unwrap()];
    patiently(2).await;
    drop(clients);
    patiently(0).await;
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
