//! A request ends in one place, whoever reads it.

use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::{Bench, Gateway, answer, h2::Certificate};

#[tokio::test]
async fn a_request_whose_end_is_in_doubt_is_refused_and_the_connection_closed() {
    let chunked = "5\r\nhello\r\n0\r\n\r\n";
    for (fields, body) in [
        ("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"),
        ("Content-Length: 5, 5\r\n", "hello"),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", chunked),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", chunked),
        ("Transfer-Encoding: chunked, chunked\r\n", chunked),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunked),
        ("Transfer-Encoding: gzip, chunked\r\n", chunked),
        ("Transfer-Encoding: identity\r\n", ""),
        ("Transfer-Encoding: xchunked\r\n", chunked),
        ("Transfer-Encoding: chunked;q=1\r\n", chunked),
        ("Transfer-Encoding:\r\n chunked\r\n", chunked),
        ("Transfer-Encoding : chunked\r\n", chunked),
        ("Content-Length: +5\r\n", "hello"),
        ("Content-Length: 0x5\r\n", "hello"),
        ("Content-Length: -1\r\n", ""),
        ("Content-Length: 99999999999999999999\r\n", ""),
        ("Content-Length: 5\n", "hello"),
        ("X-A: b\n", ""),
        ("X-A: b\r\n folded\r\n", ""),
        ("X-A: b\rc\r\n", ""),
        ("X-A\u{0}: b\r\n", ""),
        ("X A: b\r\n", ""),
        (": b\r\n", ""),
    ] {
        let gateway = Gateway::start().await;
        let smuggled = "GET /public/smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n";
        let answer = gateway
            .request(format!("POST /public/a HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n{body}{smuggled}"))
            .await;
        assert_eq!(answer.status, 400, "{fields:?}");
        assert!(answer.closed || answer.header("connection") == Some("close"), "{fields:?} left the connection open");
        assert!(gateway.upstream.requests().is_empty(), "{fields:?} reached the upstream");
    }
}

#[tokio::test]
async fn pipelined_requests_are_judged_one_by_one() {
    let gateway = Gateway::start().await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream
        .write_all(
            b"GET /public/one HTTP/1.1\r\nHost: a.example\r\n\r\nGET /staff/two HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n",
        )
        .await
        .unwrap();
    // The second is answered for itself, or left to be sent again on another connection.
    let mut answers = String::new();
    let _ = tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answers).await;
    let statuses: Vec<&str> =
        answers.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.split(' ').next()).collect();
    assert!(matches!(statuses[..], ["200"] | ["200", "401"]), "{answers}");
    assert_eq!(gateway.upstream.only().target(), "/public/one");
}

#[tokio::test]
async fn the_body_of_a_refused_request_is_never_read_as_the_next_one() {
    let gateway = Gateway::start().await;
    let hidden = "GET /public/hidden HTTP/1.1\r\nHost: a.example\r\n\r\n";
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let request = format!(
        "POST /staff/a HTTP/1.1\r\nHost: a.example\r\nContent-Length: {}\r\n\r\n{hidden}GET /public/next HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n",
        hidden.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(answer::read_answer(&mut stream, false).await.status, 401);
    // Either the connection ends, or the next answer is that of the next request.
    let mut rest = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
    assert!(
        gateway.upstream.requests().iter().all(|seen| seen.target() == "/public/next"),
        "{:#?}",
        gateway.upstream.requests()
    );
}

#[tokio::test]
async fn upgrades_are_not_forwarded() {
    let gateway = Gateway::start().await;
    let answer = gateway
        .request(
            "GET /public/ws HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await;
    assert_ne!(answer.status, 101);
    for seen in gateway.upstream.requests() {
        assert!(!seen.has_alias_of("Upgrade"), "{}", seen.head);
    }
}

#[tokio::test]
async fn an_expectation_we_do_not_know_is_417() {
    let gateway = Gateway::start().await;
    let answer = gateway.send("POST", "/public/a", &[("Expect", "200-ok")], b"hello").await;
    assert_eq!(answer.status, 417);
    assert!(gateway.upstream.requests().is_empty());
}

#[tokio::test]
async fn two_authorizations_are_refused() {
    let gateway = Gateway::start().await;
    let tokens = gateway.sign_up("ada@example.com").await;
    let bearer = format!("Bearer {}", tokens.access);
    let answer = gateway.send("GET", "/a", &[("Authorization", &bearer), ("Authorization", "Bearer other")], b"").await;
    assert_eq!(answer.status, 400);
    assert!(gateway.upstream.requests().is_empty());
}

#[tokio::test]
async fn cookie_crumbs_arrive_as_one_line() {
    let gateway = Gateway::start().await;
    assert_eq!(gateway.send("GET", "/public/a", &[("Cookie", "a=1"), ("Cookie", "b=2")], b"").await.status, 200);
    assert_eq!(gateway.upstream.only().header("Cookie"), Some("a=1; b=2"));
}

#[tokio::test]
async fn connection_level_fields_over_http2_are_refused() {
    let certificate = Certificate::generate();
    let gateway = Bench::default().tls(&certificate.cert_pem, &certificate.key_pem).start().await;
    let base = [(":method", "GET"), (":scheme", "https"), (":path", "/public/a"), (":authority", "localhost")];
    for field in [
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("keep-alive", "1"),
        ("proxy-connection", "close"),
        ("te", "gzip"),
        ("host", "evil.example"),
        ("X-Upper", "case"),
        ("x-newline", "a\r\nX-Forwarded-User: mallory"),
        (":path", "/staff/"),
        ("content-length", "5"),
    ] {
        let fields = [&base[..], &[field]].concat();
        let outcome = certificate.raw_request(gateway.address, &fields).await;
        assert!(outcome.is_refusal(), "{field:?}: {outcome:?}");
        assert!(
            gateway.upstream.requests().is_empty(),
            "{field:?} reached the upstream: {:#?}",
            gateway.upstream.requests()
        );
    }
    for path in ["staff/", "/public/../staff/", "*", "http://a/b", "", "/public/%2e%2e/x", "/public/a b"] {
        let fields = [(":method", "GET"), (":scheme", "https"), (":path", path), (":authority", "localhost")];
        let outcome = certificate.raw_request(gateway.address, &fields).await;
        assert!(outcome.is_refusal(), "{path:?}: {outcome:?}");
        assert!(gateway.upstream.requests().is_empty(), "{path:?} reached the upstream");
    }
}
