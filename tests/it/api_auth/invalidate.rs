//! `POST invalidate-sessions` and `POST invalidate-refresh-tokens`.

use super::*;

const SESSIONS: &str = "/api-auth/invalidate-sessions";
const REFRESH_TOKENS: &str = "/api-auth/invalidate-refresh-tokens";

/// Vera signed in with `web` twice and with `spa`, and somebody else with `web`.
struct Scene {
    gateway: Gateway,
    web: [Pair; 2],
    spa: Pair,
    other: Pair,
}

async fn scene() -> Scene {
    let gateway = Gateway::start_with(&[("clients.spa.grants", "[password, refresh_token]")]).await;
    let other = sign_up(&gateway, "other@example.test").await;
    let web = [sign_up(&gateway, "vera@example.test").await, sign_in(&gateway, "vera@example.test").await];
    let request = with(password_request("vera@example.test"), &json!({ "client_id": "spa", "client_secret": null }));
    let spa = Pair::of(&gateway.post_json(TOKEN, request).await);
    Scene { gateway, web, spa, other }
}

impl Scene {
    async fn refresh_spa(&self) -> Answer {
        let request = with(refresh_request(&self.spa.refresh), &json!({ "client_id": "spa", "client_secret": null }));
        self.gateway.post_json(TOKEN, request).await
    }
}

#[tokio::test]
async fn all_sessions_with_a_client_end_ones_own_too() {
    let scene = scene().await;
    let gateway = &scene.gateway;
    let answer = gateway.post_json_as(SESSIONS, &scene.web[0].access, json!({ "client_id": "web" })).await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert_eq!((answer.header("Content-Type"), answer.header("Content-Length")), (None, None));
    for pair in &scene.web {
        assert_answer(&gateway.get(CURRENT_USER, Some(&pair.access)).await, 401, &json!({ "detail": BAD_TOKEN }));
        assert_error(&refresh(gateway, &pair.refresh).await, 400, "invalid_grant");
    }
    for pair in [&scene.spa, &scene.other] {
        assert_eq!(gateway.get(CURRENT_USER, Some(&pair.access)).await.status, 200);
    }
    Pair::of(&scene.refresh_spa().await);
    Pair::of(&refresh(gateway, &scene.other.refresh).await);
}

#[tokio::test]
async fn the_client_need_not_be_the_bearers_own() {
    let scene = scene().await;
    let gateway = &scene.gateway;
    assert_eq!(gateway.post_json_as(SESSIONS, &scene.web[0].access, json!({ "client_id": "spa" })).await.status, 204);
    assert_eq!(gateway.get(CURRENT_USER, Some(&scene.spa.access)).await.status, 401);
    assert_eq!(gateway.get(CURRENT_USER, Some(&scene.web[0].access)).await.status, 200);
    // Nothing is left to end, which is no error.
    assert_eq!(gateway.post_json_as(SESSIONS, &scene.web[0].access, json!({ "client_id": "spa" })).await.status, 204);
}

#[tokio::test]
async fn refresh_tokens_end_and_access_tokens_live_on() {
    let scene = scene().await;
    let gateway = &scene.gateway;
    let answer = gateway.post_json_as(REFRESH_TOKENS, &scene.web[0].access, json!({ "client_id": "web" })).await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    for pair in &scene.web {
        assert_error(&refresh(gateway, &pair.refresh).await, 400, "invalid_grant");
        assert_eq!(gateway.get(CURRENT_USER, Some(&pair.access)).await.status, 200);
        assert_eq!(gateway.get("/proxied", Some(&pair.access)).await.status, 200);
    }
    Pair::of(&scene.refresh_spa().await);
    Pair::of(&refresh(gateway, &scene.other.refresh).await);
    let later = sign_in(gateway, "vera@example.test").await;
    Pair::of(&refresh(gateway, &later.refresh).await);
}

#[tokio::test]
async fn the_client_is_judged_as_a_field() {
    let scene = scene().await;
    for path in [SESSIONS, REFRESH_TOKENS] {
        assert_eq!(scene.gateway.post_json(path, json!({ "client_id": "web" })).await.status, 401);
        for (id, expected) in [
            (Value::Null, json!({ "client_id": ["client_id is required."] })),
            (json!(" "), json!({ "client_id": ["client_id cannot be blank."] })),
            (json!("x".repeat(201)), json!({ "client_id": ["Ensure this field has no more than 200 characters."] })),
            (
                json!("nobody"),
                json!({ "detail": "The application linked to the provided client_id could not be found." }),
            ),
        ] {
            let body = with(json!({}), &json!({ "client_id": id }));
            let answer = scene.gateway.post_json_as(path, &scene.web[0].access, body).await;
            assert_answer(&answer, 400, &expected);
        }
    }
    assert_eq!(scene.gateway.get(CURRENT_USER, Some(&scene.web[0].access)).await.status, 200);
}
