//! Our documents under `/.well-known/`, for whoever verifies our tokens or discovers our endpoints.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use http::{
    HeaderValue,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use serde_json::{Value, json};

use super::{Api, endpoint::Endpoint, guard::Access};

/// The keys that access tokens are signed with (RFC 7517).
pub(super) const JWKS: &str = "/.well-known/jwks.json";
/// What this authorization server can do (RFC 8414).
pub(super) const AUTHORIZATION_SERVER: &str = "/.well-known/oauth-authorization-server";

pub(super) fn jwks() -> Endpoint {
    Endpoint {
        path: JWKS,
        name: "JWK Set",
        description: "The keys that access tokens are signed with.",
        access: Access::Open,
        allow: "GET, HEAD, OPTIONS",
        methods: get(|State(api): State<Arc<Api>>| async move { document(api.oauth.keys.jwks()) }),
    }
}

pub(super) fn authorization_server(public_url: &str, base_path: &str) -> Endpoint {
    let metadata = Bytes::from(metadata(public_url, base_path).to_string());
    Endpoint {
        path: AUTHORIZATION_SERVER,
        name: "Authorization server metadata",
        description: "What this authorization server can do.",
        access: Access::Open,
        allow: "GET, HEAD, OPTIONS",
        methods: get(move || async move { document(metadata) }),
    }
}

/// RFC 8414 section 2. There is no authorization endpoint, hence no response type.
fn metadata(public_url: &str, base_path: &str) -> Value {
    json!({
        "issuer": public_url,
        "token_endpoint": format!("{public_url}{base_path}/token"),
        "jwks_uri": format!("{public_url}{JWKS}"),
        "response_types_supported": [],
        "grant_types_supported": ["password", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
    })
}

/// Five minutes in caches: far less than a new key is published before it signs.
fn document(json: Bytes) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
    ];
    (headers, json).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_names_what_is_there_and_nothing_else() {
        let metadata = metadata("https://auth.example.test", "/api-auth");
        assert_eq!(metadata["issuer"], "https://auth.example.test");
        assert_eq!(metadata["token_endpoint"], "https://auth.example.test/api-auth/token");
        assert_eq!(metadata["jwks_uri"], "https://auth.example.test/.well-known/jwks.json");
        assert!(metadata.get("authorization_endpoint").is_none());
        assert_eq!(metadata["response_types_supported"], json!([]));
    }

    #[tokio::test]
    async fn documents_may_be_cached() {
        let response = super::super::answer::complete(document(Bytes::from_static(b"{}"))).await;
        assert_eq!(response.headers()[CACHE_CONTROL], "public, max-age=300");
        assert!(!response.headers().contains_key("pragma"));
    }
}
