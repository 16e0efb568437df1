//! `POST password/`. By a provider's token: see `links`.

use super::*;

const CHANGE: &str = "/api-auth/password/";
const NEW: &str = "another tractor under 8 moons";

fn change_request() -> Value {
    json!({ "current_password": PASSWORD, "new_password": NEW })
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions_and_keeps_this_one() {
    let gateway = Gateway::start().await;
    let other = sign_up(&gateway, "other@example.test").await;
    let before = sign_up(&gateway, "vera@example.test").await;
    let this = sign_in(&gateway, "vera@example.test").await;
    let answer = gateway.post_json_as(CHANGE, &this.access, change_request()).await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));

    assert_eq!(gateway.get(CURRENT_USER, Some(&before.access)).await.status, 401);
    assert_eq!(gateway.get("/proxied", Some(&before.access)).await.status, 401);
    assert_error(&refresh(&gateway, &before.refresh).await, 400, "invalid_grant");
    for path in [CURRENT_USER, "/proxied"] {
        assert_eq!(gateway.get(path, Some(&this.access)).await.status, 200);
        assert_eq!(gateway.get(path, Some(&other.access)).await.status, 200);
    }
    let this = Pair::of(&refresh(&gateway, &this.refresh).await);
    assert_eq!(gateway.get("/proxied", Some(&this.access)).await.status, 200);

    assert_eq!(gateway.post_json(TOKEN, password_request("vera@example.test")).await.status, 400);
    let new = with(password_request("vera@example.test"), &json!({ "password": NEW }));
    Pair::of(&gateway.post_json(TOKEN, new).await);
}

#[tokio::test]
async fn whoever_asks_has_to_know_the_password_of_before() {
    let gateway = Gateway::start().await;
    let pair = sign_up(&gateway, "vera@example.test").await;
    assert_eq!(gateway.post_json(CHANGE, change_request()).await.status, 401);
    for (members, expected) in [
        (json!({ "current_password": "wrong" }), json!({ "current_password": ["This is not the current password."] })),
        (json!({ "current_password": null }), json!({ "current_password": ["current_password is required."] })),
        (json!({ "new_password": "" }), json!({ "new_password": ["new_password cannot be blank."] })),
        (
            json!({ "current_password": null, "new_password": null }),
            json!({ "new_password": ["new_password is required."], "current_password": ["current_password is required."] }),
        ),
    ] {
        let answer = gateway.post_json_as(CHANGE, &pair.access, with(change_request(), &members)).await;
        assert_answer(&answer, 400, &expected);
    }
    sign_in(&gateway, "vera@example.test").await;
}

#[tokio::test]
async fn a_new_password_is_judged_as_at_sign_up() {
    let gateway = Gateway::start().await;
    let pair = sign_up(&gateway, "vera@example.test").await;
    for poor in ["short", "password1", &"x".repeat(129), "vera@example.test"] {
        let request = with(change_request(), &json!({ "new_password": poor }));
        let answer = gateway.post_json_as(CHANGE, &pair.access, request).await;
        assert_eq!(answer.status, 400, "{poor}");
        assert!(answer.json()["new_password"][0].is_string(), "{}", text(&answer));
    }
    assert_eq!(gateway.get(CURRENT_USER, Some(&pair.access)).await.status, 200);
    sign_in(&gateway, "vera@example.test").await;
}
