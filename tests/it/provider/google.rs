//! `google-oauth2`.

use passgate::provider::{Email, Error, Identity, Kind, Verified};
use serde_json::json;

use super::{Checker, assert_not_allowed, checker};
use crate::support::provider::{
    Fault, Google, Person,
    google::{JWKS, TOKENINFO, USERINFO},
};

const NAME: &str = "google-oauth2";

async fn started() -> (Google, Checker) {
    let google = Google::start().await;
    let checker = checker(&[&google.yaml()]);
    (google, checker)
}

fn ada() -> Person {
    Person::new("10769150350006150715113082367").email("ada.l@Example.test")
}

fn identity_of_ada() -> Identity {
    Identity {
        subject: "10769150350006150715113082367".to_owned(),
        email: Some(Email { address: "ada.l@Example.test".to_owned(), verified: Verified::Yes }),
        username: "ada.l".to_owned(),
        first_name: "Ada".to_owned(),
        last_name: "Lovelace".to_owned(),
    }
}

#[tokio::test]
async fn an_access_token_speaks_for_whom_userinfo_names() {
    let (google, checker) = started().await;
    let token = google.user(ada());
    assert_eq!(checker.identify(NAME, &token).await, Ok(identity_of_ada()));
    assert_eq!(checker.identify_as(NAME, &token, Kind::AccessToken, None).await, Ok(identity_of_ada()));
    let asked = &google.asked(USERINFO)[0];
    assert_eq!(asked.header("Authorization"), Some(&*format!("Bearer {token}")));
    assert_eq!((asked.target(), asked.header("Accept")), (USERINFO, Some("application/json")));
    assert!(asked.header("User-Agent").unwrap().starts_with("passgate/"));
}

#[tokio::test]
async fn an_id_token_speaks_without_google_being_asked_about_it() {
    let (google, checker) = started().await;
    let token = google.id_token(&ada());
    for kind in [Kind::Unsaid, Kind::IdToken] {
        assert_eq!(checker.identify_as(NAME, &token, kind, None).await, Ok(identity_of_ada()));
    }
    let bare = google.id_token_with(&ada(), |claims| claims["iss"] = json!("accounts.google.com"));
    assert_eq!(checker.identify(NAME, &bare).await, Ok(identity_of_ada()));
    assert_eq!((google.calls(JWKS), google.calls(TOKENINFO), google.calls(USERINFO)), (1, 0, 0));
    // Said to be an access token it is one, which Google does not know.
    assert_not_allowed(&checker.identify_as(NAME, &token, Kind::AccessToken, None).await, "a JWT as an access token");
    assert_eq!(google.calls(TOKENINFO), 1);
}

#[tokio::test]
async fn a_new_key_of_google_s_is_found_at_once() {
    let (google, checker) = started().await;
    assert!(checker.identify(NAME, &google.id_token(&ada())).await.is_ok());
    let old = google.id_token(&ada());
    google.rotates_its_key();
    assert_eq!(checker.identify(NAME, &google.id_token(&ada())).await, Ok(identity_of_ada()));
    assert_not_allowed(&checker.identify(NAME, &old).await, "signed with a key that is published no more");
    assert_eq!(google.calls(JWKS), 2);
}

#[tokio::test]
async fn a_token_of_another_app_is_refused_before_anybody_is_asked_for() {
    let (google, checker) = started().await;
    let token = google.user_of("evil-app", ada());
    assert_not_allowed(&checker.identify(NAME, &token).await, "another app's access token");
    assert_eq!(google.calls(USERINFO), 0, "whom it is for is not asked");
    let token = google.id_token_with(&ada(), |claims| claims["aud"] = json!("evil-app"));
    assert_not_allowed(&checker.identify(NAME, &token).await, "another app's ID token");
    assert_eq!(google.calls(JWKS), 0);
    google.fails(TOKENINFO, Fault::edited(|info| info["azp"] = json!("evil-app")));
    assert_not_allowed(&checker.identify(NAME, &google.user(ada())).await, "presented by another app");
}

#[tokio::test]
async fn our_apps_are_those_of_the_configuration() {
    let google = Google::start().await;
    let (id, endpoints) = ("google-client-id", google.endpoints_yaml());
    let checker = checker(&[&format!(
        "google-oauth2: {{ client_id: {id}, audiences: [ios-app, android-app], endpoints: {endpoints} }}"
    )]);
    for (app, ours) in [(id, true), ("ios-app", true), ("android-app", true), ("IOS-app", false), ("", false)] {
        let token = google.user_of(app, ada());
        assert_eq!(checker.identify(NAME, &token).await.is_ok(), ours, "{app}");
        let token = google.id_token_with(&ada(), |claims| claims["aud"] = json!(app));
        assert_eq!(checker.identify(NAME, &token).await.is_ok(), ours, "{app}");
    }
}

