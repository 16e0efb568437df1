//! Paths, methods, bodies and headers: what holds at every endpoint.

use super::*;

#[tokio::test]
async fn oauth_paths_have_their_slash_or_not() {
    let gateway = Gateway::start().await;
    sign_up(&gateway, "vera@example.test").await;
    for path in ["/api-auth/token", "/api-auth/token/"] {
        Pair::of(&gateway.post_json(path, password_request("vera@example.test")).await);
    }
    for path in ["/api-auth/revoke-token", "/api-auth/revoke-token/"] {
        assert_eq!(gateway.post_json(path, json!({})).await.status, 401);
    }
}

#[tokio::test]
async fn account_paths_without_their_slash_are_301_with_a_relative_location() {
    let gateway = Gateway::start().await;
    for name in ["create", "all", "currentUser"] {
        for method in ["GET", "POST", "PUT", "DELETE"] {
            let answer = send(&gateway, method, &format!("/api-auth/{name}?a=b&c"), &[], "").await;
            assert_eq!(answer.status, 301, "{method} {name}");
            assert_eq!(answer.header("Location"), Some(format!("/api-auth/{name}/?a=b&c").as_str()));
            assert!(answer.body.is_empty());
        }
    }
}

#[tokio::test]
async fn paths_are_case_sensitive_and_unknown_ones_are_404_in_json() {
    let gateway = Gateway::start().await;
    for path in [
        "/api-auth/",
        "/api-auth/unknown",
        "/api-auth/Token",
        "/api-auth/currentuser/",
        "/api-auth/CREATE/",
        "/api-auth/token/x",
        "/api-auth/create/x/",
    ] {
        let answer = gateway.get(path, None).await;
        assert_answer(&answer, 404, &json!({ "detail": "Not found." }));
    }
}

#[tokio::test]
async fn a_method_not_offered_is_405_but_401_wins() {
    let gateway = Gateway::start().await;
    let pair = sign_up(&gateway, "vera@example.test").await;
    for (method, path, allow) in [
        ("GET", TOKEN, "POST, OPTIONS"),
        ("PUT", TOKEN, "POST, OPTIONS"),
        ("GET", CREATE, "POST, OPTIONS"),
        ("DELETE", CREATE, "POST, OPTIONS"),
    ] {
        for authorization in [&[][..], &[("Authorization", "Bearer dead")]] {
            let answer = send(&gateway, method, path, authorization, "").await;
            assert_answer(&answer, 405, &json!({ "detail": format!("Method \"{method}\" not allowed.") }));
            assert_eq!(answer.header("Allow"), Some(allow));
        }
    }
    for (method, path) in [("POST", CURRENT_USER), ("GET", REVOKE), ("PATCH", ALL)] {
        for authorization in [&[][..], &[("Authorization", "Bearer dead")]] {
            assert_eq!(send(&gateway, method, path, authorization, "").await.status, 401, "{method} {path}");
        }
    }
    let authorization = format!("Bearer {}", pair.access);
    let answer = send(&gateway, "DELETE", CURRENT_USER, &[("Authorization", &authorization)], "").await;
    assert_eq!(answer.status, 405);
}

#[tokio::test]
async fn options_describes_and_head_is_get_without_its_body() {
    let gateway = Gateway::start().await;
    let pair = sign_up(&gateway, "vera@example.test").await;
    for path in [TOKEN, CREATE] {
        let answer = send(&gateway, "OPTIONS", path, &[], "").await;
        assert_eq!((answer.status, answer.header("Allow")), (200, Some("POST, OPTIONS")));
        assert!(answer.json()["name"].is_string());
    }
    for path in [CURRENT_USER, ALL, REVOKE] {
        assert_eq!(send(&gateway, "OPTIONS", path, &[], "").await.status, 401);
    }
    let authorization = format!("Bearer {}", pair.access);
    let answer = send(&gateway, "HEAD", CURRENT_USER, &[("Authorization", &authorization)], "").await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(send(&gateway, "HEAD", CURRENT_USER, &[], "").await.status, 401);
}

