//! `limits`: what is tried too often is 429, and nobody else notices.

use std::time::Duration;

use super::{
    convert_token::{Scene, gina, request},
    *,
};
use crate::support::{Bench, provider::google};

const ORIGIN: &str = "http://localhost:3000";

/// A gateway behind a proxy that says where requests come from.
async fn behind_a_proxy(overrides: &[(&str, &str)]) -> Gateway {
    let bench = Bench::default().set("server.trusted_proxies", "[127.0.0.1/32]");
    overrides.iter().fold(bench, |bench, (key, value)| bench.set(key, value)).start().await
}

async fn post_from(gateway: &Gateway, source: &str, path: &str, body: &Value) -> Answer {
    let headers = [("Content-Type", "application/json"), ("X-Forwarded-For", source), ("Origin", ORIGIN)];
    send(gateway, "POST", path, &headers, &body.to_string()).await
}

/// A sign-in of Vera's, or of whom `members` name.
async fn try_from(gateway: &Gateway, source: &str, members: Value) -> Answer {
    post_from(gateway, source, TOKEN, &with(password_request("vera@example.test"), &members)).await
}

fn wrong() -> Value {
    json!({ "password": "wrong" })
}

#[track_caller]
fn assert_throttled(answer: &Answer, seconds: u64) {
    assert_eq!((answer.status, answer.reason.as_str()), (429, "Too Many Requests"), "{}", text(answer));
    assert_eq!(answer.header("Retry-After"), Some(&*seconds.to_string()));
    assert_eq!(answer.header("Access-Control-Allow-Origin"), Some(ORIGIN));
    assert!(answer.header("Access-Control-Expose-Headers").unwrap().contains("Retry-After"));
    let text = format!("Request was throttled. Expected available in {seconds} seconds.");
    let body = answer.json();
    let told = body.get("detail").or(body.get("error_description")).unwrap();
    assert_eq!(told, &json!(text));
}