#[tokio::test]
async fn an_android_app_gets_id_tokens_for_the_web_client_of_its_project() {
    let (google, checker) = started().await;
    let token = google.id_token_with(&ada(), |claims| claims["azp"] = json!("android-app"));
    assert_eq!(checker.identify(NAME, &token).await, Ok(identity_of_ada()));
    for audience in [json!("android-app"), json!(["google-client-id", "android-app"])] {
        let token = google.id_token_with(&ada(), |claims| {
            claims["aud"] = audience.clone();
            claims["azp"] = json!("android-app");
        });
        assert_not_allowed(&checker.identify(NAME, &token).await, "not for the web client, or not for it alone");
    }
}

#[tokio::test]
async fn what_google_does_not_know_is_refused() {
    let (google, checker) = started().await;
    let refused = checker.identify(NAME, "ya29.garbage").await;
    assert_not_allowed(&refused, "tokeninfo says 400");
    google.fails(USERINFO, Fault::Status(401));
    assert_not_allowed(&checker.identify(NAME, &google.user(ada())).await, "userinfo says 401");
    google.fails(USERINFO, Fault::Status(403));
    assert_not_allowed(&checker.identify(NAME, &google.user(ada())).await, "userinfo says 403");
    google.fails(USERINFO, Fault::Status(400));
    assert!(matches!(checker.identify(NAME, &google.user(ada())).await, Err(Error::Canceled(_))));
    let before = google.calls(TOKENINFO);
    for odd in ["", "a b", "a\r\nX: y", "é"] {
        assert_not_allowed(&checker.identify(NAME, odd).await, odd);
    }
    assert_eq!(google.calls(TOKENINFO), before, "nor is Google bothered with what is no token");
}

#[tokio::test]
async fn whoever_has_no_id_is_nobody() {
    let (google, checker) = started().await;
    for id in [json!(null), json!(""), json!("a\nb"), json!("x".repeat(256))] {
        google.fails(TOKENINFO, Fault::edited(|info| drop(info.as_object_mut().unwrap().remove("sub"))));
        let told = id.clone();
        google.fails(USERINFO, Fault::edited(move |person| person["sub"] = told.clone()));
        assert_not_allowed(&checker.identify(NAME, &google.user(ada())).await, &id.to_string());
        let token = google.id_token_with(&ada(), |claims| claims["sub"] = id.clone());
        assert_not_allowed(&checker.identify(NAME, &token).await, &id.to_string());
    }
    google.recovers();
    google.fails(USERINFO, Fault::edited(|person| person["sub"] = json!("somebody else")));
    assert_not_allowed(&checker.identify(NAME, &google.user(ada())).await, "two persons");
}

#[tokio::test]
async fn an_address_counts_as_verified_only_if_google_says_so() {
    let (google, checker) = started().await;
    let verified =
        async |token: String| checker.identify(NAME, &token).await.unwrap().email.map(|email| email.verified);
    assert_eq!(verified(google.user(ada().unverified())).await, Some(Verified::No));
    assert_eq!(verified(google.id_token(&ada().unverified())).await, Some(Verified::No));
    for (said, expected) in [
        (json!("true"), Verified::Yes),
        (json!("false"), Verified::No),
        (json!(1), Verified::No),
        (json!(null), Verified::No),
    ] {
        let token = google.id_token_with(&ada(), |claims| claims["email_verified"] = said.clone());
        assert_eq!(verified(token).await, Some(expected), "{said}");
        google.fails(USERINFO, Fault::edited(move |person| person["email_verified"] = said.clone()));
        assert_eq!(verified(google.user(ada())).await, Some(expected));
    }
    assert_eq!(verified(google.user(Person::new("1"))).await, None);
}

#[tokio::test]
async fn names_are_taken_as_they_come() {
    let (google, checker) = started().await;
    google.fails(
        USERINFO,
        Fault::edited(|person| {
            let person = person.as_object_mut().unwrap();
            person.remove("given_name");
            person.remove("family_name");
        }),
    );
    let identity = checker.identify(NAME, &google.user(ada().named("Jean Luc Picard"))).await.unwrap();
    assert_eq!((&*identity.first_name, &*identity.last_name), ("Jean", "Luc Picard"));
    let nameless = checker.identify(NAME, &google.user(Person::new("1").named(""))).await.unwrap();
    assert_eq!((&*nameless.username, &*nameless.first_name, &*nameless.last_name), ("", "", ""));
}
