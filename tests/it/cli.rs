//! The binary: exit codes, signals, and the commands beside a running gateway.

mod log;
mod operator;

use std::{
    net::TcpListener,
    process::Output,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::support::{
    Answer, answer, exchange,
    process::{Serving, configuration, fed, free_port, passgate, stderr, stdout},
};

fn directory_with(yaml: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("passgate.yaml"), yaml).unwrap();
    directory
}

fn run(directory: &tempfile::TempDir, arguments: &[&str], input: &str) -> Output {
    fed(passgate().current_dir(directory.path()).args(arguments), input)
}

async fn sign_in(address: std::net::SocketAddr, email: &str, password: &str) -> Answer {
    let body = json!({ "grant_type": "password", "username": email, "password": password,
                       "client_id": "web", "client_secret": "quickstart-secret" })
    .to_string();
    let request = format!(
        "POST /api-auth/token HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    exchange(address, request).await
}

async fn get(address: std::net::SocketAddr, token: &str) -> u16 {
    let request = format!("GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n");
    exchange(address, request).await.status
}

#[test]
fn bad_usage_and_bad_configuration_are_64() {
    let directory = directory_with("routes: [{ match: { path: / }, upstream: nowhere }]\nsevrer: {}\n");
    let output = run(&directory, &["check", "--config", "passgate.yaml"], "");
    assert_eq!(output.status.code(), Some(64));
    let text = stderr(&output);
    for part in ["passgate.yaml", "nowhere", "sevrer", "server", ":2:"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert_eq!(run(&directory, &["serve"], "").status.code(), Some(64), "serve refuses the same file");
    assert_eq!(run(&directory, &["sevre"], "").status.code(), Some(64));
    assert_eq!(run(&directory, &["check", "--config", "absent.yaml"], "").status.code(), Some(64));
    for help in ["--help", "--version", "version"] {
        assert_eq!(run(&directory, &[help], "").status.code(), Some(0), "{help}");
    }
}

#[test]
fn a_taken_port_is_69_and_says_which() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let directory = directory_with(&configuration(port));
    let start = Instant::now();
    let output = run(&directory, &["serve"], "");
    assert_eq!(output.status.code(), Some(69));
    assert!(stderr(&output).contains(&port.to_string()), "{}", stderr(&output));
    assert!(start.elapsed() < Duration::from_secs(10), "no zombie");
    assert!(!directory.path().join("data").exists(), "nothing was made");
}

#[test]
fn tls_files_are_part_of_the_configuration_and_read_before_anything_is_bound() {
    let port = free_port();
    let tls =
        |n: u16| format!("{{ address: \"127.0.0.1:{}\", tls: {{ cert_file: no{n}.pem, key_file: k.pem }} }}", port + n);
    let listen = format!("listen: [\"127.0.0.1:{port}\", {}, {}]", tls(1), tls(2));
    let yaml = configuration(port).replace(&format!("listen: \"127.0.0.1:{port}\""), &listen);
    assert!(yaml.contains("no1.pem"), "{yaml}");
    let directory = directory_with(&yaml);
    // Whoever binds before all files are read fails with 69.
    let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    for command in ["check", "serve"] {
        let output = run(&directory, &[command], "");
        assert_eq!(output.status.code(), Some(64), "{command}: {}", stderr(&output));
        for file in ["no1.pem", "no2.pem"] {
            assert!(stderr(&output).contains(file), "{command}: {}", stderr(&output));
        }
    }
    assert!(!directory.path().join("data").exists(), "nothing was made");
}

#[tokio::test]
async fn each_route_that_observes_is_warned_of_by_check_and_at_the_start() {
    let port = free_port();
    let routes = "  - { match: { path: /old/ }, upstream: app, mode: observe }\n  \
                    - { match: { host: a.example }, upstream: app, mode: observe }\n  \
                    - { match: { path: / }, upstream: app }\n";
    let yaml = configuration(port).replace("  - { match: { path: / }, upstream: app }\n", routes);
    let directory = directory_with(&yaml);
    let checked = run(&directory, &["check"], "");
    assert_eq!(checked.status.code(), Some(0), "{}", stderr(&checked));
    let mut serving = Serving::start(directory.path(), port).await;
    serving.signal("TERM");
    serving.child.wait().unwrap();
    let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
    for text in [stderr(&checked), log] {
        for route in ["/old/", "a.example/"] {
            let warning = format!("route {route}: it observes: nothing is refused on it, so it protects nothing");
            assert!(text.contains(&warning), "{warning}: {text}");
        }
        assert_eq!(text.matches("protects nothing").count(), 2, "{text}");
    }
}

#[test]
fn a_command_that_cannot_be_carried_out_is_64_and_changes_nothing() {
    let directory = directory_with(&configuration(free_port()));
    for (arguments, input, told) in [
        (&["account", "create", "no-address"][..], "correct-horse-7\n", "email: Enter a valid email address."),
        (&["account", "create", "ada@example.com"], "", "no password on standard input"),
        (&["account", "promote", "ada@example.com"], "", "no account has the address"),
        (&["client", "create", "web"], "", "the configuration has a client web"),
    ] {
        let output = run(&directory, arguments, input);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(told), "{arguments:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_store_without_its_master_secret_is_64_and_makes_nothing() {
    let directory = directory_with(&configuration(free_port()));
    let created = run(&directory, &["account", "create", "ada@example.com"], "correct-horse-7\n");
    assert_eq!(created.status.code(), Some(0), "{}", stderr(&created));
    let secret = directory.path().join("data/master.secret");
    std::fs::remove_file(&secret).unwrap();
    let output = run(&directory, &["serve"], "");
    assert_eq!(output.status.code(), Some(64), "{}", stderr(&output));
    assert!(!secret.exists());
    std::fs::write(&secret, "another-master-secret-of-enough-length-0123456789").unwrap();
    assert_eq!(run(&directory, &["serve"], "").status.code(), Some(64));
}

#[test]
fn a_corrupt_store_is_never_made_anew() {
    let directory = directory_with(&configuration(free_port()));
    std::fs::create_dir(directory.path().join("data")).unwrap();
    let store = directory.path().join("data/passgate.db");
    std::fs::write(&store, "this is no database, but somebody's letter".repeat(100)).unwrap();
    let output = run(&directory, &["serve"], "");
    assert!(matches!(output.status.code(), Some(64 | 69)), "{:?} {}", output.status, stderr(&output));
    assert!(std::fs::read_to_string(&store).unwrap().starts_with("this is no database"));
}

#[tokio::test]
async fn sigterm_drains_what_is_in_flight_and_ends_as_soon_as_it_is_done() {
    let port = free_port();
    let directory = directory_with(&configuration(port));
    for signal in ["TERM", "INT"] {
        let mut serving = Serving::start(directory.path(), port).await;
        let idle = tokio::net::TcpStream::connect(serving.address).await.unwrap();
        let mut stream = tokio::net::TcpStream::connect(serving.address).await.unwrap();
        let body = "grant_type=password";
        let head = format!(
            "POST /api-auth/token HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // The first half of the body: the request is in flight.
        stream.write_all(&body.as_bytes()[..8]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        serving.signal(signal);
        let start = Instant::now();
        while tokio::net::TcpStream::connect(serving.address).await.is_ok() {
            assert!(start.elapsed() < Duration::from_secs(3), "still accepting");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stream.write_all(&body.as_bytes()[8..]).await.unwrap();
        assert_eq!(answer::read_answer(&mut stream, false).await.status, 401, "answered in full");
        drop((stream, idle));
        let status = loop {
            if let Some(status) = serving.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < Duration::from_secs(4), "still there after the last answer");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert_eq!(status.code(), Some(0), "{signal}");
    }
}

#[tokio::test]
async fn a_second_gateway_on_the_same_store_is_refused() {
    let port = free_port();
    let directory = directory_with(&configuration(port));
    let _serving = Serving::start(directory.path(), port).await;
    std::fs::write(directory.path().join("second.yaml"), configuration(free_port())).unwrap();
    let output = run(&directory, &["serve", "--config", "second.yaml"], "");
    assert_eq!(output.status.code(), Some(69), "{}", stderr(&output));
}

#[tokio::test]
async fn the_running_gateway_acts_on_the_command_line_within_half_a_second() {
    let port = free_port();
    let directory = directory_with(&configuration(port));
    let serving = Serving::start(directory.path(), port).await;
    let command = |arguments: &[&str], input: &str| {
        let output = run(&directory, arguments, input);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
        stdout(&output)
    };
    command(&["account", "create", "ada@example.com"], "correct-horse-7\n");
    let tokens = crate::support::Tokens::of(&sign_in(serving.address, "ada@example.com", "correct-horse-7").await);
    assert_eq!(get(serving.address, &tokens.access).await, 200);

    command(&["account", "set-password", "ada@example.com"], "another-horse-8\n");
    let start = Instant::now();
    while get(serving.address, &tokens.access).await != 401 {
        assert!(start.elapsed() < Duration::from_millis(500), "the old token still holds");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(sign_in(serving.address, "ada@example.com", "correct-horse-7").await.status, 400);
    assert_eq!(sign_in(serving.address, "ada@example.com", "another-horse-8").await.status, 200);

    command(&["account", "deactivate", "ada@example.com"], "");
    assert_eq!(sign_in(serving.address, "ada@example.com", "another-horse-8").await.status, 400);
    command(&["account", "activate", "ada@example.com"], "");
    command(&["account", "promote", "ada@example.com"], "");
    assert_eq!(sign_in(serving.address, "ada@example.com", "another-horse-8").await.status, 200);

    let made = command(&["client", "create", "mobile", "--grant", "password", "--scope", "read"], "");
    assert!(command(&["client", "list"], "").contains("mobile"));
    let secret = made.lines().find_map(|line| line.strip_prefix("client_secret: ")).unwrap().to_owned();
    let body = json!({ "grant_type": "password", "username": "ada@example.com", "password": "another-horse-8",
                       "client_id": "mobile", "client_secret": secret })
    .to_string();
    let start = Instant::now();
    loop {
        let request = format!(
            "POST /api-auth/token HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if exchange(serving.address, request).await.status == 200 {
            break;
        }
        assert!(start.elapsed() < Duration::from_millis(500), "the client is not known yet");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn health_tells_whether_it_serves() {
    let port = free_port();
    let directory = directory_with(&configuration(port));
    assert_eq!(run(&directory, &["health"], "").status.code(), Some(69));
    let _serving = Serving::start(directory.path(), port).await;
    let output = run(&directory, &["health"], "");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}
