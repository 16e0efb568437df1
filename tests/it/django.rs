//! The move from Django, as docs/moving-from-django.md tells it: its code, its files and its commands, with a real Django
//! behind the gateway. `tests/it/django/shop` is an app as drf-social-oauth2 has them.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Answer, Door,
    door::{JSON, token},
    process::{App, Serving, free_port, passgate, stderr},
    provider::{Google, Person},
};

const SHOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/django/shop");

/// Of the virtual environment that `make test` makes.
const PYTHON: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/../django/bin/python");

/// Django's settings before the move, and with what the move changes.
const BEFORE: &str = "shop.settings";
const AFTER: &str = "shop.behind_passgate";

/// What Django knows Passgate by.
const KEY: &str = "f2a1c0d9";

/// The variables that the configuration of the document names.
const VARIABLES: [(&str, &str); 3] =
    [("PASSGATE_KEY", KEY), ("GOOGLE_CLIENT_ID", "google-client-id"), ("WEB_SECRET", "web-secret")];

/// Who has a password, named after its kind.
const PEOPLE: [&str; 6] = ["pbkdf2_sha256", "pbkdf2_sha1", "argon2", "bcrypt_sha256", "bcrypt", "scrypt"];

#[test]
fn the_code_of_the_document_is_the_code_that_is_tested() {
    for file in ["passgate/models.py", "passgate/authentication.py"] {
        assert_eq!(in_the_document(file), fs::read_to_string(Path::new(SHOP).join(file)).unwrap(), "{file}");
    }
    let settings = fs::read_to_string(Path::new(SHOP).join("shop/behind_passgate.py")).unwrap();
    assert!(settings.ends_with(&in_the_document("settings.py")), "{settings}");
}

#[test]
fn the_configurations_of_the_document_hold() {
    for (file, warnings) in [("observe.yaml", 5), ("passgate.yaml", 1)] {
        let variables = VARIABLES.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = passgate::config::parse(&in_the_document(file), file, variables.into_iter());
        let settings = settings.unwrap_or_else(|report| panic!("{report}"));
        assert_eq!(settings.warnings.len(), warnings, "{:?}", settings.warnings);
    }
}

#[tokio::test]
#[ignore = "needs the Django that `make test` installs"]
async fn while_passgate_observes_everything_is_as_it_was_and_differences_come_to_light() {
    let site = Site::new().await;
    let django = site.django(AFTER).await;
    let gateway = site.gateway("observe.yaml").await;
    let (through, direct) = (gateway.door(), django.door());

    let token = django_token(&through, "argon2").await;
    let mine = json!({ "id": 6, "email": "argon2@example.com", "orders": ["tea of argon2"] });
    assert_eq!(through.get("/orders/", Some(&token)).await.json(), mine);
    for (path, bearer, status) in [
        ("/catalogue/", None, 200),
        ("/catalogue/", Some("dead"), 401),
        ("/orders/", None, 401),
        ("/orders/", Some("dead"), 401),
        ("/reports/", Some(token.as_str()), 403),
        ("/admin/", None, 302),
        ("/nothing/", None, 404),
    ] {
        let (through, direct) = (through.get(path, bearer).await, direct.get(path, bearer).await);
        let told =
            |answer: &Answer| (answer.status, answer.header("WWW-Authenticate").map(str::to_owned), answer.text());
        assert_eq!(told(&through), told(&direct), "{path} {bearer:?}");
        assert_eq!(through.status, status, "{path} {bearer:?}");
    }
    let forged = [("X-Account-Id", "a"), ("X-User-Id", "4"), ("X-Passgate-Key", KEY)];
    assert_eq!(direct.send("GET", "/orders/", &forged, "").await.json()["id"], 4, "Django would believe it");
    assert_eq!(through.send("GET", "/orders/", &forged, "").await.status, 401);
    assert_eq!(gateway.differences().await, Vec::<Value>::new());
    drop(gateway);

    // A view that anybody may call, behind a route that thinks otherwise.
    let mistaken = in_the_document("observe.yaml").replace(", auth: optional", "");
    let mistaken = site.gateway_with("mistaken.yaml", &mistaken).await;
    assert_eq!(mistaken.door().get("/catalogue/", None).await.status, 200);
    let [line] = &mistaken.differences().await[..] else { panic!("one difference") };
    assert_eq!((&line["path"], &line["verdict"]), (&json!("/catalogue/"), &json!("no_credentials")));
}

