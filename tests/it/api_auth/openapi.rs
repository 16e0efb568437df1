//! `openapi.json`. Every other test holds answers against it: see `support/described.rs`.

use super::*;
use crate::support::Bench;

#[tokio::test]
async fn it_is_open_json_and_may_be_cached() {
    let gateway = Gateway::start().await;
    for path in ["/api-auth/openapi.json", "/api-auth/openapi.json/"] {
        let answer = gateway.get(path, Some("dead")).await;
        assert_eq!((answer.status, answer.header("Content-Type")), (200, Some("application/json")));
        assert_eq!(answer.header("Cache-Control"), Some("public, max-age=300"));
        assert_eq!(answer.json()["openapi"], "3.1.0");
    }
}

#[tokio::test]
async fn it_says_where_this_gateway_is_and_every_path_in_it_is_there() {
    let gateway = Bench::default().server("  base_path: /auth\n").start().await;
    let document = gateway.get("/auth/openapi.json", None).await.json();
    assert_eq!(document["servers"], json!([{ "url": "http://127.0.0.1:8080/auth" }]));
    for (path, item) in document["paths"].as_object().unwrap() {
        let server = item["servers"][0]["url"].as_str().unwrap_or("http://127.0.0.1:8080/auth");
        let path = format!("{}{path}", server.strip_prefix("http://127.0.0.1:8080").unwrap());
        for method in ["get", "post", "put", "patch", "delete"] {
            let described = item[method].is_object();
            let answer = send(&gateway, &method.to_ascii_uppercase(), &path, &[], "").await;
            assert_ne!(answer.status, 404, "{path}");
            // Who may not call learns nothing of what could be called.
            assert!(described || matches!(answer.status, 401 | 405), "{method} {path}: {}", answer.status);
            assert!(!described || answer.status != 405, "{method} {path}");
        }
    }
}
