//! `POST revoke` (RFC 7009).

use super::*;

const PATH: &str = "/api-auth/revoke";

fn request(token: &str) -> Value {
    json!({ "token": token, "client_id": "web", "client_secret": "quickstart-secret" })
}

async fn assert_ended(gateway: &Gateway, pair: &Pair) {
    assert_eq!(gateway.get(CURRENT_USER, Some(&pair.access)).await.status, 401);
    assert_eq!(gateway.get("/proxied", Some(&pair.access)).await.status, 401);
    assert_error(&refresh(gateway, &pair.refresh).await, 400, "invalid_grant");
}

#[tokio::test]
async fn either_token_ends_its_session_and_no_other() {
    let gateway = Gateway::start().await;
    let stays = sign_up(&gateway, "vera@example.test").await;
    for hint in [Value::Null, json!("access_token"), json!("refresh_token"), json!("nonsense")] {
        for of in [|pair: &Pair| pair.access.clone(), |pair: &Pair| pair.refresh.clone()] {
            let pair = sign_in(&gateway, "vera@example.test").await;
            let answer = gateway.post_json(PATH, with(request(&of(&pair)), &json!({ "token_type_hint": hint }))).await;
            assert_eq!((answer.status, answer.body.len()), (200, 0));
            assert_eq!(answer.header("Cache-Control"), Some("no-store"));
            assert_ended(&gateway, &pair).await;
        }
    }
    Pair::of(&refresh(&gateway, &stays.refresh).await);
}

#[tokio::test]
async fn a_superseded_refresh_token_ends_its_session_too() {
    let gateway = Gateway::start().await;
    let first = sign_up(&gateway, "vera@example.test").await;
    let second = Pair::of(&refresh(&gateway, &first.refresh).await);
    assert_eq!(gateway.post_json(PATH, request(&first.refresh)).await.status, 200);
    assert_ended(&gateway, &second).await;
}

#[tokio::test]
async fn a_token_that_does_not_hold_needs_no_revocation() {
    let gateway = Gateway::start().await;
    let pair = sign_up(&gateway, "vera@example.test").await;
    for token in ["", "garbage", "pgr_", "a.b.c", &"x".repeat(20_000), &format!("{}x", pair.access)] {
        let answer = gateway.post_json(PATH, request(token)).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{token:.20}");
    }
    for _ in 0..2 {
        assert_eq!(gateway.post_json(PATH, request(&pair.refresh)).await.status, 200);
    }
}

#[tokio::test]
async fn a_client_ends_only_what_is_its_own_and_proves_itself() {
    let gateway = Gateway::start_with(&[("clients.spa.grants", "[password, refresh_token]")]).await;
    let pair = sign_up(&gateway, "vera@example.test").await;
    for token in [&pair.access, &pair.refresh] {
        let other = with(request(token), &json!({ "client_id": "spa", "client_secret": null }));
        assert_error(&gateway.post_json(PATH, other).await, 400, "invalid_grant");
        let unproven = with(request(token), &json!({ "client_secret": "wrong" }));
        assert_error(&gateway.post_json(PATH, unproven).await, 401, "invalid_client");
    }
    assert_eq!(gateway.get(CURRENT_USER, Some(&pair.access)).await.status, 200);
    let missing = with(request(""), &json!({ "token": null }));
    assert_answer(
        &gateway.post_json(PATH, missing).await,
        400,
        &json!({ "error": "invalid_request", "error_description": "Missing token parameter." }),
    );

    let body = format!("token={}", pair.refresh);
    let headers =
        [("Content-Type", "application/x-www-form-urlencoded"), ("Authorization", &*basic("web", "quickstart-secret"))];
    assert_eq!(send(&gateway, "POST", PATH, &headers, &body).await.status, 200);
    assert_ended(&gateway, &pair).await;
}

#[tokio::test]
async fn a_public_client_may_sign_itself_out() {
    let gateway = Gateway::start_with(&[("clients.spa.grants", "[password, refresh_token]")]).await;
    gateway.post_json(CREATE, person("vera@example.test")).await;
    let spa = json!({ "client_id": "spa", "client_secret": null });
    let pair = Pair::of(&gateway.post_json(TOKEN, with(password_request("vera@example.test"), &spa)).await);
    assert_eq!(gateway.post_json(PATH, with(request(&pair.refresh), &spa)).await.status, 200);
    assert_eq!(gateway.get(CURRENT_USER, Some(&pair.access)).await.status, 401);
}
