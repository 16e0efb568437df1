//! `POST token` with `grant_type=password`.

use super::*;

const REFUSED: &str = r#"{"error":"invalid_grant","error_description":"Invalid credentials given."}"#;

async fn with_vera() -> Gateway {
    let gateway = Gateway::start().await;
    sign_up(&gateway, "vera@example.test").await;
    gateway
}

#[tokio::test]
async fn an_address_and_its_password_are_worth_a_pair_of_tokens() {
    let gateway = with_vera().await;
    let answer = gateway.post_json(TOKEN, password_request("vera@example.test")).await;
    let body = answer.json();
    assert_eq!(answer.status, 200);
    assert_eq!(
        (&body["expires_in"], &body["token_type"], &body["scope"]),
        (&json!(900), &json!("Bearer"), &json!("read write"))
    );
    assert_eq!(body.as_object().unwrap().len(), 5);
    assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    assert_eq!(answer.header("Pragma"), Some("no-cache"));
    assert_eq!(gateway.get(CURRENT_USER, Some(&Pair::of(&answer).access)).await.status, 200);
}

#[tokio::test]
async fn every_sign_in_is_a_session_of_its_own() {
    let gateway = with_vera().await;
    let (one, two) = (sign_in(&gateway, "vera@example.test").await, sign_in(&gateway, "vera@example.test").await);
    assert!(one.access != two.access && one.refresh != two.refresh);
    for pair in [one, two] {
        assert_eq!(gateway.get(CURRENT_USER, Some(&pair.access)).await.status, 200);
        assert_eq!(refresh(&gateway, &pair.refresh).await.status, 200);
    }
}

#[tokio::test]
async fn json_form_and_multipart_are_alike() {
    let gateway = with_vera().await;
    let fields = [
        ("grant_type", "password"),
        ("username", "vera@example.test"),
        ("password", PASSWORD),
        ("client_id", "web"),
        ("client_secret", "quickstart-secret"),
    ];
    Pair::of(&gateway.post_form(TOKEN, &fields).await);
    Pair::of(&gateway.post_multipart(TOKEN, &fields).await);
    Pair::of(&gateway.post_json(TOKEN, password_request("vera@example.test")).await);
}

#[tokio::test]
async fn whatever_is_wrong_with_a_sign_in_the_answer_is_the_same() {
    let gateway = with_vera().await;
    sign_up(&gateway, "inactive@example.test").await;
    gateway.deactivate("inactive@example.test").await;
    for wrong in [
        json!({ "password": "another password" }),
        json!({ "password": PASSWORD.to_uppercase() }),
        json!({ "password": format!("{PASSWORD} ") }),
        json!({ "password": "x".repeat(129) }),
        json!({ "password": "x".repeat(60_000) }),
        json!({ "password": "x".repeat(1_000_000) }),
        json!({ "username": "nobody@example.test" }),
        json!({ "username": "no address" }),
        json!({ "username": "vera" }),
        json!({ "username": "inactive@example.test" }),
    ] {
        let answer = gateway.post_json(TOKEN, with(password_request("vera@example.test"), &wrong)).await;
        assert_eq!((answer.status, text(&answer).as_str()), (400, REFUSED));
        assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    }
}

#[tokio::test]
async fn the_letter_case_of_an_address_does_not_count() {
    let gateway = with_vera().await;
    for spelling in ["VERA@example.test", "vera@EXAMPLE.TEST"] {
        sign_in(&gateway, spelling).await;
    }
}

#[tokio::test]
async fn a_missing_or_empty_parameter_is_named() {
    let gateway = with_vera().await;
    for (members, name) in [
        (json!({ "username": null }), "username"),
        (json!({ "username": "" }), "username"),
        (json!({ "username": "", "password": "" }), "username"),
        (json!({ "password": null }), "password"),
        (json!({ "password": "" }), "password"),
    ] {
        let answer = gateway.post_json(TOKEN, with(password_request("vera@example.test"), &members)).await;
        let description = format!("Request is missing {name} parameter.");
        assert_answer(&answer, 400, &json!({ "error": "invalid_request", "error_description": description }));
    }
}

#[tokio::test]
async fn a_grant_type_is_exactly_one_of_ours() {
    let gateway = with_vera().await;
    for wrong in [
        Value::Null,
        json!(""),
        json!("Password"),
        json!("passwords"),
        json!("urn:ietf:params:oauth:grant-type:device_code"),
    ] {
        let request = with(password_request("vera@example.test"), &json!({ "grant_type": wrong }));
        assert_error(&gateway.post_json(TOKEN, request).await, 400, "unsupported_grant_type");
    }
    let nothing = send(&gateway, "POST", TOKEN, &[("Content-Length", "0")], "").await;
    assert_error(&nothing, 400, "unsupported_grant_type");
    assert_error(&gateway.post_json(TOKEN, json!({})).await, 400, "unsupported_grant_type");
}