#[tokio::test]
#[ignore = "needs the Django that `make test` installs"]
async fn those_who_try_it_first_have_a_host_of_their_own() {
    let site = Site::new().await;
    let _django = site.django(AFTER).await;
    let gateway = site.gateway_with("trying.yaml", &with_a_host_for_trying()).await;
    let (everybody, few) = (gateway.door(), Door { host: "next.example.com", ..gateway.door() });

    let newcomer = token(&few.sign_up("/passgate-auth/create/").await);
    let mine = few.get("/orders/", Some(&newcomer)).await.json();
    assert_eq!(mine["orders"], json!([]));
    assert_eq!(few.get("/orders/", None).await.json()["detail"], "Authentication credentials were not provided.");
    assert_eq!(few.get("/reports/", Some(&newcomer)).await.status, 403);
    let old = django_token(&everybody, "argon2").await;
    assert_eq!(everybody.get("/orders/", Some(&old)).await.json()["id"], 6);
    assert_eq!(gateway.differences().await, Vec::<Value>::new());
    assert_eq!(few.get("/orders/", Some(&old)).await.status, 401, "each to their own");
    assert_eq!(everybody.get("/orders/", Some(&newcomer)).await.status, 401);
    assert_eq!(gateway.differences().await.len(), 1, "Django does not know a token that we do");
}

