//! The gateway under test, composed as `serve` composes it, with a clock of the test's own.

use std::{borrow::Borrow, net::SocketAddr, process::Command, sync::Arc, time::Duration};

use passgate::{
    account::Accounts,
    app::{self, App},
    clock::{Clock, Timestamp},
    config,
    password::Hasher,
    store::{AccountChange, Store, sql::Role},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle};

use super::{Answer, Document, Upstream, exchange, process};

/// A configuration in the making: the reference's, with cheap hashing and free ports.
pub struct Bench {
    server: String,
    routes: String,
    rest: String,
    overrides: Vec<(String, String)>,
    upstreams: String,
    tls: Option<(String, String)>,
    /// Where the Redis is, when it is not a file.
    redis: Option<String>,
}

impl Default for Bench {
    fn default() -> Self {
        Self {
            server: String::new(),
            routes: "  - { match: { path: /public/ }, upstream: app, auth: public }\n  \
                       - { match: { path: /optional/ }, upstream: app, auth: optional }\n  \
                       - { match: { path: /staff/ }, upstream: app, require: { staff: true } }\n  \
                       - { match: { path: / }, upstream: app }\n"
                .to_owned(),
            rest: "cors: { allowed_origins: [\"http://localhost:3000\"] }\n".to_owned(),
            overrides: Vec::new(),
            upstreams: String::new(),
            tls: None,
            redis: None,
        }
    }
}

impl Bench {
    /// Replaces the routes (a YAML list, indented by two).
    pub fn routes(mut self, yaml: &str) -> Self {
        yaml.clone_into(&mut self.routes);
        self
    }

    /// Adds keys to `server` (YAML lines, indented by two).
    pub fn server(mut self, yaml: &str) -> Self {
        self.server.push_str(yaml);
        self
    }

    /// Adds upstreams beside `app` (YAML lines, indented by two).
    pub fn upstreams(mut self, yaml: &str) -> Self {
        self.upstreams.push_str(yaml);
        self
    }

    /// Adds identity providers (entries of `providers`, each one line of YAML).
    pub fn providers(mut self, entries: &[String]) -> Self {
        let entries: Vec<_> = entries.iter().map(|entry| format!("  {entry}\n")).collect();
        self.rest.extend(["providers:\n", &entries.concat()]);
        self
    }

    /// Overrides one key by its path, such as `accounts.list`, as the environment would.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.overrides.push((format!("PASSGATE__{}", key.to_uppercase().replace('.', "__")), value.to_owned()));
        self
    }

    /// Serves with TLS.
    pub fn tls(mut self, cert_pem: &str, key_pem: &str) -> Self {
        self.tls = Some((cert_pem.to_owned(), key_pem.to_owned()));
        self
    }

    /// Keeps everything in this Redis, with a master secret that all who share it have.
    pub fn redis(self, url: &str) -> Self {
        self.redis_by(&format!("url: \"{url}\""))
    }

    /// As [`Self::redis`], with the entries of the section `store.redis`.
    pub fn redis_by(mut self, entries: &str) -> Self {
        self.redis = Some(entries.to_owned());
        self
    }

    /// Starts with a recording upstream as `app`.
    pub async fn start(self) -> Gateway {
        self.start_before(Upstream::start().await).await
    }

    /// Starts before this upstream.
    pub async fn start_before(self, upstream: Upstream) -> Gateway {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let clock = Clock::manual(Timestamp::from_seconds(1_800_000_000));
        self.start_in(directory, upstream, clock).await
    }

    /// Starts in this directory, which may hold the store of a gateway before.
    pub async fn start_in(self, directory: TempDir, upstream: Upstream, clock: Clock) -> Gateway {
        let path = directory.path().display();
        let tls = self.tls.as_ref().map_or_else(String::new, |(cert, key)| {
            std::fs::write(directory.path().join("cert.pem"), cert).expect("a writable directory");
            std::fs::write(directory.path().join("key.pem"), key).expect("a writable directory");
            format!(", tls: {{ cert_file: {path}/cert.pem, key_file: {path}/key.pem }}")
        });
        let store = match &self.redis {
            None => format!(
                "store: {{ sqlite: {{ path: {path}/passgate.db }} }}\n\
                 secrets: {{ master_file: {path}/master.secret }}\n"
            ),
            Some(entries) => format!(
                "store: {{ redis: {{ {entries} }} }}\n\
                 secrets: {{ master: the-same-for-all-who-share-one-redis }}\n"
            ),
        };
        let yaml = format!(
            "version: 1\n\
             server:\n  listen: [{{ address: \"127.0.0.1:0\"{tls} }}]\n  public_url: http://127.0.0.1:8080\n{}\
             admin: {{ listen: \"127.0.0.1:0\" }}\n\
             {store}\
             hashing: {{ memory: 8MiB, iterations: 1, parallelism: 1, max_concurrent: 2 }}\n\
             clients:\n  web: {{ secret: quickstart-secret, grants: [password, refresh_token], scopes: [read, write] }}\n\
             {}upstreams:\n  app: http://{}\n{}\
             routes:\n{}",
            self.server, self.rest, upstream.address, self.upstreams, self.routes
        );
        let configuration = Configuration { yaml, overrides: self.overrides };
        let settings = configuration.settings();
        let base_path = settings.base_path.clone();
        let app = App::build(settings, clock.clone()).await.unwrap_or_else(|error| panic!("{error}"));
        let (address, admin) = (app.addresses()[0], app.admin_address().expect("an admin listener"));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(app.run(stopped));
        Gateway { address, admin, clock, upstream, configuration, base_path, stop, task, directory }
    }
}

