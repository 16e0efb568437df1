//! `slack`.

use passgate::provider::{Email, Identity, Verified};
use serde_json::{Value, json};

use super::{Checker, assert_not_allowed, checker};
use crate::support::provider::{
    Fake, Person,
    slack::{SLACK, TEAM},
};

const NAME: &str = "slack";
const TEAM_ID: &str = "https://slack.com/team_id";
const USER_ID: &str = "https://slack.com/user_id";

async fn started() -> (Fake, Checker) {
    let slack = Fake::start(&SLACK).await;
    let checker = checker(&[&slack.yaml()]);
    (slack, checker)
}

fn ada() -> Person {
    Person::new("U0JM0JM0J").email("ada@example.test").named("Ada Lovelace")
}

#[tokio::test]
async fn a_person_is_a_user_within_a_workspace() {
    let (slack, checker) = started().await;
    let identity = checker.identify(NAME, &slack.id_token(&ada())).await.unwrap();
    assert_eq!(
        identity,
        Identity {
            subject: format!("{TEAM}:U0JM0JM0J"),
            email: Some(Email { address: "ada@example.test".to_owned(), verified: Verified::Yes }),
            username: "ada".to_owned(),
            first_name: "Ada".to_owned(),
            last_name: "Lovelace".to_owned(),
        }
    );
    // Another workspace may have somebody under the same id.
    let token = slack.id_token_with(&ada(), |claims| claims[TEAM_ID] = json!("T0SS"));
    assert_eq!(checker.identify(NAME, &token).await.unwrap().subject, "T0SS:U0JM0JM0J");
}

#[tokio::test]
async fn a_user_without_a_workspace_is_nobody() {
    let (slack, checker) = started().await;
    for (claim, value) in [
        (TEAM_ID, json!(null)),
        (TEAM_ID, json!("")),
        (TEAM_ID, json!(1)),
        (TEAM_ID, json!("T0\nRR")),
        (TEAM_ID, json!("x".repeat(250))),
        // Else it could be that of another workspace and another user.
        (TEAM_ID, json!("T0RR:U0")),
        (USER_ID, json!("")),
        (USER_ID, json!(null)),
    ] {
        let token = slack.id_token_with(&ada(), |claims| claims[claim] = value.clone());
        assert_not_allowed(&checker.identify(NAME, &token).await, &format!("{claim}: {value}"));
    }
    for claim in [TEAM_ID, USER_ID] {
        let without = |claims: &mut Value| drop(claims.as_object_mut().unwrap().remove(claim));
        assert_not_allowed(&checker.identify(NAME, &slack.id_token_with(&ada(), without)).await, claim);
    }
}
