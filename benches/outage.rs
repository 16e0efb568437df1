//! What an outage of the Redis costs those who do not need it: proxied requests with valid tokens, over kept
//! connections, calm, with the Redis killed, and with it stopped (SIGSTOP), in turn. Somebody refreshes all the while.
//!
//!     cargo bench --bench outage [-- ROUNDS]
//!
//! The goal: no request fails, and the 99th percentile in an outage is at most 1.5 times the calm one of the same round,
//! in the median of the rounds. It starts a redis-server, the gateway's binary and an upstream; all share the machine
//! with the load, so only the ratios mean something.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what cannot go on says so by panicking"
)]

#[path = "../tests/it/support/answer.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod answer;
#[path = "../tests/it/support/process.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod process;
#[path = "../tests/it/support/redis_server.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod redis_server;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::sleep,
};

use self::{process::Serving, redis_server::RedisServer};

const ROUNDS: usize = 7;
const PHASE: Duration = Duration::from_secs(3);

/// After the Redis is back, until the gateway has caught up and everything is warm.
const SETTLE: Duration = Duration::from_secs(3);

/// Each with an account and a token of its own.
const CONNECTIONS: usize = 16;

/// Between two requests of a connection: far from what the gateway can do, so that it is not the queue that is measured.
const PAUSE: Duration = Duration::from_millis(5);

/// A goal.
const MOST: f64 = 1.5;

#[tokio::main]
async fn main() {
    let rounds = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(ROUNDS);
    let mut redis = RedisServer::start();
    let directory = tempfile::tempdir().unwrap();
    let port = process::free_port();
    std::fs::write(directory.path().join("passgate.yaml"), configuration(port, &redis, upstream().await)).unwrap();
    let gateway = Serving::start(directory.path(), port).await;

    let load = Arc::<Load>::default();
    let mut people = Vec::new();
    for number in 0..CONNECTIONS {
        people.push(sign_up(gateway.address, number).await);
    }
    redis.tell("SAVE");
    let calls: Vec<_> = people
        .iter()
        .map(|tokens| tokio::spawn(call(gateway.address, text(tokens, "access_token"), Arc::clone(&load))))
        .collect();
    let refreshing = tokio::spawn(refresh(gateway.address, text(&people[0], "refresh_token")));
    sleep(SETTLE).await;

    println!("p99 of proxied requests in ms    calm    killed          stopped");
    let (mut killed, mut stopped) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let calm = load.p99().await;
        redis.kill();
        let gone = load.p99().await;
        redis.restart();
        sleep(SETTLE).await;
        redis.signal("STOP");
        let silent = load.p99().await;
        redis.signal("CONT");
        sleep(SETTLE).await;
        killed.push(gone / calm);
        stopped.push(silent / calm);
        println!("round {round:2}{calm:28.2}{gone:9.2} ({:.2}){silent:9.2} ({:.2})", gone / calm, silent / calm);
    }
    let (killed, stopped) = (median(killed), median(stopped));
    let (requests, failures) = load.totals();
    println!("median ratio{killed:31.2}{stopped:16.2}");
    println!("{failures} of {requests} requests failed");
    for task in calls.into_iter().chain([refreshing]) {
        assert!(!task.is_finished(), "nobody gave up");
        task.abort();
    }
    assert!(failures == 0 && killed <= MOST && stopped <= MOST, "the goal is missed");
}

/// The gateway's, with the access log that it writes by default.
fn configuration(port: u16, redis: &RedisServer, upstream: SocketAddr) -> String {
    let common = process::configuration(port).replace("app: whoami", &format!("app: \"http://{upstream}\""));
    format!(
        "{common}limits: off\nstore: {{ redis: {{ url: \"{}\" }} }}\nsecrets: {{ master: {} }}\n",
        redis.url(),
        "0123456789abcdef".repeat(2)
    )
}

/// Answers every request with `ok`.
async fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            tokio::spawn(async move {
                while read_head(&mut stream).await.is_ok() {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
                }
            });
        }
    });
    address
}