/// What a gateway was started with.
struct Configuration {
    yaml: String,
    overrides: Vec<(String, String)>,
}

impl Configuration {
    fn settings(&self) -> config::Settings {
        config::parse(&self.yaml, "bench.yaml", self.overrides.iter().cloned())
            .unwrap_or_else(|report| panic!("the bench's configuration:\n{report}\n{}", self.yaml))
    }
}

/// A running gateway, stopped with the test.
pub struct Gateway {
    pub address: SocketAddr,
    pub admin: SocketAddr,
    pub clock: Clock,
    pub upstream: Upstream,
    configuration: Configuration,
    base_path: String,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), app::Error>>,
    pub directory: TempDir,
}

/// An access token and a refresh token.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
}

impl Gateway {
    /// The bench's own configuration.
    pub async fn start() -> Self {
        Bench::default().start().await
    }

    /// The bench's own configuration with some keys overridden; see [`Bench::set`].
    pub async fn start_with(overrides: &[(&str, &str)]) -> Self {
        overrides.iter().fold(Bench::default(), |bench, (key, value)| bench.set(key, value)).start().await
    }

    /// The binary, for a command beside this gateway.
    pub fn passgate(&self) -> Command {
        let file = self.directory.path().join("passgate.yaml");
        std::fs::write(&file, &self.configuration.yaml).expect("a writable directory");
        let mut command = process::passgate();
        command.envs(self.configuration.overrides.iter().cloned()).env("PASSGATE_CONFIG", file);
        command
    }

    /// Makes an account staff, as the command line does it.
    pub async fn promote(&self, email: &str) {
        self.change(email, AccountChange::Staff(true)).await;
    }

    /// Locks an account out, as the command line does it.
    pub async fn deactivate(&self, email: &str) {
        self.change(email, AccountChange::Active(false)).await;
    }

    /// Opens the store beside the gateway, as the command line does it.
    pub async fn store(&self) -> Arc<dyn Store> {
        let settings = self.configuration.settings();
        app::open(&settings, &self.clock, Role::Command).await.expect("the store, beside the gateway").store
    }

    /// Changes an account, as the command line does it.
    pub async fn change(&self, email: &str, change: AccountChange) {
        let settings = self.configuration.settings();
        let hasher = Arc::new(Hasher::new(settings.hashing).expect("cheap hashing"));
        let accounts = Accounts::new(self.store().await, hasher, settings.accounts, self.clock.clone());
        let account = accounts.find(email).await.expect("the account");
        accounts.change(account.id, change).await.expect("the change");
    }

