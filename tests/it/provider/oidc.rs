//! `type: oidc`.

use passgate::provider::{Email, Error, Identity, Kind, Verified};
use serde_json::json;

use super::{Checker, assert_not_allowed, checker};
use crate::support::provider::{
    Fault, Oidc, Person,
    oidc::{CLIENT_SECRET, DISCOVERY, INTROSPECTION, JWKS, USERINFO},
};

const NAME: &str = "company";

fn with_secret(oidc: &Oidc) -> Checker {
    checker(&[&oidc.yaml(&format!("client_secret: '{CLIENT_SECRET}'"))])
}

fn ada() -> Person {
    Person::new("u-1").email("ada@company.test")
}

fn identity_of_ada() -> Identity {
    Identity {
        subject: "u-1".to_owned(),
        email: Some(Email { address: "ada@company.test".to_owned(), verified: Verified::Yes }),
        username: "ada".to_owned(),
        first_name: "Ada".to_owned(),
        last_name: "Lovelace".to_owned(),
    }
}

#[track_caller]
fn assert_unreadable(outcome: &Result<Identity, Error>) {
    assert!(matches!(outcome, Err(Error::Unreadable(_))), "{outcome:?}");
}

#[tokio::test]
async fn an_id_token_speaks_by_keys_that_are_found_from_the_issuer() {
    let oidc = Oidc::start().await;
    let checker = checker(&[&oidc.yaml("")]);
    assert_eq!(oidc.calls(DISCOVERY), 0, "nothing is asked before it is needed");
    for _ in 0..3 {
        assert_eq!(checker.identify(NAME, &oidc.id_token(&ada())).await, Ok(identity_of_ada()));
    }
    assert_eq!((oidc.calls(DISCOVERY), oidc.calls(JWKS), oidc.calls(USERINFO)), (1, 1, 0));
}

#[tokio::test]
async fn an_access_token_needs_an_issuer_that_says_for_which_app_it_was_issued() {
    let oidc = Oidc::start().await;
    let token = oidc.user(ada());
    let without = checker(&[&oidc.yaml("")]);
    assert_not_allowed(&without.identify(NAME, &token).await, "no client_secret");
    assert_eq!(oidc.calls(DISCOVERY), 0);
    for endpoint in ["introspection_endpoint", "userinfo_endpoint"] {
        oidc.fails(DISCOVERY, Fault::edited(move |found| drop(found.as_object_mut().unwrap().remove(endpoint))));
        assert_not_allowed(&with_secret(&oidc).identify(NAME, &token).await, endpoint);
    }
    oidc.recovers();
    let checker = with_secret(&oidc);
    let identity = checker.identify(NAME, &token).await.unwrap();
    assert_eq!(identity, Identity { username: "Ada Lovelace".to_owned(), ..identity_of_ada() });
    assert_eq!(oidc.asked(INTROSPECTION)[0].body, format!("token={token}&token_type_hint=access_token").into_bytes());
}

#[tokio::test]
async fn an_access_token_that_does_not_hold_for_us_is_refused() {
    let oidc = Oidc::start().await;
    let checker = with_secret(&oidc);
    assert_not_allowed(&checker.identify(NAME, "unknown").await, "not active");
    assert_not_allowed(&checker.identify(NAME, &oidc.user_of("evil-app", ada())).await, "another app's");
    assert_eq!(oidc.calls(USERINFO), 0);
    let token = oidc.user(ada());
    for told in [
        json!({ "iss": "https://evil.test" }),
        json!({ "client_id": "evil-app", "aud": "passgate" }),
        json!({ "client_id": null, "aud": "passgate" }),
        json!({ "client_id": null, "aud": ["account", "passgate"] }),
        json!({ "client_id": null, "aud": null }),
        json!({ "sub": null }),
        json!({ "sub": "somebody else" }),
    ] {
        let what = told.to_string();
        oidc.fails(
            INTROSPECTION,
            Fault::edited(move |answer| {
                answer.as_object_mut().unwrap().extend(told.as_object().unwrap().clone());
            }),
        );
        assert_not_allowed(&checker.identify(NAME, &token).await, &what);
    }
    oidc.fails(INTROSPECTION, Fault::edited(|answer| drop(answer.as_object_mut().unwrap().remove("client_id"))));
    assert_not_allowed(&checker.identify(NAME, &token).await, "an issuer that does not say to whom it was issued");
    oidc.fails(INTROSPECTION, Fault::edited(|answer| answer["aud"] = json!({ "odd": 1 })));
    assert!(checker.identify(NAME, &token).await.is_ok(), "where else it may be used is nothing to us");
}

