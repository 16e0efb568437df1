//! `discord`.

use passgate::provider::{Email, Identity, Verified};
use serde_json::json;

use super::{Checker, assert_not_allowed, checker};
use crate::support::provider::{
    Fake, Fault, Person,
    discord::{AUTHORIZATION, DISCORD, USER},
};

const NAME: &str = "discord";

async fn started() -> (Fake, Checker) {
    let discord = Fake::start(&DISCORD).await;
    let checker = checker(&[&discord.yaml_with("audiences: ['80351110224678912']")]);
    (discord, checker)
}

fn ada() -> Person {
    Person::new("80351110224678913").email("ada@example.test")
}

#[tokio::test]
async fn an_access_token_of_an_app_of_ours_speaks_for_its_owner() {
    let (discord, checker) = started().await;
    let identity = Identity {
        subject: "80351110224678913".to_owned(),
        email: Some(Email { address: "ada@example.test".to_owned(), verified: Verified::Yes }),
        username: "ada.l".to_owned(),
        first_name: "Ada".to_owned(),
        last_name: "Lovelace".to_owned(),
    };
    for app in [DISCORD.client_id, "80351110224678912"] {
        assert_eq!(checker.identify(NAME, &discord.user_of(app, &ada())).await.as_ref(), Ok(&identity));
    }
    for app in ["", "159799960412356609", "0159799960412356608"] {
        assert_not_allowed(&checker.identify(NAME, &discord.user_of(app, &ada())).await, app);
    }
}

#[tokio::test]
async fn a_token_that_does_not_say_whose_it_is_is_refused() {
    let (discord, checker) = started().await;
    discord.fails(AUTHORIZATION, Fault::edited(|told| drop(told.as_object_mut().unwrap().remove("user"))));
    assert_not_allowed(&checker.identify(NAME, &discord.user(&ada())).await, "without the scope identify");
}

#[tokio::test]
async fn an_address_counts_as_verified_only_if_discord_says_so() {
    let (discord, checker) = started().await;
    for said in [json!(false), json!(null)] {
        discord.fails(USER, Fault::edited(move |user| user["verified"] = said.clone()));
        let identity = checker.identify(NAME, &discord.user(&ada())).await.unwrap();
        assert_eq!(identity.email.map(|email| email.verified), Some(Verified::No));
    }
    discord.fails(USER, Fault::edited(|user| drop(user.as_object_mut().unwrap().remove("verified"))));
    let identity = checker.identify(NAME, &discord.user(&ada())).await.unwrap();
    assert_eq!(identity.email.map(|email| email.verified), Some(Verified::No));
    discord.fails(USER, Fault::edited(|user| (user["email"], user["global_name"]) = (json!(null), json!(null))));
    let identity = checker.identify(NAME, &discord.user(&ada())).await.unwrap();
    assert_eq!((identity.email, &*identity.first_name, &*identity.last_name), (None, "", ""));
}