/// What was measured since it was last asked, and in all.
#[derive(Default)]
struct Load {
    took: Mutex<Vec<Duration>>,
    requests: AtomicUsize,
    failures: AtomicUsize,
}

impl Load {
    /// Over a phase, in milliseconds.
    async fn p99(&self) -> f64 {
        self.took.lock().unwrap().clear();
        sleep(PHASE).await;
        let mut took = std::mem::take(&mut *self.took.lock().unwrap());
        took.sort();
        took[took.len() * 99 / 100].as_secs_f64() * 1000.0
    }

    fn count(&self, took: Duration, succeeded: bool) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.failures.fetch_add(usize::from(!succeeded), Ordering::Relaxed);
        self.took.lock().unwrap().push(took);
    }

    fn totals(&self) -> (usize, usize) {
        (self.requests.load(Ordering::Relaxed), self.failures.load(Ordering::Relaxed))
    }
}

/// Requests one after the other on one connection, for ever.
async fn call(gateway: SocketAddr, token: String, load: Arc<Load>) {
    let request = format!("GET /a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
    loop {
        let mut stream = TcpStream::connect(gateway).await.unwrap();
        stream.set_nodelay(true).unwrap();
        loop {
            let started = Instant::now();
            let answer = exchange(&mut stream, request.as_bytes()).await;
            let succeeded = answer.as_ref().is_ok_and(|head| head.starts_with("HTTP/1.1 200 "));
            load.count(started.elapsed(), succeeded);
            if answer.is_err() {
                break;
            }
            sleep(PAUSE).await;
        }
    }
}

async fn exchange(stream: &mut TcpStream, request: &[u8]) -> io::Result<String> {
    stream.write_all(request).await?;
    let (head, rest) = read_head(stream).await?;
    let length = head
        .to_ascii_lowercase()
        .split("content-length: ")
        .nth(1)
        .and_then(|text| text.split("\r\n").next()?.parse().ok());
    let length: usize = length.ok_or(io::ErrorKind::InvalidData)?;
    stream.read_exact(&mut vec![0; length.saturating_sub(rest)]).await?;
    Ok(head)
}

/// A head, and how many bytes came after it.
async fn read_head(stream: &mut TcpStream) -> io::Result<(String, usize)> {
    let mut bytes = Vec::with_capacity(4096);
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(end) = answer::find(&bytes, b"\r\n\r\n") {
            return Ok((String::from_utf8_lossy(&bytes[..end + 4]).into_owned(), bytes.len() - end - 4));
        }
    }
}

/// One client keeps asking for its next token, ten times a second.
async fn refresh(gateway: SocketAddr, mut token: String) {
    loop {
        let body = grant("refresh_token", json!({ "refresh_token": token }));
        match post(gateway, "/api-auth/token", &body).await {
            (200, body) => token = text(&body, "refresh_token"),
            (503, _) => {}
            (other, body) => panic!("{other}: {body}"),
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn sign_up(gateway: SocketAddr, number: usize) -> Value {
    let (email, password) = (format!("person-{number}@example.com"), "weave-numbers-1843");
    let person = json!({ "email": email, "username": "p", "first_name": "P", "password": password });
    let (status, body) = post(gateway, "/api-auth/create/", &person).await;
    assert_eq!(status, 201, "{body}");
    let (status, tokens) =
        post(gateway, "/api-auth/token", &grant("password", json!({ "username": email, "password": password }))).await;
    assert_eq!(status, 200, "{tokens}");
    tokens
}

fn grant(kind: &str, mut body: Value) -> Value {
    for (key, value) in [("grant_type", kind), ("client_id", "web"), ("client_secret", "quickstart-secret")] {
        body[key] = value.into();
    }
    body
}

async fn post(gateway: SocketAddr, path: &str, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}",
        body.len()
    );
    let answer = answer::exchange(gateway, format!("{head}\r\n\r\n{body}")).await;
    (answer.status, answer.json())
}

fn text(body: &Value, key: &str) -> String {
    body[key].as_str().unwrap().to_owned()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
