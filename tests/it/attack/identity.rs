//! Nobody but the gateway tells the upstream who is calling.

use crate::support::{Bench, Gateway, h2::Certificate};

const IDENTITY: [&str; 4] =
    ["X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Preferred-Username", "X-Forwarded-Groups"];

/// Spellings that some backend folds onto `X-Forwarded-User`.
const ALIASES: [&str; 8] = [
    "X-Forwarded-User",
    "x-forwarded-user",
    "X_Forwarded_User",
    "X-Forwarded_User",
    "X_FORWARDED-USER",
    "X.Forwarded.User",
    "X-Forwarded~User",
    "X!Forwarded#User",
];

#[tokio::test]
async fn no_alias_of_an_identity_header_passes_a_public_route() {
    for alias in ALIASES {
        let gateway = Gateway::start().await;
        let answer = gateway.send("GET", "/public/a", &[(alias, "mallory")], b"").await;
        match answer.status {
            200 => {
                let seen = gateway.upstream.only();
                assert!(!seen.head.contains("mallory"), "{alias} reached the upstream:\n{}", seen.head);
            }
            400 => assert!(gateway.upstream.requests().is_empty(), "{alias} was refused and yet forwarded"),
            other => panic!("{alias}: {other}"),
        }
    }
}

#[tokio::test]
async fn names_of_the_presets_not_chosen_do_not_pass_either() {
    let gateway = Gateway::start().await;
    let forged = [("Remote-User", "mallory"), ("remote-groups", "mallory"), ("X-Auth-Request-Email", "mallory")];
    assert_eq!(gateway.send("GET", "/public/a", &forged, b"").await.status, 200);
    let seen = gateway.upstream.only();
    assert!(!seen.head.contains("mallory"), "{}", seen.head);
}

#[tokio::test]
async fn a_forged_header_does_not_stand_beside_ours() {
    let gateway = Gateway::start().await;
    let tokens = gateway.sign_up("ada@example.com").await;
    let bearer = format!("Bearer {}", tokens.access);
    let mut headers = vec![("Authorization", bearer.as_str())];
    headers.extend(IDENTITY.iter().map(|name| (*name, "mallory")));
    headers.extend(IDENTITY.iter().map(|name| (*name, "mallory-again")));
    let answer = gateway.send("GET", "/a", &headers, b"").await;
    assert_eq!(answer.status, 200);
    let seen = gateway.upstream.only();
    assert!(!seen.head.contains("mallory"), "{}", seen.head);
    assert!(seen.header("X-Forwarded-User").is_some());
}

#[tokio::test]
async fn a_claim_that_this_caller_lacks_leaves_no_room_for_a_forged_one() {
    // Ada is in no group and her address is not verified: neither header is written, so neither may pass.
    let gateway = Gateway::start().await;
    let tokens = gateway.sign_up("ada@example.com").await;
    let bearer = format!("Bearer {}", tokens.access);
    let forged = [("X-Forwarded-Groups", "admins"), ("X-Forwarded-Email", "boss@example.com")];
    let headers = [&[("Authorization", bearer.as_str())], &forged[..]].concat();
    assert_eq!(gateway.send("GET", "/a", &headers, b"").await.status, 200);
    let seen = gateway.upstream.only();
    assert!(!seen.has_alias_of("X-Forwarded-Groups"), "{}", seen.head);
    assert!(!seen.has_alias_of("X-Forwarded-Email"), "{}", seen.head);
}

#[tokio::test]
async fn a_connection_header_cannot_delete_what_the_gateway_writes() {
    for nominated in
        ["X-Forwarded-User", "close, X-Forwarded-User", "X-Request-Id", "traceparent", "keep-alive, x-forwarded-user"]
    {
        let gateway = Gateway::start().await;
        let tokens = gateway.sign_up("ada@example.com").await;
        let request = format!(
            "GET /a HTTP/1.1\r\nHost: a.example\r\nAuthorization: Bearer {}\r\nConnection: {nominated}\r\n\r\n",
            tokens.access
        );
        let answer = gateway.request(request).await;
        match answer.status {
            200 => {
                let seen = gateway.upstream.only();
                for name in ["X-Forwarded-User", "X-Request-Id", "traceparent"] {
                    assert!(seen.header(name).is_some(), "{nominated} deleted {name}:\n{}", seen.head);
                }
            }
            400 => assert!(gateway.upstream.requests().is_empty()),
            other => panic!("{nominated}: {other}"),
        }
    }
}

#[tokio::test]
async fn trailers_do_not_become_headers() {
    let gateway = Gateway::start().await;
    let answer = gateway
        .request(
            "POST /public/a HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\nTrailer: X-Forwarded-User\r\n\
             Connection: close\r\n\r\n2\r\nhi\r\n0\r\nX-Forwarded-User: mallory\r\n\r\n",
        )
        .await;
    if answer.status == 200 {
        let seen = gateway.upstream.only();
        assert!(!seen.head.contains("mallory") && !seen.trailers.contains("mallory"), "{seen:?}");
    } else {
        assert_eq!(answer.status, 400);
    }
}

#[tokio::test]
async fn forwarded_headers_of_a_stranger_are_replaced() {
    let gateway = Gateway::start().await;
    let forged = [
        ("X-Forwarded-For", "6.6.6.6"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Port", "zzz"),
        ("X-Forwarded-Prefix", "/evil"),
        ("X-Real-IP", "6.6.6.6"),
        ("Forwarded", "for=6.6.6.6;host=evil.example"),
        ("X-Request-Id", "evil-request"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("X-HTTP-Method", "DELETE"),
        ("X-Method-Override", "DELETE"),
        ("X-Original-URL", "/evil"),
        ("X-Original-URI", "/evil"),
        ("X-Rewrite-URL", "/evil"),
    ];
    assert_eq!(gateway.send("GET", "/public/a", &forged, b"").await.status, 200);
    let seen = gateway.upstream.only();
    for trace in ["6.6.6.6", "evil", "zzz", "DELETE"] {
        assert!(!seen.head.contains(trace), "{trace} in\n{}", seen.head);
    }
    assert_eq!(seen.header("X-Forwarded-For"), Some("127.0.0.1"));
    assert_eq!(seen.header("X-Forwarded-Proto"), Some("http"));
    assert_eq!(seen.header("X-Forwarded-Host"), Some("127.0.0.1:8080"));
}

#[tokio::test]
async fn an_upstream_header_with_an_odd_name_passes_only_when_allowed() {
    let headers = [("api_key", "k"), ("other_key", "o")];
    let gateway = Bench::default().server("  allow_headers: [api_key]\n").start().await;
    assert_eq!(gateway.send("GET", "/public/a", &headers, b"").await.status, 200);
    let seen = gateway.upstream.only();
    assert_eq!(seen.header("api_key"), Some("k"));
    assert!(!seen.has_alias_of("other_key"), "{}", seen.head);
}

#[tokio::test]
async fn over_http2_no_alias_passes_either() {
    let certificate = Certificate::generate();
    for alias in ALIASES.iter().filter(|alias| !alias.contains(['!', '#', '~'])) {
        let gateway = Bench::default().tls(&certificate.cert_pem, &certificate.key_pem).start().await;
        let request = http::Request::get("https://localhost/public/a").header(*alias, "mallory").body(()).unwrap();
        let answer = certificate.request(gateway.address, request, b"").await;
        if answer.status == 200 {
            let seen = gateway.upstream.only();
            assert!(!seen.head.contains("mallory"), "{alias} reached the upstream:\n{}", seen.head);
        } else {
            assert_eq!(answer.status, 400, "{alias}");
        }
    }
}