async fn throttled(gateway: &Gateway, what: &str, limit: &str) -> u64 {
    let figures =
        crate::support::exchange(gateway.admin, "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let figures = figures.await.text();
    let name = format!("passgate_throttled_total{{limit=\"{limit}\",what=\"{what}\"}} ");
    figures.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn guessing_at_one_account_from_one_source_ends_and_the_right_password_waits_there_too() {
    let gateway = behind_a_proxy(&[]).await;
    sign_up(&gateway, "vera@example.test").await;
    for spelling in ["vera@example.test", "VERA@example.test", " vera@EXAMPLE.test"].iter().cycle().take(10) {
        let members = json!({ "username": spelling, "password": "wrong" });
        assert_eq!(try_from(&gateway, "203.0.113.9", members).await.status, 400);
    }
    assert_throttled(&try_from(&gateway, "203.0.113.9", wrong()).await, 30);
    assert_throttled(&try_from(&gateway, "203.0.113.9", json!({})).await, 30);
    assert_eq!(throttled(&gateway, "sign_in", "per_account_and_source").await, 2);
    // From elsewhere, and to another account, as ever.
    Pair::of(&try_from(&gateway, "203.0.113.10", json!({})).await);
    let other = json!({ "username": "nobody@example.test", "password": "wrong" });
    assert_eq!(try_from(&gateway, "203.0.113.9", other).await.status, 400);
    gateway.advance(Duration::from_secs(30));
    Pair::of(&try_from(&gateway, "203.0.113.9", json!({})).await);
}

#[tokio::test]
async fn whether_an_account_exists_makes_no_difference() {
    let gateway = behind_a_proxy(&[("limits.sign_in.per_account", "3/1h")]).await;
    sign_up(&gateway, "vera@example.test").await;
    for username in ["vera@example.test", "nobody@example.test", "no address"] {
        let members = json!({ "username": username, "password": "wrong" });
        for n in 0..5 {
            let answer = try_from(&gateway, &format!("203.0.113.{n}"), members.clone()).await;
            assert_eq!(answer.status, if n < 3 { 400 } else { 429 }, "{username}");
        }
    }
}

#[tokio::test]
async fn many_sources_cannot_guess_and_cannot_lock_the_owner_out() {
    let gateway = behind_a_proxy(&[]).await;
    sign_up(&gateway, "vera@example.test").await;
    Pair::of(&try_from(&gateway, "198.51.100.1", json!({})).await);
    let mut refused = 0;
    for n in 0..130 {
        let answer = try_from(&gateway, &format!("203.0.113.{n}"), wrong()).await;
        refused += u32::from(answer.status == 429);
    }
    assert_eq!(refused, 30, "100 an hour");
    assert_eq!(throttled(&gateway, "sign_in", "per_account").await, 30);
    // A new device has to wait; where she was signed in from lately, she is not kept out.
    assert_eq!(try_from(&gateway, "203.0.113.200", json!({})).await.status, 429);
    Pair::of(&try_from(&gateway, "198.51.100.1", json!({})).await);
    // A restart forgets the counts, and not where she is at home.
    let (directory, upstream, clock) = gateway.stop().await;
    let bench =
        Bench::default().set("server.trusted_proxies", "[127.0.0.1/32]").set("limits.sign_in.per_account", "1/1h");
    let gateway = bench.start_in(directory, upstream, clock).await;
    assert_eq!(try_from(&gateway, "203.0.113.1", wrong()).await.status, 400);
    assert_eq!(try_from(&gateway, "203.0.113.2", json!({})).await.status, 429);
    Pair::of(&try_from(&gateway, "198.51.100.1", json!({})).await);
    gateway.advance(Duration::from_hours(31 * 24));
    assert_eq!(try_from(&gateway, "203.0.113.1", wrong()).await.status, 400);
    assert_eq!(try_from(&gateway, "198.51.100.1", json!({})).await.status, 429, "that was long ago");
}

#[tokio::test]
async fn one_source_cannot_try_many_accounts_and_a_refused_try_costs_no_hash() {
    let gateway = behind_a_proxy(&[]).await;
    let pair = sign_up(&gateway, "vera@example.test").await;
    let mut statuses = Vec::new();
    for n in 0..125 {
        let members = json!({ "username": format!("victim-{n}@example.test"), "password": "wrong" });
        statuses.push(try_from(&gateway, "203.0.113.9", members).await.status);
    }
    assert_eq!((statuses.iter().filter(|status| **status == 429).count(), statuses[119], statuses[120]), (5, 400, 429));
    // What needs no password is as it was, and so are other sources.
    assert_eq!(gateway.get("/proxied", Some(&pair.access)).await.status, 200);
    Pair::of(&refresh(&gateway, &pair.refresh).await);
    Pair::of(&try_from(&gateway, "203.0.113.10", json!({})).await);
    // With the hashing queue closed, whoever got as far as a hash would be told 503.
    let closed = behind_a_proxy(&[("hashing.queue", "0"), ("limits.sign_in.per_source", "1/1h")]).await;
    let first = try_from(&closed, "203.0.113.9", wrong()).await.status;
    assert!(matches!(first, 400 | 503));
    assert_eq!(try_from(&closed, "203.0.113.9", wrong()).await.status, 429);
}

#[tokio::test]
async fn signing_in_often_is_nothing_to_throttle() {
    let gateway = behind_a_proxy(&[]).await;
    sign_up(&gateway, "vera@example.test").await;
    for _ in 0..15 {
        Pair::of(&try_from(&gateway, "203.0.113.9", json!({})).await);
    }
}

#[tokio::test]
async fn sign_up_refresh_and_clients_have_rates_of_their_own() {
    let gateway = behind_a_proxy(&[
        ("limits.sign_up.per_source", "2/1m"),
        ("limits.refresh.per_source", "2/1m"),
        ("limits.sign_in.per_client", "3/1m"),
    ])
    .await;
    for n in 0..2 {
        let answer = post_from(&gateway, "203.0.113.9", CREATE, &person(&format!("vera-{n}@example.test"))).await;
        assert_eq!(answer.status, 201);
    }
    let answer = post_from(&gateway, "203.0.113.9", CREATE, &person("vera-3@example.test")).await;
    assert_throttled(&answer, 30);
    assert!(answer.json().get("detail").is_some());
    let pair = Pair::of(&post_from(&gateway, "203.0.113.10", CREATE, &person("vera@example.test")).await);

    let first = post_from(&gateway, "203.0.113.9", TOKEN, &refresh_request(&pair.refresh)).await;
    Pair::of(&first);
    assert_eq!(post_from(&gateway, "203.0.113.9", TOKEN, &refresh_request("garbage")).await.status, 400);
    let answer = post_from(&gateway, "203.0.113.9", TOKEN, &refresh_request(&pair.refresh)).await;
    assert_throttled(&answer, 30);
    assert_eq!(answer.json()["error"], "temporarily_unavailable");
    Pair::of(&post_from(&gateway, "203.0.113.10", TOKEN, &refresh_request(&Pair::of(&first).refresh)).await);

    for n in 0..3 {
        Pair::of(&try_from(&gateway, &format!("203.0.113.{n}"), json!({})).await);
    }
    assert_throttled(&try_from(&gateway, "203.0.113.99", json!({})).await, 20);
    assert_eq!(throttled(&gateway, "sign_in", "per_client").await, 1);
}

#[tokio::test]
async fn a_providers_token_is_tried_as_often_as_convert_allows() {
    let scene = Scene::start_with(|bench| {
        bench.set("server.trusted_proxies", "[127.0.0.1/32]").set("limits.convert.per_source", "2/1m")
    })
    .await;
    let gateway = &scene.gateway;
    let vera = sign_up(gateway, "vera@example.test").await;
    let body = request("google-oauth2", "ya29.garbage");
    for _ in 0..2 {
        assert_eq!(post_from(gateway, "203.0.113.9", "/api-auth/convert-token", &body).await.status, 400);
    }
    let good = request("google-oauth2", &scene.google.user(gina()));
    assert_throttled(&post_from(gateway, "203.0.113.9", "/api-auth/convert-token", &good).await, 30);
    let exchange = json!({
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": "x",
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token", "subject_issuer": "google-oauth2",
        "client_id": "web", "client_secret": "quickstart-secret",
    });
    assert_throttled(&post_from(gateway, "203.0.113.9", TOKEN, &exchange).await, 30);
    let authorization = format!("Bearer {}", vera.access);
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Forwarded-For", "203.0.113.9"),
        ("Origin", ORIGIN),
        ("Authorization", authorization.as_str()),
    ];
    let link = json!({ "backend": "google-oauth2", "token": scene.google.user(gina()) }).to_string();
    assert_throttled(&send(gateway, "POST", "/api-auth/links/", &headers, &link).await, 30);
    assert_eq!(scene.google.calls(google::TOKENINFO), 2, "nobody was asked about the others");
}

#[tokio::test]
async fn the_own_password_cannot_be_guessed_with_a_stolen_bearer() {
    let gateway = behind_a_proxy(&[("limits.sign_in.per_account_and_source", "2/1m")]).await;
    let pair = sign_up(&gateway, "vera@example.test").await;
    let authorization = format!("Bearer {}", pair.access);
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Forwarded-For", "203.0.113.9"),
        ("Origin", ORIGIN),
        ("Authorization", authorization.as_str()),
    ];
    let change = async |current: &str| {
        let body = json!({ "current_password": current, "new_password": "another tractor under 8 moons" }).to_string();
        send(&gateway, "POST", "/api-auth/password/", &headers, &body).await
    };
    for _ in 0..2 {
        assert_eq!(change("wrong").await.status, 400);
    }
    assert_throttled(&change(PASSWORD).await, 30);
    gateway.advance(Duration::from_mins(1));
    assert_eq!(change(PASSWORD).await.status, 204);
}

