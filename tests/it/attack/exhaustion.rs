//! What a client may hold, and for how long. These wait for real time-outs, set short.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Bench, answer, h2::Certificate};

const LIMITS: &str =
    "  limits: { connections: 4, header_timeout: 1s, idle_timeout: 2s, header_bytes: 4KiB, headers: 20, body: 1KiB }\n";

/// How long the gateway keeps the connection open.
async fn held(stream: &mut TcpStream) -> Duration {
    let start = Instant::now();
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(15), stream.read_to_end(&mut rest)).await;
    start.elapsed()
}

#[tokio::test]
async fn a_head_that_drips_is_cut_at_its_deadline_on_every_request_of_a_connection() {
    let gateway = Bench::default().server(LIMITS).start().await;
    for earlier in [0, 1] {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        for _ in 0..earlier {
            stream.write_all(b"GET /public/a HTTP/1.1\r\nHost: a.example\r\n\r\n").await.unwrap();
            assert_eq!(answer::read_answer(&mut stream, false).await.status, 200);
        }
        let start = Instant::now();
        let (mut reader, mut writer) = stream.split();
        let drip = async {
            for byte in b"GET /public/a HTTP/1.1\r\nHost: a.example\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" {
                if writer.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
        };
        let closed = async {
            let mut rest = Vec::new();
            let _ = reader.read_to_end(&mut rest).await;
        };
        tokio::select! { () = drip => panic!("never cut"), () = closed => {} }
        assert!(start.elapsed() < Duration::from_secs(5), "cut only after {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn silent_and_idle_connections_are_closed() {
    let gateway = Bench::default().server(LIMITS).start().await;
    let mut silent = TcpStream::connect(gateway.address).await.unwrap();
    assert!(held(&mut silent).await < Duration::from_secs(6));

    let mut idle = TcpStream::connect(gateway.address).await.unwrap();
    idle.write_all(b"GET /public/a HTTP/1.1\r\nHost: a.example\r\n\r\n").await.unwrap();
    assert_eq!(answer::read_answer(&mut idle, false).await.status, 200);
    assert!(held(&mut idle).await < Duration::from_secs(6));
}

#[tokio::test]
async fn heads_and_bodies_have_a_size() {
    let gateway = Bench::default().server(LIMITS).start().await;
    let long = "a".repeat(5000);
    assert_eq!(gateway.send("GET", "/public/a", &[("X-Long", &long)], b"").await.status, 431);
    let many: Vec<(&str, &str)> = (0..30).map(|_| ("X-Many", "1")).collect();
    assert_eq!(gateway.send("GET", "/public/a", &many, b"").await.status, 431);
    let answer = gateway.send("POST", "/public/a", &[], &vec![b'a'; 2000]).await;
    assert_eq!(answer.status, 413);
    assert!(gateway.upstream.requests().is_empty(), "refused by its announced length, before the upstream");
}

#[tokio::test]
async fn heads_over_http2_have_the_same_size_and_the_same_refusal() {
    let certificate = Certificate::generate();
    let limits = LIMITS.replace("header_bytes: 4KiB", "header_bytes: 60KiB");
    let gateway = Bench::default().server(&limits).tls(&certificate.cert_pem, &certificate.key_pem).start().await;
    let with = |bytes: usize| {
        let request = http::Request::get("https://localhost/public/a").header("x-long", "a".repeat(bytes));
        certificate.request(gateway.address, request.body(()).unwrap(), b"")
    };
    assert_eq!(with(55_000).await.status, 200);
    let refused = with(65_000).await;
    assert_eq!(refused.status, 431);
    assert_eq!(refused.json()["request_id"].as_str(), refused.header("X-Request-Id"));
}

#[tokio::test]
async fn a_chunked_body_over_the_limit_never_looks_whole_to_the_upstream() {
    let gateway = Bench::default().server(LIMITS).start().await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let mut request = b"POST /public/a HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..20 {
        request.extend_from_slice(b"64\r\n");
        request.extend_from_slice(&[b'a'; 100]);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    let _ = stream.write_all(&request).await;
    assert_eq!(answer::read_answer(&mut stream, false).await.status, 413);
    assert!(gateway.upstream.requests().iter().all(|seen| !seen.complete), "{:#?}", gateway.upstream.requests());
}

#[tokio::test]
async fn one_connection_over_the_cap_waits_for_its_turn() {
    let gateway = Bench::default().server(LIMITS).start().await;
    let mut held_open = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(b"GET /public/a HTTP/1.1\r\nHost: a.example\r\n\r\n").await.unwrap();
        assert_eq!(answer::read_answer(&mut stream, false).await.status, 200);
        held_open.push(stream);
    }
    let mut next = TcpStream::connect(gateway.address).await.unwrap();
    next.write_all(b"GET /public/b HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n").await.unwrap();
    held_open.clear();
    assert_eq!(answer::read_answer(&mut next, false).await.status, 200);
}
