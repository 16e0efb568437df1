//! However inventive clients are, there are as many series as before: each costs memory here and in Prometheus for ever.

use std::collections::BTreeSet;

use passgate::telemetry::metrics::{Metrics, figures::Values};
use serde_json::json;

use super::*;
use crate::support::{Bench, PASSWORD, provider::Google};

/// What the gateway of this test is configured with.
const NAMES: [&str; 9] =
    ["/", "/public/", "/optional/", "/staff/", "/old/", "/api-auth", "none", "app", "google-oauth2"];

/// One of each kind of request, with the `n`th invention wherever a client has a say.
async fn be_inventive(gateway: &Gateway, google: &Google, n: usize) {
    let send = async |head: String, body: &str| {
        let length = body.len();
        exchange(gateway.address, format!("{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")).await
    };
    let bearer = format!("eyJhbGciOiJub25lIn0.e{n}.s{n}");
    for (line, headers) in [
        (format!("M{n} /public/"), "Host: a\r\n".to_owned()),
        (format!("get{n} /api-auth/token"), "Host: a\r\n".to_owned()),
        (format!("GET /public/p{n}/q{n}?r{n}=s{n}"), format!("Host: h{n}.example\r\nUser-Agent: u{n}\r\n")),
        (format!("GET /{n}"), format!("Host: h{n}.example\r\nAuthorization: Bearer {bearer}\r\n")),
        (format!("GET /{n}"), format!("Host: a\r\nAuthorization: S{n} t{n}\r\n")),
        (format!("GET /old/{n}"), format!("Host: a\r\nX_N{n}: 1\r\nX-Request-Id: r{n}\r\n")),
        (format!("OPTIONS /{n}"), format!("Host: a\r\nOrigin: http://o{n}\r\nAccess-Control-Request-Method: M{n}\r\n")),
        (format!("GET /api-auth/e{n}"), "Host: a\r\n".to_owned()),
        (format!("GET /public/%2e%2e/{n}"), "Host: a\r\n".to_owned()),
        (format!("GET /{n}"), format!("Host: a\r\nHost: b{n}\r\n")),
        (format!("GET /{n}"), format!("Host: a\r\nConnection: n{n}\r\nX-Forwarded-For: 203.0.113.{n}\r\n")),
        (format!("{n} "), "\r\n".to_owned()),
    ] {
        send(format!("{line} HTTP/1.1\r\n{headers}"), "").await;
    }
    let client = (format!("client-{n}"), format!("secret-{n}"));
    let ours = ("web".to_owned(), "quickstart-secret".to_owned());
    for (id, secret) in [client, ours] {
        for body in [
            json!({ "grant_type": format!("grant-{n}") }),
            json!({ "grant_type": "password", "username": format!("u{n}@example.test"), "password": PASSWORD }),
            json!({ "grant_type": "password", "username": n, "password": n, "scope": format!("s{n}") }),
            json!({ "grant_type": "refresh_token", "refresh_token": format!("pgr_{n}") }),
            json!({ "grant_type": "convert_token", "backend": format!("provider-{n}"), "token": "t" }),
            json!({ "grant_type": "convert_token", "backend": "google-oauth2", "token": format!("t{n}") }),
            json!({ "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": format!("t{n}"),
                    "subject_token_type": format!("y{n}"), "subject_issuer": format!("i{n}") }),
        ] {
            let mut body = body;
            body["client_id"] = json!(id);
            body["client_secret"] = json!(secret);
            let head = "HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
            let path = if body["backend"].is_string() { "convert-token" } else { "token" };
            send(format!("POST /api-auth/{path} {head}"), &body.to_string()).await;
        }
    }
    let person = json!({ "email": format!("p{n}@example.test"), "username": format!("n{n}"), "first_name": format!("f{n}"),
                         "password": PASSWORD });
    gateway.post_json("/api-auth/create/", person).await;
    let token =
        google.user(crate::support::provider::Person::new(&format!("id-{n}")).email(&format!("g{n}@example.test")));
    let converted = json!({ "grant_type": "convert_token", "backend": "google-oauth2", "token": token, "client_id": "web",
                            "client_secret": "quickstart-secret" });
    assert_eq!(gateway.post_json("/api-auth/convert-token", converted).await.status, 200);
}

#[tokio::test]
async fn a_flood_of_inventions_makes_no_new_series() {
    let google = Google::start().await;
    let gateway = Bench::default()
        .routes(
            "  - { match: { path: /public/ }, upstream: app, auth: public }\n  \
             - { match: { path: /old/ }, upstream: app, mode: observe }\n  \
             - { match: { path: / }, upstream: app }\n",
        )
        .providers(&[google.yaml()])
        .set("clients.web.grants", "[password, refresh_token, convert_token]")
        .set("limits", "off")
        .start()
        .await;
    let series = async || {
        let samples = scrape(&gateway).await;
        samples.into_iter().map(|sample| (sample.name, sample.labels)).collect::<BTreeSet<_>>()
    };
    for n in 0..3 {
        be_inventive(&gateway, &google, n).await;
    }
    let before = series().await;
    for n in 3..40 {
        be_inventive(&gateway, &google, n).await;
    }
    let after = series().await;
    let new: Vec<_> = after.difference(&before).collect();
    assert!(new.is_empty(), "{new:#?}");

    // And those that there are say nothing but what the page says they may.
    let metrics = Metrics::new();
    for sample in scrape(&gateway).await {
        let figure = sample.figure(&metrics);
        for (name, value) in sample.labels.iter().filter(|(name, _)| *name != "le") {
            let label = figure.labels.iter().find(|label| label.name == name).unwrap();
            let known = match label.values {
                Values::Words(words) => words.contains(&&**value),
                Values::Named(_) => NAMES.contains(&&**value) || figure.name == "passgate_build_info",
            };
            assert!(known, "{name}={value:?} of {}", figure.name);
        }
    }
}