#[tokio::test]
async fn right_passwords_with_poor_new_ones_are_no_way_to_keep_the_hashers_busy() {
    let gateway = behind_a_proxy(&[("limits.sign_in.per_source", "3/1m")]).await;
    let pair = sign_up(&gateway, "vera@example.test").await;
    let authorization = format!("Bearer {}", pair.access);
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Forwarded-For", "203.0.113.9"),
        ("Origin", ORIGIN),
        ("Authorization", authorization.as_str()),
    ];
    let body = json!({ "current_password": PASSWORD, "new_password": "poor" }).to_string();
    for n in 0..4 {
        let answer = send(&gateway, "POST", "/api-auth/password/", &headers, &body).await;
        assert_eq!(answer.status, if n < 3 { 400 } else { 429 });
    }
}

#[tokio::test]
async fn the_secret_of_a_client_cannot_be_guessed_wherever_it_is_shown() {
    for (path, body) in [
        (TOKEN, password_request("vera@example.test")),
        (TOKEN, refresh_request("x")),
        (TOKEN, with(refresh_request("x"), &json!({ "grant_type": "client_credentials" }))),
        ("/api-auth/convert-token", request("google-oauth2", "x")),
        ("/api-auth/revoke", with(refresh_request("x"), &json!({ "token": "x" }))),
        ("/api-auth/introspect", with(refresh_request("x"), &json!({ "token": "x" }))),
        (CREATE, with(person("vera@example.test"), &json!({ "client_id": "web" }))),
    ] {
        let gateway = behind_a_proxy(&[]).await;
        let wrong = with(body.clone(), &json!({ "client_secret": "wrong" }));
        for _ in 0..10 {
            assert_eq!(post_from(&gateway, "203.0.113.9", path, &wrong).await.status, 401, "{path}");
        }
        let right = with(body, &json!({ "client_secret": "quickstart-secret" }));
        let answer = post_from(&gateway, "203.0.113.9", path, &right).await;
        assert_throttled(&answer, 30);
        assert_eq!(answer.json()["error"], "temporarily_unavailable");
        assert_ne!(post_from(&gateway, "203.0.113.10", path, &right).await.status, 429);
    }
}

