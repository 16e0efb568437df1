//! `POST token` with `grant_type=urn:ietf:params:oauth:grant-type:token-exchange` (RFC 8693).

use super::{
    convert_token::{Scene, gina},
    *,
};
use crate::support::provider::{Fault, google};

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

fn exchange(token: &str) -> Value {
    json!({
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": token, "subject_token_type": ACCESS_TOKEN, "subject_issuer": "google-oauth2",
        "client_id": "web", "client_secret": "quickstart-secret",
    })
}

#[tokio::test]
async fn a_providers_token_is_exchanged_for_ours() {
    let scene = Scene::start().await;
    let answer = scene.gateway.post_json(TOKEN, exchange(&scene.google.user(gina()))).await;
    let pair = Pair::of(&answer);
    let body = answer.json();
    assert_eq!((&body["issued_token_type"], &body["token_type"]), (&json!(ACCESS_TOKEN), &json!("Bearer")));
    assert!(body.get("user").is_none());
    assert_eq!(scene.gateway.get("/proxied", Some(&pair.access)).await.status, 200);
    Pair::of(&refresh(&scene.gateway, &pair.refresh).await);

    let id_token = scene.google.id_token_with(&gina(), |claims| claims["nonce"] = json!("n-1"));
    for members in [
        json!({ "subject_token_type": ID_TOKEN, "nonce": "n-1" }),
        json!({ "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "requested_token_type": ACCESS_TOKEN }),
        json!({ "subject_token_type": ID_TOKEN, "audience": "http://127.0.0.1:8080", "scope": "read" }),
    ] {
        let answer = scene.gateway.post_json(TOKEN, with(exchange(&id_token), &members)).await;
        Pair::of(&answer);
        assert_eq!(answer.json()["scope"], members.get("scope").cloned().unwrap_or(json!("read write")));
    }
    assert_eq!(scene.accounts().await, 1);

    let form =
        [("Content-Type", "application/x-www-form-urlencoded"), ("Authorization", &*basic("web", "quickstart-secret"))];
    let body = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
        .append_pair("subject_token", &scene.google.user(gina()))
        .append_pair("subject_token_type", ACCESS_TOKEN)
        .append_pair("subject_issuer", "google-oauth2")
        .finish();
    Pair::of(&send(&scene.gateway, "POST", TOKEN, &form, &body).await);
}

#[tokio::test]
async fn a_token_is_taken_for_what_it_is_said_to_be() {
    let scene = Scene::start().await;
    let id_token = scene.google.id_token(&gina());
    for (token, kind) in [(id_token, ACCESS_TOKEN), (scene.google.user(gina()), ID_TOKEN)] {
        let request = with(exchange(&token), &json!({ "subject_token_type": kind }));
        let answer = scene.gateway.post_json(TOKEN, request).await;
        assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_request")));
    }
    assert_eq!(scene.accounts().await, 0);
}

#[tokio::test]
async fn what_is_wrong_is_told_in_the_rfcs_words() {
    let scene = Scene::start_with(|bench| bench.set("clients.plain.grants", "[password]")).await;
    let token = scene.google.user(gina());
    for (members, status, error) in [
        (json!({ "subject_token": null }), 400, "invalid_request"),
        (json!({ "subject_token_type": null }), 400, "invalid_request"),
        (json!({ "subject_token_type": "urn:ietf:params:oauth:token-type:saml2" }), 400, "invalid_request"),
        (json!({ "subject_issuer": null }), 400, "invalid_request"),
        (json!({ "subject_issuer": "google" }), 400, "invalid_request"),
        (json!({ "subject_token": "garbage" }), 400, "invalid_request"),
        (json!({ "requested_token_type": ID_TOKEN }), 400, "invalid_request"),
        (json!({ "actor_token": "x", "actor_token_type": ACCESS_TOKEN }), 400, "invalid_request"),
        (json!({ "audience": "https://elsewhere.test" }), 400, "invalid_target"),
        (json!({ "resource": "https://elsewhere.test" }), 400, "invalid_target"),
        (json!({ "scope": "admin" }), 400, "invalid_scope"),
        (json!({ "client_secret": "wrong" }), 401, "invalid_client"),
        (json!({ "client_id": "plain", "client_secret": null }), 400, "unauthorized_client"),
    ] {
        let answer = scene.gateway.post_json(TOKEN, with(exchange(&token), &members)).await;
        assert_eq!((answer.status, &answer.json()["error"]), (status, &json!(error)), "{members}");
    }
    for fault in [Fault::Status(500), Fault::Status(503), Fault::Body("<html>".to_owned()), Fault::Dropped] {
        scene.google.fails(google::TOKENINFO, fault);
        let answer = scene.gateway.post_json(TOKEN, exchange(&token)).await;
        assert_error(&answer, 503, "temporarily_unavailable");
        assert!(answer.header("Retry-After").is_some());
        scene.google.recovers();
    }
    assert_eq!(scene.accounts().await, 0);
}

#[tokio::test]
async fn the_metadata_names_the_grant_only_where_there_are_providers() {
    let grants = async |gateway: &Gateway| {
        gateway.get("/.well-known/oauth-authorization-server", None).await.json()["grant_types_supported"].clone()
    };
    let scene = Scene::start().await;
    let exchange = json!("urn:ietf:params:oauth:grant-type:token-exchange");
    assert!(grants(&scene.gateway).await.as_array().unwrap().contains(&exchange));
    let without = Gateway::start().await;
    assert!(!grants(&without).await.as_array().unwrap().contains(&exchange));
}
