//! What operators do beside a running gateway, and between two: keys, clients, backups.

use std::{
    net::SocketAddr,
    path::Path,
    process::Output,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Answer, PASSWORD, RedisServer, Tokens, exchange,
    process::{Serving, configuration, fed, free_port, passgate, stderr, stdout},
};

/// A running gateway acts on the command line at once; this is for a busy machine.
const SOON: Duration = Duration::from_secs(5);

/// A gateway in a directory of its own, with the account of Ada.
struct Site {
    directory: TempDir,
    port: u16,
    serving: Serving,
}

impl Site {
    async fn start() -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        std::fs::write(directory.path().join("passgate.yaml"), configuration(port)).unwrap();
        let created = command(directory.path(), &["account", "create", "ada@example.com"], PASSWORD);
        assert!(created.status.success(), "{}", stderr(&created));
        let serving = Serving::start(directory.path(), port).await;
        Self { directory, port, serving }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// What a command tells that is carried out.
    fn done(&self, arguments: &[&str]) -> String {
        let output = command(self.path(), arguments, "");
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        stdout(&output)
    }

    /// What a command tells that is refused as wrong usage.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = command(self.path(), arguments, "");
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}{}", stdout(&output), stderr(&output));
        assert!(output.stdout.is_empty(), "{arguments:?}: {}", stdout(&output));
        stderr(&output)
    }

    async fn post(&self, body: Value) -> Answer {
        let body = body.to_string();
        let request = format!(
            "POST /api-auth/token HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        exchange(self.serving.address, request).await
    }

    async fn try_to_sign_in(&self, client: &str, secret: &str) -> Answer {
        self.post(json!({ "grant_type": "password", "username": "ada@example.com", "password": PASSWORD,
            "client_id": client, "client_secret": secret }))
            .await
    }

    async fn sign_in(&self) -> Tokens {
        Tokens::of(&self.try_to_sign_in("web", "quickstart-secret").await)
    }

    async fn refresh(&self, tokens: &Tokens) -> Answer {
        self.refresh_with("web", "quickstart-secret", tokens).await
    }

    async fn refresh_with(&self, client: &str, secret: &str, tokens: &Tokens) -> Answer {
        self.post(json!({ "grant_type": "refresh_token", "refresh_token": tokens.refresh,
            "client_id": client, "client_secret": secret }))
            .await
    }

    async fn get(&self, tokens: &Tokens) -> u16 {
        get(self.serving.address, "/a", Some(&tokens.access)).await.status
    }

    /// The kids that are published.
    async fn published(&self) -> Vec<String> {
        let jwks = get(self.serving.address, "/.well-known/jwks.json", None).await.json();
        jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }

    /// The kid of the key that `keys list` says signs.
    fn signing(&self) -> String {
        let keys = self.done(&["keys", "list", "--json"]);
        let mut keys = keys.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        keys.find(|key| key["state"] == "signs").unwrap()["kid"].as_str().unwrap().to_owned()
    }

    /// Ends the gateway, as it does itself, and gives what it leaves.
    async fn stop(self) -> (TempDir, u16) {
        let Self { directory, port, mut serving } = self;
        serving.signal("TERM");
        let ended = tokio::task::spawn_blocking(move || serving.child.wait().unwrap()).await.unwrap();
        assert!(ended.success());
        (directory, port)
    }

    /// Ends the gateway, puts the backup in the place of its store as docs/operations.md has it, tells the store with
    /// `restored`, and starts again.
    async fn restore(self, backup: &str, restored: &[&str]) -> (Self, String) {
        let (directory, port) = self.stop().await;
        let data = directory.path().join("data");
        for suffix in ["", "-wal", "-shm"] {
            _ = std::fs::remove_file(data.join(format!("passgate.db{suffix}")));
        }
        std::fs::copy(directory.path().join(backup), data.join("passgate.db")).unwrap();
        let told = command(directory.path(), restored, "");
        assert!(told.status.success(), "{}", stderr(&told));
        let serving = Serving::start(directory.path(), port).await;
        (Self { directory, port, serving }, stdout(&told))
    }
}

fn command(directory: &Path, arguments: &[&str], input: &str) -> Output {
    fed(passgate().current_dir(directory).args(arguments), &format!("{input}\n"))
}

