//! What an operator sees of accounts and sessions and does to them, beside a running gateway.

use std::{
    net::SocketAddr,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{directory_with, get, run, sign_in};
use crate::support::{
    Answer, Tokens, exchange,
    process::{Serving, configuration, fed, free_port, passgate, stderr, stdout},
};

const PASSWORD: &str = "correct-horse-7";

/// What a command that is carried out tells.
fn told(directory: &TempDir, arguments: &[&str], input: &str) -> String {
    let output = run(directory, arguments, input);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
    stdout(&output)
}

/// The same, as objects of JSON.
fn rows(directory: &TempDir, arguments: &[&str]) -> Vec<Value> {
    let told = told(directory, &[arguments, &["--json"]].concat(), "");
    told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Why a command is wrong as it is given.
fn refused(directory: &TempDir, arguments: &[&str], input: &str) -> String {
    let output = run(directory, arguments, input);
    assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", stderr(&output));
    assert!(output.stdout.is_empty(), "{arguments:?}: {}", stdout(&output));
    stderr(&output)
}

async fn post(address: SocketAddr, path: &str, body: Value) -> Answer {
    let body = body.to_string();
    let request = format!(
        "POST /api-auth/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    exchange(address, request).await
}

async fn refresh(address: SocketAddr, tokens: &Tokens) -> Answer {
    let body = json!({ "grant_type": "refresh_token", "refresh_token": tokens.refresh,
                       "client_id": "web", "client_secret": "quickstart-secret" });
    post(address, "token", body).await
}

/// The token is refused soon.
async fn ends(address: SocketAddr, token: &str) {
    let start = Instant::now();
    while get(address, token).await != 401 {
        assert!(start.elapsed() < Duration::from_secs(5), "the token still holds");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_deleted_account_is_refused_at_once_and_its_address_signs_up_as_another() {
    let port = free_port();
    let directory = directory_with(&configuration(port));
    let serving = Serving::start(directory.path(), port).await;
    let address = serving.address;
    told(&directory, &["account", "create", "ada@example.com"], PASSWORD);
    let tokens = Tokens::of(&sign_in(address, "ada@example.com", PASSWORD).await);
    let first = rows(&directory, &["account", "show", "ada@example.com"]).remove(0);
    assert_eq!(first["sessions"], 1);

    for input in ["", "yes\n"] {
        let error = refused(&directory, &["account", "delete", "ada@example.com"], input);
        assert!(error.contains("--yes") && error.contains("nothing was done"), "{error}");
    }
    assert_eq!(get(address, &tokens.access).await, 200);

    let deleted = run(&directory, &["account", "delete", "ada@example.com", "--yes"], "");
    assert_eq!(deleted.status.code(), Some(0), "{}", stderr(&deleted));
    ends(address, &tokens.access).await;
    let stale = refresh(address, &tokens).await;
    assert_eq!((stale.status, stale.json()), (400, json!({ "error": "invalid_grant" })));
    assert_eq!(sign_in(address, "ada@example.com", PASSWORD).await.status, 400);
    let error = refused(&directory, &["account", "delete", "ada@example.com", "--yes"], "");
    assert!(error.contains("no account has the address"), "{error}");

    let event: Value = serde_json::from_str(&stderr(&deleted)).unwrap();
    assert_eq!((&event["target"], &event["event"]), (&"audit".into(), &"account.deleted".into()));
    assert_eq!((&event["by"], &event["account"]), (&"cli".into(), &first["id"]));

    let sign_up = json!({ "email": "ada@example.com", "username": "ada", "first_name": "Ada", "password": PASSWORD });
    assert_eq!(post(address, "create/", sign_up).await.status, 201);
    let second = rows(&directory, &["account", "show", "ada@example.com"]).remove(0);
    assert_ne!(second["id"], first["id"]);
    let tokens_of_second = Tokens::of(&sign_in(address, "ada@example.com", PASSWORD).await);
    assert_eq!(get(address, &tokens_of_second.access).await, 200);
    assert_eq!(get(address, &tokens.access).await, 401, "and nothing of the first comes back");
}

#[tokio::test]
async fn sessions_are_seen_and_end_one_by_one_or_together() {
    let port = free_port();
    let directory = directory_with(&configuration(port));
    let serving = Serving::start(directory.path(), port).await;
    let address = serving.address;
    told(&directory, &["account", "create", "ada@example.com"], PASSWORD);
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(Tokens::of(&sign_in(address, "ada@example.com", PASSWORD).await));
    }
    let sessions = rows(&directory, &["session", "list", "ada@example.com"]);
    assert_eq!(sessions.len(), 3);
    let sid = |tokens: &Tokens| {
        let claims = URL_SAFE_NO_PAD.decode(tokens.access.split('.').nth(1).unwrap()).unwrap();
        serde_json::from_slice::<Value>(&claims).unwrap()["sid"].clone()
    };
    assert!(tokens.iter().all(|tokens| sessions.iter().any(|session| session["id"] == sid(tokens))));

    let one = sid(&tokens[0]);
    let ended = told(&directory, &["session", "end", one.as_str().unwrap()], "");
    assert!(ended.starts_with(&format!("Ended session {} of ada@example.com", one.as_str().unwrap())), "{ended}");
    ends(address, &tokens[0].access).await;
    assert_eq!(refresh(address, &tokens[0]).await.status, 400);
    assert_eq!(get(address, &tokens[1].access).await, 200);
    assert_eq!(rows(&directory, &["session", "list", "ada@example.com"]).len(), 2);
    refused(&directory, &["session", "end", one.as_str().unwrap()], "");

    refused(&directory, &["session", "end", "--all", "ada@example.com"], "yes\n");
    assert_eq!(get(address, &tokens[1].access).await, 200);
    told(&directory, &["session", "end", "--all", "ada@example.com", "--yes"], "");
    for tokens in &tokens[1..] {
        ends(address, &tokens.access).await;
        assert_eq!(refresh(address, tokens).await.status, 400);
    }
    assert_eq!(sign_in(address, "ada@example.com", PASSWORD).await.status, 200);
}

/// Types `input` at a terminal where a command runs.
fn at_a_terminal(directory: &TempDir, environment: &[(&str, &str)], arguments: &str, input: &str) -> Output {
    let program = passgate().get_program().to_owned();
    let line = format!("{} {arguments}", program.to_str().unwrap());
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).current_dir(directory.path());
    script.env_clear().env("PATH", "/usr/bin:/bin").env("TERM", "xterm").envs(environment.iter().copied());
    fed(&mut script, input)
}

#[test]
fn titles_are_bold_at_a_terminal_alone() {
    let directory = directory_with(&configuration(free_port()));
    told(&directory, &["account", "create", "ada@example.com"], PASSWORD);
    let coloured = at_a_terminal(&directory, &[], "account list", "");
    assert!(stdout(&coloured).contains("\u{1b}[1mID"), "{}", stdout(&coloured));
    let plain = at_a_terminal(&directory, &[("NO_COLOR", "1")], "account list", "");
    for text in [stdout(&plain), told(&directory, &["account", "list"], "")] {
        assert!(text.contains("ada@example.com") && !text.contains('\u{1b}'), "{text:?}");
    }
}

#[test]
fn a_person_at_a_terminal_is_asked_and_only_a_yes_is_one() {
    let directory = directory_with(&configuration(free_port()));
    told(&directory, &["account", "create", "ada@example.com"], PASSWORD);
    let no = at_a_terminal(&directory, &[], "account delete ada@example.com", "no\n");
    assert_eq!(no.status.code(), Some(64), "{}", stdout(&no));
    assert!(stdout(&no).contains("Delete ada@example.com (") && stdout(&no).contains("nothing was done"));
    assert_eq!(rows(&directory, &["account", "list"]).len(), 1);
    let yes = at_a_terminal(&directory, &[], "account delete ada@example.com", "yes\n");
    assert_eq!(yes.status.code(), Some(0), "{}", stdout(&yes));
    assert!(stdout(&yes).contains("Deleted ada@example.com ("));
    assert!(!stdout(&yes).contains("account.deleted"), "audit lines are not for people: {}", stdout(&yes));
    assert!(rows(&directory, &["account", "list"]).is_empty());
}

#[test]
fn a_list_that_nobody_reads_on_is_no_failure() {
    let directory = directory_with(&configuration(free_port()));
    told(&directory, &["account", "create", "ada@example.com"], PASSWORD);
    let mut list = passgate();
    list.args(["account", "list"]).current_dir(directory.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = list.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
}

#[test]
fn what_is_changed_leaves_an_audit_line_and_what_is_only_looked_at_does_not() {
    let directory = directory_with(&configuration(free_port()));
    let audited = |arguments: &[&str]| -> Vec<String> {
        let mut command = passgate();
        command.args(arguments).current_dir(directory.path()).envs([("SUDO_USER", "grace"), ("USER", "root")]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), PASSWORD.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
        let line = |line: &str| {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!((&line["target"], &line["os_user"]), (&"audit".into(), &"grace".into()));
            line["event"].as_str().unwrap().to_owned()
        };
        stderr(&output).lines().map(line).collect()
    };
    for (command, events) in [
        ("create", &["account.created"][..]),
        ("promote", &["account.promoted"]),
        ("promote", &[]),
        ("demote", &["account.demoted"]),
        ("set-groups", &["account.groups_set"]),
        ("set-password", &["password.change"]),
        ("deactivate", &["account.deactivated"]),
        ("activate", &["account.activated"]),
        ("show", &[]),
        ("sign-out", &["sign_out_everywhere"]),
        ("delete", &["account.deleted"]),
    ] {
        let more: &[&str] = match command {
            "set-groups" => &["editors"],
            "sign-out" | "delete" => &["--yes"],
            _ => &[],
        };
        let arguments = [&["account", command, "ada@example.com"], more].concat();
        assert_eq!(audited(&arguments), events, "{command}");
    }
}
