//! Who is let through, and what the others hear.

use std::time::Duration;

use crate::support::{Bench, Gateway};

#[tokio::test]
async fn a_caller_with_a_token_is_named_to_the_upstream() {
    let gateway = Gateway::start().await;
    let tokens = gateway.sign_up("ada@example.com").await;
    let answer = gateway.get("/articles?page=2", Some(&tokens.access)).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    let seen = gateway.upstream.only();
    assert_eq!(seen.target(), "/articles?page=2");
    assert_eq!(seen.header("X-Forwarded-User").map(str::len), Some(36));
    assert_eq!(seen.header("X-Forwarded-Preferred-Username"), Some("somebody"));
    assert_eq!(seen.header("X-Forwarded-Email"), None, "nobody vouched for the address");
    assert_eq!(seen.header("Authorization"), None, "the token stays here");
}

#[tokio::test]
async fn the_401_is_the_contracts() {
    let gateway = Gateway::start().await;
    let invalid = r#"Bearer realm="api",error="invalid_token",error_description="The access token is invalid.""#;
    let plain = r#"Bearer realm="api""#;
    for (authorization, detail, challenge) in [
        (None, "Authentication credentials were not provided.", plain),
        (Some("Basic d2ViOng="), "Authentication credentials were not provided.", plain),
        (Some(""), "Authentication credentials were not provided.", plain),
        (Some("Bearer"), "Invalid token header. No backend provided.", invalid),
        (Some("Bearer null"), "Invalid token header. No credentials provided.", invalid),
        (Some("bEARER   garbage"), "Invalid token header. No credentials provided.", invalid),
        (Some("Bearer a b"), "Invalid token header. Invalid backend.", plain),
        (Some("Bearer a b c"), "Invalid token header. Token string should not contain spaces.", plain),
    ] {
        let headers: Vec<(&str, &str)> = authorization.iter().map(|value| ("Authorization", *value)).collect();
        let answer = gateway.send("GET", "/a", &headers, b"").await;
        assert_eq!((answer.status, answer.reason.as_str()), (401, "Unauthorized"), "{authorization:?}");
        assert_eq!(answer.json(), serde_json::json!({ "detail": detail }), "{authorization:?}");
        assert_eq!(answer.header("WWW-Authenticate"), Some(challenge), "{authorization:?}");
    }
    assert!(gateway.upstream.requests().is_empty());
}

#[tokio::test]
async fn an_expired_token_says_so() {
    let gateway = Gateway::start().await;
    let tokens = gateway.sign_up("ada@example.com").await;
    gateway.advance(Duration::from_secs(15 * 60 + 4));
    assert_eq!(gateway.get("/a", Some(&tokens.access)).await.status, 200, "within the leeway");
    gateway.advance(Duration::from_secs(2));
    let answer = gateway.get("/a", Some(&tokens.access)).await;
    assert_eq!(answer.status, 401);
    assert!(
        answer.header("WWW-Authenticate").unwrap().ends_with(r#"error_description="The access token has expired.""#)
    );
}

#[tokio::test]
async fn an_optional_route_takes_strangers_but_no_dead_tokens() {
    let gateway = Gateway::start().await;
    assert_eq!(gateway.get("/optional/a", None).await.status, 200);
    assert_eq!(gateway.get("/optional/a", Some("dead")).await.status, 401, "so that clients refresh");
    let basic = gateway.send("GET", "/optional/b", &[("Authorization", "Basic d2ViOng=")], b"").await;
    assert_eq!(basic.status, 200);
    let seen = gateway.upstream.wait_for(2).await;
    assert!(seen.iter().all(|seen| !seen.has_alias_of("X-Forwarded-User")));
    assert_eq!(seen[1].header("Authorization"), Some("Basic d2ViOng="), "other schemes are the upstream's");
}

#[tokio::test]
async fn a_public_route_judges_nobody_and_names_nobody() {
    let gateway = Gateway::start().await;
    let tokens = gateway.sign_up("ada@example.com").await;
    for bearer in [tokens.access.as_str(), "dead"] {
        assert_eq!(gateway.get("/public/a", Some(bearer)).await.status, 200);
    }
    for seen in gateway.upstream.wait_for(2).await {
        assert!(!seen.has_alias_of("X-Forwarded-User") && !seen.has_alias_of("Authorization"), "{}", seen.head);
    }
}

#[tokio::test]
async fn a_route_may_ask_for_the_token_to_be_forwarded() {
    let routes = "  - { match: { path: / }, upstream: app, forward_authorization: true }\n";
    let gateway = Bench::default().routes(routes).start().await;
    let tokens = gateway.sign_up("ada@example.com").await;
    assert_eq!(gateway.get("/a", Some(&tokens.access)).await.status, 200);
    assert_eq!(gateway.upstream.only().header("Authorization"), Some(format!("Bearer {}", tokens.access).as_str()));
}

#[tokio::test]
async fn what_a_route_requires_is_403_for_the_others() {
    let routes = "  - { match: { path: /staff/ }, upstream: app, require: { staff: true } }\n  \
                    - { match: { path: /write/ }, upstream: app, require: { scopes: [write] } }\n  \
                    - { match: { path: /admins/ }, upstream: app, require: { groups: [admins] } }\n";
    let gateway = Bench::default().routes(routes).start().await;
    let tokens = gateway.sign_up("ada@example.com").await;
    for path in ["/staff/a", "/admins/a"] {
        let answer = gateway.get(path, Some(&tokens.access)).await;
        assert_eq!(answer.status, 403, "{path}");
        assert!(answer.json()["request_id"].is_string());
        assert_eq!(gateway.get(path, None).await.status, 401, "{path}");
    }
    assert_eq!(gateway.get("/write/a", Some(&tokens.access)).await.status, 200);
    assert_eq!(gateway.upstream.only().target(), "/write/a");
}

#[tokio::test]
async fn a_token_in_the_query_is_no_credential() {
    let gateway = Gateway::start().await;
    let tokens = gateway.sign_up("ada@example.com").await;
    assert_eq!(gateway.get(&format!("/a?access_token={}", tokens.access), None).await.status, 401);
}
