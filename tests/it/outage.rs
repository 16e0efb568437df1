//! A store that fails is not a store that says no: what needs it is told to come back, and all else goes on.

use std::{fs, path::PathBuf, time::Duration};

use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};

use crate::support::{Answer, Bench, Gateway, PASSWORD, Tokens, exchange};

/// What becomes effective everywhere, at the latest.
const SOON: Duration = Duration::from_secs(10);

fn client() -> Value {
    json!({ "client_id": "web", "client_secret": "quickstart-secret" })
}

impl Gateway {
    fn file(&self) -> PathBuf {
        self.directory.path().join("passgate.db")
    }

    async fn another_program(&self) -> SqliteConnection {
        SqliteConnection::connect(&format!("sqlite://{}", self.file().display())).await.unwrap()
    }

    async fn try_to_sign_in(&self, email: &str) -> Answer {
        let body = json!({
            "grant_type": "password", "username": email, "password": PASSWORD,
            "client_id": "web", "client_secret": "quickstart-secret",
        });
        self.post_json("/api-auth/token", body).await
    }

    async fn try_to_sign_up(&self, email: &str) -> Answer {
        let body = json!({ "email": email, "username": "somebody", "first_name": "Some", "password": PASSWORD });
        self.post_json("/api-auth/create/", body).await
    }

    async fn revoke(&self, tokens: &Tokens) -> Answer {
        self.post_json_as("/api-auth/revoke-token", &tokens.access, client()).await
    }