#[tokio::test]
async fn a_grant_that_the_client_may_not_use_is_refused() {
    let gateway = Gateway::start_with(&[("clients.convert.grants", "[convert_token]")]).await;
    sign_up(&gateway, "vera@example.test").await;
    let request =
        with(password_request("vera@example.test"), &json!({ "client_id": "convert", "client_secret": null }));
    assert_error(&gateway.post_json(TOKEN, request).await, 400, "unauthorized_client");
    let request = with(password_request("x"), &json!({ "grant_type": "client_credentials" }));
    assert_error(&gateway.post_json(TOKEN, request).await, 400, "unauthorized_client");
    let request = with(refresh_request("x"), &json!({ "client_id": "convert", "client_secret": null }));
    assert_error(&gateway.post_json(TOKEN, request).await, 400, "unauthorized_client");
}

#[tokio::test]
async fn a_client_without_the_refresh_grant_gets_no_refresh_token() {
    let gateway = Gateway::start_with(&[("clients.kiosk.grants", "[password]")]).await;
    sign_up_as_kiosk(&gateway).await;
    let request = with(password_request("vera@example.test"), &json!({ "client_id": "kiosk", "client_secret": null }));
    let body = gateway.post_json(TOKEN, request).await.json();
    assert!(body["access_token"].is_string() && body.get("refresh_token").is_none(), "{body}");
}

async fn sign_up_as_kiosk(gateway: &Gateway) {
    // Two clients may use the password grant: nobody is signed in.
    assert_eq!(gateway.post_json(CREATE, person("vera@example.test")).await.status, 201);
}

#[tokio::test]
async fn a_scope_is_a_subset_in_the_order_asked_for() {
    let gateway = with_vera().await;
    let scoped = |scope: &str| with(password_request("vera@example.test"), &json!({ "scope": scope }));
    for (asked, given) in [("read", "read"), ("write read", "write read"), ("read read", "read")] {
        let body = gateway.post_json(TOKEN, scoped(asked)).await.json();
        assert_eq!(body["scope"], given, "{asked:?}");
    }
    for wrong in ["", "admin", "read admin", "READ", "re\"ad"] {
        assert_error(&gateway.post_json(TOKEN, scoped(wrong)).await, 400, "invalid_scope");
    }
}

#[tokio::test]
async fn what_the_original_answered_500_is_400_in_the_endpoints_shape() {
    let gateway = with_vera().await;
    for body in [json!([]), json!([password_request("vera@example.test")]), json!("text"), json!(1), Value::Null] {
        assert_error(&gateway.post_json(TOKEN, body).await, 400, "invalid_request");
    }
    for members in [
        json!({ "username": "ve\0ra@example.test" }),
        json!({ "client_id": "we\0b" }),
        json!({ "username": true }),
        json!({ "password": ["x"] }),
        json!({ "scope": {} }),
    ] {
        let request = with(password_request("vera@example.test"), &members);
        assert_error(&gateway.post_json(TOKEN, request).await, 400, "invalid_request");
    }
}

#[tokio::test]
async fn nul_is_no_part_of_a_secret_a_scope_or_a_grant() {
    let gateway = with_vera().await;
    for (members, status, error) in [
        (json!({ "password": format!("{PASSWORD}\0") }), 400, "invalid_grant"),
        (json!({ "client_secret": "quickstart-secret\0" }), 401, "invalid_client"),
        (json!({ "scope": "read\0" }), 400, "invalid_scope"),
        (json!({ "grant_type": "password\0" }), 400, "unsupported_grant_type"),
        (json!({ "grant_type": "refresh_token", "refresh_token": "pgr_\0" }), 400, "invalid_grant"),
    ] {
        let answer = gateway.post_json(TOKEN, with(password_request("vera@example.test"), &members)).await;
        assert_eq!((answer.status, &answer.json()["error"]), (status, &json!(error)), "{members}");
    }
}

#[tokio::test]
async fn parameters_in_the_query_are_refused() {
    let gateway = with_vera().await;
    for target in ["/api-auth/token?x=1", "/api-auth/token?access_token=x", "/api-auth/token/?grant_type=password"] {
        let answer = gateway.post_json(target, password_request("vera@example.test")).await;
        assert_error(&answer, 400, "invalid_request");
    }
}

#[tokio::test]
async fn a_dead_bearer_does_not_keep_anybody_from_signing_in() {
    let gateway = with_vera().await;
    let body = password_request("vera@example.test").to_string();
    for bearer in ["Bearer null", "Bearer dead.token.here", "Bearer", "Bearer a b c"] {
        let headers = [("Content-Type", "application/json"), ("Authorization", bearer)];
        assert_eq!(send(&gateway, "POST", TOKEN, &headers, &body).await.status, 200, "{bearer}");
    }
}
