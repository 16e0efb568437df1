//! A client of a gateway, or of what is behind it, in a process of its own.

use std::net::SocketAddr;

use super::{Answer, exchange};

pub const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Where a client knocks.
#[derive(Clone, Copy)]
pub struct Door {
    pub address: SocketAddr,
    pub host: &'static str,
}

impl Door {
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<Vec<_>>().concat();
        let (host, length) = (self.host, body.len());
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}");
        exchange(self.address, format!("{head}Content-Length: {length}\r\n\r\n{body}")).await
    }

    pub async fn get(&self, path: &str, bearer: Option<&str>) -> Answer {
        let bearer = bearer.map(|token| format!("Bearer {token}"));
        let headers: Vec<_> = bearer.iter().map(|value| ("Authorization", value.as_str())).collect();
        self.send("GET", path, &headers, "").await
    }
}

/// The access token of an answer that has one.
pub fn token(answer: &Answer) -> String {
    answer.json()["access_token"].as_str().unwrap_or_else(|| panic!("no token: {}", answer.text())).to_owned()
}
