//! How a client proves itself at `token`.

use super::*;

async fn with_vera() -> Gateway {
    let gateway =
        Gateway::start_with(&[("clients.spa.grants", "[password, refresh_token]"), ("clients.spa.scopes", "[read]")])
            .await;
    assert_eq!(gateway.post_json(CREATE, person("vera@example.test")).await.status, 201);
    gateway
}

/// The password request with these members, and this `Authorization`.
async fn ask(gateway: &Gateway, members: Value, authorization: Option<&str>) -> Answer {
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(authorization.map(|value| ("Authorization", value)));
    let body = with(password_request("vera@example.test"), &members).to_string();
    send(gateway, "POST", TOKEN, &headers, &body).await
}

fn nobody() -> Value {
    json!({ "client_id": null, "client_secret": null })
}

#[tokio::test]
async fn a_client_in_the_body_proves_itself_or_is_401_without_challenge() {
    let gateway = with_vera().await;
    assert_eq!(ask(&gateway, json!({}), None).await.status, 200);
    for wrong in [
        nobody(),
        json!({ "client_id": null }),
        json!({ "client_id": "" }),
        json!({ "client_id": "unknown" }),
        json!({ "client_id": "WEB" }),
        json!({ "client_secret": null }),
        json!({ "client_secret": "" }),
        json!({ "client_secret": "wrong" }),
    ] {
        let answer = ask(&gateway, wrong, None).await;
        assert_error(&answer, 401, "invalid_client");
        assert_eq!(answer.header("WWW-Authenticate"), None);
        assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    }
}

#[tokio::test]
async fn the_client_is_judged_before_the_user() {
    let gateway = with_vera().await;
    for user in [json!({}), json!({ "password": "wrong" }), json!({ "username": "nobody@example.test" })] {
        let answer = ask(&gateway, with(user, &json!({ "client_secret": "wrong" })), None).await;
        assert_error(&answer, 401, "invalid_client");
    }
}

#[tokio::test]
async fn a_client_may_use_basic() {
    let gateway = with_vera().await;
    for good in [basic("web", "quickstart-secret"), basic("%77eb", "quickstart%2Dsecret")] {
        assert_eq!(ask(&gateway, nobody(), Some(&good)).await.status, 200);
    }
    for wrong in [basic("web", "wrong"), basic("unknown", "quickstart-secret"), "Basic ***".to_owned()] {
        let answer = ask(&gateway, nobody(), Some(&wrong)).await;
        assert_error(&answer, 401, "invalid_client");
        assert_eq!(answer.header("WWW-Authenticate"), Some("Basic realm=\"api\""));
    }
}

#[tokio::test]
async fn the_word_basic_is_exactly_so() {
    let gateway = with_vera().await;
    for other in ["basic", "BASIC"] {
        let authorization = basic("web", "quickstart-secret").replace("Basic", other);
        let answer = ask(&gateway, nobody(), Some(&authorization)).await;
        assert_error(&answer, 401, "invalid_client");
        assert_eq!(answer.header("WWW-Authenticate"), None);
    }
}

#[tokio::test]
async fn where_basic_fails_the_body_is_tried() {
    let gateway = with_vera().await;
    assert_eq!(ask(&gateway, json!({}), Some(&basic("web", "wrong"))).await.status, 200);
    assert_eq!(ask(&gateway, json!({}), Some("Basic ***")).await.status, 200);
    let answer = ask(&gateway, json!({ "client_secret": "wrong" }), Some(&basic("web", "wrong"))).await;
    assert_error(&answer, 401, "invalid_client");
}

#[tokio::test]
async fn basic_and_body_must_not_name_two_clients() {
    let gateway = with_vera().await;
    let answer = ask(&gateway, json!({ "client_id": "spa" }), Some(&basic("web", "quickstart-secret"))).await;
    assert_error(&answer, 400, "server_error");
}

#[tokio::test]
async fn a_public_client_needs_no_secret_and_has_its_own_scopes() {
    let gateway = with_vera().await;
    let answer = ask(&gateway, json!({ "client_id": "spa", "client_secret": null }), None).await;
    assert_eq!((answer.status, &answer.json()["scope"]), (200, &json!("read")));
}