async fn get(address: SocketAddr, path: &str, bearer: Option<&str>) -> Answer {
    let authorization = bearer.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    exchange(address, format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{authorization}\r\n")).await
}

/// The key that signed the token.
fn kid(tokens: &Tokens) -> String {
    let header = tokens.access.split('.').next().unwrap();
    let header: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

async fn soon(what: &str, holds: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < SOON, "not within {SOON:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_revoked_key_takes_its_access_tokens_along_and_no_refresh_token() {
    let site = Site::start().await;
    let tokens = site.sign_in().await;
    assert_eq!(site.get(&tokens).await, 200);
    let told = site.done(&["keys", "revoke", "--yes", "--", &kid(&tokens)]);
    soon("its tokens are refused", async || site.get(&tokens).await == 401).await;
    let next = Tokens::of(&site.refresh(&tokens).await);
    assert_eq!(site.get(&next).await, 200);
    assert!(told.contains(&format!("{} was made, and signs now", kid(&next))), "{told}");
    assert_eq!(site.published().await, [kid(&next)]);
    assert_eq!(site.signing(), kid(&next));
}

#[tokio::test]
async fn a_rotation_publishes_first_and_one_at_once_signs_at_once() {
    let site = Site::start().await;
    let tokens = site.sign_in().await;
    site.done(&["keys", "rotate"]);
    soon("the next key is published", async || site.published().await.len() == 2).await;
    assert_eq!(kid(&site.sign_in().await), kid(&tokens), "it does not sign yet");
    assert!(site.refused(&["keys", "rotate"]).contains("is published already"));

    site.done(&["keys", "rotate", "--at-once"]);
    soon("the new key signs", async || kid(&site.sign_in().await) != kid(&tokens)).await;
    assert_eq!(site.get(&tokens).await, 200, "what the old one signed holds on");
    assert_eq!(kid(&site.sign_in().await), site.signing());
}

#[tokio::test]
async fn every_gateway_on_a_redis_follows_what_is_done_beside_one() {
    let redis = RedisServer::start();
    let start = async || {
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        let yaml = format!(
            "store: {{ redis: {{ url: \"redis://{}\" }} }}\n{}",
            redis.address,
            secrets(port, "{ master: \"0123456789abcdef0123456789abcdef\" }")
        );
        std::fs::write(directory.path().join("passgate.yaml"), yaml).unwrap();
        let serving = Serving::start(directory.path(), port).await;
        Site { directory, port, serving }
    };
    let (here, there) = (start().await, start().await);
    let created = command(here.path(), &["account", "create", "ada@example.com"], PASSWORD);
    assert!(created.status.success(), "{}", stderr(&created));
    let tokens = here.sign_in().await;
    assert_eq!(there.get(&tokens).await, 200);
    here.done(&["keys", "revoke", "--yes", "--", &kid(&tokens)]);
    for site in [&here, &there] {
        soon("its tokens are refused", async || site.get(&tokens).await == 401).await;
    }
    let tokens = Tokens::of(&there.refresh(&tokens).await);
    assert_eq!(there.get(&tokens).await, 200);
    here.done(&["store", "restored", "--taken-at", "2026-01-01T00:00:00Z", "--yes"]);
    for site in [&here, &there] {
        soon("its tokens are refused again", async || site.get(&tokens).await == 401).await;
        assert_eq!(site.refresh(&tokens).await.status, 400);
    }
    let again = there.sign_in().await;
    assert_eq!(here.get(&again).await, 200);
}

#[tokio::test]
async fn a_deleted_client_gets_nothing_any_more_and_its_access_tokens_live_on() {
    let site = Site::start().await;
    let made = site.done(&["client", "create", "batch"]);
    let secret_in = |told: &str| told.lines().find_map(|line| line.strip_prefix("client_secret: ")).unwrap().to_owned();
    let old = secret_in(&made);
    soon("the client is known", async || site.try_to_sign_in("batch", &old).await.status == 200).await;
    let tokens = Tokens::of(&site.try_to_sign_in("batch", &old).await);

    let new = secret_in(&site.done(&["client", "rotate-secret", "batch", "--yes"]));
    soon("the old secret holds no more", async || site.try_to_sign_in("batch", &old).await.status == 401).await;
    let tokens = Tokens::of(&site.refresh_with("batch", &new, &tokens).await);

    site.done(&["client", "set", "batch", "--grant", "refresh_token"]);
    soon("it may not sign in", async || site.try_to_sign_in("batch", &new).await.status == 400).await;
    let tokens = Tokens::of(&site.refresh_with("batch", &new, &tokens).await);

    let told = site.done(&["client", "delete", "batch", "--yes"]);
    assert!(told.contains("live on until they expire"), "{told}");
    soon("it is unknown", async || site.refresh_with("batch", &new, &tokens).await.status == 401).await;
    let refused = site.refresh_with("batch", &new, &tokens).await;
    assert_eq!(refused.json()["error"], "invalid_client");
    assert_eq!(site.get(&tokens).await, 200);
}

#[tokio::test]
async fn a_client_in_configuration_and_store_is_64_and_both_ways_out_are_told() {
    let site = Site::start().await;
    site.done(&["client", "create", "batch", "--public"]);
    let (directory, port) = site.stop().await;
    let both = configuration(port).replace("clients:\n", "clients:\n  batch: { grants: [password], scopes: [read] }\n");
    std::fs::write(directory.path().join("passgate.yaml"), both).unwrap();
    let output = command(directory.path(), &["serve"], "");
    assert_eq!(output.status.code(), Some(64), "{}", stderr(&output));
    for part in ["client batch", "take it out of `clients`", "passgate client delete batch"] {
        assert!(stderr(&output).contains(part), "{part}: {}", stderr(&output));
    }
    let deleted = command(directory.path(), &["client", "delete", "batch", "--yes"], "");
    assert!(deleted.status.success(), "{}", stderr(&deleted));
    Serving::start(directory.path(), port).await;
}

#[tokio::test]
async fn after_a_restored_backup_everybody_signs_in_again() {
    let site = Site::start().await;
    let before = site.sign_in().await;
    let told = site.done(&["backup", "--to", "backup.db"]);
    let taken_at = told.split_once("taken at ").unwrap().1.split_once(".\n").unwrap().0.to_owned();
    assert!(told.contains("(the file data/master.secret) is not in it: keep a copy of that elsewhere"), "{told}");
    assert_eq!(site.get(&before).await, 200, "the gateway goes on");
    let after = site.sign_in().await;

    let (site, told) = site.restore("backup.db", &["store", "restored", "--taken-at", &taken_at, "--yes"]).await;
    assert!(told.contains("All sessions of 1 account are ended"), "{told}");
    for tokens in [&before, &after] {
        assert_eq!(site.get(tokens).await, 401);
        assert_eq!(site.refresh(tokens).await.status, 400);
    }
    let again = site.sign_in().await;
    assert_eq!(site.get(&again).await, 200);
    assert_eq!(site.published().await, [kid(&again)]);
}

#[tokio::test]
async fn with_keep_sessions_those_of_the_backup_go_on_and_no_access_token_does() {
    let site = Site::start().await;
    let before = site.sign_in().await;
    site.done(&["backup", "--to", "backup.db"]);
    let before = Tokens::of(&site.refresh(&before).await);
    let after = site.sign_in().await;
    let restored = ["store", "restored", "--taken-at", "2026-01-01T00:00:00Z", "--keep-sessions", "--yes"];
    let (site, told) = site.restore("backup.db", &restored).await;
    assert!(told.contains("ended since are alive again"), "{told}");
    for tokens in [&before, &after] {
        assert_eq!(site.get(tokens).await, 401);
    }
    assert_eq!(site.refresh(&after).await.status, 400, "its session is not in the backup");
    let next = Tokens::of(&site.refresh(&before).await);
    assert_eq!(site.get(&next).await, 200);
}

#[tokio::test]
async fn a_running_gateway_follows_when_the_store_is_said_to_be_restored() {
    let site = Site::start().await;
    let tokens = site.sign_in().await;
    assert_eq!(site.get(&tokens).await, 200);
    site.done(&["store", "restored", "--taken-at", "2026-01-01T00:00:00Z", "--yes"]);
    soon("its token is refused", async || site.get(&tokens).await == 401).await;
    assert_eq!(site.refresh(&tokens).await.status, 400);
    let again = site.sign_in().await;
    assert_eq!(site.get(&again).await, 200);
}

/// The section `secrets` in the place of the default.
fn secrets(port: u16, yaml: &str) -> String {
    format!("secrets: {yaml}\n{}", configuration(port))
}

#[tokio::test]
async fn a_new_master_secret_takes_the_place_of_the_old_one_and_nobody_signs_in_again() {
    let site = Site::start().await;
    let secret_in = |told: &str| told.lines().find_map(|line| line.strip_prefix("client_secret: ")).unwrap().to_owned();
    let used = secret_in(&site.done(&["client", "create", "used"]));
    let unused = secret_in(&site.done(&["client", "create", "unused"]));
    let (first, second) = (site.sign_in().await, site.sign_in().await);
    let (directory, port) = site.stop().await;
    let write = |yaml: &str| std::fs::write(directory.path().join("passgate.yaml"), secrets(port, yaml)).unwrap();
    std::fs::write(directory.path().join("new.secret"), "n".repeat(48)).unwrap();
    write("{ master_file: new.secret }");
    let alone = command(directory.path(), &["serve"], "");
    assert_eq!(alone.status.code(), Some(64), "{}", stderr(&alone));
    assert!(stderr(&alone).contains("previous_master_files"), "{}", stderr(&alone));

    write("{ master_file: new.secret, previous_master_files: [data/master.secret] }");
    let serving = Serving::start(directory.path(), port).await;
    let site = Site { directory, port, serving };
    assert_eq!(site.get(&first).await, 200);
    let first = Tokens::of(&site.refresh(&first).await);
    assert!(site.refused(&["keys", "reseal"]).contains("nothing was done"));

    // Beside the running gateway, which writes under the new one from then on.
    let told = site.done(&["keys", "reseal", "--yes"]);
    assert!(told.contains("now. Signing keys sealed under it: 1") && told.contains("unused used"), "{told}");
    assert_eq!(site.get(&first).await, 200);
    // The second byte of a refresh token, behind `pgr_`, names the secret.
    let master = |tokens: &Tokens| BASE64_URL_SAFE_NO_PAD.decode(&tokens.refresh[4..8]).unwrap()[1];
    soon("new tokens are under the new one", async || master(&site.sign_in().await) != master(&first)).await;
    let first = Tokens::of(&site.refresh(&first).await);
    assert_eq!(site.try_to_sign_in("used", &used).await.status, 200);
    site.done(&["keys", "rotate", "--at-once"]);

    let (directory, port) = site.stop().await;
    std::fs::write(directory.path().join("passgate.yaml"), secrets(port, "{ master_file: new.secret }")).unwrap();
    std::fs::remove_file(directory.path().join("data/master.secret")).unwrap();
    let serving = Serving::start(directory.path(), port).await;
    let site = Site { directory, port, serving };
    assert_eq!(site.get(&first).await, 200);
    assert_eq!(site.refresh(&first).await.status, 200);
    assert_eq!(site.try_to_sign_in("used", &used).await.status, 200);
    assert_eq!(site.refresh(&second).await.status, 400, "one that was not used since is lost");
    assert_eq!(site.try_to_sign_in("unused", &unused).await.status, 401);
}

#[tokio::test]
async fn what_destroys_asks_first_and_without_a_terminal_does_nothing() {
    let site = Site::start().await;
    let tokens = site.sign_in().await;
    site.done(&["client", "create", "batch"]);
    let signing = site.signing();
    for arguments in [
        &["keys", "revoke", "--", &signing][..],
        &["client", "delete", "batch"],
        &["client", "rotate-secret", "batch"],
        &["store", "restored", "--taken-at", "2026-01-01T00:00:00Z"],
    ] {
        let told = site.refused(arguments);
        assert!(told.contains("nothing was done") && told.contains("--yes"), "{told}");
    }
    assert_eq!(site.signing(), signing);
    assert!(site.done(&["client", "list"]).contains("batch"));
    assert_eq!(site.refresh(&tokens).await.status, 200);
}

#[tokio::test]
async fn a_backup_overwrites_nothing_and_makes_no_store() {
    let site = Site::start().await;
    site.done(&["backup", "--to", "backup.db"]);
    assert!(site.refused(&["backup", "--to", "backup.db"]).contains("exists already"));
    assert!(site.refused(&["backup", "--to", "data/passgate.db"]).contains("exists already"));

    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("passgate.yaml"), configuration(site.port)).unwrap();
    let nothing = command(other.path(), &["backup", "--to", "backup.db"], "");
    assert_eq!(nothing.status.code(), Some(64), "{}", stderr(&nothing));
    assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 1, "neither a store nor a secret was made");

    let redis = format!("store: {{ redis: {{ url: \"redis://127.0.0.1:1\" }} }}\n{}", configuration(site.port));
    std::fs::write(other.path().join("passgate.yaml"), redis).unwrap();
    let redis = command(other.path(), &["backup", "--to", "backup.db"], "");
    assert_eq!(redis.status.code(), Some(64));
    assert!(stderr(&redis).contains("redis-cli BGSAVE"), "{}", stderr(&redis));
}