#[tokio::test]
async fn every_answer_carries_the_common_headers() {
    let gateway = Gateway::start().await;
    let pair = sign_up(&gateway, "vera@example.test").await;
    for answer in [
        gateway.get(CURRENT_USER, Some(&pair.access)).await,
        gateway.get(CURRENT_USER, None).await,
        gateway.get("/api-auth/nowhere", None).await,
        gateway.get(TOKEN, None).await,
        gateway.post_json(CREATE, json!({})).await,
        gateway.post_json(TOKEN, password_request("vera@example.test")).await,
        gateway.post_json(TOKEN, json!({})).await,
    ] {
        for (name, value) in [
            ("Content-Type", "application/json"),
            ("Cache-Control", "no-store"),
            ("Pragma", "no-cache"),
            ("X-Frame-Options", "DENY"),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "same-origin"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{name} of {} {}", answer.status, text(&answer));
        }
        let vary = answer.header("Vary").unwrap_or_default().to_ascii_lowercase();
        assert!(vary.contains("accept") && vary.contains("origin"), "{vary}");
    }
}

#[tokio::test]
async fn whatever_is_accepted_the_answer_is_json() {
    let gateway = Gateway::start().await;
    for accept in ["*/*", "application/json, text/plain, */*", "text/html", "image/png"] {
        let answer = send(&gateway, "GET", CURRENT_USER, &[("Accept", accept)], "").await;
        assert_eq!((answer.status, answer.header("Content-Type")), (401, Some("application/json")), "{accept}");
    }
}

#[tokio::test]
async fn bodies_we_do_not_read_are_told_so_everywhere() {
    let gateway = Gateway::start().await;
    for path in [CREATE, TOKEN] {
        let answer = send(&gateway, "POST", path, &[("Content-Type", "text/plain")], "a=b").await;
        assert_answer(&answer, 415, &json!({ "detail": "Unsupported media type \"text/plain\" in request." }));

        let answer =
            send(&gateway, "POST", path, &[("Content-Type", "application/json")], r#"{"password": hunter2"#).await;
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert_eq!(answer.status, 400);
        assert!(detail.starts_with("JSON parse error - ") && !detail.contains("hunter2"), "{detail}");

        let many: Vec<_> = (0..1001).map(|n| format!("f{n}=")).collect();
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        assert_eq!(send(&gateway, "POST", path, &form, &many.join("&")).await.status, 400);
    }
    let large = with(person("vera@example.test"), &json!({ "ignored": "x".repeat(65_536) }));
    let answer = gateway.post_json(CREATE, large).await;
    assert_eq!(answer.status, 413);
    assert!(answer.json()["detail"].is_string());
}

#[tokio::test]
async fn the_last_of_a_repeated_key_holds_and_unknown_keys_are_ignored() {
    let gateway = Gateway::start().await;
    let body = format!(
        r#"{{"email":"first@example.test","unknown":{{"a":[1]}},"username":"vera","first_name":"Vera","password":"{PASSWORD}","email":"last@example.test"}}"#
    );
    let answer = send(&gateway, "POST", CREATE, &[("Content-Type", "application/json")], &body).await;
    let pair = Pair::of(&answer);
    assert_eq!(gateway.get(CURRENT_USER, Some(&pair.access)).await.json()["email"], "last@example.test");

    let answer = gateway
        .post_form(
            TOKEN,
            &[
                ("grant_type", "nonsense"),
                ("grant_type", "password"),
                ("username", "last@example.test"),
                ("password", "wrong"),
                ("password", PASSWORD),
                ("client_id", "web"),
                ("client_secret", "quickstart-secret"),
                ("unknown", "x"),
            ],
        )
        .await;
    Pair::of(&answer);
}