#[tokio::test]
async fn who_signs_up_and_names_no_client_has_failed_to_prove_none() {
    let gateway = behind_a_proxy(&[("limits.sign_in.per_account_and_source", "2/1m")]).await;
    for n in 0..4 {
        let answer = post_from(&gateway, "203.0.113.9", CREATE, &person(&format!("vera-{n}@example.test"))).await;
        assert_eq!(answer.status, 201, "{}", text(&answer));
    }
}

#[tokio::test]
async fn peers_of_our_own_network_share_no_count_until_a_proxy_is_named() {
    let gateway = Gateway::start_with(&[
        ("limits.sign_in.per_source", "2/1m"),
        ("limits.sign_in.per_account_and_source", "2/1m"),
        ("limits.sign_up.per_source", "1/1m"),
        ("limits.refresh.per_source", "1/1m"),
    ])
    .await;
    for n in 0..5 {
        let pair = sign_up(&gateway, &format!("vera-{n}@example.test")).await;
        Pair::of(&refresh(&gateway, &pair.refresh).await);
        // Nor does what such a peer says of others count.
        let members = json!({ "username": "vera-0@example.test", "password": "wrong" });
        assert_eq!(try_from(&gateway, "203.0.113.9", members).await.status, 400);
    }
    assert_eq!(throttled(&gateway, "sign_in", "per_source").await, 0);
}

#[tokio::test]
async fn limits_may_be_off() {
    let gateway = behind_a_proxy(&[("limits", "off")]).await;
    for n in 0..130 {
        let members = json!({ "username": format!("victim-{}@example.test", n % 2), "password": "wrong" });
        assert_eq!(try_from(&gateway, "203.0.113.9", members).await.status, 400);
    }
}
