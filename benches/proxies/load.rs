//! The load generator: requests that were written down before go out on kept-alive connections, and of the answers
//! only the status and the length are read. It must cost less than the cheapest proxy.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

/// Connections at once.
pub const CONNECTIONS: usize = 32;

/// A GET as browsers' scripts and apps send it, in its essentials.
pub fn get(path: &str, authorization: Option<&str>) -> Bytes {
    let authorization = authorization.map(|value| format!("Authorization: {value}\r\n")).unwrap_or_default();
    format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench/1\r\nAccept: application/json\r\n\
         {authorization}\r\n"
    )
    .into()
}

/// The same with a bearer token.
pub fn get_as(path: &str, token: &str) -> Bytes {
    get(path, Some(&format!("Bearer {token}")))
}

/// A POST of a form to the token endpoint, as the client of the stage.
pub fn post_token(fields: &str) -> Bytes {
    let body = format!("client_id=web&client_secret=quickstart-secret&{fields}");
    format!(
        "POST /api-auth/token HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench/1\r\nAccept: application/json\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into()
}

/// A connection that is kept.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Self {
        Self::try_open(address).await.unwrap()
    }

    /// One, if anybody listens there.
    pub async fn try_open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 4 * 1024] })
    }

    /// The status of the answer.
    pub async fn ask(&mut self, request: &[u8]) -> u16 {
        self.exchange(request).await.0
    }

    /// The status of the answer, and all of its text.
    pub async fn exchange(&mut self, request: &[u8]) -> (u16, &[u8]) {
        self.stream.write_all(request).await.unwrap();
        let mut filled = 0;
        let mut whole = None;
        while whole.is_none_or(|whole| filled < whole) {
            if filled == self.buffer.len() {
                self.buffer.resize(2 * filled, 0);
            }
            let read = self.stream.read(&mut self.buffer[filled..]).await.unwrap();
            assert!(read > 0, "closed after {:?}", String::from_utf8_lossy(&self.buffer[..filled]));
            filled += read;
            whole = whole.or_else(|| length(&self.buffer[..filled]));
        }
        let text = &self.buffer[..filled];
        let status = std::str::from_utf8(&text[9..12]).unwrap().parse().unwrap();
        (status, text)
    }
}

/// Bytes of a whole answer, once its head is there.
fn length(text: &[u8]) -> Option<usize> {
    let head = text.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let lines = text[..head].split(|byte| *byte == b'\n');
    let is_length = |line: &&[u8]| line.len() > 15 && line[..15].eq_ignore_ascii_case(b"content-length:");
    let line = lines.into_iter().find(is_length).expect("an answer says its length");
    let body: usize = std::str::from_utf8(&line[15..]).unwrap().trim().parse().unwrap();
    Some(head + body)
}

/// Connections to one proxy.
pub struct Clients(Vec<Connection>);

impl Clients {
    pub async fn connect(address: SocketAddr, count: usize) -> Self {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            connections.push(Connection::open(address).await);
        }
        Self(connections)
    }

    /// Sends each of the requests once, each connection the next one as soon as it has its answer. Every answer must
    /// have this status.
    pub async fn send(&mut self, requests: Vec<Bytes>, status: u16) {
        let requests = Arc::new(requests);
        let next = Arc::new(AtomicUsize::new(0));
        let mut running = JoinSet::new();
        for mut connection in self.0.drain(..) {
            let (requests, next) = (Arc::clone(&requests), Arc::clone(&next));
            running.spawn(async move {
                while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (answered, text) = connection.exchange(request).await;
                    assert_eq!(answered, status, "{}", String::from_utf8_lossy(text));
                }
                connection
            });
        }
        while let Some(ended) = running.join_next().await {
            self.0.push(ended.unwrap());
        }
    }

    /// Sends each connection its own requests, in their order. Every answer must have this status.
    pub async fn send_each(&mut self, requests: Vec<Vec<Bytes>>, status: u16) {
        assert_eq!(requests.len(), self.0.len());
        let mut running = JoinSet::new();
        for (mut connection, requests) in self.0.drain(..).zip(requests) {
            running.spawn(async move {
                for request in requests {
                    let (answered, text) = connection.exchange(&request).await;
                    assert_eq!(answered, status, "{}", String::from_utf8_lossy(text));
                }
                connection
            });
        }
        while let Some(ended) = running.join_next().await {
            self.0.push(ended.unwrap());
        }
    }
}