#[tokio::test]
#[ignore = "needs the Django that `make test` installs"]
async fn after_the_switch_everybody_is_who_they_were_and_there_is_a_way_back() {
    let site = Site::new().await;
    let dump = ["dumpdata", "accounts", "auth.group", "social_django", "oauth2_provider.application"];
    fs::write(site.file("dump.json"), site.manage(BEFORE, &dump)).unwrap();
    let old = {
        let (_django, gateway) = (site.django(BEFORE).await, site.gateway("observe.yaml").await);
        django_token(&gateway.door(), "argon2").await
    };

    site.passgate("passgate.yaml", &["import", "django", "--dry-run", "--report", "trial.jsonl", "dump.json"]);
    site.passgate("passgate.yaml", &["import", "django", "--report", "left.jsonl", "dump.json"]);
    let django = site.django(AFTER).await;
    let gateway = site.gateway("passgate.yaml").await;
    site.passgate("passgate.yaml", &["import", "django", "dump.json"]);
    let door = gateway.door();

    for (name, id) in PEOPLE.iter().zip(4..) {
        let token = token(&door.sign_in(name, "web").await);
        let mine = json!({ "id": id, "email": format!("{name}@example.com"), "orders": [format!("tea of {name}")] });
        assert_eq!(door.get("/orders/", Some(&token)).await.json(), mine, "{name}");
        assert_eq!(door.get("/reports/", Some(&token)).await.status, 403, "{name}");
    }
    for client in ["partner", "phone"] {
        let staff = token(&door.sign_in("staff", client).await);
        assert_eq!(door.get("/reports/", Some(&staff)).await.status, 200, "{client}");
    }
    // Django knew her by the address that she has at Google.
    let gina = site.google.user(Person::new("108234567890123456789").email("gina@example.com"));
    let gina = token(&door.convert("google-oauth2", &gina).await);
    assert_eq!(door.get("/orders/", Some(&gina)).await.json()["id"], 12);
    assert_eq!(door.sign_in("inactive", "web").await.json()["error"], "invalid_grant");
    assert_eq!(door.get("/orders/", Some(&old)).await.status, 401, "a token of Django's");
    assert_eq!(door.get("/catalogue/", None).await.status, 200);
    assert_eq!(door.get("/admin/", None).await.status, 302);
    let direct = [("X-Account-Id", "a"), ("X-User-Id", "4")];
    assert_eq!(django.door().send("GET", "/orders/", &direct, "").await.status, 401, "not through the gateway");

    // Somebody new has a row of their own, and the same one the next time.
    let newcomer = token(&door.sign_up("/api-auth/create/").await);
    let first = door.get("/orders/", Some(&newcomer)).await.json();
    assert_eq!((&first["email"], &first["orders"]), (&json!("new@example.com"), &json!([])));
    let bearer = format!("Bearer {newcomer}");
    let bought = door.send("POST", "/orders/", &[JSON, ("Authorization", &bearer)], r#"{"item": "pot"}"#).await;
    assert_eq!(bought.status, 201);
    let second = door.get("/orders/", Some(&newcomer)).await.json();
    assert_eq!((&second["id"], &second["orders"]), (&first["id"], &json!(["pot"])));

    // Back.
    drop(gateway);
    let gateway = site.gateway("observe.yaml").await;
    let door = gateway.door();
    assert_eq!(door.get("/orders/", Some(&newcomer)).await.status, 401);
    assert_eq!(door.get("/orders/", Some(&old)).await.status, 200, "it had not ended");
    let token = django_token(&door, "scrypt").await;
    assert_eq!(door.get("/orders/", Some(&token)).await.json()["id"], 9);
}

/// Step 4: what `passgate.yaml` has more, and its routes under a host of their own, before the others.
fn with_a_host_for_trying() -> String {
    let (observe, passgate) = (in_the_document("observe.yaml"), in_the_document("passgate.yaml"));
    let (_, more) = passgate.split_once("clients:\n").unwrap();
    let (more, _) = more.split_once("identity_headers:\n").unwrap();
    let (_, routes) = passgate.split_once("routes:\n").unwrap();
    let routes = routes.replace("match: { ", "match: { host: next.example.com, ");
    observe.replace("routes:\n", &format!("clients:\n{more}routes:\n{routes}"))
}

/// The first block of the document that begins with this name as a comment, without it.
fn in_the_document(name: &str) -> String {
    let document = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/moving-from-django.md")).unwrap();
    let (_, rest) = document.split_once(&format!("\n# {name}\n")).unwrap_or_else(|| panic!("no block {name}"));
    let (block, _) = rest.split_once("\n```\n").expect("the end of the block");
    format!("{block}\n")
}

/// A directory with the shop's database, in which the gateway runs.
struct Site {
    directory: TempDir,
    django: SocketAddr,
    google: Google,
}

impl Site {
    /// The shop, with its people in it.
    async fn new() -> Self {
        let (directory, django) = (tempfile::tempdir().unwrap(), SocketAddr::from(([127, 0, 0, 1], free_port())));
        let site = Self { directory, django, google: Google::start().await };
        site.manage(AFTER, &["migrate"]);
        site.python(BEFORE, &["people.py"]);
        site
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, settings: &str) -> Command {
        let mut command = Command::new(PYTHON);
        command.env_clear().envs(VARIABLES).env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("SHOP_DATABASE", self.file("shop.sqlite3")).env("DJANGO_SETTINGS_MODULE", settings);
        command.current_dir(SHOP).stdin(Stdio::null());
        command
    }

    fn python(&self, settings: &str, arguments: &[&str]) -> Vec<u8> {
        let output = self.command(settings).args(arguments).output();
        let output = output.unwrap_or_else(|error| panic!("{PYTHON}: {error}; `make test` makes it"));
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        output.stdout
    }

    fn manage(&self, settings: &str, arguments: &[&str]) -> Vec<u8> {
        self.python(settings, &[&["manage.py"], arguments].concat())
    }

    /// Starts Django, and waits until it answers.
    async fn django(&self, settings: &str) -> App {
        let mut command = self.command(settings);
        command.args(["manage.py", "runserver", "--noreload", &self.django.to_string()]);
        App::start(&mut command, self.directory.path(), self.django).await
    }

    /// Passgate with this configuration, but for where Django and Google are.
    fn passgate_command(&self, file: &str, yaml: &str) -> Command {
        fs::write(self.file(file), yaml).unwrap();
        let mut command = passgate();
        command.envs(VARIABLES).current_dir(self.directory.path()).args(["--config", file]);
        command.env("PASSGATE__UPSTREAMS__DJANGO", format!("http://{}", self.django));
        if yaml.contains("google-oauth2") {
            command.env("PASSGATE__PROVIDERS__GOOGLE_OAUTH2__ENDPOINTS", self.google.endpoints_yaml());
        }
        command
    }

    fn passgate(&self, file: &str, arguments: &[&str]) {
        let output = self.passgate_command(file, &in_the_document(file)).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    }

    /// Starts the gateway with a configuration of the document.
    async fn gateway(&self, file: &str) -> Gateway<'_> {
        self.gateway_with(file, &in_the_document(file)).await
    }

    async fn gateway_with(&self, file: &str, yaml: &str) -> Gateway<'_> {
        let port = free_port();
        let mut command = self.passgate_command(file, yaml);
        command.env("PASSGATE__SERVER__LISTEN", format!("127.0.0.1:{port}"));
        command.env("PASSGATE__ADMIN__LISTEN", "off");
        Gateway { serving: Serving::start_as(&mut command, self.directory.path(), port).await, site: self }
    }
}

