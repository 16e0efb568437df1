//! `facebook`.

use passgate::provider::{Email, Error, Identity, Kind, Verified};
use serde_json::json;

use super::{Checker, assert_not_allowed, checker};
use crate::support::provider::{
    Facebook, Fault, Person,
    facebook::{APP_ID, DEBUG_TOKEN, JWKS, ME},
};

const NAME: &str = "facebook";

async fn started() -> (Facebook, Checker) {
    let facebook = Facebook::start().await;
    let checker = checker(&[&facebook.yaml()]);
    (facebook, checker)
}

fn jean() -> Person {
    Person::new("10215241773831025").email("jean@example.test").named("Jean Luc Picard")
}

fn identity_of_jean() -> Identity {
    Identity {
        subject: "10215241773831025".to_owned(),
        email: Some(Email { address: "jean@example.test".to_owned(), verified: Verified::Unstated }),
        username: "Jean Luc Picard".to_owned(),
        first_name: "Jean".to_owned(),
        last_name: "Luc Picard".to_owned(),
    }
}

#[track_caller]
fn assert_canceled(outcome: &Result<Identity, Error>) {
    assert!(matches!(outcome, Err(Error::Canceled(_))), "{outcome:?}");
}

#[tokio::test]
async fn an_access_token_speaks_for_whom_the_graph_names() {
    let (facebook, checker) = started().await;
    let token = facebook.user(jean());
    assert_eq!(checker.identify(NAME, &token).await, Ok(identity_of_jean()));
    let (debug, me) = (&facebook.asked(DEBUG_TOKEN)[0], &facebook.asked(ME)[0]);
    assert_eq!(debug.target(), format!("/debug_token?input_token={token}&access_token=fb-app-id%7Cfb-app-secret"));
    let (asked, proof) = me.target().rsplit_once('=').unwrap();
    assert_eq!(asked, format!("/v24.0/me?fields=id%2Cname%2Cemail&access_token={token}&appsecret_proof"));
    assert_eq!(proof.len(), 64);
    let nameless = checker.identify(NAME, &facebook.user(Person::new("1").named(""))).await.unwrap();
    assert_eq!((nameless.email, &*nameless.username, &*nameless.last_name), (None, "", ""));
}

#[tokio::test]
async fn a_token_of_limited_login_speaks_by_its_signature() {
    let (facebook, checker) = started().await;
    let newer = facebook.id_token_with(&jean(), |claims| claims["iss"] = json!("https://limited.facebook.com"));
    for token in [facebook.id_token(&jean()), newer] {
        assert_eq!(checker.identify(NAME, &token).await, Ok(identity_of_jean()));
    }
    assert_eq!((facebook.calls(JWKS), facebook.calls(DEBUG_TOKEN), facebook.calls(ME)), (1, 0, 0));
    for (claim, value) in [
        ("iss", json!("https://facebook.com")),
        ("aud", json!("another-app")),
        ("azp", json!("another-app")),
        ("sub", json!("")),
        ("sub", json!(null)),
    ] {
        let token = facebook.id_token_with(&jean(), |claims| claims[claim] = value.clone());
        assert_not_allowed(&checker.identify(NAME, &token).await, claim);
    }
    let token = facebook.id_token_with(&jean(), |claims| claims["nonce"] = json!("n-1"));
    assert!(checker.identify_as(NAME, &token, Kind::IdToken, Some("n-1")).await.is_ok());
    assert_not_allowed(&checker.identify_as(NAME, &token, Kind::IdToken, Some("n-2")).await, "another nonce");
}

#[tokio::test]
async fn a_bad_token_is_refused_as_facebook_refuses_it() {
    let (facebook, checker) = started().await;
    assert_canceled(&checker.identify(NAME, "EAAGgarbage").await);
    assert_eq!(facebook.calls(ME), 0);
    facebook.fails(ME, Fault::Status(400));
    assert_canceled(&checker.identify(NAME, &facebook.user(jean())).await);
}

#[tokio::test]
async fn a_token_of_another_app_is_refused_whatever_facebook_thinks_of_it() {
    let (facebook, checker) = started().await;
    assert_canceled(&checker.identify(NAME, &facebook.user_of("evil-app", jean())).await);
    let token = facebook.user(jean());
    for edit in [
        ("app_id", json!("evil-app")),
        ("app_id", json!(12)),
        ("app_id", json!(null)),
        ("is_valid", json!(false)),
        ("type", json!("PAGE")),
        ("type", json!("APP")),
        ("user_id", json!("somebody else")),
    ] {
        let (key, value) = edit.clone();
        facebook.fails(DEBUG_TOKEN, Fault::edited(move |debug| debug["data"][key] = value.clone()));
        let outcome = checker.identify(NAME, &token).await;
        assert!(matches!(outcome, Err(Error::Canceled(_))), "{edit:?}: {outcome:?}");
    }
    facebook.fails(
        DEBUG_TOKEN,
        Fault::edited(|debug| {
            let data = debug["data"].as_object_mut().unwrap();
            data.retain(|key, _| key == "is_valid" || key == "app_id");
        }),
    );
    assert!(checker.identify(NAME, &token).await.is_ok(), "what it does not say is not held against the token");
}

#[tokio::test]
async fn ids_may_be_numbers() {
    let facebook = Facebook::start().await;
    let endpoints = facebook.endpoints_yaml();
    let checker = checker(&[&format!(
        "facebook: {{ client_id: {APP_ID}, client_secret: fb-app-secret, audiences: ['138483919580948'], endpoints: {endpoints} }}"
    )]);
    facebook.fails(
        DEBUG_TOKEN,
        Fault::edited(|debug| {
            debug["data"]["app_id"] = json!(138_483_919_580_948_u64);
            debug["data"]["user_id"] = json!(10_215_241_773_831_025_u64);
        }),
    );
    assert_eq!(checker.identify(NAME, &facebook.user(jean())).await, Ok(identity_of_jean()));
}

#[tokio::test]
async fn whoever_has_no_id_is_nobody() {
    let (facebook, checker) = started().await;
    for id in [json!(null), json!(""), json!("\u{0}")] {
        facebook
            .fails(DEBUG_TOKEN, Fault::edited(|debug| drop(debug["data"].as_object_mut().unwrap().remove("user_id"))));
        let told = id.clone();
        facebook.fails(ME, Fault::edited(move |me| me["id"] = told.clone()));
        assert_not_allowed(&checker.identify(NAME, &facebook.user(jean())).await, &id.to_string());
    }
}

#[tokio::test]
async fn an_error_within_a_good_status_is_no_answer() {
    let (facebook, checker) = started().await;
    let body = r#"{"id": "1", "name": "x", "error": {"message": "CANARY", "code": 190}}"#;
    facebook.fails(ME, Fault::Body(body.to_owned()));
    let outcome = checker.identify(NAME, &facebook.user(jean())).await;
    assert!(matches!(outcome, Err(Error::Unreadable(_))), "{outcome:?}");
}
