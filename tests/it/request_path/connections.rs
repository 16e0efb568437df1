//! Several requests on one connection, and its end.

use std::sync::Arc;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

use crate::support::{Bench, Gateway, answer};

const LAST: &str = "GET /public/last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// An upstream that tells of a request, and answers it when let.
struct Slow {
    address: String,
    arrived: Arc<Notify>,
    answer: Arc<Notify>,
}

impl Slow {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let slow = Self {
            address: listener.local_addr().unwrap().to_string(),
            arrived: Arc::default(),
            answer: Arc::default(),
        };
        let (arrived, answer) = (slow.arrived.clone(), slow.answer.clone());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_buf(&mut Vec::with_capacity(4096)).await.unwrap();
            arrived.notify_one();
            answer.notified().await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow").await.unwrap();
            let _ = stream.read_buf(&mut Vec::with_capacity(4096)).await;
        });
        slow
    }

    fn bench(&self) -> Bench {
        Bench::default()
            .upstreams(&format!("  slow: http://{}\n", self.address))
            .routes("  - { match: { path: /slow }, upstream: slow, auth: public }\n  - { match: { path: / }, upstream: app, auth: public }\n")
    }
}

async fn bodies(mut stream: TcpStream) -> Vec<String> {
    let mut all = String::new();
    stream.read_to_string(&mut all).await.unwrap();
    let answers = all.split("HTTP/1.1 ").skip(1);
    answers.map(|answer| format!("{} {}", &answer[..3], answer.rsplit("\r\n\r\n").next().unwrap())).collect()
}

#[tokio::test]
async fn requests_sent_together_are_answered_in_order() {
    let gateway = Gateway::start().await;
    for (first, expected) in [
        ("GET /public/a HTTP/1.1\r\nHost: a\r\n\r\n", "200 ok"),
        ("POST /public/a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "200 ok"),
        ("POST /public/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "200 ok"),
        ("POST /public/a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi\r\n", "200 ok"),
        ("GET /api-auth/nothing HTTP/1.1\r\nHost: a\r\n\r\n", "404 {\"detail\":\"Not found.\"}"),
    ] {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(format!("{first}{LAST}").as_bytes()).await.unwrap();
        assert_eq!(bodies(stream).await, [expected, "200 ok"], "{first}");
    }
}

#[tokio::test]
async fn requests_may_be_cut_into_packets_anywhere() {
    let gateway = Gateway::start().await;
    for first in [
        "GET /public/a HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /public/a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n\r\n\r\n",
    ] {
        let both = format!("{first}{LAST}");
        for cut in 1..both.len() {
            let mut stream = TcpStream::connect(gateway.address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            stream.write_all(&both.as_bytes()[..cut]).await.unwrap();
            if cut >= first.len() {
                let answer = answer::read_answer(&mut stream, false).await;
                assert_eq!((answer.status, answer.closed), (200, false), "cut at {cut}");
            }
            stream.write_all(&both.as_bytes()[cut..]).await.unwrap();
            if cut < first.len() {
                assert_eq!(bodies(stream).await, ["200 ok", "200 ok"], "cut at {cut}");
            } else {
                assert_eq!(bodies(stream).await, ["200 ok"], "cut at {cut}");
            }
        }
    }
}

#[tokio::test]
async fn a_request_sent_before_the_answer_to_the_one_before_harms_neither() {
    let slow = Slow::start().await;
    let gateway = slow.bench().start().await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    slow.arrived.notified().await;
    stream.write_all(LAST.as_bytes()).await.unwrap();
    slow.answer.notify_one();
    assert_eq!(bodies(stream).await, ["200 slow", "200 ok"]);
}

#[tokio::test]
async fn a_request_sent_ahead_may_take_as_long_as_any() {
    let slow = Slow::start().await;
    let limits = "  limits: { header_timeout: 300ms, idle_timeout: 300ms }\n";
    let gateway = slow.bench().server(limits).start().await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream
        .write_all(
            b"GET /public/a HTTP/1.1\r\nHost: a\r\n\r\nGET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        )
        .await
        .unwrap();
    slow.arrived.notified().await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    slow.answer.notify_one();
    assert_eq!(bodies(stream).await, ["200 ok", "200 slow"]);
}

#[tokio::test]
async fn an_answer_given_while_draining_says_that_the_connection_ends() {
    let slow = Slow::start().await;
    let gateway = slow.bench().start().await;
    let address = gateway.address;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    slow.arrived.notified().await;
    let stopping = tokio::spawn(gateway.stop());
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    slow.answer.notify_one();
    let answer = answer::read_answer(&mut stream, false).await;
    assert_eq!((answer.text().as_str(), answer.closed), ("slow", true));
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_client_that_closes_its_side_still_gets_its_answer() {
    let gateway = Gateway::start().await;
    for request in [
        "GET /public/a HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "POST /public/a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello",
        "GET /api-auth/nothing HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") || answer.starts_with("HTTP/1.1 404 "),
            "{request}: {answer:?}"
        );
    }
    assert_eq!(gateway.upstream.requests().len(), 2);
}
