//! HTTP/2 over TLS: a well-behaved client, and one that writes any field it is told to.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName},
};

use super::Answer;

/// A certificate for `localhost` as files, and what a client needs to trust it.
pub struct Certificate {
    pub cert_pem: String,
    pub key_pem: String,
    roots: RootCertStore,
}

impl Certificate {
    /// A fresh self-signed one.
    pub fn generate() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).expect("our own certificate");
        Self { cert_pem: made.cert.pem(), key_pem: made.signing_key.serialize_pem(), roots }
    }

    /// Connects with TLS, offering `protocols` by ALPN.
    pub async fn connect(&self, address: SocketAddr, protocols: &[&str]) -> TlsStream<TcpStream> {
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS versions")
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let tcp = TcpStream::connect(address).await.expect("the gateway accepts");
        let name = ServerName::try_from("localhost").expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await.expect("a TLS handshake")
    }

    /// One request over HTTP/2.
    pub async fn request(&self, address: SocketAddr, request: http::Request<()>, body: &[u8]) -> Answer {
        let frames: &[(&[u8], bool)] = if body.is_empty() { &[] } else { &[(body, true)] };
        self.request_in_frames(address, request, frames).await
    }

    /// One request with the DATA frames of its body, each with whether it is marked as the last one.
    pub async fn request_in_frames(
        &self,
        address: SocketAddr,
        request: http::Request<()>,
        frames: &[(&[u8], bool)],
    ) -> Answer {
        let tls = self.connect(address, &["h2"]).await;
        let (client, connection) = ::h2::client::handshake(tls).await.expect("an HTTP/2 preface");
        let driver = tokio::spawn(connection);
        let mut client = client.ready().await.expect("a stream");
        let (response, mut sender) = client.send_request(request, frames.is_empty()).expect("a sendable request");
        for (frame, last) in frames {
            sender.send_data(Bytes::copy_from_slice(frame), *last).expect("a sendable body");
        }
        let (head, mut stream) = response.await.expect("a response").into_parts();
        let mut answer = Answer {
            status: head.status.as_u16(),
            reason: String::new(),
            headers: head
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
                .collect(),
            body: Vec::new(),
            closed: false,
        };
        while let Some(chunk) = stream.data().await {
            let chunk = chunk.expect("a whole body");
            let _ = stream.flow_control().release_capacity(chunk.len());
            answer.body.extend_from_slice(&chunk);
        }
        driver.abort();
        answer
    }

    /// One request whose fields are written as given, valid or not.
    pub async fn raw_request(&self, address: SocketAddr, fields: &[(&str, &str)]) -> Outcome {
        let mut tls = self.connect(address, &["h2"]).await;
        let mut block = Vec::new();
        for (name, value) in fields {
            block.push(0x00); // literal without indexing, new name (RFC 7541 section 6.2.2)
            for text in [name, value] {
                assert!(text.len() < 127, "one length byte only");
                block.push(u8::try_from(text.len()).expect("asserted above"));
                block.extend_from_slice(text.as_bytes());
            }
        }
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(frame(SETTINGS, 0, 0, &[]));
        bytes.extend(frame(HEADERS, 0x5, 1, &block)); // END_STREAM | END_HEADERS
        tls.write_all(&bytes).await.expect("a writable connection");
        loop {
            let mut head = [0; 9];
            if tls.read_exact(&mut head).await.is_err() {
                return Outcome::Closed;
            }
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let mut payload = vec![0; length];
            if tls.read_exact(&mut payload).await.is_err() {
                return Outcome::Closed;
            }
            match head[3] {
                HEADERS => return Outcome::Status(status_of(&payload)),
                RST_STREAM => return Outcome::Reset,
                GOAWAY => return Outcome::Closed,
                _ => {}
            }
        }
    }
}

/// What became of a raw request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer; `None` when its status is not in HPACK's static table.
    Status(Option<u16>),
    /// The stream was reset.
    Reset,
    /// The connection was closed.
    Closed,
}

impl Outcome {
    /// Refused one way or another.
    pub fn is_refusal(self) -> bool {
        matches!(self, Self::Status(Some(400 | 404)) | Self::Reset | Self::Closed)
    }
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The status, when the block begins with an indexed field of HPACK's static table (RFC 7541 appendix A), after
/// any dynamic table size update.
fn status_of(block: &[u8]) -> Option<u16> {
    let first = block.iter().find(|byte| **byte & 0xE0 != 0x20)?;
    match first {
        0x88 => Some(200),
        0x89 => Some(204),
        0x8A => Some(206),
        0x8B => Some(304),
        0x8C => Some(400),
        0x8D => Some(404),
        0x8E => Some(500),
        _ => None,
    }
}
