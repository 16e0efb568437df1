//! An upstream that records every request to the byte and answers what it is told.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};

use super::answer::find;

/// One request as the upstream received it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The head, with its line ends.
    pub head: String,
    /// The body, chunked coding undone.
    pub body: Vec<u8>,
    /// The trailer fields after a chunked body, with their line ends.
    pub trailers: String,
    /// Whether the body came to its announced end.
    pub complete: bool,
}

impl Recorded {
    /// The request line.
    pub fn line(&self) -> &str {
        self.head.split("\r\n").next().unwrap_or_default()
    }

    /// The target of the request line.
    pub fn target(&self) -> &str {
        self.line().split(' ').nth(1).unwrap_or_default()
    }

    /// Every value of this header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.fields().filter(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    /// The one value of this header; a repeated one fails the test.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} reached the upstream {} times:\n{}", all.len(), self.head);
        all.first().copied()
    }

    /// Whether any field name folds onto `name` as WSGI, CGI and PHP would fold it.
    pub fn has_alias_of(&self, name: &str) -> bool {
        let fold = |text: &str| {
            text.chars()
                .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
                .collect::<String>()
        };
        self.fields().any(|(own, _)| fold(own) == fold(name))
    }

    /// All fields.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.head
            .split("\r\n")
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name, value.trim()))
    }
}

type Responder = Arc<dyn Fn(&Recorded) -> Vec<u8> + Send + Sync>;

/// A server that records; dropped with the test.
pub struct Upstream {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<Recorded>>>,
    arrived: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Upstream {
    /// Answers everything with 200 and `ok`.
    pub async fn start() -> Self {
        Self::answering(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()).await
    }

    /// Answers with the bytes that `respond` makes of a request; none closes the connection.
    pub async fn answering(respond: impl Fn(&Recorded) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let arrived = Arc::new(Notify::new());
        let respond: Responder = Arc::new(respond);
        let task = tokio::spawn({
            let (requests, arrived) = (requests.clone(), arrived.clone());
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, respond.clone(), requests.clone(), arrived.clone()));
                }
            }
        });
        Self { address, requests, arrived, task }
    }

    /// What was received so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.requests.lock().expect("no test panicked inside").clone()
    }

    /// The only request; anything else fails the test.
    pub fn only(&self) -> Recorded {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "requests received: {requests:#?}");
        requests.into_iter().next().expect("counted above")
    }

    /// Waits until `count` requests have been received.
    pub async fn wait_for(&self, count: usize) -> Vec<Recorded> {
        loop {
            let arrived = self.arrived.notified();
            let requests = self.requests();
            if requests.len() >= count {
                return requests;
            }
            arrived.await;
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, respond: Responder, requests: Arc<Mutex<Vec<Recorded>>>, arrived: Arc<Notify>) {
    let mut bytes = Vec::new();
    loop {
        let head_end = loop {
            if let Some(end) = find(&bytes, b"\r\n\r\n") {
                break end + 4;
            }
            if !more(&mut stream, &mut bytes).await {
                return;
            }
        };
        let rest = bytes.split_off(head_end);
        let head = String::from_utf8_lossy(&bytes).into_owned();
        bytes = rest;
        let mut recorded = Recorded { head, body: Vec::new(), trailers: String::new(), complete: true };
        if recorded.header("transfer-encoding").is_some() {
            recorded.complete = chunked(&mut stream, &mut bytes, &mut recorded).await;
        } else if let Some(length) = recorded.header("content-length").and_then(|value| value.parse::<usize>().ok()) {
            while bytes.len() < length && more(&mut stream, &mut bytes).await {}
            recorded.complete = bytes.len() >= length;
            recorded.body = bytes.drain(..length.min(bytes.len())).collect();
        }
        let complete = recorded.complete;
        let answer = respond(&recorded);
        requests.lock().expect("no test panicked inside").push(recorded);
        arrived.notify_waiters();
        if !complete || answer.is_empty() || stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

async fn chunked(stream: &mut TcpStream, bytes: &mut Vec<u8>, recorded: &mut Recorded) -> bool {
    loop {
        let Some(line) = take_line(stream, bytes).await else { return false };
        let Ok(size) = usize::from_str_radix(line.trim(), 16) else { return false };
        if size == 0 {
            break;
        }
        while bytes.len() < size + 2 {
            if !more(stream, bytes).await {
                return false;
            }
        }
        recorded.body.extend_from_slice(&bytes[..size]);
        bytes.drain(..size + 2);
    }
    loop {
        match take_line(stream, bytes).await.as_deref() {
            Some("") => return true,
            Some(line) => recorded.trailers.extend([line, "\r\n"]),
            None => return false,
        }
    }
}

async fn take_line(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = find(bytes, b"\r\n") {
            let line = String::from_utf8_lossy(&bytes[..end]).into_owned();
            bytes.drain(..end + 2);
            return Some(line);
        }
        if !more(stream, bytes).await {
            return None;
        }
    }
}

async fn more(stream: &mut TcpStream, into: &mut Vec<u8>) -> bool {
    into.reserve(16 * 1024);
    matches!(stream.read_buf(into).await, Ok(n) if n > 0)
}
