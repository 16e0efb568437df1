//! `twitter-oauth2`.

use passgate::provider::{Email, Error, Identity, Verified};
use serde_json::json;

use super::{Checker, assert_not_allowed, checker};
use crate::support::provider::{
    Fake, Fault, Person,
    twitter::{ME, TWITTER},
};

const NAME: &str = "twitter-oauth2";

async fn started() -> (Fake, Checker) {
    let twitter = Fake::start(&TWITTER).await;
    let checker = checker(&[&twitter.yaml()]);
    (twitter, checker)
}

fn ada() -> Person {
    Person::new("2244994945").email("ada@example.test")
}

fn identity_of_ada() -> Identity {
    Identity {
        subject: "2244994945".to_owned(),
        email: Some(Email { address: "ada@example.test".to_owned(), verified: Verified::Yes }),
        username: "ada_l".to_owned(),
        first_name: "Ada".to_owned(),
        last_name: "Lovelace".to_owned(),
    }
}

#[tokio::test]
async fn an_access_token_speaks_for_whom_x_names() {
    let (twitter, checker) = started().await;
    assert_eq!(checker.identify(NAME, &twitter.user(&ada())).await, Ok(identity_of_ada()));
    assert_eq!(twitter.asked(ME)[0].target(), "/2/users/me?user.fields=confirmed_email");
    assert_eq!(twitter.calls(ME), 1);
}

#[tokio::test]
async fn an_address_is_there_when_it_is_confirmed_and_the_app_may_know_it() {
    let (twitter, checker) = started().await;
    let unconfirmed = checker.identify(NAME, &twitter.user(&ada().unverified())).await;
    assert_eq!(unconfirmed, Ok(Identity { email: None, ..identity_of_ada() }));
    assert_eq!(twitter.calls(ME), 1);
    let without_scope = checker.identify(NAME, &twitter.user(&Person::new("2244994945"))).await;
    assert_eq!(without_scope, Ok(Identity { email: None, ..identity_of_ada() }));
    let asked: Vec<_> = twitter.asked(ME).into_iter().map(|asked| asked.target().contains("confirmed_email")).collect();
    assert_eq!(asked, [true, true, false], "asked again without it");
}

#[tokio::test]
async fn a_token_that_x_refuses_is_refused() {
    let (twitter, checker) = started().await;
    for status in [401, 403] {
        twitter.fails(ME, Fault::Status(status));
        assert_not_allowed(&checker.identify(NAME, &twitter.user(&ada())).await, "refused by X");
    }
    for data in [json!(null), json!([]), json!({ "id": 1 })] {
        twitter.fails(ME, Fault::edited(move |answer| answer["data"] = data.clone()));
        let outcome = checker.identify(NAME, &twitter.user(&ada())).await;
        assert!(matches!(outcome, Err(Error::Unreadable(_))), "{outcome:?}");
    }
}
