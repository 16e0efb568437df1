//! What holds of every provider alike, told once over a table of fakes.

use std::collections::BTreeSet;

use passgate::provider::{Error, Identity, Kind, TABLE, Verified};
use serde_json::{Value, json};

use super::{Checker, assert_not_allowed, checker};
use crate::support::provider::{
    Fake, Fault, NOW, Person, Signer,
    apple::APPLE,
    discord::DISCORD,
    github::GITHUB,
    gitlab::GITLAB,
    linkedin::LINKEDIN,
    microsoft::{MICROSOFT, MICROSOFT_GRAPH},
    slack::SLACK,
    twitter::TWITTER,
    wire::{AccessTokens, IdTokens, Wire},
};

/// One more provider is one more line.
const ALL: [&Wire; 9] = [&GITHUB, &GITLAB, &MICROSOFT, &MICROSOFT_GRAPH, &APPLE, &LINKEDIN, &DISCORD, &TWITTER, &SLACK];

/// These have fakes of their own making, and tests of all this beside them.
const ELSEWHERE: [&str; 2] = ["facebook", "google-oauth2"];

/// For some of the providers an id is a number.
fn ada() -> Person {
    Person::new("583231").email("ada.l@example.test")
}

/// A provider, and what is known of it.
struct Case {
    fake: Fake,
    checker: Checker,
}

impl Case {
    async fn of(wire: &'static Wire) -> Self {
        let fake = Fake::start(wire).await;
        let checker = checker(&[&fake.yaml()]);
        Self { fake, checker }
    }

    async fn identify(&self, token: &str) -> Result<Identity, Error> {
        self.checker.identify(self.fake.wire.name, token).await
    }
}

/// Those that take access tokens.
async fn with_access_tokens() -> Vec<(Case, &'static AccessTokens)> {
    let mut cases = Vec::new();
    for wire in ALL {
        if let Some(tokens) = &wire.access_tokens {
            cases.push((Case::of(wire).await, tokens));
        }
    }
    cases
}

/// Those that take ID tokens.
async fn with_id_tokens() -> Vec<(Case, &'static IdTokens)> {
    let mut cases = Vec::new();
    for wire in ALL {
        if let Some(tokens) = &wire.id_tokens {
            cases.push((Case::of(wire).await, tokens));
        }
    }
    cases
}

#[test]
fn every_provider_of_the_table_is_tested() {
    let known: BTreeSet<_> = TABLE.iter().map(|row| row.name).collect();
    assert_eq!(known.len(), TABLE.len(), "no name is there twice");
    let tested: BTreeSet<_> = ALL.iter().map(|wire| wire.name).chain(ELSEWHERE).collect();
    assert_eq!(known, tested);
    for wire in ALL {
        assert!(wire.access_tokens.is_some() || wire.id_tokens.is_some(), "{}", wire.name);
    }
}

#[tokio::test]
async fn a_good_token_speaks_for_its_person() {
    let assert_is_ada = |outcome: Result<Identity, Error>, wire: &Wire| {
        let identity = outcome.unwrap_or_else(|error| panic!("{}: {error}", wire.name));
        assert_eq!(identity.subject, format!("{}583231", wire.namespace), "{}", wire.name);
        let email = identity.email.unwrap();
        assert_eq!((&*email.address, email.verified), ("ada.l@example.test", Verified::Yes), "{}", wire.name);
        assert!(identity.username.starts_with("ada"), "{}: {}", wire.name, identity.username);
    };
    for (case, tokens) in with_access_tokens().await {
        let token = case.fake.user(&ada());
        assert_is_ada(case.identify(&token).await, case.fake.wire);
        for step in tokens.steps {
            let asked = case.fake.asked(step);
            assert_eq!(asked.len(), 1, "{}: {step}", case.fake.wire.name);
            assert!(!asked[0].target().contains(&token), "a token is in no URL: {step}");
        }
        let outcome = case.checker.identify_as(case.fake.wire.name, &token, Kind::AccessToken, None).await;
        assert_is_ada(outcome, case.fake.wire);
    }
    for (case, tokens) in with_id_tokens().await {
        let name = case.fake.wire.name;
        let token = case.fake.id_token_with(&ada(), |claims| claims["nonce"] = json!("n-1"));
        assert_is_ada(case.identify(&token).await, case.fake.wire);
        assert_is_ada(case.checker.identify_as(name, &token, Kind::IdToken, Some("n-1")).await, case.fake.wire);
        assert_not_allowed(&case.checker.identify_as(name, &token, Kind::Unsaid, Some("n-2")).await, name);
        assert_eq!(case.fake.calls(tokens.jwks), 1, "{name}");
    }
}

