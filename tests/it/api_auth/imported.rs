//! Password hashes and client secrets that come from Django: good at once, and ours after their first use.

use std::time::Duration;

use passgate::{
    model::Scope,
    store::{AccountChange, StoredClient, StoredSecret},
};

use super::*;
use crate::support::exchange;

/// What Django 5.2 made of `correct-horse-7`.
const SECRET: &str = "correct-horse-7";
const HASHES: [&str; 6] = [
    "pbkdf2_sha256$1000$mPdjfKERuAu1WkDl9pg9cq$/HEOfDLnFQ1/f9y9b0idLzTinifSXuIgENk4DG+Th7U=",
    "pbkdf2_sha1$1000$KnSWwQSTIVwFlhtn1YwdCU$5yHwq1Ak64dJg1OIhbSSrZRmcCE=",
    "scrypt$1024$jhs0bAnfqmIG2oLISiaAKn$8$5$I1yBUVRSVDmYOwDHojKq2xh/W4o4iBMyMBAtk4/Qz6ReFxKtd0K1jaupS5hHj+e6o3BFQ6P9CRJRNvzvFOwzEg==",
    "bcrypt_sha256$$2b$04$z4StegxK.yLaOX1VLR3RfeQFTxIMcIcDW2n7FbIMjmRkIEbiG4Z5G",
    "bcrypt$$2b$04$aZXPN9ZbJwW4wLTucWcpU.6o2toF6PkjDb7j9UqSBWuGgKhen6IQK",
    "argon2$argon2id$v=19$m=256,t=2,p=2$S3U3YVRHdUQ1cW5TQ05zZDVxYVA2Vw$KQUUd+PZ20SUUp3zZyit4hviapTEUfocgAl3wYCbcx8",
];

/// Of no secret that anybody knows, and seconds of work.
const COSTLY: &str = "pbkdf2_sha256$6000000$salt$47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

/// What becomes effective everywhere, at the latest.
const SOON: Duration = Duration::from_secs(10);

impl Gateway {
    /// Keeps a client as an import would, and waits until the gateway knows it.
    async fn import_client(&self, id: &str, hash: &str) {
        let client = StoredClient {
            id: id.into(),
            secret: Some(StoredSecret::Imported(hash.to_owned())),
            grants: ["password", "refresh_token"].map(str::to_owned).into(),
            scopes: Scope::parse("read").unwrap(),
        };
        assert!(self.store().await.insert_client(&client).await.unwrap());
        let any = json!({ "grant_type": "any", "backend": "any", "token": "any", "client_id": id });
        until("the client is known", async || {
            text(&self.post_json("/api-auth/convert-token", &any).await).contains("unsupported_grant_type")
        })
        .await;
    }

    async fn kept_secret(&self, id: &str) -> Option<StoredSecret> {
        let clients = self.store().await.clients().await.unwrap();
        clients.into_iter().find(|client| client.id.as_str() == id).unwrap().secret
    }

