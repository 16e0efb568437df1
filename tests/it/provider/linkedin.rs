//! `linkedin-openidconnect`.

use passgate::provider::{Error, Verified};
use serde_json::json;
use url::form_urlencoded;

use super::{Checker, assert_not_allowed, checker};
use crate::support::provider::{
    Fake, Fault, Person,
    linkedin::{CLIENT_ID, CLIENT_SECRET, INTROSPECTION, LINKEDIN, USERINFO},
};

const NAME: &str = "linkedin-openidconnect";

async fn started(settings: &str) -> (Fake, Checker) {
    let linkedin = Fake::start(&LINKEDIN).await;
    let checker = checker(&[&linkedin.yaml_with(settings)]);
    (linkedin, checker)
}

fn ada() -> Person {
    Person::new("782bbtaQ").email("ada@example.test")
}

#[tokio::test]
async fn both_kinds_of_token_name_one_person() {
    let (linkedin, checker) = started(LINKEDIN.settings).await;
    let token = linkedin.user(&ada());
    let identity = checker.identify(NAME, &token).await.unwrap();
    assert_eq!(checker.identify(NAME, &linkedin.id_token(&ada())).await.as_ref(), Ok(&identity));
    assert_eq!((&*identity.subject, &*identity.username, &*identity.last_name), ("782bbtaQ", "ada", "Lovelace"));
    let asked = &linkedin.asked(INTROSPECTION)[0];
    assert_eq!(asked.line(), format!("POST {INTROSPECTION} HTTP/1.1"));
    let form: Vec<_> = form_urlencoded::parse(&asked.body).into_owned().collect();
    let expected = [("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET), ("token", &token)];
    assert_eq!(form, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn an_access_token_is_an_active_one_of_a_person_and_of_our_app() {
    let (linkedin, checker) = started("client_secret: li-secret, audiences: [mobile]").await;
    let token = linkedin.user(&ada());
    for (key, value) in [
        ("active", json!(false)),
        ("client_id", json!("another")),
        ("client_id", json!("mobile")),
        ("client_id", json!(null)),
        ("auth_type", json!("2L")),
        ("auth_type", json!("Enterprise_User")),
    ] {
        let told = value.clone();
        linkedin.fails(INTROSPECTION, Fault::edited(move |answer| answer[key] = told.clone()));
        assert_not_allowed(&checker.identify(NAME, &token).await, &format!("{key}: {value}"));
    }
    assert_eq!(linkedin.calls(USERINFO), 0);
    let token = linkedin.id_token_with(&ada(), |claims| claims["aud"] = json!("mobile"));
    assert!(checker.identify(NAME, &token).await.is_ok(), "an ID token may be for any app of ours");
}

#[tokio::test]
async fn without_the_secret_there_are_id_tokens_only() {
    let (linkedin, checker) = started("").await;
    assert_not_allowed(&checker.identify(NAME, &linkedin.user(&ada())).await, "no secret");
    assert_eq!(linkedin.calls(INTROSPECTION), 0);
    assert!(checker.identify(NAME, &linkedin.id_token(&ada())).await.is_ok());
}

#[tokio::test]
async fn a_wrong_secret_of_ours_is_not_the_token_s_fault() {
    let (linkedin, checker) = started("client_secret: wrong").await;
    assert_eq!(checker.identify(NAME, &linkedin.user(&ada())).await, Err(Error::Status(401)));
}

#[tokio::test]
async fn an_address_counts_as_verified_only_if_linkedin_says_so() {
    let (linkedin, checker) = started(LINKEDIN.settings).await;
    for said in [json!("false"), json!(false), json!(null), json!(1)] {
        let told = said.clone();
        linkedin.fails(USERINFO, Fault::edited(move |person| person["email_verified"] = told.clone()));
        let email = checker.identify(NAME, &linkedin.user(&ada())).await.unwrap().email.unwrap();
        assert_ne!(email.verified, Verified::Yes, "{said}");
    }
}
