//! One path is judged, and the same bytes are forwarded.

use crate::support::{Bench, Gateway};

/// Sends `target` as it stands.
async fn raw(gateway: &Gateway, target: &str) -> crate::support::Answer {
    gateway.request(format!("GET {target} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")).await
}

#[tokio::test]
async fn no_spelling_of_a_path_climbs_out_of_a_public_route() {
    let gateway = Gateway::start().await;
    for target in [
        "/public/../staff/x",
        "/public/./../staff/x",
        "/public/%2e%2e/staff/x",
        "/public/%2E./staff/x",
        "/public/.%2e/staff/x",
        "/public/%252e%252e/staff/x",
        "/public/%252e%252e%252fstaff/x",
        "/public/..%2fstaff/x",
        "/public/..%5cstaff/x",
        "/public/..\\staff/x",
        "/public/..;/staff/x",
        "/public/..;a=b/staff/x",
        "/public/%2e%2e;/staff/x",
        "/public/.;/../staff/x",
        "/public/%00/x",
        "/public/%0a/x",
        "/public/%1f",
        "/public/%7f",
        "/public/%zz",
        "/public/%2",
        "/public/%",
        "/public/\u{e9}",
        "staff/x",
        "?x=1",
        "*",
        "foo:bar://a/staff/x",
        "http://other.example/public/x",
        "//staff/x",
        "/public//../staff",
        "/public/%u002e%u002e/staff",
        "/public/..",
        "/public/%2e",
        "/..",
        "/public/#/staff",
    ] {
        let answer = raw(&gateway, target).await;
        assert!(matches!(answer.status, 400 | 401 | 421), "{target}: {}", answer.status);
        assert!(
            gateway.upstream.requests().is_empty(),
            "{target} reached the upstream: {:#?}",
            gateway.upstream.requests()
        );
    }
}

#[tokio::test]
async fn what_was_judged_is_what_is_forwarded() {
    for (sent, forwarded) in [
        ("/public/a%2db", "/public/a-b"),
        ("/public/%7euser", "/public/~user"),
        ("/public/a%2fb", "/public/a%2Fb"),
        ("/public/%c3%a9", "/public/%C3%A9"),
        ("/public/a;b=c", "/public/a;b=c"),
        ("/public/a//b", "/public/a//b"),
        ("/public/a?x=%2e%2e&y=/../z", "/public/a?x=%2e%2e&y=/../z"),
        ("/public/a?", "/public/a?"),
        ("http://a.example/public/x?y", "/public/x?y"),
        ("/public", "/public"),
    ] {
        let gateway = Gateway::start().await;
        assert_eq!(raw(&gateway, sent).await.status, 200, "{sent}");
        assert_eq!(gateway.upstream.only().target(), forwarded, "{sent}");
    }
}

#[tokio::test]
async fn a_path_that_an_upstream_may_read_as_another_routes_is_refused() {
    let gateway = Gateway::start().await;
    let tokens = gateway.sign_up("ada@example.com").await;
    for target in [
        "/STAFF/x",
        "/Staff",
        "/staff;a/x",
        "/;/staff/x",
        "/%2Fstaff/x",
        "//staff/x",
        "/a%5C..",
        "/public%2Fx",
        "/PUBLIC/x",
    ] {
        let answer = gateway.get(target, Some(&tokens.access)).await;
        assert_eq!(answer.status, 400, "{target}");
        assert!(gateway.upstream.requests().is_empty(), "{target} reached the upstream");
    }
    // No other route can be meant by these, however they are read.
    for target in ["/articles//2", "/a%2Fb", "/Mixed/Case;v=1"] {
        assert_eq!(gateway.get(target, Some(&tokens.access)).await.status, 200, "{target}");
    }
}

#[tokio::test]
async fn no_spelling_of_our_own_prefix_reaches_an_upstream() {
    let routes = "  - { match: { path: / }, upstream: app, auth: public }\n";
    let gateway = Bench::default().routes(routes).start().await;
    for target in [
        "/api-auth/nothing",
        "/api-auth",
        "/api-auth/",
        "/API-AUTH/token",
        "/api-auth;x/token",
        "//api-auth/token",
        "/api-auth%2Ftoken",
        "/%61pi-auth/nothing",
        "/api%2Dauth/nothing",
        "/;/api-auth/token",
    ] {
        let answer = raw(&gateway, target).await;
        assert!(matches!(answer.status, 400 | 404), "{target}: {}", answer.status);
        assert!(gateway.upstream.requests().is_empty(), "{target} reached the upstream");
    }
}

#[tokio::test]
async fn odd_methods_and_the_two_that_are_never_served() {
    let gateway = Gateway::start().await;
    for method in ["TRACE", "CONNECT", "PROPFIND", "get", "DEBUG", "TRACK"] {
        let answer = gateway
            .request(format!("{method} /public/a HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"))
            .await;
        assert!(matches!(answer.status, 400 | 404 | 405), "{method}: {}", answer.status);
    }
    assert!(gateway.upstream.requests().is_empty());
}
