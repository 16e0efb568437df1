//! What stands under `examples/`. Each app is started as its README says, behind the real gateway with the configuration
//! beside it; what Python and node need comes from `make test`. What runs a gateway elsewhere is held against what the
//! gateway does.

mod deployment;
mod django;
mod express;
mod fastapi;
mod grafana;
mod yaml;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Door, PASSWORD,
    door::{JSON, token},
    process::{App, Serving, free_port, passgate, stderr},
};

/// What the app knows Passgate by.
const KEY: &str = "f2a1c0d94b7e4d0c8a6b5e3f1d2c4b6a";

/// Where the example of this name is.
fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// A directory with the state of the app and of the gateway before it.
struct Site {
    name: &'static str,
    directory: TempDir,
    app: SocketAddr,
}

impl Site {
    fn new(name: &'static str) -> Self {
        let app = SocketAddr::from(([127, 0, 0, 1], free_port()));
        Self { name, directory: tempfile::tempdir().unwrap(), app }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A program of the example's, with the little that it needs to know.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("PASSGATE_KEY", KEY).env("PYTHONDONTWRITEBYTECODE", "1");
        command.current_dir(example(self.name)).stdin(Stdio::null());
        command
    }

    async fn start(&self, command: &mut Command) -> App {
        App::start(command, self.directory.path(), self.app).await
    }

    /// Passgate with the example's configuration, but for where the two are and for how dearly passwords are hashed.
    fn passgate(&self) -> Command {
        let mut command = passgate();
        command.current_dir(self.directory.path()).env("PASSGATE_KEY", KEY);
        command.env("PASSGATE_CONFIG", example(self.name).join("passgate.yaml"));
        command.env("PASSGATE__UPSTREAMS__APP", format!("http://{}", self.app));
        command.env("PASSGATE__ADMIN__LISTEN", "off");
        command.env("PASSGATE__HASHING__MEMORY", "8MiB").env("PASSGATE__HASHING__ITERATIONS", "1");
        command
    }

    /// A command beside the gateway, or before it.
    fn run(&self, arguments: &[&str]) {
        let output = self.passgate().args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    }

    async fn gateway(&self) -> Gateway {
        let port = free_port();
        let mut command = self.passgate();
        command.env("PASSGATE__SERVER__LISTEN", format!("127.0.0.1:{port}"));
        let serving = Serving::start_as(&mut command, self.directory.path(), port).await;
        Gateway { door: Door { address: serving.address, host: "127.0.0.1" }, _serving: serving }
    }

    /// Past the gateway.
    fn direct(&self) -> Door {
        Door { address: self.app, host: "127.0.0.1" }
    }
}

struct Gateway {
    door: Door,
    _serving: Serving,
}

impl Gateway {
    async fn sign_up(&self, email: &str, username: &str) {
        let body = json!({ "email": email, "username": username, "first_name": "A", "password": PASSWORD });
        let answer = self.door.send("POST", "/api-auth/create/", &[JSON], &body.to_string()).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }

    /// Signs in, and hands out the access token.
    async fn sign_in(&self, email: &str, password: &str) -> String {
        let body = json!({ "grant_type": "password", "username": email, "password": password,
                           "client_id": "web", "client_secret": "quickstart-secret" });
        token(&self.door.send("POST", "/api-auth/token", &[JSON], &body.to_string()).await)
    }

    /// What the upstream says to a caller with this token, who sends these headers as well.
    async fn call(&self, path: &str, token: &str, forged: &[(&str, &str)]) -> Value {
        let bearer = format!("Bearer {token}");
        let headers = [&[("Authorization", bearer.as_str())], forged].concat();
        let answer = self.door.send("GET", path, &headers, "").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}

/// The account that an access token names.
fn subject(token: &str) -> Value {
    let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&payload).unwrap()["sub"].clone()
}

/// An app that answers with `{"user": …}` at `/` and `/public/`, and goes by the headers of the preset `x-forwarded`.
async fn takes_the_gateways_word_and_nobody_elses(site: &Site) {
    let gateway = site.gateway().await;
    let door = gateway.door;
    gateway.sign_up("ada@example.com", "Ada Ö, 100%").await;
    let token = gateway.sign_in("ada@example.com", PASSWORD).await;
    let ada = gateway.call("/", &token, &[]).await;
    let told = json!({ "id": subject(&token), "email": "ada@example.com", "name": "Ada Ö, 100%", "groups": [] });
    assert_eq!(ada["user"], told);
    assert_eq!(door.get("/", None).await.status, 401);

    for key in ["", "guessed", KEY] {
        let forged = [
            ("X-Forwarded-User", "boss"),
            ("X-Forwarded-Email", "boss@example.com"),
            ("X-Forwarded-Groups", "admin"),
            ("X-Passgate-Key", key),
        ];
        assert_eq!(gateway.call("/", &token, &forged).await, ada, "{key:?}");
        assert_eq!(gateway.call("/public/", &token, &forged).await["user"], Value::Null, "{key:?}");
        let stranger = door.send("GET", "/public/", &forged, "").await;
        assert_eq!((stranger.status, &stranger.json()["user"]), (200, &Value::Null), "{key:?}");
        assert_eq!(door.send("GET", "/", &forged, "").await.status, 401, "{key:?}");
        // What all this is for: whoever gets past the gateway, and knows the key, is believed.
        let past = if key == KEY { 200 } else { 403 };
        for path in ["/", "/public/"] {
            assert_eq!(site.direct().send("GET", path, &forged, "").await.status, past, "{path} {key:?}");
        }
    }
    let nobody = site.direct().get("/", None).await;
    assert_eq!((nobody.status, nobody.header("WWW-Authenticate")), (401, Some(r#"Bearer realm="api""#)));
}

/// An app that would take any key is one that believes everybody.
fn does_not_start_without_a_key(mut command: Command) {
    let output = command.env("PASSGATE_KEY", "").stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    assert!(!output.status.success());
    assert!(stderr(&output).contains("PASSGATE_KEY wants 32 characters or more"), "{}", stderr(&output));
}
