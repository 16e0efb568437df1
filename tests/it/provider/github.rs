//! `github`.

use passgate::provider::{Email, Error, Identity, Verified};
use serde_json::json;

use super::{Checker, assert_not_allowed, checker};
use crate::support::provider::{
    Fake, Fault, Person,
    github::{CLIENT_ID, EMAILS, GITHUB, TOKEN, USER},
};

const NAME: &str = "github";

async fn started() -> (Fake, Checker) {
    let github = Fake::start(&GITHUB).await;
    let checker = checker(&[&github.yaml()]);
    (github, checker)
}

fn ada() -> Person {
    Person::new("583231").email("ada@example.test")
}

fn identity_of_ada() -> Identity {
    Identity {
        subject: "583231".to_owned(),
        email: Some(Email { address: "ada@example.test".to_owned(), verified: Verified::Yes }),
        username: "ada-l".to_owned(),
        first_name: "Ada".to_owned(),
        last_name: "Lovelace".to_owned(),
    }
}

#[tokio::test]
async fn our_app_asks_whose_token_it_is_before_the_token_is_used() {
    let (github, checker) = started().await;
    let token = github.user(&ada());
    assert_eq!(checker.identify(NAME, &token).await, Ok(identity_of_ada()));
    let [asked, user, emails] = [TOKEN, USER, EMAILS].map(|path| github.asked(path).remove(0));
    assert_eq!(asked.line(), format!("POST {TOKEN} HTTP/1.1"));
    assert_eq!(asked.body, json!({ "access_token": token }).to_string().into_bytes());
    assert_eq!(asked.header("Content-Type"), Some("application/json"));
    assert_eq!(emails.target(), "/user/emails?per_page=100");
    for request in [&user, &emails] {
        assert_eq!(request.header("Authorization"), Some(&*format!("Bearer {token}")));
    }
    for request in [asked, user, emails] {
        assert_eq!(request.header("Accept"), Some("application/vnd.github+json"));
        assert_eq!(request.header("X-GitHub-Api-Version"), Some("2022-11-28"));
        assert!(request.header("User-Agent").is_some(), "GitHub answers nobody without");
    }
}

#[tokio::test]
async fn another_app_s_token_is_refused_whatever_github_says_of_it() {
    let (github, checker) = started().await;
    let token = github.user(&ada());
    for app in [json!("Iv1.another"), json!(CLIENT_ID.to_lowercase()), json!("")] {
        github.fails(TOKEN, Fault::edited(move |told| told["app"]["client_id"] = app.clone()));
        assert_not_allowed(&checker.identify(NAME, &token).await, "another app");
    }
    github.fails(TOKEN, Fault::edited(|told| told["user"] = json!(null)));
    assert_not_allowed(&checker.identify(NAME, &token).await, "nobody's");
    for status in [404, 422] {
        github.fails(TOKEN, Fault::Status(status));
        assert_not_allowed(&checker.identify(NAME, &token).await, "unknown to GitHub");
    }
    assert_eq!(github.calls(USER), 0);
}

#[tokio::test]
async fn a_wrong_secret_of_ours_is_not_the_token_s_fault() {
    let github = Fake::start(&GITHUB).await;
    let checker = checker(&[&github.yaml_with("client_secret: wrong")]);
    assert_eq!(checker.identify(NAME, &github.user(&ada())).await, Err(Error::Status(401)));
}

#[tokio::test]
async fn the_address_is_the_primary_one_if_the_token_gives_access_to_it() {
    let (github, checker) = started().await;
    let email = async |person: &Person| checker.identify(NAME, &github.user(person)).await.unwrap().email;
    let unverified = Email { address: "ada@example.test".to_owned(), verified: Verified::No };
    assert_eq!(email(&ada().unverified()).await, Some(unverified));
    assert_eq!(email(&Person::new("1")).await, None, "without the scope");
    github.fails(EMAILS, Fault::Status(403));
    assert_eq!(email(&ada()).await, None, "without the permission");
    github.fails(EMAILS, Fault::edited(|list| list[1]["primary"] = json!(false)));
    assert_eq!(email(&ada()).await, None, "none is the primary one");
    github.fails(EMAILS, Fault::Body("[]".to_owned()));
    assert_eq!(email(&ada()).await, None);
}

#[tokio::test]
async fn a_person_need_not_have_a_name() {
    let (github, checker) = started().await;
    github.fails(USER, Fault::edited(|user| user["name"] = json!(null)));
    let identity = checker.identify(NAME, &github.user(&ada())).await.unwrap();
    assert_eq!((&*identity.username, &*identity.first_name, &*identity.last_name), ("ada-l", "", ""));
}
