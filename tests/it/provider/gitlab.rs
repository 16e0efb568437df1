//! `gitlab`.

use passgate::provider::{Email, Error, Identity, Verified};
use serde_json::json;

use super::{Checker, assert_not_allowed, checker};
use crate::support::provider::{
    Fake, Fault, Person,
    gitlab::{GITLAB, JWKS, TOKEN_INFO, USER},
};

const NAME: &str = "gitlab";

async fn started() -> (Fake, Checker) {
    let gitlab = Fake::start(&GITLAB).await;
    let checker = checker(&[&gitlab.yaml_with("audiences: [mobile], trust_email: true")]);
    (gitlab, checker)
}

fn ada() -> Person {
    Person::new("1001").email("ada@example.test")
}

#[tokio::test]
async fn both_kinds_of_token_name_one_person() {
    let (gitlab, checker) = started().await;
    let identity = Identity {
        subject: "1001".to_owned(),
        email: Some(Email { address: "ada@example.test".to_owned(), verified: Verified::Yes }),
        username: "ada-l".to_owned(),
        first_name: "Ada".to_owned(),
        last_name: "Lovelace".to_owned(),
    };
    let token = gitlab.user(&ada());
    assert_eq!(checker.identify(NAME, &token).await.as_ref(), Ok(&identity));
    for path in [TOKEN_INFO, USER] {
        assert_eq!(gitlab.asked(path)[0].header("Authorization"), Some(&*format!("Bearer {token}")), "{path}");
    }
    let by_id_token = checker.identify(NAME, &gitlab.id_token(&ada())).await.unwrap();
    assert_eq!((by_id_token.subject, by_id_token.email), (identity.subject, identity.email));
    assert_eq!((&*by_id_token.username, &*by_id_token.first_name), ("ada", ""), "it has no names");
    assert_eq!((gitlab.calls(JWKS), gitlab.calls(USER)), (1, 1));
}

#[tokio::test]
async fn our_apps_are_those_of_the_configuration() {
    let (gitlab, checker) = started().await;
    assert!(checker.identify(NAME, &gitlab.user_of("mobile", &ada())).await.is_ok());
    let token = gitlab.id_token_with(&ada(), |claims| claims["aud"] = json!("mobile"));
    assert!(checker.identify(NAME, &token).await.is_ok());
    for personal in [json!(null), json!({ "uid": null }), json!({})] {
        gitlab.fails(TOKEN_INFO, Fault::edited(move |info| info["application"] = personal.clone()));
        assert_not_allowed(&checker.identify(NAME, &gitlab.user(&ada())).await, "a personal access token");
    }
}

#[tokio::test]
async fn a_token_without_the_scope_is_refused() {
    let (gitlab, checker) = started().await;
    gitlab.fails(USER, Fault::Status(403));
    assert_not_allowed(&checker.identify(NAME, &gitlab.user(&ada())).await, "read_user is missing");
}

#[tokio::test]
async fn an_address_is_verified_once_it_is_confirmed() {
    let (gitlab, checker) = started().await;
    let verified = async || {
        let identity = checker.identify(NAME, &gitlab.user(&ada())).await.unwrap();
        identity.email.map(|email| email.verified)
    };
    assert_eq!(verified().await, Some(Verified::Yes));
    gitlab.fails(USER, Fault::edited(|user| user["confirmed_at"] = json!(null)));
    assert_eq!(verified().await, Some(Verified::No));
    gitlab.fails(USER, Fault::edited(|user| drop(user.as_object_mut().unwrap().remove("confirmed_at"))));
    assert_eq!(verified().await, Some(Verified::No));
    for said in [json!(false), json!(null)] {
        let token = gitlab.id_token_with(&ada(), |claims| claims["email_verified"] = said.clone());
        let email = checker.identify(NAME, &token).await.unwrap().email;
        assert_eq!(email.map(|email| email.verified), Some(Verified::No), "{said}");
    }
}

#[tokio::test]
async fn a_gitlab_of_one_s_own_may_confirm_whatever_is_typed_unless_it_is_trusted() {
    let gitlab = Fake::start(&GITLAB).await;
    for settings in ["", "trust_email: false"] {
        let checker = checker(&[&gitlab.yaml_with(settings)]);
        for token in [gitlab.user(&ada()), gitlab.id_token(&ada())] {
            let identity = checker.identify(NAME, &token).await.unwrap();
            let unverified = Email { address: "ada@example.test".to_owned(), verified: Verified::No };
            assert_eq!((&*identity.subject, identity.email), ("1001", Some(unverified)), "{settings}");
        }
    }
}

#[tokio::test]
async fn a_gitlab_is_its_own_issuer_and_may_stand_beneath_a_path() {
    let gitlab = Fake::start(&GITLAB).await;
    let own = gitlab.claims(&ada())["iss"].as_str().unwrap().to_owned();
    let at = |base: &str| {
        checker(&[&format!("gitlab: {{ client_id: {}, endpoints: {{ base: '{base}' }} }}", GITLAB.client_id)])
    };
    for base in [own.clone(), format!("{own}/")] {
        assert!(at(&base).identify(NAME, &gitlab.id_token(&ada())).await.is_ok(), "{base}");
        for other in ["https://gitlab.com", &format!("{own}/git"), &format!("{own}/")] {
            let token = gitlab.id_token_with(&ada(), |claims| claims["iss"] = json!(other));
            assert_not_allowed(&at(&base).identify(NAME, &token).await, other);
        }
    }
    let (beneath, keys) = (at(&format!("{own}/git/")), "/git/oauth/discovery/keys");
    assert_not_allowed(&beneath.identify(NAME, &gitlab.id_token(&ada())).await, "of the one above");
    assert_eq!(gitlab.calls(keys), 0);
    let token = gitlab.id_token_with(&ada(), |claims| claims["iss"] = json!(format!("{own}/git")));
    assert_eq!(beneath.identify(NAME, &token).await, Err(Error::Status(401)), "there are no keys beneath");
    assert_eq!(gitlab.calls(keys), 1);
}
