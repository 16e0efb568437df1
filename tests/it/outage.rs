//! A store that fails is not a store that says no: what needs it is told to come back, and all else goes on.

mod file;
mod ladder;
mod staleness;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Answer, Gateway, PASSWORD, Tokens, exchange};

/// What becomes effective everywhere, at the latest.
const SOON: Duration = Duration::from_secs(10);

/// How endpoints of OAuth tell an outage.
const OAUTH: &str = r#"{"error":"temporarily_unavailable"}"#;

/// How all others do.
const DETAIL: &str = r#"{"detail":"Try again in a moment."}"#;

fn client() -> Value {
    json!({ "client_id": "web", "client_secret": "quickstart-secret" })
}

impl Gateway {
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

    /// As OAuth libraries ask of a token, or do away with it.
    async fn post_token(&self, endpoint: &str, token: &str) -> Answer {
        let fields = [("client_id", "web"), ("client_secret", "quickstart-secret"), ("token", token)];
        self.post_form(&format!("/api-auth/{endpoint}"), &fields).await
    }

    async fn admin(&self, path: &str) -> Answer {
        exchange(self.admin, format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await
    }

    async fn readyz(&self, query: &str) -> (u16, String) {
        let answer = self.admin(&format!("/readyz{query}")).await;
        (answer.status, answer.json()["store"].as_str().unwrap().to_owned())
    }

    /// The value of a figure, given with its labels.
    async fn figure(&self, name: &str) -> f64 {
        let text = self.admin("/metrics").await.text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("{name} is missing of\n{text}")).parse().unwrap()
    }

    /// Everything that writes is told to come back, in the shape of its endpoint.
    async fn assert_that_writing_is_put_off(&self, tokens: &Tokens) {
        let (sign_in, refresh, sign_up, revoke, revoke_by_rfc) = tokio::join!(
            self.try_to_sign_in("ada@example.com"),
            self.refresh(&tokens.refresh),
            self.try_to_sign_up("bob@example.com"),
            self.revoke(tokens),
            self.post_token("revoke", &tokens.access),
        );
        for (answer, body) in
            [(sign_in, OAUTH), (refresh, OAUTH), (sign_up, DETAIL), (revoke, DETAIL), (revoke_by_rfc, OAUTH)]
        {
            assert_come_back(&answer, body);
        }
    }
}

#[track_caller]
fn assert_come_back(answer: &Answer, body: &str) {
    assert_eq!((answer.status, &*answer.text()), (503, body));
    assert_has_a_time_to_come_back(answer);
}

#[track_caller]
fn assert_has_a_time_to_come_back(answer: &Answer) {
    let seconds: u64 = answer.header("Retry-After").expect("a time to come back").parse().unwrap();
    assert!((1..=5).contains(&seconds));
}

/// Waits for what becomes so by itself, and soon.
async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}
