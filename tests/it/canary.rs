//! Secrets planted in every place where a client, a provider or an operator can put one are found nowhere: in no line of the
//! log, at whatever level and in either form, in no metric, in no answer that is a refusal, and not in clear in the store.

mod plant;
mod search;

use std::fs;

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Duration, timeout},
};

use self::search::{Canaries, Found, Place};
use crate::support::{
    exchange,
    h2::Certificate,
    process::{Serving, free_port, passgate},
    provider::{Google, google},
};

/// A gateway in a process of its own, and what it was told and told.
struct Scene {
    serving: Serving,
    directory: TempDir,
    tls: u16,
    admin: u16,
    certificate: Certificate,
    google: Google,
    canaries: Canaries,
    client_secret: String,
    refusals: Vec<u8>,
}

impl Scene {
    async fn start(level: &str, format: &str) -> Self {
        let (port, tls, admin, dead) = (free_port(), free_port(), free_port(), free_port());
        let (google, certificate) = (Google::start().await, Certificate::generate());
        let directory = tempfile::tempdir().unwrap();
        let mut canaries = Canaries::default();
        let (master, client_secret) = (canaries.hidden("secrets.master"), canaries.hidden("clients.web.secret"));
        let app_secret = canaries.hidden("providers.google-oauth2.client_secret");
        let google_yaml = google.yaml();
        let google_yaml = google_yaml.replacen('{', &format!("{{ client_secret: {app_secret},"), 1);
        for (file, text) in [("cert.pem", &certificate.cert_pem), ("key.pem", &certificate.key_pem)] {
            fs::write(directory.path().join(file), text).unwrap();
        }
        let yaml = format!(
            "version: 1\n\
             server:\n  listen: [\"127.0.0.1:{port}\", \
             {{ address: \"127.0.0.1:{tls}\", tls: {{ cert_file: cert.pem, key_file: key.pem }} }}]\n  drain: 5s\n\
             admin: {{ listen: \"127.0.0.1:{admin}\" }}\n\
             secrets: {{ master: {master}-{master} }}\n\
             hashing: {{ memory: 8MiB, iterations: 1 }}\n\
             limits: off\n\
             cors: {{ allowed_origins: [\"http://localhost:3000\"] }}\n\
             clients:\n  web:\n    secret: {client_secret}\n    \
             grants: [password, refresh_token, convert_token]\n    scopes: [read, write]\n\
             providers:\n  {google_yaml}\n\
             upstreams: {{ app: whoami, dead: \"http://127.0.0.1:{dead}\" }}\n\
             routes:\n  - {{ match: {{ path: /dead/ }}, upstream: dead, auth: public }}\n  \
             - {{ match: {{ path: /observed/ }}, upstream: app, mode: observe }}\n  \
             - {{ match: {{ path: / }}, upstream: app }}\n"
        );
        fs::write(directory.path().join("passgate.yaml"), yaml).unwrap();
        for command in ["check", "print-config"] {
            let told = passgate().arg(command).current_dir(directory.path()).output().unwrap();
            assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
            canaries.assert_none(Place::Answers, command, &[told.stdout, told.stderr].concat());
        }
        let mut command = passgate();
        command.envs([("PASSGATE__LOG__LEVEL", level), ("PASSGATE__LOG__FORMAT", format)]);
        let serving = Serving::start_as(&mut command, directory.path(), port).await;
        Self { serving, directory, tls, admin, certificate, google, canaries, client_secret, refusals: Vec::new() }
    }

    /// Sends a request as it is, and keeps what came of it unless it was a success.
    async fn send(&mut self, request: impl AsRef<[u8]>) -> String {
        self.send_to(self.serving.address.port(), request).await
    }

    async fn send_to(&mut self, port: u16, request: impl AsRef<[u8]>) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        // Whoever is refused may be cut off while they send.
        let _ = stream.write_all(request.as_ref()).await;
        let mut answer = Vec::new();
        // Some of what is sent is never a whole request.
        let _ = timeout(Duration::from_millis(if whole(request.as_ref()) { 20_000 } else { 300 }), async {
            stream.read_to_end(&mut answer).await
        })
        .await;
        if !answer.starts_with(b"HTTP/1.1 2") {
            self.refusals.extend_from_slice(&answer);
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Standard output and error, so far.
    fn log(&self) -> String {
        ["log", "stderr"].map(|file| fs::read_to_string(self.directory.path().join(file)).unwrap()).concat()
    }

    /// The store's files, the log of writes among them.
    fn store(&self) -> Vec<u8> {
        let files = fs::read_dir(self.directory.path().join("data")).unwrap();
        let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        assert!(files.iter().any(|file| file.ends_with("passgate.db")), "{files:?}");
        files.iter().flat_map(|file| fs::read(file).unwrap()).collect()
    }
}

/// Whether there will be an answer: the end of the head, and of what it announces, is there.
fn whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
    !head.contains("chunked") && body.len() >= length.unwrap_or(0) && head.contains("Connection: close")
}

async fn at_every_level(format: &str) {
    // Together, as most of the time is waiting for answers that are never to come.
    let [error, warn, info, debug, trace] =
        ["error", "warn", "info", "debug", "trace"].map(|level| Box::pin(at(level, format)));
    tokio::join!(error, warn, info, debug, trace);
}

async fn at(level: &str, format: &str) {
    let mut scene = Scene::start(level, format).await;
    plant::everywhere(&mut scene).await;
    let metrics =
        exchange(([127, 0, 0, 1], scene.admin).into(), "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let metrics = metrics.await.text();
    assert!(metrics.contains("passgate_sign_ins_total"), "{metrics}");
    let running = scene.store();
    scene.serving.signal("TERM");
    assert!(scene.serving.child.wait().unwrap().success());
    let log = scene.log();

    // They can be found where they are: all that follows says nothing otherwise.
    let control = scene.canaries.find(Place::Control, "the log", log.as_bytes());
    let controls: Vec<_> = control.iter().map(|found| found.planted.as_str()).collect();
    assert_eq!(controls, ["the path of a proxied request", "the path of an unknown endpoint"], "{log}");
    let kept = scene.canaries.find(Place::Kept, "the store", &running);
    assert!(kept.iter().any(|found| found.planted == "the address of an account"), "{kept:?}");
    for (needed, at) in [("\"audit\"", "json"), (" audit: ", "text")] {
        assert!(at != format || log.contains(needed), "{log}");
    }
    assert!(log.contains("an upstream failed") || level == "error" || level == "warn", "{log}");
    let informed = log.contains("listening");
    assert_eq!(informed, !matches!(level, "error" | "warn"), "the environment's level is the one: {log}");
    for line in log.lines().filter(|_| format == "json") {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }

    let mut found: Vec<Found> = Vec::new();
    found.extend(scene.canaries.find(Place::Log, &format!("the log ({format}, {level})"), log.as_bytes()));
    found.extend(scene.canaries.find(Place::Metrics, "/metrics", metrics.as_bytes()));
    found.extend(scene.canaries.find(Place::Answers, "refusals", &scene.refusals));
    found.extend(scene.canaries.find(Place::Store, "the store while it is open", &running));
    found.extend(scene.canaries.find(Place::Store, "the store", &scene.store()));
    assert!(found.is_empty(), "{found:#?}");
    assert!(scene.google.calls(google::TOKENINFO) > 0, "the provider was asked");
}

#[tokio::test]
async fn no_secret_is_found_in_json_at_any_level() {
    Box::pin(at_every_level("json")).await;
}

#[tokio::test]
async fn no_secret_is_found_in_text_at_any_level() {
    Box::pin(at_every_level("text")).await;
}
