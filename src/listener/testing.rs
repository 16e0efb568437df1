//! For the tests of what serves and speaks HTTP: a listener on a free port, a certificate, raw clients.

use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::Router;
use pingora::apps::HttpServerApp;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;

use super::{Bound, Limits, RouterApp, Settings, TlsFiles, bind, serve, tls::install_crypto_provider, unrecorded};

/// Long enough for a busy machine: what takes longer hangs.
pub(crate) const HANG: Duration = Duration::from_secs(20);

/// Fails the test rather than hang it.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(HANG, future).await.expect("came to no end")
}

/// Limits that no test runs into by itself.
pub(crate) const AMPLE: Limits =
    Limits { connections: 100, header_timeout: HANG, idle_timeout: HANG, header_bytes: 16 * 1024, drain: HANG };

/// A listener that serves until stopped.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) task: JoinHandle<std::io::Result<()>>,
}

impl Served {
    pub(crate) fn router(router: Router, limits: Limits) -> Self {
        Self::app(RouterApp::new(router, HANG), limits)
    }

    pub(crate) fn app<A: HttpServerApp + Send + Sync + 'static>(app: A, limits: Limits) -> Self {
        Self::start(bind_local(None), app, limits)
    }

    pub(crate) fn tls<A: HttpServerApp + Send + Sync + 'static>(app: A, limits: Limits) -> Self {
        Self::start(bind_local(Some(certificate().files())), app, limits)
    }

    fn start<A: HttpServerApp + Send + Sync + 'static>(bound: Bound, app: A, limits: Limits) -> Self {
        let address = bound.local_addr();
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(serve(vec![bound], Arc::new(app), unrecorded(), limits, stopped));
        Self { address, stop, task }
    }

    /// Stops it and waits for the end of the drain.
    pub(crate) async fn drained(self) {
        self.stop.send_replace(true);
        soon(self.task).await.unwrap().unwrap();
    }
}

pub(crate) fn bind_local(tls: Option<TlsFiles>) -> Bound {
    bind(&Settings { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), tls }).unwrap()
}

/// A certificate for `localhost` that signs itself, in files.
pub(crate) struct Certificate {
    dir: TempDir,
    config: ClientConfig,
}

impl Certificate {
    pub(crate) fn new() -> Self {
        install_crypto_provider();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(dir.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Self { dir, config }
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    pub(crate) fn files(&self) -> TlsFiles {
        TlsFiles { cert_file: self.path("cert.pem"), key_file: self.path("key.pem") }
    }
}

/// The one that [`Served::tls`] serves with.
pub(crate) fn certificate() -> &'static Certificate {
    static CERTIFICATE: OnceLock<Certificate> = OnceLock::new();
    CERTIFICATE.get_or_init(Certificate::new)
}

/// A client that trusts [`certificate`] and offers `alpn`.
pub(crate) async fn connect_tls(address: SocketAddr, alpn: &[&str]) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut config = certificate().config.clone();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let tcp = TcpStream::connect(address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    soon(TlsConnector::from(Arc::new(config)).connect(name, tcp)).await.unwrap()
}

/// An HTTP/2 client; its connection is driven by a task.
pub(crate) async fn connect_h2(address: SocketAddr) -> (h2::client::SendRequest<bytes::Bytes>, JoinHandle<()>) {
    let stream = connect_tls(address, &["h2"]).await;
    let (requests, connection) = h2::client::handshake(stream).await.unwrap();
    (requests, tokio::spawn(async move { drop(connection.await) }))
}

/// An HTTP/1 client that writes what it is told.
pub(crate) struct Client<S = TcpStream> {
    pub(crate) stream: S,
    read: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self { stream, read: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    pub(crate) async fn get(&mut self, path: &str) -> Response {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")).await;
        self.response().await
    }

    /// The next response, to a request that was not `HEAD`.
    pub(crate) async fn response(&mut self) -> Response {
        let mut response = self.head().await;
        let length = response.header("content-length").map(|length| length.parse().unwrap());
        response.body = match (response.status, length) {
            (100..200 | 204 | 304, _) => Vec::new(),
            (_, Some(length)) => self.take(length).await,
            _ if response.header("transfer-encoding") == Some("chunked") => self.chunks().await,
            _ => {
                while self.fill().await {}
                std::mem::take(&mut self.read)
            }
        };
        response
    }

    /// The head of the next response; what follows it is left.
    pub(crate) async fn head(&mut self) -> Response {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 32];
            let mut parsed = httparse::Response::new(&mut headers);
            if let httparse::Status::Complete(length) = parsed.parse(&self.read).unwrap() {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let headers = parsed
                    .headers
                    .iter()
                    .map(|header| (header.name.to_ascii_lowercase(), text(header.value)))
                    .collect();
                let (status, reason) = (parsed.code.unwrap(), parsed.reason.unwrap().to_owned());
                self.read.drain(..length);
                return Response { status, reason, headers, body: Vec::new() };
            }
            assert!(self.fill().await, "closed before a response: {:?}", String::from_utf8_lossy(&self.read));
        }
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let mut size = self.line().await;
            size.truncate(size.len() - 2);
            let size = usize::from_str_radix(std::str::from_utf8(&size).unwrap(), 16).unwrap();
            body.extend(self.take(size).await);
            assert_eq!(self.line().await, b"\r\n");
            if size == 0 {
                return body;
            }
        }
    }

    async fn line(&mut self) -> Vec<u8> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                return self.read.drain(..=end).collect();
            }
            assert!(self.fill().await, "closed within a line");
        }
    }

    async fn take(&mut self, length: usize) -> Vec<u8> {
        while self.read.len() < length {
            assert!(self.fill().await, "closed within a body");
        }
        self.read.drain(..length).collect()
    }

    /// Reads more; false at the end.
    async fn fill(&mut self) -> bool {
        soon(self.stream.read_buf(&mut self.read)).await.unwrap() > 0
    }

    /// Waits for the server to close; whether nothing had come before.
    pub(crate) async fn closed_without_a_word(&mut self) -> bool {
        // A reset is an end as well.
        let _ = soon(self.stream.read_to_end(&mut self.read)).await;
        self.read.is_empty()
    }

    /// What has come and was not made into responses.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.read
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}
