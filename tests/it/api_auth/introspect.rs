//! `POST introspect` (RFC 7662).

use std::time::Duration;

use super::*;

const PATH: &str = "/api-auth/introspect";

fn request(token: &str) -> Value {
    json!({ "token": token, "client_id": "web", "client_secret": "quickstart-secret" })
}

async fn ask(gateway: &Gateway, token: &str) -> Value {
    let answer = gateway.post_json(PATH, request(token)).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    answer.json()
}

fn inactive() -> Value {
    json!({ "active": false })
}

#[tokio::test]
async fn a_token_that_holds_says_whose_it_is() {
    let gateway = Gateway::start().await;
    let pair = sign_up(&gateway, "vera@example.test").await;
    let access = ask(&gateway, &pair.access).await;
    let now = 1_800_000_000;
    for (member, value) in [
        ("active", json!(true)),
        ("scope", json!("read write")),
        ("client_id", json!("web")),
        ("username", json!("vera")),
        ("token_type", json!("Bearer")),
        ("iat", json!(now)),
        ("exp", json!(now + 900)),
        ("iss", json!("http://127.0.0.1:8080")),
        ("aud", json!("http://127.0.0.1:8080")),
    ] {
        assert_eq!(access[member], value, "{member}");
    }
    let refresh = ask(&gateway, &pair.refresh).await;
    assert_eq!(refresh["exp"], now + 14 * 24 * 3600);
    for member in ["active", "scope", "client_id", "username", "sub", "iss", "sid"] {
        assert_eq!(refresh[member], access[member], "{member}");
    }
    assert!(refresh.get("token_type").is_none());
}

#[tokio::test]
async fn of_one_that_does_not_hold_nothing_is_told() {
    let gateway = Gateway::start().await;
    let pair = sign_up(&gateway, "vera@example.test").await;
    for token in ["", "garbage", "pgr_", "a.b.c", &"x".repeat(20_000), &format!("{}x", pair.access)] {
        assert_eq!(ask(&gateway, token).await, inactive(), "{token:.20}");
    }
    let revoked = sign_in(&gateway, "vera@example.test").await;
    gateway.post_json("/api-auth/revoke", request(&revoked.access)).await;
    let used = sign_in(&gateway, "vera@example.test").await;
    let next = Pair::of(&refresh(&gateway, &used.refresh).await);
    gateway.advance(Duration::from_secs(31));
    for token in [&revoked.access, &revoked.refresh, &used.refresh] {
        assert_eq!(ask(&gateway, token).await, inactive());
    }
    // Asking is no use of it: the session lives on.
    Pair::of(&refresh(&gateway, &next.refresh).await);
    gateway.advance(Duration::from_mins(20));
    assert_eq!(ask(&gateway, &pair.access).await, inactive());
    assert_eq!(ask(&gateway, &pair.refresh).await["active"], true);
    gateway.deactivate("vera@example.test").await;
    assert_eq!(ask(&gateway, &pair.refresh).await, inactive());
}

#[tokio::test]
async fn only_a_client_that_proves_itself_may_ask() {
    let gateway = Gateway::start_with(&[
        ("clients.spa.grants", "[password, refresh_token]"),
        ("clients.api.secret", "another-secret"),
    ])
    .await;
    let pair = sign_up(&gateway, "vera@example.test").await;
    for wrong in [
        json!({ "client_secret": null }),
        json!({ "client_secret": "wrong" }),
        json!({ "client_id": "spa", "client_secret": null }),
        json!({ "client_id": null }),
    ] {
        assert_error(&gateway.post_json(PATH, with(request(&pair.access), &wrong)).await, 401, "invalid_client");
    }
    assert_eq!(gateway.post_json(PATH, with(request(""), &json!({ "token": null }))).await.status, 400);

    // A resource server asks of access tokens that others got, and learns nothing of refresh tokens.
    let api = json!({ "client_id": "api", "client_secret": "another-secret" });
    let of = async |token: &str| gateway.post_json(PATH, with(request(token), &api)).await.json();
    assert_eq!(of(&pair.access).await["active"], true);
    assert_eq!(of(&pair.refresh).await, inactive());
}
