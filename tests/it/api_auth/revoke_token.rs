//! `POST revoke-token`.

use super::*;

async fn revoke(gateway: &Gateway, authorization: &str, body: Value) -> Answer {
    let headers = [("Content-Type", "application/json"), ("Authorization", authorization)];
    send(gateway, "POST", REVOKE, &headers, &body.to_string()).await
}

fn web() -> Value {
    json!({ "client_id": "web", "client_secret": "quickstart-secret" })
}

fn bearer(pair: &Pair) -> String {
    format!("Bearer {}", pair.access)
}

async fn with_vera() -> (Gateway, Pair) {
    let gateway = Gateway::start().await;
    let pair = sign_up(&gateway, "vera@example.test").await;
    (gateway, pair)
}

#[tokio::test]
async fn the_session_of_the_bearer_ends_and_no_other() {
    let (gateway, this) = with_vera().await;
    let other = sign_in(&gateway, "vera@example.test").await;
    let request = with(web(), &json!({ "token": other.access }));
    let answer = revoke(&gateway, &bearer(&this), request).await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert_eq!((answer.header("Content-Type"), answer.header("Content-Length")), (None, None));

    assert_answer(&gateway.get(CURRENT_USER, Some(&this.access)).await, 401, &json!({ "detail": BAD_TOKEN }));
    assert_error(&refresh(&gateway, &this.refresh).await, 400, "invalid_grant");
    assert_eq!(gateway.get(CURRENT_USER, Some(&other.access)).await.status, 200);
    Pair::of(&refresh(&gateway, &other.refresh).await);
}

#[tokio::test]
async fn every_access_token_of_the_session_ends_with_it() {
    let (gateway, first) = with_vera().await;
    let second = Pair::of(&refresh(&gateway, &first.refresh).await);
    assert_eq!(revoke(&gateway, &bearer(&first), web()).await.status, 204);
    assert_eq!(gateway.get(CURRENT_USER, Some(&second.access)).await.status, 401);
    assert_error(&refresh(&gateway, &second.refresh).await, 400, "invalid_grant");
}

#[tokio::test]
async fn a_second_time_is_401() {
    let (gateway, pair) = with_vera().await;
    assert_eq!(revoke(&gateway, &bearer(&pair), web()).await.status, 204);
    assert_eq!(revoke(&gateway, &bearer(&pair), web()).await.status, 401);
}

#[tokio::test]
async fn small_letters_revoke_as_well() {
    let (gateway, pair) = with_vera().await;
    assert_eq!(revoke(&gateway, &format!("bearer {}", pair.access), web()).await.status, 204);
    assert_eq!(gateway.get(CURRENT_USER, Some(&pair.access)).await.status, 401);
}

#[tokio::test]
async fn a_bearer_is_needed_before_anything_else_is_judged() {
    let (gateway, _) = with_vera().await;
    assert_eq!(gateway.post_json(REVOKE, web()).await.status, 401);
    assert_eq!(gateway.post_json(REVOKE, json!({})).await.status, 401);
    let headers = [("Content-Type", "text/plain"), ("Authorization", "Bearer dead")];
    assert_eq!(send(&gateway, "POST", REVOKE, &headers, "x").await.status, 401);
}

#[tokio::test]
async fn the_client_id_is_judged_as_a_field() {
    let (gateway, pair) = with_vera().await;
    for (body, text) in [
        (json!({}), "client_id is required."),
        (json!({ "client_id": "" }), "client_id cannot be blank."),
        (json!({ "client_id": "x".repeat(201) }), "Ensure this field has no more than 200 characters."),
        (json!({ "client_id": [] }), "Not a valid string."),
    ] {
        assert_answer(&revoke(&gateway, &bearer(&pair), body).await, 400, &json!({ "client_id": [text] }));
    }
    let answer = revoke(&gateway, &bearer(&pair), json!([])).await;
    assert!(answer.status == 400 && answer.json()["non_field_errors"].is_array());
}

#[tokio::test]
async fn a_client_other_than_the_tokens_own_revokes_nothing_and_says_so() {
    let gateway = Gateway::start_with(&[("clients.spa.grants", "[password]")]).await;
    gateway.post_json(CREATE, person("vera@example.test")).await;
    let pair = sign_in(&gateway, "vera@example.test").await;
    for other in ["spa", "unknown"] {
        let answer = revoke(&gateway, &bearer(&pair), json!({ "client_id": other })).await;
        assert_eq!(answer.status, 400);
        assert!(answer.json()["detail"].is_string(), "{}", text(&answer));
    }
    assert_eq!(gateway.get(CURRENT_USER, Some(&pair.access)).await.status, 200);
}

#[tokio::test]
async fn a_confidential_client_has_to_prove_itself() {
    let (gateway, pair) = with_vera().await;
    for secret in [Value::Null, json!("wrong")] {
        let request = with(web(), &json!({ "client_secret": secret }));
        assert_error(&revoke(&gateway, &bearer(&pair), request).await, 401, "invalid_client");
    }
    assert_eq!(gateway.get(CURRENT_USER, Some(&pair.access)).await.status, 200);
}

#[tokio::test]
async fn form_and_multipart_are_as_good_as_json() {
    let (gateway, pair) = with_vera().await;
    let form = [("Content-Type", "application/x-www-form-urlencoded"), ("Authorization", &bearer(&pair))];
    let body = "client_id=web&client_secret=quickstart-secret";
    assert_eq!(send(&gateway, "POST", "/api-auth/revoke-token/", &form, body).await.status, 204);

    let pair = sign_in(&gateway, "vera@example.test").await;
    let form = [("Content-Type", "multipart/form-data; boundary=b"), ("Authorization", &bearer(&pair))];
    let part =
        |name: &str, value: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let body = part("client_id", "web") + &part("client_secret", "quickstart-secret") + "--b--\r\n";
    assert_eq!(send(&gateway, "POST", REVOKE, &form, &body).await.status, 204);
}
