//! Cross-origin answers, on our endpoints and on routes.

use crate::support::{Bench, Gateway, Upstream};

const ORIGIN: &str = "http://localhost:3000";

#[tokio::test]
async fn a_preflight_is_answered_here_for_every_path() {
    let gateway = Gateway::start().await;
    for path in ["/api-auth/token", "/api-auth/create/", "/api-auth/nothing", "/a"] {
        let headers = [
            ("Origin", ORIGIN),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "authorization,content-type"),
        ];
        let answer = gateway.send("OPTIONS", path, &headers, b"").await;
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{path}");
        assert_eq!(answer.header("Access-Control-Allow-Origin"), Some(ORIGIN), "{path}");
        assert_eq!(
            answer.header("Access-Control-Allow-Headers"),
            Some("accept, authorization, content-type, user-agent, x-csrftoken, x-requested-with")
        );
        assert_eq!(answer.header("Access-Control-Allow-Methods"), Some("DELETE, GET, OPTIONS, PATCH, POST, PUT"));
        assert_eq!(answer.header("Access-Control-Max-Age"), Some("86400"));

        let other = [("Origin", "http://localhost:3001"), ("Access-Control-Request-Method", "POST")];
        let answer = gateway.send("OPTIONS", path, &other, b"").await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.headers.iter().all(|(name, _)| !name.to_ascii_lowercase().starts_with("access-control-")));
    }
    assert!(gateway.upstream.requests().is_empty());
}

#[tokio::test]
async fn every_answer_to_an_allowed_origin_can_be_read_by_it() {
    let gateway = Gateway::start().await;
    for (method, path, status) in [
        ("GET", "/a", 401),
        ("GET", "/public/a", 200),
        ("GET", "/public/%2e%2e/", 400),
        ("GET", "/api-auth/currentUser/", 401),
        ("GET", "/api-auth/nothing", 404),
        ("GET", "/api-auth/currentUser", 301),
        ("DELETE", "/api-auth/token", 405),
    ] {
        let answer = gateway.send(method, path, &[("Origin", ORIGIN)], b"").await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.all("Access-Control-Allow-Origin"), [ORIGIN], "{path}");
        assert!(
            answer.all("Vary").join(",").to_ascii_lowercase().contains("origin"),
            "{path}: {:?}",
            answer.all("Vary")
        );
        let exposed = answer.header("Access-Control-Expose-Headers").unwrap_or_default();
        assert!(exposed.contains("WWW-Authenticate") && exposed.contains("X-Request-Id"), "{path}: {exposed}");
        let stranger = gateway.send(method, path, &[("Origin", "null")], b"").await;
        assert_eq!(stranger.header("Access-Control-Allow-Origin"), None, "{path}");
    }
}

#[tokio::test]
async fn the_upstreams_own_cors_headers_are_replaced_or_passed_as_the_route_says() {
    let upstream = Upstream::answering(|_| {
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\n\r\n"
            .to_vec()
    })
    .await;
    let routes = "  - { match: { path: /pass/ }, upstream: app, auth: public, cors: pass }\n  \
                    - { match: { path: / }, upstream: app, auth: public }\n";
    let gateway = Bench::default().routes(routes).start_before(upstream).await;
    let handled = gateway.send("GET", "/a", &[("Origin", ORIGIN)], b"").await;
    assert_eq!(handled.all("Access-Control-Allow-Origin"), [ORIGIN]);
    assert_eq!(handled.header("Access-Control-Allow-Credentials"), None);
    let passed = gateway.send("GET", "/pass/a", &[("Origin", ORIGIN)], b"").await;
    assert_eq!(passed.all("Access-Control-Allow-Origin"), ["*"]);
    let preflight = [("Origin", ORIGIN), ("Access-Control-Request-Method", "PUT")];
    assert_eq!(gateway.send("OPTIONS", "/pass/a", &preflight, b"").await.all("Access-Control-Allow-Origin"), ["*"]);
    assert_eq!(gateway.upstream.requests().last().unwrap().line(), "OPTIONS /pass/a HTTP/1.1");
}

#[tokio::test]
async fn only_a_preflight_as_browsers_send_it_passes_without_a_token_where_cors_is_left_to_the_upstream() {
    let routes = "  - { match: { path: / }, upstream: app, cors: pass }\n";
    let gateway = Bench::default().routes(routes).start().await;
    let (origin, method) = (("Origin", ORIGIN), ("Access-Control-Request-Method", "PUT"));
    for (verb, headers, body) in [
        ("OPTIONS", &[origin][..], &b""[..]),
        ("OPTIONS", &[method], b""),
        ("OPTIONS", &[origin, origin, method], b""),
        ("OPTIONS", &[origin, method, method], b""),
        ("OPTIONS", &[origin, ("Access-Control-Request-Method", "")], b""),
        ("OPTIONS", &[origin, ("Access-Control-Request-Method", "a b")], b""),
        ("OPTIONS", &[origin, method], b"body"),
        ("GET", &[origin, method], b""),
        ("POST", &[origin, method], b"body"),
    ] {
        assert_eq!(gateway.send(verb, "/a", headers, body).await.status, 401, "{verb} {headers:?}");
    }
    // What makes it a preflight must reach the upstream, too.
    for nominated in ["Origin", "Access-Control-Request-Method"] {
        let answer = gateway
            .request(format!(
                "OPTIONS /a HTTP/1.1\r\nHost: a\r\nConnection: close, {nominated}\r\nOrigin: {ORIGIN}\r\n\
                 Access-Control-Request-Method: PUT\r\n\r\n"
            ))
            .await;
        assert_eq!(answer.status, 400, "{nominated}");
    }
    assert!(gateway.upstream.requests().is_empty(), "{:#?}", gateway.upstream.requests());
    assert_eq!(gateway.send("OPTIONS", "/a", &[origin, method], b"").await.status, 200);
}
