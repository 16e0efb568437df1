//! A raw HTTP/1.1 client: bytes out, one parsed answer in.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Longer than anything a test waits for on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// One answer as the client got it.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub reason: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The peer closed the connection after it.
    pub closed: bool,
}

impl Answer {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Every header of this name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?} ({})", String::from_utf8_lossy(&self.body), self.status))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends `request` on a connection of its own and reads one answer.
pub async fn exchange(address: SocketAddr, request: impl AsRef<[u8]>) -> Answer {
    let mut stream = TcpStream::connect(address).await.expect("the gateway accepts");
    // A gateway that refuses early may close before it has read everything.
    let _ = stream.write_all(request.as_ref()).await;
    let head_only = request.as_ref().starts_with(b"HEAD ");
    read_answer(&mut stream, head_only).await
}

/// Reads one answer: a head, then as much body as it announces.
pub async fn read_answer(stream: &mut (impl AsyncRead + Unpin), head_only: bool) -> Answer {
    let mut bytes = Vec::new();
    loop {
        let head_end = loop {
            if let Some(end) = find(&bytes, b"\r\n\r\n") {
                break end + 4;
            }
            assert!(read_more(stream, &mut bytes).await, "closed inside a head: {:?}", String::from_utf8_lossy(&bytes));
        };
        let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
        let mut lines = head.split("\r\n");
        let mut status_line = lines.next().unwrap_or_default().splitn(3, ' ');
        let _version = status_line.next();
        let status: u16 = status_line.next().and_then(|code| code.parse().ok()).expect("a status line");
        let reason = status_line.next().unwrap_or_default().to_owned();
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        let mut rest = bytes.split_off(head_end);
        if (100..200).contains(&status) {
            bytes = rest;
            continue;
        }
        let mut answer = Answer { status, reason, headers, body: Vec::new(), closed: false };
        let closing = answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        if !head_only && !matches!(status, 204 | 304) {
            if let Some(length) = answer.header("content-length") {
                let length: usize = length.parse().expect("a length");
                while rest.len() < length && read_more(stream, &mut rest).await {}
                answer.body = rest;
            } else if answer.header("transfer-encoding").is_some() {
                answer.body = read_chunked(stream, rest).await;
            } else {
                while read_more(stream, &mut rest).await {}
                answer.body = rest;
            }
        }
        answer.closed = closing && !read_more(stream, &mut Vec::new()).await;
        return answer;
    }
}

async fn read_chunked(stream: &mut (impl AsyncRead + Unpin), mut rest: Vec<u8>) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line_end = loop {
            if let Some(end) = find(&rest, b"\r\n") {
                break end;
            }
            if !read_more(stream, &mut rest).await {
                return body;
            }
        };
        let size = usize::from_str_radix(String::from_utf8_lossy(&rest[..line_end]).trim(), 16).expect("a chunk size");
        while rest.len() < line_end + 2 + size + 2 {
            if !read_more(stream, &mut rest).await {
                return body;
            }
        }
        body.extend_from_slice(&rest[line_end + 2..line_end + 2 + size]);
        rest.drain(..line_end + 2 + size + 2);
        if size == 0 {
            return body;
        }
    }
}

/// False at the end of the stream, however it ended.
async fn read_more(stream: &mut (impl AsyncRead + Unpin), into: &mut Vec<u8>) -> bool {
    into.reserve(16 * 1024);
    let read = timeout(PATIENCE, stream.read_buf(into)).await.expect("an answer within the patience of a test");
    matches!(read, Ok(n) if n > 0)
}

pub fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}
