//! TLS listeners: HTTP/2 and HTTP/1.1 by ALPN, and the same request path behind both.

use tokio::io::AsyncWriteExt;

use crate::support::{Bench, answer, h2::Certificate};

#[tokio::test]
async fn http2_and_http1_are_chosen_by_alpn_and_judged_alike() {
    let certificate = Certificate::generate();
    let gateway = Bench::default().tls(&certificate.cert_pem, &certificate.key_pem).start().await;

    let request = http::Request::get("https://localhost/public/a?b").body(()).unwrap();
    let over_h2 = certificate.request(gateway.address, request, b"").await;
    assert_eq!((over_h2.status, over_h2.text().as_str()), (200, "ok"));
    let request = http::Request::get("https://localhost/staff/a").body(()).unwrap();
    let refused = certificate.request(gateway.address, request, b"").await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.json()["detail"], "Authentication credentials were not provided.");

    for offered in [&["http/1.1"][..], &[]] {
        let mut stream = certificate.connect(gateway.address, offered).await;
        stream.write_all(b"GET /public/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
        assert_eq!(answer::read_answer(&mut stream, false).await.status, 200);
    }
    let seen = gateway.upstream.requests();
    assert_eq!(seen.len(), 3);
    for seen in seen {
        assert_eq!(seen.header("X-Forwarded-Proto"), Some("https"));
        assert_eq!(seen.header("Host"), Some("localhost"));
        assert_eq!(seen.line().split(' ').next_back(), Some("HTTP/1.1"));
    }
}

#[tokio::test]
async fn the_api_works_over_http2() {
    let certificate = Certificate::generate();
    let gateway = Bench::default().tls(&certificate.cert_pem, &certificate.key_pem).start().await;
    let post = |path: &str| {
        http::Request::post(format!("https://localhost{path}"))
            .header("content-type", "application/json")
            .body(())
            .unwrap()
    };
    let account = br#"{"email":"ada@example.com","username":"ada","first_name":"Ada","password":"correct-horse-7"}"#;
    assert_eq!(certificate.request(gateway.address, post("/api-auth/create/"), account).await.status, 201);
    let sign_in = br#"{"grant_type":"password","username":"ada@example.com","password":"correct-horse-7","client_id":"web","client_secret":"quickstart-secret"}"#;
    let answer = certificate.request(gateway.address, post("/api-auth/token"), sign_in).await;
    let tokens = crate::support::Tokens::of(&answer);
    let request = http::Request::get("https://localhost/a")
        .header("authorization", format!("Bearer {}", tokens.access))
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .body(())
        .unwrap();
    assert_eq!(certificate.request(gateway.address, request, b"").await.status, 200);
    let seen = gateway.upstream.only();
    assert!(seen.header("X-Forwarded-User").is_some());
    assert_eq!(seen.header("Cookie"), Some("a=1; b=2"), "crumbs are joined");
}
