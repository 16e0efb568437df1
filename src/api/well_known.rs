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
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    Api,
    endpoint::{Endpoint, operations},
    guard::Access,
};
use crate::oauth::token_exchange;

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
        methods: get(keys),
        operations: operations![keys],
    }
}

#[utoipa::path(
    get, path = JWKS, tag = "documents", operation_id = "jwks",
    responses((status = 200, description = "A JWK Set (RFC 7517).", body = JwkSet)),
)]
async fn keys(State(api): State<Arc<Api>>) -> Response {
    document(api.oauth.keys.jwks())
}

/// RFC 7517 section 5.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the key ring serialises")]
struct JwkSet {
    keys: Vec<Jwk>,
}

/// RFC 7517 section 4, of which the members depend on `kty` (RFC 7518 section 6, RFC 8037 section 2).
#[derive(ToSchema)]
#[expect(dead_code, reason = "the same")]
struct Jwk {
    kid: String,
    #[schema(pattern = "^(OKP|EC|RSA)$")]
    kty: String,
    #[schema(pattern = "^(EdDSA|ES256|RS256)$")]
    alg: String,
    #[schema(pattern = "^sig$")]
    r#use: String,
    #[schema(nullable = false, pattern = "^(Ed25519|P-256)$")]
    crv: Option<String>,
    #[schema(nullable = false)]
    x: Option<String>,
    #[schema(nullable = false)]
    y: Option<String>,
    #[schema(nullable = false)]
    n: Option<String>,
    #[schema(nullable = false)]
    e: Option<String>,
}

/// `converts`: whether there are providers whose tokens can be exchanged.
pub(super) fn authorization_server(public_url: &str, base_path: &str, converts: bool) -> Endpoint {
    let metadata = Bytes::from(json!(metadata(public_url, base_path, converts)).to_string());
    Endpoint {
        path: AUTHORIZATION_SERVER,
        name: "Authorization server metadata",
        description: "What this authorization server can do.",
        access: Access::Open,
        allow: "GET, HEAD, OPTIONS",
        methods: get(move || async move { document(metadata) }),
        operations: operations![metadata],
    }
}

/// RFC 8414 section 2.
#[derive(Serialize, ToSchema)]
#[schema(as = AuthorizationServer)]
struct Metadata<'a> {
    #[schema(format = "uri")]
    issuer: &'a str,
    #[schema(format = "uri")]
    token_endpoint: String,
    #[schema(format = "uri")]
    jwks_uri: String,
    response_types_supported: [&'a str; 1],
    grant_types_supported: Vec<&'a str>,
    token_endpoint_auth_methods_supported: [&'a str; 3],
    #[schema(format = "uri")]
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: [&'a str; 3],
    #[schema(format = "uri")]
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: [&'a str; 2],
}

#[utoipa::path(
    get, path = AUTHORIZATION_SERVER, tag = "documents", operation_id = "authorizationServer",
    responses((status = 200, description = "Authorization server metadata (RFC 8414).", body = Metadata)),
)]
fn metadata<'a>(public_url: &'a str, base_path: &str, converts: bool) -> Metadata<'a> {
    let mut grants = vec!["password", "refresh_token"];
    grants.extend(converts.then_some(token_exchange::GRANT_TYPE));
    let proven = ["client_secret_basic", "client_secret_post"];
    let any = ["client_secret_basic", "client_secret_post", "none"];
    Metadata {
        issuer: public_url,
        token_endpoint: format!("{public_url}{base_path}/token"),
        jwks_uri: format!("{public_url}{JWKS}"),
        // The member is required, and must not be empty (sections 2 and 3.2). There is no authorization endpoint; this
        // is the registered type by which one would hand out nothing.
        response_types_supported: ["none"],
        grant_types_supported: grants,
        token_endpoint_auth_methods_supported: any,
        revocation_endpoint: format!("{public_url}{base_path}/revoke"),
        revocation_endpoint_auth_methods_supported: any,
        introspection_endpoint: format!("{public_url}{base_path}/introspect"),
        introspection_endpoint_auth_methods_supported: proven,
    }
}

/// Five minutes in caches: far less than a new key is published before it signs.
pub(super) fn document(json: Bytes) -> Response {
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
        let metadata = json!(metadata("https://auth.example.test", "/api-auth", false));
        assert_eq!(metadata["issuer"], "https://auth.example.test");
        assert_eq!(metadata["token_endpoint"], "https://auth.example.test/api-auth/token");
        assert_eq!(metadata["jwks_uri"], "https://auth.example.test/.well-known/jwks.json");
        assert!(metadata.get("authorization_endpoint").is_none());
        assert_eq!(metadata["response_types_supported"], json!(["none"]));
        assert_eq!(metadata["revocation_endpoint"], "https://auth.example.test/api-auth/revoke");
        assert_eq!(metadata["introspection_endpoint"], "https://auth.example.test/api-auth/introspect");
        assert_eq!(metadata["grant_types_supported"], json!(["password", "refresh_token"]));
        let converting = json!(super::metadata("https://auth.example.test", "/api-auth", true));
        assert_eq!(converting["grant_types_supported"][2], token_exchange::GRANT_TYPE);
    }

    #[tokio::test]
    async fn documents_may_be_cached() {
        let response = super::super::answer::complete(document(Bytes::from_static(b"{}"))).await;
        assert_eq!(response.headers()[CACHE_CONTROL], "public, max-age=300");
        assert!(!response.headers().contains_key("pragma"));
    }
}