impl App {
    fn door(&self) -> Door {
        Door { address: self.address, host: "api.example.com" }
    }
}

/// A document of ours that no test asks for.
const LAST: &str = "/.well-known/jwks.json";

/// A gateway in a process of its own, killed with the test.
struct Gateway<'a> {
    serving: Serving,
    site: &'a Site,
}

impl Gateway<'_> {
    fn door(&self) -> Door {
        Door { address: self.serving.address, host: "api.example.com" }
    }

    /// Lines of the log about upstreams that decide otherwise.
    async fn differences(&self) -> Vec<Value> {
        // Lines come in order: with that of one more request, all before it are there.
        let seen = self.lines_about(LAST).len();
        self.door().get(LAST, None).await;
        while self.lines_about(LAST).len() == seen {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.log().into_iter().filter(|line| line["target"] == "passgate::proxy::observe").collect()
    }

    fn lines_about(&self, path: &str) -> Vec<Value> {
        self.log().into_iter().filter(|line| line["path"] == path).collect()
    }

    /// All whole lines so far.
    fn log(&self) -> Vec<Value> {
        let log = fs::read_to_string(self.site.file("log")).unwrap();
        let whole = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        whole.map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Door {
    /// Signs one of the shop's people in, with the password from Django.
    async fn sign_in(&self, name: &str, client: &str) -> Answer {
        let body = json!({ "grant_type": "password", "username": format!("{name}@example.com"),
                           "password": format!("horse-{name}"),
                           "client_id": client, "client_secret": format!("{client}-secret") });
        self.send("POST", "/api-auth/token", &[JSON], &body.to_string()).await
    }

    /// Signs in with a token of a provider.
    async fn convert(&self, provider: &str, token: &str) -> Answer {
        let body = json!({ "grant_type": "convert_token", "backend": provider, "token": token,
                           "client_id": "web", "client_secret": "web-secret" });
        self.send("POST", "/api-auth/convert-token", &[JSON], &body.to_string()).await
    }

    /// Signs somebody new up.
    async fn sign_up(&self, path: &str) -> Answer {
        let body = json!({ "email": "new@example.com", "username": "nëw", "first_name": "N",
                           "password": "weave-numbers-1843" });
        self.send("POST", path, &[JSON], &body.to_string()).await
    }
}

/// A token of Django's own: short, and no JWT.
async fn django_token(door: &Door, name: &str) -> String {
    let token = token(&door.sign_in(name, "web").await);
    assert!(!token.contains('.'), "{token}");
    token
}