#[tokio::test]
async fn a_wrong_secret_of_ours_is_not_the_token_s_fault() {
    let oidc = Oidc::start().await;
    let checker = checker(&[&oidc.yaml("client_secret: wrong")]);
    assert_eq!(checker.identify(NAME, &oidc.user(ada())).await, Err(Error::Status(401)));
}

#[tokio::test]
async fn the_document_must_be_the_issuer_s_own() {
    for (member, value) in [
        ("issuer", json!("https://evil.test")),
        ("issuer", json!(null)),
        ("jwks_uri", json!("ftp://a.test/jwks")),
        ("jwks_uri", json!("/jwks")),
        ("jwks_uri", json!(null)),
        ("userinfo_endpoint", json!("file:///etc/passwd")),
    ] {
        let oidc = Oidc::start().await;
        oidc.fails(DISCOVERY, Fault::edited(move |found| found[member] = value.clone()));
        assert_unreadable(&with_secret(&oidc).identify(NAME, &oidc.id_token(&ada())).await);
    }
    let oidc = Oidc::start().await;
    let slashed = oidc.yaml("").replacen("', ", "/', ", 1);
    let token = oidc.id_token_with(&ada(), |claims| claims["iss"] = json!(format!("{}/", oidc.issuer())));
    assert_unreadable(&checker(&[&slashed]).identify(NAME, &token).await);
    assert_eq!(oidc.calls(DISCOVERY), 1, "it is looked for beneath the issuer, with or without its slash");
}

#[tokio::test]
async fn endpoints_of_the_configuration_hold_above_those_of_the_issuer() {
    let (oidc, other) = (Oidc::start().await, Oidc::start().await);
    let url = |path: &str| format!("{}{path}", oidc.issuer());
    oidc.fails(
        DISCOVERY,
        Fault::edited({
            let elsewhere = other.issuer();
            move |found| {
                found["jwks_uri"] = json!(format!("{elsewhere}/jwks"));
                found["userinfo_endpoint"] = json!(format!("{elsewhere}/userinfo"));
            }
        }),
    );
    let more = format!(
        "client_secret: '{CLIENT_SECRET}', endpoints: {{ jwks: '{}', userinfo: '{}' }}",
        url(JWKS),
        url(USERINFO)
    );
    let checker = checker(&[&oidc.yaml(&more)]);
    assert!(checker.identify(NAME, &oidc.id_token(&ada())).await.is_ok());
    assert!(checker.identify(NAME, &oidc.user(ada())).await.is_ok());
    assert_eq!((other.calls(JWKS), other.calls(USERINFO)), (0, 0));
}

#[tokio::test]
async fn addresses_of_a_trusted_issuer_count_as_verified_unless_it_says_no() {
    let oidc = Oidc::start().await;
    for (trust, unstated) in [("false", Verified::No), ("true", Verified::Yes)] {
        let checker = checker(&[&oidc.yaml(&format!("trust_email: {trust}"))]);
        for (said, expected) in [(json!(null), unstated), (json!(false), Verified::No), (json!(true), Verified::Yes)] {
            let token = oidc.id_token_with(&ada(), |claims| claims["email_verified"] = said.clone());
            let email = checker.identify(NAME, &token).await.unwrap().email.unwrap();
            assert_eq!(email.verified, expected, "{said} with trust_email: {trust}");
        }
    }
}

#[tokio::test]
async fn a_person_is_called_by_the_best_name_there_is() {
    let oidc = Oidc::start().await;
    let checker = checker(&[&oidc.yaml("")]);
    for (missing, username) in [
        (&[][..], "ada"),
        (&["preferred_username"], "Ada Lovelace"),
        (&["preferred_username", "name"], "ada"),
        (&["preferred_username", "name", "email"], ""),
    ] {
        let token = oidc.id_token_with(&ada(), |claims| {
            claims.as_object_mut().unwrap().retain(|claim, _| !missing.contains(&claim.as_str()));
        });
        assert_eq!(checker.identify(NAME, &token).await.unwrap().username, username, "without {missing:?}");
    }
}

#[tokio::test]
async fn a_nonce_is_for_id_tokens() {
    let oidc = Oidc::start().await;
    let checker = with_secret(&oidc);
    let outcome = checker.identify_as(NAME, &oidc.user(ada()), Kind::AccessToken, Some("n-1")).await;
    assert_not_allowed(&outcome, "nothing to compare the nonce with");
}
