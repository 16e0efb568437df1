//! What the log says of providers that fail: which, at what, and nothing that somebody else could use.

use passgate::provider::Kind;
use serde_json::{Value, json};

use super::checker;
use crate::support::{
    log::listening,
    provider::{Facebook, Fault, Google, Oidc, Person, facebook, google, oidc},
};

fn ada() -> Person {
    Person::new("CANARY-id").email("CANARY@example.test").named("CANARY of a name")
}

#[tokio::test]
async fn a_failure_is_one_line_that_names_provider_and_step() {
    let (lines, _guard) = listening();
    let google = Google::start().await;
    let checker = checker(&[&google.yaml()]);
    // Of a machine without certificates of authorities.
    lines.take();
    google.fails(google::USERINFO, Fault::Status(500));
    let outcome = checker.identify("google-oauth2", &google.user(ada())).await;
    let [line] = &lines.take()[..] else { panic!("one line") };
    assert_eq!((&line["level"], &line["target"]), (&json!("WARN"), &json!("passgate::provider::http")));
    assert_eq!((&line["provider"], &line["step"]), (&json!("google-oauth2"), &json!("userinfo")));
    assert_eq!(line["error"], outcome.unwrap_err().to_string());

    // A refusal is the business of whoever presented the token.
    checker.identify("google-oauth2", "ya29.unknown").await.unwrap_err();
    let [line] = &lines.take()[..] else { panic!("one line") };
    assert_eq!((&line["level"], &line["provider"]), (&json!("INFO"), &json!("google-oauth2")));

    assert!(google.calls(google::USERINFO) == 1 && lines.take().is_empty());
    google.recovers();
    checker.identify("google-oauth2", &google.user(ada())).await.unwrap();
    assert_eq!(lines.take(), Vec::<Value>::new(), "what goes well is no news");
}

#[tokio::test]
async fn a_wrong_app_secret_is_told_to_the_operator() {
    let (lines, _guard) = listening();
    let facebook = Facebook::start().await;
    let wrong = facebook.yaml().replace(facebook::APP_SECRET, "wrong-secret");
    let checker = checker(&[&wrong]);
    lines.take();
    checker.identify("facebook", &facebook.user(ada())).await.unwrap_err();
    let lines = lines.take();
    assert!(
        lines[0]["level"] == "WARN" && lines[0]["message"].as_str().unwrap().contains("client_secret"),
        "{lines:?}"
    );
}

#[tokio::test]
async fn no_line_has_a_url_a_token_a_secret_or_a_word_of_a_provider_in_it() {
    let (lines, _guard) = listening();
    let (google, facebook, oidc) = (Google::start().await, Facebook::start().await, Oidc::start().await);
    let with_secret = format!("client_secret: '{}'", oidc::CLIENT_SECRET);
    let faults = [
        Fault::Status(500),
        Fault::Status(400),
        Fault::Status(401),
        Fault::Body("CANARY".to_owned()),
        Fault::Body(r#"{"error": {"message": "CANARY"}}"#.to_owned()),
        Fault::Body(r#"{"CANARY": 1}"#.to_owned()),
        Fault::Redirect("http://CANARY.invalid/".to_owned()),
        Fault::Dropped,
        Fault::Long,
    ];
    let mut seen = Vec::new();
    for fault in faults {
        // One that has no keys yet.
        let checker = checker(&[&google.yaml(), &facebook.yaml(), &oidc.yaml(&with_secret)]);
        for path in [google::JWKS, google::TOKENINFO, google::USERINFO] {
            google.fails(path, fault.clone());
            checker.identify("google-oauth2", &google.user(ada())).await.ok();
            checker.identify("google-oauth2", &google.id_token(&ada())).await.ok();
            google.recovers();
        }
        for path in [facebook::DEBUG_TOKEN, facebook::ME] {
            facebook.fails(path, fault.clone());
            checker.identify("facebook", &facebook.user(ada())).await.unwrap_err();
            facebook.recovers();
        }
        for path in [oidc::DISCOVERY, oidc::INTROSPECTION, oidc::USERINFO] {
            oidc.fails(path, fault.clone());
            checker.identify_as("company", &oidc.user(ada()), Kind::AccessToken, None).await.ok();
            oidc.recovers();
        }
        seen.extend(lines.take());
    }
    let steps: std::collections::BTreeSet<_> = seen.iter().filter_map(|line| line["step"].as_str()).collect();
    assert_eq!(steps.len(), 7, "each step has failed: {steps:?}");
    for line in seen {
        let line = line.to_string();
        for word in [
            "CANARY",
            "http:",
            "127.0.0.1",
            "access_token",
            "ya29",
            "EAAG",
            "eyJ",
            facebook::APP_SECRET,
            oidc::CLIENT_SECRET,
            "appsecret_proof",
        ] {
            assert!(!line.contains(word), "{word}: {line}");
        }
    }
}
