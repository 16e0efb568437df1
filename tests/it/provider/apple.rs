//! `apple-id`.

use passgate::provider::{Email, Identity, Verified};
use serde_json::json;

use super::checker;
use crate::support::provider::{Fake, Person, apple::APPLE};

#[tokio::test]
async fn an_id_token_names_a_person_who_has_no_name() {
    let apple = Fake::start(&APPLE).await;
    let checker = checker(&[&apple.yaml_with("audiences: [test.example.cafe.ios]")]);
    let ada = Person::new("001234.fdcc5b2a1d9f4d3e.0815").email("dpdcnf87nu@privaterelay.appleid.com");
    let identity = Identity {
        subject: "001234.fdcc5b2a1d9f4d3e.0815".to_owned(),
        email: Some(Email { address: "dpdcnf87nu@privaterelay.appleid.com".to_owned(), verified: Verified::Yes }),
        username: "dpdcnf87nu".to_owned(),
        first_name: String::new(),
        last_name: String::new(),
    };
    for (claim, value) in
        [("email_verified", json!("true")), ("email_verified", json!(true)), ("aud", json!("test.example.cafe.ios"))]
    {
        let token = apple.id_token_with(&ada, |claims| claims[claim] = value.clone());
        assert_eq!(checker.identify("apple-id", &token).await.as_ref(), Ok(&identity), "{claim}: {value}");
    }
    for said in [json!("false"), json!(false)] {
        let token = apple.id_token_with(&ada, |claims| claims["email_verified"] = said.clone());
        let email = checker.identify("apple-id", &token).await.unwrap().email;
        assert_eq!(email.map(|email| email.verified), Some(Verified::No), "{said}");
    }
}
