//! The two documents under `/.well-known/`.

use super::*;

#[tokio::test]
async fn the_metadata_leads_to_the_endpoints() {
    let gateway = Gateway::start().await;
    let answer = gateway.get("/.well-known/oauth-authorization-server", None).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("Cache-Control"), Some("public, max-age=300"));
    assert_eq!(answer.header("Pragma"), None);
    let metadata = answer.json();
    let issuer = metadata["issuer"].as_str().unwrap();
    assert_eq!(metadata["token_endpoint"], format!("{issuer}/api-auth/token"));
    assert_eq!(metadata["jwks_uri"], format!("{issuer}/.well-known/jwks.json"));
    assert_eq!(metadata["grant_types_supported"], json!(["password", "refresh_token"]));
}

#[tokio::test]
async fn the_keys_are_public_keys_and_nothing_more() {
    let gateway = Gateway::start().await;
    let answer = gateway.get("/.well-known/jwks.json", None).await;
    assert_eq!((answer.status, answer.header("Content-Type")), (200, Some("application/json")));
    let keys = answer.json()["keys"].as_array().unwrap().clone();
    assert!(!keys.is_empty());
    for key in &keys {
        assert!(key["kid"].is_string() && key["kty"].is_string());
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(key.get(private).is_none(), "{private} in {key}");
        }
    }
}
