//! Requests that the HTTP/1 parser does not take: refused like all others, in JSON and with a request id.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Answer, Bench, Gateway, exchange, h2::Certificate};

fn is_ours(answer: &Answer, story: &str) {
    assert!(answer.closed, "{story} left the connection open");
    assert_eq!(answer.header("Server"), None, "{story}");
    assert_eq!(answer.header("Content-Type"), Some("application/json"), "{story}");
    let body = answer.json();
    assert!(body["detail"].is_string(), "{story}: {body}");
    assert_eq!(body["request_id"].as_str(), answer.header("X-Request-Id"), "{story}");
    assert!(answer.header("Date").is_some(), "{story}");
}

#[tokio::test]
async fn every_request_that_cannot_be_read_gets_an_answer_of_ours() {
    let gateway = Gateway::start().await;
    for head in [
        "GET /public/a HTTP/1.1\r\nHost: a\r\nHost: a\r\n",
        "GET /public/a HTTP/1.1\r\nHost: user@a\r\n",
        "GET http://b/public/a HTTP/1.1\r\nHost: a\r\n",
        "GET http://user@a/public/a HTTP/1.1\r\nHost: a\r\n",
        "GET http:///public/a HTTP/1.1\r\nHost: a\r\n",
        "GET /public/\"<> HTTP/1.1\r\nHost: a\r\n",
        "GET /public/a\r\n",
        "GET /public/a HTTP/1.2\r\nHost: a\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n",
        "GET /public/a HTTP/1.1\r\nHost : a\r\n",
        "GET /public/a HTTP/1.1\r\nHost: a\r\n folded\r\n",
        "GET /public/a HTTP/1.1\r\nHost: a\r\nno colon\r\n",
        "POST /public/a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n",
        "POST /public/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n",
        "POST /public/a HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n",
    ] {
        let answer = gateway.request(format!("{head}\r\n")).await;
        assert_eq!(answer.status, 400, "{head}");
        is_ours(&answer, head);
    }
    assert!(gateway.upstream.requests().is_empty(), "{:#?}", gateway.upstream.requests());
}

#[tokio::test]
async fn a_request_line_with_spaces_in_its_target_is_not_mended() {
    let gateway = Gateway::start().await;
    for line in [
        "GET /public/a b HTTP/1.1",
        "GET /public/a?b= c HTTP/1.1",
        "GET /public/a HTTP/1.1 HTTP/1.1",
        "GET  /public/a HTTP/1.1",
        "GET /public/a  HTTP/1.1",
        "G E T /public/a HTTP/1.1",
    ] {
        let answer = gateway.request(format!("{line}\r\nHost: a\r\n\r\n")).await;
        assert_eq!(answer.status, 400, "{line}");
        is_ours(&answer, line);
        // However it comes in.
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        for byte in format!("{line}\r\nHo").as_bytes() {
            let _ = stream.write_all(&[*byte]).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(crate::support::answer::read_answer(&mut stream, false).await.status, 400, "{line} byte by byte");
    }
    assert!(gateway.upstream.requests().is_empty());
}

#[tokio::test]
async fn heads_larger_than_the_parser_takes_are_431() {
    let gateway = Gateway::start().await;
    let many = "A: b\r\n".repeat(1000);
    let long = format!("A: {}\r\n", "a".repeat(300 * 1024));
    for fields in [many, long] {
        let answer = gateway.request(format!("GET /public/a HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).await;
        assert_eq!(answer.status, 431);
        is_ours(&answer, "a large head");
    }
    for length in [9 * 1024, 40 * 1024] {
        let target = format!("/public/{}", "a".repeat(length));
        let answer = gateway.request(format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
        assert_eq!(answer.status, 414, "{length}");
    }
}

#[tokio::test]
async fn connect_is_405_with_the_methods_there_are() {
    let certificate = Certificate::generate();
    let plain = Gateway::start().await;
    let answer = plain.request("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n").await;
    assert_eq!(answer.status, 405);
    is_ours(&answer, "CONNECT");
    assert_eq!(answer.header("Allow"), Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));

    let gateway = Bench::default().tls(&certificate.cert_pem, &certificate.key_pem).start().await;
    let connect = http::Request::connect("a.example:443").body(()).unwrap();
    let answer = certificate.request(gateway.address, connect, b"").await;
    assert_eq!((answer.status, answer.header("server")), (405, None));
    assert_eq!(answer.json()["request_id"].as_str(), answer.header("x-request-id"));
}

#[tokio::test]
async fn they_are_counted_like_the_others() {
    let gateway = Gateway::start().await;
    gateway.request("GET /public/a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").await;
    let metrics =
        exchange(gateway.admin, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.text();
    for line in [
        "passgate_refused_total{reason=\"malformed\"} 1",
        "passgate_requests_total{method=\"other\",route=\"none\",status=\"4xx\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
}

#[tokio::test]
async fn what_follows_a_body_that_cannot_be_read_is_not_the_next_request() {
    let gateway = Gateway::start().await;
    let hidden = "GET /public/hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    for path in ["/api-auth/token", "/public/a"] {
        for chunks in
            ["zz\r\nhello\r\n0\r\n\r\n", "5\nhello\r\n0\r\n\r\n", "5\r\nhello0\r\n\r\n", "ffffffffffffffffff\r\n"]
        {
            let mut stream = TcpStream::connect(gateway.address).await.unwrap();
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            );
            stream.write_all(format!("{head}{chunks}{hidden}").as_bytes()).await.unwrap();
            let mut answers = String::new();
            let _ = stream.read_to_string(&mut answers).await;
            assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{path} {chunks:?}: {answers}");
            assert!(answers.starts_with("HTTP/1.1 400 ") && answers.contains("\r\nConnection: close\r\n"), "{answers}");
        }
    }
    assert!(gateway.upstream.requests().iter().all(|seen| seen.target() != "/public/hidden"));
}
