//! What every scenario starts from: an upstream, a directory, and a gateway with its store and its keys.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use passgate::{
    app::{self, Opened},
    clock::Clock,
    config::{self, Settings},
    store::sql::Role,
};
use tempfile::TempDir;

use super::{
    load::Connection,
    machine::free_port,
    plain,
    server::Server,
    tokens::{Mint, Rs256, with_bad_signature},
};

/// The gateway, beside which nothing else needs to be told apart by it.
pub struct Stage {
    directory: TempDir,
    pub upstream: SocketAddr,
    /// Set for those who listen on a port of their own choice.
    port: u16,
    admin_port: u16,
    pub mint: Mint,
}

impl Stage {
    /// A store with nothing in it but its keys.
    pub async fn set(upstream: SocketAddr) -> Self {
        Self::set_with(upstream, "").await
    }

    /// The same with lines of configuration beside those that every gateway here has.
    pub async fn set_with(upstream: SocketAddr, lines: &str) -> Self {
        // Not in /tmp, which may be memory: a store belongs on a disk.
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (port, admin_port) = (free_port(), free_port());
        let file = directory.path().join(CONFIGURATION);
        let configuration = configuration(&directory, port, admin_port, upstream);
        fs::write(&file, format!("{configuration}{lines}")).unwrap();
        let (opened, settings) = open(&file).await;
        let mint = Mint::open(&opened, &settings).await;
        opened.store.close().await;
        Self { directory, upstream, port, admin_port, mint }
    }

    /// The store, with a gateway beside or without.
    pub async fn open(&self) -> (Opened, Settings) {
        open(&self.configuration()).await
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn configuration(&self) -> PathBuf {
        self.path(CONFIGURATION)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A gateway on the store. There can be one at a time.
    pub async fn passgate(&self) -> Server {
        let server = Server::start(PASSGATE, &SERVE, self.port, self.directory.path()).await;
        Self::ready(server).await
    }

    /// A gateway whose calls of these names are written to a file: see [`Server::start_traced`].
    pub async fn passgate_traced(&self, names: &str, calls: &Path) -> Server {
        let directory = self.directory.path();
        let server = Server::start_traced(PASSGATE, &SERVE, self.port, directory, (names, calls)).await;
        Self::ready(server).await
    }

    /// A gateway that may not accept connections yet.
    pub fn passgate_starting(&self) -> Server {
        Server::spawn(PASSGATE, &SERVE, self.port, self.directory.path())
    }

    /// Bound is not ready yet.
    async fn ready(server: Server) -> Server {
        Connection::open(server.address).await.ask(&super::load::get("/ready", None)).await;
        server
    }

    pub async fn nginx(&self) -> Server {
        plain::nginx(self.directory.path(), self.upstream, false).await
    }

    pub async fn nginx_with_access_log(&self) -> Server {
        plain::nginx(self.directory.path(), self.upstream, true).await
    }

    pub async fn haproxy(&self) -> Server {
        plain::haproxy(self.directory.path(), self.upstream).await
    }

    /// An HAProxy that verifies tokens, and tokens for it with the claims of these.
    pub async fn haproxy_verifying(&self, tokens: &[String]) -> (Server, Vec<String>) {
        let key = Rs256::generate();
        let file = self.path("rs256.pem");
        key.write_public_key(&file);
        let server = plain::haproxy_verifying(self.directory.path(), self.upstream, &file).await;
        let tokens: Vec<_> = tokens.iter().map(|token| key.sign(token)).collect();
        // Whoever does not verify is fast.
        let mut connection = Connection::open(server.address).await;
        let forged = super::load::get_as("/", &with_bad_signature(&tokens[0]));
        assert_eq!(connection.ask(&forged).await, 401, "HAProxy verifies");
        (server, tokens)
    }

    /// Look-ups in the verified-token cache so far: those that found something, and those that did not.
    pub async fn look_ups(&self) -> (f64, f64) {
        let count = async |result| self.metric(&format!("passgate_token_cache_total{{result=\"{result}\"}}")).await;
        (count("hit").await, count("miss").await)
    }

    /// A figure of the gateway's metrics, summed over its labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let admin = SocketAddr::from(([127, 0, 0, 1], self.admin_port));
        let mut connection = Connection::open(admin).await;
        let (_, text) = connection.exchange(&super::load::get("/metrics", None)).await;
        let text = String::from_utf8_lossy(text);
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }
}

const PASSGATE: &str = env!("CARGO_BIN_EXE_passgate");
const CONFIGURATION: &str = "passgate.yaml";
const SERVE: [&str; 3] = ["--config", CONFIGURATION, "serve"];

async fn open(configuration: &Path) -> (Opened, Settings) {
    let settings = config::load(configuration, std::iter::empty()).map_err(|report| report.to_string()).unwrap();
    (app::open(&settings, &Clock::system(), Role::Command).await.unwrap(), settings)
}

/// Everything is on that can be on: identity headers, limits, CORS, metrics, and a line a request as JSON.
fn configuration(directory: &TempDir, port: u16, admin_port: u16, upstream: SocketAddr) -> String {
    let directory = directory.path().display();
    format!(
        "version: 1\n\
         server: {{ listen: \"127.0.0.1:{port}\", public_url: \"http://127.0.0.1:{port}\", drain: 1s }}\n\
         admin: {{ listen: \"127.0.0.1:{admin_port}\" }}\n\
         log: {{ format: json, access: true }}\n\
         store:\n  sqlite: {{ path: \"{directory}/passgate.db\" }}\n\
         secrets: {{ master_file: \"{directory}/master.secret\" }}\n\
         clients:\n  web: {{ secret: quickstart-secret, grants: [password, refresh_token], scopes: [read, write] }}\n\
         cors: {{ allowed_origins: [\"http://localhost:3000\"] }}\n\
         upstreams: {{ app: \"http://{upstream}\" }}\n\
         routes:\n\
         \x20 - {{ match: {{ path: /public/ }}, upstream: app, auth: public }}\n\
         \x20 - {{ match: {{ path: /staff/ }}, upstream: app, require: {{ staff: true }} }}\n\
         \x20 - {{ match: {{ path: / }}, upstream: app }}\n"
    )
}