    async fn is_hashing(&self) -> bool {
        let metrics =
            exchange(self.admin, "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.text();
        metrics.lines().any(|line| line == "passgate_hashes_running 1")
    }
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test]
async fn a_password_that_django_hashed_signs_in_and_is_hashed_anew() {
    let gateway = Gateway::start().await;
    sign_up(&gateway, "vera@example.test").await;
    let ask = async |password: &str| {
        gateway.post_json(TOKEN, with(password_request("vera@example.test"), &json!({ "password": password }))).await
    };
    for hash in HASHES {
        gateway.change("vera@example.test", AccountChange::Password(hash.to_owned())).await;
        for wrong in [PASSWORD, "Correct-horse-7", hash] {
            assert_eq!(ask(wrong).await.json()["error"], "invalid_grant", "{hash}");
        }
        Pair::of(&ask(SECRET).await);
        let kept = gateway.store().await.credentials("vera@example.test").await.unwrap().unwrap();
        assert!(kept.password_hash.unwrap().starts_with("$argon2id$v=19$m=8192,t=1,p=1$"), "{hash}");
        Pair::of(&ask(SECRET).await);
    }
}

#[tokio::test]
async fn a_client_secret_that_django_hashed_is_good_wherever_clients_prove_themselves() {
    let gateway = Gateway::start().await;
    let vera = sign_up(&gateway, "vera@example.test").await;
    let endpoints = [
        (TOKEN, password_request("vera@example.test"), 200),
        ("/api-auth/introspect", json!({ "token": vera.access }), 200),
        ("/api-auth/revoke", json!({ "token": "none" }), 200),
        (CREATE, person("ada@example.test"), 201),
        // Its session is with another client.
        (REVOKE, json!({}), 400),
        (
            "/api-auth/convert-token",
            json!({ "grant_type": "convert_token", "backend": "google-oauth2", "token": "any" }),
            400,
        ),
    ];
    for ((path, fields, status), hash) in endpoints.into_iter().zip(HASHES) {
        let id = format!("django{}", path.replace('/', "-"));
        gateway.import_client(&id, hash).await;
        let ask = async |secret: Value| {
            let fields = with(fields.clone(), &json!({ "client_id": id, "client_secret": secret }));
            gateway.post_json_as(path, &vera.access, fields).await
        };
        for wrong in [json!("wrong"), json!(hash), json!(""), Value::Null] {
            assert_error(&ask(wrong).await, 401, "invalid_client");
        }
        assert!(gateway.kept_secret(&id).await == Some(StoredSecret::Imported(hash.to_owned())), "{path}");
        let answer = ask(json!(SECRET)).await;
        assert_eq!(answer.status, status, "{path}: {}", text(&answer));
        assert!(matches!(gateway.kept_secret(&id).await, Some(StoredSecret::Mac(_))), "{path}");
        assert_error(&ask(json!("wrong")).await, 401, "invalid_client");
        let authorization = basic(&id, SECRET);
        let headers = [("Content-Type", "application/json"), ("Authorization", authorization.as_str())];
        assert_eq!(send(&gateway, "POST", "/api-auth/revoke", &headers, r#"{"token":"none"}"#).await.status, 200);
    }
}

#[tokio::test]
async fn guesses_at_an_imported_client_secret_take_turns_and_hold_up_nobody_who_needs_no_hash() {
    let gateway = Gateway::start_with(&[("hashing.max_concurrent", "1"), ("hashing.queue", "0")]).await;
    let vera = sign_up(&gateway, "vera@example.test").await;
    gateway.import_client("django", COSTLY).await;
    let guess = json!({ "client_id": "django", "client_secret": "guess" });

    let busy = async {
        until("a guess is being hashed", async || gateway.is_hashing().await).await;
        for (path, fields) in [
            (TOKEN, password_request("vera@example.test")),
            ("/api-auth/introspect", json!({ "token": vera.access })),
            ("/api-auth/revoke", json!({ "token": vera.access })),
            (CREATE, person("ada@example.test")),
            (REVOKE, json!({})),
        ] {
            let answer = gateway.post_json_as(path, &vera.access, with(fields, &guess)).await;
            assert_error(&answer, 503, "temporarily_unavailable");
            assert!(answer.header("Retry-After").is_some(), "{path}");
        }
        let nobody_s = json!({ "client_id": "nobody", "client_secret": "guess" });
        let answer = gateway.post_json(TOKEN, with(password_request("vera@example.test"), &nobody_s)).await;
        assert_error(&answer, 401, "invalid_client");
        assert_eq!(gateway.get(CURRENT_USER, Some(&vera.access)).await.status, 200);
        assert_eq!(refresh(&gateway, &vera.refresh).await.status, 200);
    };
    let first = gateway.post_json(TOKEN, with(password_request("vera@example.test"), &guess));
    let (first, ()) = tokio::join!(first, busy);
    assert_error(&first, 401, "invalid_client");
    assert_eq!(gateway.post_json(CREATE, person("ada@example.test")).await.status, 201, "it was not signed up before");
}

/// Basic may be meant for somebody before us; but that nothing can be said of it now is no reason to act without.
#[tokio::test]
async fn a_sign_up_waits_for_a_client_that_only_basic_names() {
    let gateway = Gateway::start_with(&[("hashing.max_concurrent", "1"), ("hashing.queue", "0")]).await;
    gateway.import_client("django", COSTLY).await;
    let authorization = basic("django", "guess");
    let headers = [("Content-Type", "application/json"), ("Authorization", authorization.as_str())];
    let body = person("ada@example.test").to_string();
    let (first, ()) = tokio::join!(send(&gateway, "POST", CREATE, &headers, &body), async {
        until("a guess is being hashed", async || gateway.is_hashing().await).await;
        let answer = send(&gateway, "POST", CREATE, &headers, &body).await;
        assert_error(&answer, 503, "temporarily_unavailable");
    });
    assert_eq!(first.status, 201, "{}", text(&first));
}