#[tokio::test]
async fn a_token_of_another_app_is_refused_before_anybody_is_asked_for() {
    for (case, tokens) in with_access_tokens().await {
        let name = case.fake.wire.name;
        let outcome = case.identify(&case.fake.user_of("evil-app", &ada())).await;
        if !tokens.tell_app {
            assert!(outcome.is_ok(), "{name}: nobody tells, and the operator has accepted it");
            continue;
        }
        assert_not_allowed(&outcome, name);
        for step in &tokens.steps[1..] {
            assert_eq!(case.fake.calls(step), 0, "{name}: {step}");
        }
    }
    for (case, tokens) in with_id_tokens().await {
        for audience in [json!("evil-app"), json!([]), json!(null), json!(["evil-app", "another"])] {
            let token = case.fake.id_token_with(&ada(), |claims| claims["aud"] = audience.clone());
            assert_not_allowed(&case.identify(&token).await, case.fake.wire.name);
        }
        // For us to read, and issued to another.
        let token = case.fake.id_token_with(&ada(), |claims| claims["azp"] = json!("evil-app"));
        assert_not_allowed(&case.identify(&token).await, case.fake.wire.name);
        assert_eq!(case.fake.calls(tokens.jwks), 0, "{}", case.fake.wire.name);
    }
}

#[tokio::test]
async fn an_address_that_is_not_verified_never_counts_as_if_it_were() {
    let verified = |outcome: Result<Identity, Error>| outcome.unwrap().email.map(|email| email.verified);
    for (case, _) in with_access_tokens().await {
        let outcome = case.identify(&case.fake.user(&ada().unverified())).await;
        assert_ne!(verified(outcome), Some(Verified::Yes), "{}", case.fake.wire.name);
        let outcome = case.identify(&case.fake.user(&Person::new("7"))).await;
        assert_eq!(verified(outcome), None, "{}", case.fake.wire.name);
    }
    for (case, _) in with_id_tokens().await {
        let outcome = case.identify(&case.fake.id_token(&ada().unverified())).await;
        assert_eq!(verified(outcome), Some(Verified::No), "{}", case.fake.wire.name);
        let outcome = case.identify(&case.fake.id_token(&Person::new("7"))).await;
        assert_eq!(verified(outcome), None, "{}", case.fake.wire.name);
    }
}

/// The good answer, with another value at one place.
fn with_value(pointer: &'static str, value: Value) -> Fault {
    Fault::edited(move |answer| *answer.pointer_mut(pointer).expect(pointer) = value.clone())
}

#[tokio::test]
async fn whoever_has_no_id_or_two_is_nobody() {
    for (case, tokens) in with_access_tokens().await {
        let name = case.fake.wire.name;
        let token = case.fake.user(&ada());
        for (path, pointer) in tokens.ids {
            case.fake.fails(path, with_value(pointer, Value::Null));
        }
        assert_not_allowed(&case.identify(&token).await, name);
        case.fake.recovers();
        for (path, pointer) in tokens.ids {
            case.fake.fails(path, with_value(pointer, Value::Null));
            assert_not_allowed(&case.identify(&token).await, path);
            case.fake.recovers();
        }
        if tokens.ids.len() > 1 {
            for (path, pointer) in tokens.ids {
                case.fake.fails(
                    path,
                    Fault::edited(|answer| {
                        let id = answer.pointer_mut(pointer).expect(pointer);
                        *id = if id.is_number() { json!(1) } else { json!("1") };
                    }),
                );
                assert_not_allowed(&case.identify(&token).await, path);
                case.fake.recovers();
            }
        }
    }
    for (case, tokens) in with_id_tokens().await {
        for id in [json!(null), json!(""), json!(583_231), json!("a\nb"), json!("x".repeat(256))] {
            let token = case.fake.id_token_with(&ada(), |claims| claims[tokens.subject] = id.clone());
            assert_not_allowed(&case.identify(&token).await, &format!("{}: {id}", case.fake.wire.name));
        }
        let without = |claims: &mut Value| drop(claims.as_object_mut().unwrap().remove(tokens.subject));
        assert_not_allowed(&case.identify(&case.fake.id_token_with(&ada(), without)).await, case.fake.wire.name);
    }
}

#[tokio::test]
async fn an_id_token_holds_by_its_own_provider_s_key_and_claims_only() {
    let forger = Signer::new("w1", "RS256");
    for (case, _) in with_id_tokens().await {
        let name = case.fake.wire.name;
        assert_not_allowed(&case.identify(&forger.sign(&case.fake.claims(&ada()))).await, name);
        for (claim, value) in [
            ("iss", json!("https://evil.test")),
            ("iss", json!(format!("{}/", case.fake.claims(&ada())["iss"].as_str().unwrap()))),
            ("exp", json!(NOW - 60)),
            ("iat", json!(NOW + 60)),
            ("iss", json!(null)),
            ("exp", json!(null)),
        ] {
            let token = case.fake.id_token_with(&ada(), |claims| claims[claim] = value.clone());
            assert_not_allowed(&case.identify(&token).await, &format!("{name}: {claim}: {value}"));
        }
    }
}