    async fn readyz(&self, query: &str) -> (u16, String) {
        let request = format!("GET /readyz{query} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = exchange(self.admin, request).await;
        (answer.status, answer.json()["store"].as_str().unwrap().to_owned())
    }

    /// Everything that writes is told to come back, in the shape of its endpoint, and the proxy goes on.
    async fn assert_that_nothing_is_written(&self, tokens: &Tokens) {
        let (sign_in, refresh, sign_up, revoke) = tokio::join!(
            self.try_to_sign_in("ada@example.com"),
            self.refresh(&tokens.refresh),
            self.try_to_sign_up("bob@example.com"),
            self.revoke(tokens),
        );
        let (oauth, detail) = (r#"{"error":"temporarily_unavailable"}"#, r#"{"detail":"Try again in a moment."}"#);
        for (answer, body) in [(sign_in, oauth), (refresh, oauth), (sign_up, detail), (revoke, detail)] {
            assert_come_back(&answer, body);
        }
        assert_eq!(self.get("/a", Some(&tokens.access)).await.status, 200, "with its token the upstream is reached");
        assert_eq!(self.readyz("").await, (200, "unreachable".to_owned()));
        assert_eq!(self.readyz("?strict=1").await, (503, "unreachable".to_owned()));
    }

    /// And nothing that was tried meanwhile has left a trace.
    async fn assert_that_all_is_as_before(&self, tokens: &Tokens) {
        assert_eq!(self.readyz("?strict=1").await, (200, "reachable".to_owned()));
        assert_eq!(self.try_to_sign_up("bob@example.com").await.status, 201, "it was not signed up before");
        let next = Tokens::of(&self.refresh(&tokens.refresh).await);
        assert_eq!(self.get("/api-auth/currentUser/", Some(&next.access)).await.status, 200);
        assert_eq!(self.revoke(&next).await.status, 204);
        assert_eq!(self.get("/a", Some(&tokens.access)).await.status, 401);
    }

    async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let waiting = async {
            while !is_so().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(SOON, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
    }
}

fn assert_come_back(answer: &Answer, body: &str) {
    assert_eq!((answer.status, &*answer.text()), (503, body));
    let seconds: u64 = answer.header("Retry-After").expect("a time to come back").parse().unwrap();
    assert!((1..=5).contains(&seconds));
}

#[tokio::test]
async fn a_file_locked_by_another_program_stops_writes_and_nothing_else() {
    let gateway = Gateway::start().await;
    let tokens = gateway.sign_up("ada@example.com").await;
    let mut other = gateway.another_program().await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    gateway.assert_that_nothing_is_written(&tokens).await;
    assert_eq!(gateway.get("/api-auth/currentUser/", Some(&tokens.access)).await.status, 200, "reading goes on");
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    gateway.assert_that_all_is_as_before(&tokens).await;
}

#[tokio::test]
async fn a_file_that_is_gone_takes_nothing_in_that_would_be_lost_with_it() {
    let gateway = Gateway::start().await;
    let tokens = gateway.sign_up("ada@example.com").await;
    let away = gateway.file().with_extension("away");
    fs::rename(gateway.file(), &away).unwrap();
    gateway.assert_that_nothing_is_written(&tokens).await;
    let current_user = gateway.get("/api-auth/currentUser/", Some(&tokens.access)).await;
    assert_come_back(&current_user, r#"{"detail":"Try again in a moment."}"#);
    assert!(!gateway.file().exists(), "nor is it made anew");
    fs::rename(&away, gateway.file()).unwrap();
    gateway.assert_that_all_is_as_before(&tokens).await;
}

#[tokio::test]
async fn an_outage_is_no_theft_however_often_a_token_is_tried() {
    let gateway = Gateway::start().await;
    let first = gateway.sign_up("ada@example.com").await;
    let second = Tokens::of(&gateway.refresh(&first.refresh).await);
    let away = gateway.file().with_extension("away");
    fs::rename(gateway.file(), &away).unwrap();
    gateway.advance(Duration::from_mins(1));
    for token in [&first, &second, &second] {
        assert_come_back(&gateway.refresh(&token.refresh).await, r#"{"error":"temporarily_unavailable"}"#);
    }
    fs::rename(&away, gateway.file()).unwrap();
    assert_eq!(gateway.refresh(&second.refresh).await.status, 200);
}

#[tokio::test]
async fn nothing_that_ended_comes_back_with_an_older_copy_of_the_file() {
    let gateway = Gateway::start().await;
    let revoked = gateway.sign_up("ada@example.com").await;
    let ahead = gateway.sign_in("ada@example.com").await;
    let locked_out = gateway.sign_up("bob@example.com").await;
    let copy = gateway.file().with_extension("copy");
    let backup = format!("VACUUM INTO '{}'", copy.display());
    sqlx::query(sqlx::AssertSqlSafe(backup)).execute(&mut gateway.another_program().await).await.unwrap();

    // None of this is in the copy.
    assert_eq!(gateway.revoke(&revoked).await.status, 204);
    let ahead = Tokens::of(&gateway.refresh(&ahead.refresh).await);
    let ahead = Tokens::of(&gateway.refresh(&ahead.refresh).await);
    gateway.deactivate("bob@example.com").await;
    gateway.until("bob is out", async || gateway.get("/a", Some(&locked_out.access)).await.status == 401).await;

    for suffix in ["db-wal", "db-shm"] {
        fs::remove_file(gateway.file().with_extension(suffix)).unwrap();
    }
    fs::rename(&copy, gateway.file()).unwrap();
    let refused = async || gateway.refresh(&revoked.refresh).await.status == 400;
    gateway.until("the gateway has found the copy, and written to it what it remembers", refused).await;
    assert_eq!(gateway.get("/a", Some(&revoked.access)).await.status, 401);
    assert_eq!(gateway.get("/a", Some(&locked_out.access)).await.status, 401);
    assert_eq!(gateway.refresh(&locked_out.refresh).await.status, 400);
    let caught_up = Tokens::of(&gateway.refresh(&ahead.refresh).await);
    assert_eq!(gateway.get("/a", Some(&caught_up.access)).await.status, 200, "its session goes on");
    gateway.sign_up("carol@example.com").await;

    // The command line works on the copy too, and is heard.
    gateway.deactivate("carol@example.com").await;
    gateway.until("carol is out", async || gateway.try_to_sign_in("carol@example.com").await.status == 400).await;

    let (directory, upstream, clock) = gateway.stop().await;
    let gateway = Bench::default().start_in(directory, upstream, clock).await;
    assert_eq!(gateway.refresh(&caught_up.refresh).await.status, 200, "what was kept in the copy is kept");
    assert_eq!(gateway.get("/a", Some(&revoked.access)).await.status, 401);
    assert_eq!(gateway.get("/a", Some(&locked_out.access)).await.status, 401);
    assert_eq!(gateway.refresh(&locked_out.refresh).await.status, 400);
}
