//! An SQLite file that is locked, gone, or an older copy.

use std::{fs, path::PathBuf, time::Duration};

use sqlx::{Connection as _, SqliteConnection};

use super::{DETAIL, OAUTH, assert_come_back};
use crate::support::{Bench, Gateway, Tokens};

impl Gateway {
    fn file(&self) -> PathBuf {
        self.directory.path().join("passgate.db")
    }

    async fn another_program(&self) -> SqliteConnection {
        SqliteConnection::connect(&format!("sqlite://{}", self.file().display())).await.unwrap()
    }

    /// And the proxy goes on.
    async fn assert_that_nothing_is_written(&self, tokens: &Tokens, store: &str) {
        self.assert_that_writing_is_put_off(tokens).await;
        assert_eq!(self.get("/a", Some(&tokens.access)).await.status, 200, "with its token the upstream is reached");
        assert_eq!(self.readyz("").await, (200, store.to_owned()));
        assert_eq!(self.readyz("?strict=1").await, (503, store.to_owned()));
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
}

#[tokio::test]
async fn a_file_locked_by_another_program_stops_writes_and_nothing_else() {
    let gateway = Gateway::start().await;
    let tokens = gateway.sign_up("ada@example.com").await;
    let mut other = gateway.another_program().await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    gateway.assert_that_nothing_is_written(&tokens, "read-only").await;
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
    gateway.assert_that_nothing_is_written(&tokens, "unreachable").await;
    let current_user = gateway.get("/api-auth/currentUser/", Some(&tokens.access)).await;
    assert_come_back(&current_user, DETAIL);
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
        assert_come_back(&gateway.refresh(&token.refresh).await, OAUTH);
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
    super::until("bob is out", async || gateway.get("/a", Some(&locked_out.access)).await.status == 401).await;

    for suffix in ["db-wal", "db-shm"] {
        fs::remove_file(gateway.file().with_extension(suffix)).unwrap();
    }
    fs::rename(&copy, gateway.file()).unwrap();
    let refused = async || gateway.refresh(&revoked.refresh).await.status == 400;
    super::until("the gateway has found the copy, and written to it what it remembers", refused).await;
    assert_eq!(gateway.get("/a", Some(&revoked.access)).await.status, 401);
    assert_eq!(gateway.get("/a", Some(&locked_out.access)).await.status, 401);
    assert_eq!(gateway.refresh(&locked_out.refresh).await.status, 400);
    let caught_up = Tokens::of(&gateway.refresh(&ahead.refresh).await);
    assert_eq!(gateway.get("/a", Some(&caught_up.access)).await.status, 200, "its session goes on");
    gateway.sign_up("carol@example.com").await;

    // The command line works on the copy too, and is heard.
    gateway.deactivate("carol@example.com").await;
    super::until("carol is out", async || gateway.try_to_sign_in("carol@example.com").await.status == 400).await;

    let (directory, upstream, clock) = gateway.stop().await;
    let gateway = Bench::default().start_in(directory, upstream, clock).await;
    assert_eq!(gateway.refresh(&caught_up.refresh).await.status, 200, "what was kept in the copy is kept");
    assert_eq!(gateway.get("/a", Some(&revoked.access)).await.status, 401);
    assert_eq!(gateway.get("/a", Some(&locked_out.access)).await.status, 401);
    assert_eq!(gateway.refresh(&locked_out.refresh).await.status, 400);
}
