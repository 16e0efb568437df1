//! What was acknowledged survives `kill -9`.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{
    Answer, Tokens, exchange,
    process::{Serving, configuration, free_port},
};

async fn post(address: std::net::SocketAddr, path: &str, bearer: Option<&str>, body: &Value) -> Answer {
    let body = body.to_string();
    let authorization = bearer.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n\
         {authorization}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    exchange(address, request).await
}

fn sign_in(email: &str) -> Value {
    json!({ "grant_type": "password", "username": email, "password": "correct-horse-7",
            "client_id": "web", "client_secret": "quickstart-secret" })
}

fn refresh(token: &str) -> Value {
    json!({ "grant_type": "refresh_token", "refresh_token": token,
            "client_id": "web", "client_secret": "quickstart-secret" })
}

/// What one client was told.
#[derive(Default)]
struct Told {
    accounts: Vec<String>,
    /// The last refresh token handed out in each session.
    sessions: Vec<String>,
    revoked: Vec<Tokens>,
}

/// Signs up, in, refreshes and revokes until the gateway is gone.
async fn live(address: std::net::SocketAddr, worker: usize, told: Arc<Mutex<Told>>) {
    for n in 0.. {
        let email = format!("w{worker}n{n}@example.com");
        let account = json!({ "email": email, "username": "w", "first_name": "w", "password": "correct-horse-7" });
        if post(address, "/api-auth/create/", None, &account).await.status != 201 {
            return;
        }
        told.lock().unwrap().accounts.push(email.clone());
        let signed_in = post(address, "/api-auth/token", None, &sign_in(&email)).await;
        let tokens = Tokens::of(&signed_in);
        let slot = {
            let mut told = told.lock().unwrap();
            told.sessions.push(tokens.refresh.clone());
            told.sessions.len() - 1
        };
        let refreshed = Tokens::of(&post(address, "/api-auth/token", None, &refresh(&tokens.refresh)).await);
        told.lock().unwrap().sessions[slot].clone_from(&refreshed.refresh);
        let gone = Tokens::of(&post(address, "/api-auth/token", None, &sign_in(&email)).await);
        let client = json!({ "client_id": "web", "client_secret": "quickstart-secret" });
        if post(address, "/api-auth/revoke-token", Some(&gone.access), &client).await.status == 204 {
            told.lock().unwrap().revoked.push(gone);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_gateway_forgets_nothing_it_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let port = free_port();
    std::fs::write(directory.path().join("passgate.yaml"), configuration(port)).unwrap();
    let told = Arc::new(Mutex::new(Told::default()));
    for round in 0..3 {
        let mut serving = Serving::start(directory.path(), port).await;
        let workers: Vec<_> =
            (0..4).map(|worker| tokio::spawn(live(serving.address, round * 10 + worker, told.clone()))).collect();
        let enough = (round + 1) * 8;
        while told.lock().unwrap().revoked.len() < enough {
            assert!(workers.iter().any(|worker| !worker.is_finished()), "every client failed before the kill");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        serving.child.kill().unwrap();
        serving.child.wait().unwrap();
        for worker in workers {
            let _ = worker.await;
        }
    }
    let serving = Serving::start(directory.path(), port).await;
    let told = std::mem::take(&mut *told.lock().unwrap());
    for email in &told.accounts {
        assert_eq!(post(serving.address, "/api-auth/token", None, &sign_in(email)).await.status, 200, "{email}");
    }
    for token in &told.sessions {
        assert_eq!(post(serving.address, "/api-auth/token", None, &refresh(token)).await.status, 200);
    }
    for tokens in &told.revoked {
        assert_eq!(post(serving.address, "/api-auth/token", None, &refresh(&tokens.refresh)).await.status, 400);
        let answer = exchange(
            serving.address,
            format!(
                "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
                tokens.access
            ),
        )
        .await;
        assert_eq!(answer.status, 401);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_stopped_leaves_the_whole_store_in_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let port = free_port();
    std::fs::write(directory.path().join("passgate.yaml"), configuration(port)).unwrap();
    let mut serving = Serving::start(directory.path(), port).await;
    let account =
        json!({ "email": "ada@example.com", "username": "a", "first_name": "A", "password": "correct-horse-7" });
    assert_eq!(post(serving.address, "/api-auth/create/", None, &account).await.status, 201);
    serving.signal("TERM");
    let exit = tokio::task::spawn_blocking(move || serving.child.wait().unwrap()).await.unwrap();
    assert_eq!(exit.code(), Some(0));
    let mut names: Vec<_> = std::fs::read_dir(directory.path().join("data"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["master.secret", "passgate.db", "passgate.db.lock"]);
}