#[tokio::test]
async fn a_token_of_the_kind_that_a_provider_does_not_take_is_refused_without_a_call() {
    for wire in ALL {
        let case = Case::of(wire).await;
        match (&wire.access_tokens, &wire.id_tokens) {
            (Some(tokens), None) => {
                let token = case.fake.user(&ada());
                let outcome = case.checker.identify_as(wire.name, &token, Kind::IdToken, None).await;
                assert_not_allowed(&outcome, wire.name);
                let outcome = case.checker.identify_as(wire.name, &token, Kind::Unsaid, Some("n-1")).await;
                assert_not_allowed(&outcome, "nobody compares the nonce");
                assert_eq!(case.fake.calls(tokens.steps[0]), 0, "{}", wire.name);
            }
            (None, Some(tokens)) => {
                assert_not_allowed(&case.identify(&case.fake.user(&ada())).await, wire.name);
                let token = case.fake.id_token(&ada());
                let outcome = case.checker.identify_as(wire.name, &token, Kind::AccessToken, None).await;
                assert_not_allowed(&outcome, wire.name);
                assert_eq!(case.fake.calls(tokens.jwks), 0, "{}", wire.name);
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn what_a_provider_does_not_know_is_refused() {
    for (case, tokens) in with_access_tokens().await {
        let name = case.fake.wire.name;
        assert_not_allowed(&case.identify("garbage").await, name);
        for step in &tokens.steps[1..] {
            assert_eq!(case.fake.calls(step), 0, "{name}: {step}");
        }
        case.fake.fails(tokens.steps.last().unwrap(), Fault::Status(401));
        assert_not_allowed(&case.identify(&case.fake.user(&ada())).await, name);
    }
}

/// Faults that are no word about a token, and what they come to.
fn faults() -> Vec<(Fault, Error)> {
    let statuses = [429, 500, 502, 504, 301].map(|status| (Fault::Status(status), Error::Status(status)));
    let bodies = [
        "",
        "<html>CANARY</html>",
        "null",
        "\"text\"",
        "{\"sub\":",
        r#"{"error": "invalid_token"}"#,
        r#"[{"email": 1}]"#,
        r#"{"keys": 1, "app": 1, "application": 1, "active": 1, "data": 1, "id": [1], "sub": 1, "user": 1}"#,
    ];
    let unreadable = bodies.map(|body| (Fault::Body(body.to_owned()), Error::Unreadable("")));
    let others = [
        (Fault::Status(503), Error::Unreachable("")),
        (Fault::Dropped, Error::Unreachable("")),
        (Fault::Redirect("http://127.0.0.1:1/".to_owned()), Error::Status(302)),
    ];
    statuses.into_iter().chain(unreadable).chain(others).collect()
}

/// Fails the test unless the failure is of this kind.
fn assert_fails_as(outcome: &Result<Identity, Error>, expected: Error, what: &str) {
    let same = match (outcome, expected) {
        (Err(Error::Unreachable(_)), Error::Unreachable(_)) | (Err(Error::Unreadable(_)), Error::Unreadable(_)) => true,
        (Err(error), expected) => *error == expected,
        _ => false,
    };
    assert!(same, "{what}: {outcome:?} instead of {expected:?}");
}

#[tokio::test]
async fn a_provider_s_failure_is_not_the_token_s_at_any_step() {
    for (case, tokens) in with_access_tokens().await {
        let token = case.fake.user(&ada());
        for (fault, expected) in faults() {
            for step in tokens.steps {
                case.fake.fails(step, fault.clone());
                assert_fails_as(&case.identify(&token).await, expected, step);
                case.fake.recovers();
            }
        }
        assert!(case.identify(&token).await.is_ok(), "{}", case.fake.wire.name);
    }
    for (case, tokens) in with_id_tokens().await {
        let token = case.fake.id_token(&ada());
        let refusals = [400, 401, 403, 404].map(|status| (Fault::Status(status), Error::Status(status)));
        for (fault, expected) in faults().into_iter().chain(refusals) {
            case.fake.fails(tokens.jwks, fault);
            assert_fails_as(&case.identify(&token).await, expected, tokens.jwks);
            case.fake.recovers();
        }
        assert!(case.identify(&token).await.is_ok(), "{}", case.fake.wire.name);
    }
}
