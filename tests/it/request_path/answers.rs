//! An upstream's answer as the client gets it.

use crate::support::{Answer, Bench, Gateway, Upstream, h2::Certificate};

async fn before(answer: &'static str) -> Gateway {
    let upstream = Upstream::answering(move |_| answer.as_bytes().to_vec()).await;
    Bench::default().start_before(upstream).await
}

async fn asked(gateway: &Gateway, version: &str) -> Answer {
    gateway.request(format!("GET /public/a HTTP/{version}\r\nHost: a.example\r\n\r\n")).await
}

const CHATTY: &str = "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Private, X-Request-Id, Content-Length\r\nKeep-Alive: timeout=5\r\n\
                      Proxy-Connection: keep-alive\r\nUpgrade: h2c\r\nTE: trailers\r\nTrailer: X-T\r\nX-Private: 1\r\n\
                      X-Request-Id: theirs\r\nX-Own: 1\r\nContent-Length: 2\r\n\r\nok";
const OF_A_CONNECTION: [&str; 6] = ["keep-alive", "proxy-connection", "upgrade", "te", "trailer", "x-private"];

#[tokio::test]
async fn what_is_about_the_upstreams_connection_does_not_reach_the_client() {
    let gateway = before(CHATTY).await;
    let answer = asked(&gateway, "1.1").await;
    for name in OF_A_CONNECTION {
        assert_eq!(answer.header(name), None, "{name}");
    }
    assert_eq!((answer.header("X-Own"), answer.text().as_str()), (Some("1"), "ok"));
    assert_eq!(answer.all("Connection"), ["keep-alive"]);
    assert_ne!(answer.all("X-Request-Id"), ["theirs"]);
}

#[tokio::test]
async fn an_http2_client_is_answered_by_an_upstream_that_talks_of_its_connection() {
    let certificate = Certificate::generate();
    let upstream = Upstream::answering(|_| CHATTY.as_bytes().to_vec()).await;
    let gateway = Bench::default().tls(&certificate.cert_pem, &certificate.key_pem).start_before(upstream).await;
    let request = http::Request::get("https://localhost/public/a").body(()).unwrap();
    let answer = certificate.request(gateway.address, request, b"").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    for name in OF_A_CONNECTION {
        assert_eq!(answer.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn an_answer_without_a_body_says_nothing_of_one() {
    for fields in ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
        let answer: &'static str = Box::leak(format!("HTTP/1.1 204 No Content\r\n{fields}\r\n").into_boxed_str());
        let gateway = before(answer).await;
        let answer = asked(&gateway, "1.1").await;
        assert_eq!((answer.status, answer.header("Content-Length")), (204, None), "{fields}");
        assert_eq!(answer.header("Transfer-Encoding"), None, "{fields}");
    }
}

#[tokio::test]
async fn a_length_that_is_said_twice_is_passed_on_once() {
    let gateway = before("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok").await;
    assert_eq!(asked(&gateway, "1.1").await.all("Content-Length"), ["2"]);
}

#[tokio::test]
async fn the_version_is_that_of_the_gateway() {
    let gateway = before("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let mut stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET /public/a HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut line = [0; 8];
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut line).await.unwrap();
    assert_eq!(&line, b"HTTP/1.1");
}

#[tokio::test]
async fn an_http_1_0_client_gets_neither_chunks_nor_interim_answers() {
    let gateway = before(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    )
    .await;
    let mut stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    let request = b"GET /public/a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut stream, request).await.unwrap();
    let mut all = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut all).await.unwrap();
    assert!(all.starts_with("HTTP/1.1 200 OK\r\n"), "{all}");
    assert!(all.ends_with("\r\n\r\nhello"), "{all}");
    assert!(!all.contains("Transfer-Encoding") && all.contains("Connection: close"), "{all}");
}

#[tokio::test]
async fn an_http_1_0_request_asks_the_upstream_for_no_interim_answer() {
    let gateway = Gateway::start().await;
    let request = "POST /public/a HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi";
    assert_eq!(gateway.request(request).await.status, 200);
    let seen = gateway.upstream.only();
    assert_eq!((seen.header("Expect"), seen.body.as_slice()), (None, &b"hi"[..]));
}

#[tokio::test]
async fn an_upstream_cannot_switch_protocols() {
    let gateway = before(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nnot HTTP any more",
    )
    .await;
    let answer = asked(&gateway, "1.1").await;
    assert_eq!(answer.status, 502);
    assert!(answer.closed);
    assert_eq!(answer.json()["request_id"].as_str(), answer.header("X-Request-Id"));
}