    /// Sends bytes, reads one answer, which must be as `openapi.json` describes it when an endpoint of ours gave it.
    pub async fn request(&self, bytes: impl AsRef<[u8]>) -> Answer {
        let answer = exchange(self.address, &bytes).await;
        let judged = Document::own().judge(&self.base_path, bytes.as_ref(), &answer);
        judged.unwrap_or_else(|wrong| panic!("{wrong}"));
        answer
    }

    /// A request with these headers and this body, on a connection of its own.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut bytes =
            format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: close\r\n").into_bytes();
        for (name, value) in headers {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        self.request(bytes).await
    }

    /// GET, with a bearer when one is given.
    pub async fn get(&self, path: &str, bearer: Option<&str>) -> Answer {
        let authorization = bearer.map(|token| format!("Bearer {token}"));
        let headers: Vec<(&str, &str)> = authorization.iter().map(|value| ("Authorization", value.as_str())).collect();
        self.send("GET", path, &headers, b"").await
    }

    /// POST of JSON.
    pub async fn post_json(&self, path: &str, body: impl Borrow<Value>) -> Answer {
        self.send("POST", path, &[("Content-Type", "application/json")], body.borrow().to_string().as_bytes()).await
    }

    /// POST of JSON with a bearer.
    pub async fn post_json_as(&self, path: &str, bearer: &str, body: impl Borrow<Value>) -> Answer {
        let authorization = format!("Bearer {bearer}");
        let headers = [("Content-Type", "application/json"), ("Authorization", authorization.as_str())];
        self.send("POST", path, &headers, body.borrow().to_string().as_bytes()).await
    }

    /// POST of a form.
    pub async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send("POST", path, &[("Content-Type", "application/x-www-form-urlencoded")], body.as_bytes()).await
    }

    /// POST of `multipart/form-data`.
    pub async fn post_multipart(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let part = |(name, value): &(&str, &str)| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let body = fields.iter().map(part).collect::<Vec<_>>().concat() + "--b--\r\n";
        self.send("POST", path, &[("Content-Type", "multipart/form-data; boundary=b")], body.as_bytes()).await
    }

    /// Signs `email` up with the password `correct-horse-7`, and in with the client `web`.
    pub async fn sign_up(&self, email: &str) -> Tokens {
        let answer = self
            .post_json(
                "/api-auth/create/",
                &json!({ "email": email, "username": "somebody", "first_name": "Some", "password": PASSWORD }),
            )
            .await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        self.sign_in(email).await
    }

    /// Signs `email` in with the client `web`.
    pub async fn sign_in(&self, email: &str) -> Tokens {
        let answer = self
            .post_json(
                "/api-auth/token",
                &json!({
                    "grant_type": "password", "username": email, "password": PASSWORD,
                    "client_id": "web", "client_secret": "quickstart-secret",
                }),
            )
            .await;
        Tokens::of(&answer)
    }

    /// Refreshes with the client `web`.
    pub async fn refresh(&self, refresh_token: &str) -> Answer {
        self.post_json(
            "/api-auth/token",
            &json!({
                "grant_type": "refresh_token", "refresh_token": refresh_token,
                "client_id": "web", "client_secret": "quickstart-secret",
            }),
        )
        .await
    }

    /// Moves the clock.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Drains and waits for the end; the directory and the upstream live on.
    pub async fn stop(self) -> (TempDir, Upstream, Clock) {
        let _ = self.stop.send(true);
        self.task.await.expect("the gateway ended without a panic").expect("it served");
        (self.directory, self.upstream, self.clock)
    }
}

/// The password of every account the bench makes.
pub const PASSWORD: &str = "correct-horse-7";

impl Tokens {
    /// The pair of a token answer; anything else fails the test.
    pub fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let body = answer.json();
        let text = |key: &str| body[key].as_str().unwrap_or_else(|| panic!("{key} in {body}")).to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token") }
    }
}
