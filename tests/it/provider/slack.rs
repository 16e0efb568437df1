//! `slack`.

use passgate::provider::{Email, Identity, Verified};

use super::checker;
use crate::support::provider::{Fake, Person, slack::SLACK};

#[tokio::test]
async fn an_id_token_names_a_person_by_slack_s_own_id() {
    let slack = Fake::start(&SLACK).await;
    let checker = checker(&[&slack.yaml()]);
    let ada = Person::new("U0JM0JM0J").email("ada@example.test").named("Ada Lovelace");
    assert_eq!(
        checker.identify("slack", &slack.id_token(&ada)).await,
        Ok(Identity {
            subject: "U0JM0JM0J".to_owned(),
            email: Some(Email { address: "ada@example.test".to_owned(), verified: Verified::Yes }),
            username: "ada".to_owned(),
            first_name: "Ada".to_owned(),
            last_name: "Lovelace".to_owned(),
        })
    );
}
