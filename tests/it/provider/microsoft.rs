//! `microsoft` and `microsoft-graph`.

use passgate::provider::{Email, Identity, Verified};
use serde_json::{Value, json};

use super::{Checker, assert_not_allowed, checker};
use crate::support::provider::{
    Fake, Fault, Person,
    microsoft::{JWKS, MICROSOFT, MICROSOFT_GRAPH, PERSONAL, TENANT, issuer},
};

const NAME: &str = "microsoft";

async fn started(settings: &str) -> (Fake, Checker) {
    let microsoft = Fake::start(&MICROSOFT).await;
    let checker = checker(&[&microsoft.yaml_with(settings)]);
    (microsoft, checker)
}

fn ada() -> Person {
    Person::new("AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ").email("ada@contoso.example.test")
}

/// Of another tenant, all through.
fn of_tenant(claims: &mut Value, tenant: &str) {
    claims["iss"] = json!(issuer(tenant));
    claims["tid"] = json!(tenant);
}

#[tokio::test]
async fn a_person_is_a_subject_within_a_tenant() {
    let (microsoft, checker) = started("").await;
    let identity = checker.identify(NAME, &microsoft.id_token(&ada())).await.unwrap();
    assert_eq!(
        identity,
        Identity {
            subject: format!("{TENANT}:{}", ada().id),
            email: Some(Email { address: "ada@contoso.example.test".to_owned(), verified: Verified::Yes }),
            username: "ada.l".to_owned(),
            first_name: "Ada".to_owned(),
            last_name: "Lovelace".to_owned(),
        }
    );
    // Somebody else's tenant may name anybody by the same subject.
    let token = microsoft.id_token_with(&ada(), |claims| of_tenant(claims, "82229342-1101-4ab6-817b-70c0747630f3"));
    let other = checker.identify(NAME, &token).await.unwrap();
    assert_ne!(other.subject, identity.subject);
}

#[tokio::test]
async fn a_token_agrees_with_itself_on_its_tenant() {
    let (microsoft, checker) = started("").await;
    for (claim, value) in [
        ("tid", json!(PERSONAL)),
        ("tid", json!(null)),
        ("tid", json!("")),
        ("tid", json!(TENANT.to_uppercase())),
        ("tid", json!("common")),
        ("iss", json!(issuer("common"))),
        ("iss", json!(issuer("{tenantid}"))),
        ("iss", json!(issuer(&TENANT.to_uppercase()))),
        ("iss", json!(format!("https://sts.windows.net/{TENANT}/"))),
        ("iss", json!(format!("https://login.microsoftonline.com.evil.test/{TENANT}/v2.0"))),
    ] {
        let token = microsoft.id_token_with(&ada(), |claims| claims[claim] = value.clone());
        assert_not_allowed(&checker.identify(NAME, &token).await, &format!("{claim}: {value}"));
    }
}

#[tokio::test]
async fn an_access_token_for_an_api_of_ours_is_no_id_token() {
    let (microsoft, checker) = started("audiences: [spa]").await;
    let with = |claims: Value| {
        microsoft
            .id_token_with(&ada(), |token| token.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone()))
    };
    for access_token in [
        json!({ "azp": "evil-app", "azpacr": "1", "scp": "user_impersonation" }),
        json!({ "azp": "evil-app" }),
        // Of our own apps, which call that API: whoever is called could sign in as the caller.
        json!({ "azp": MICROSOFT.client_id, "azpacr": "0", "scp": "user_impersonation" }),
        json!({ "azp": "spa", "azpacr": "0", "scp": "user_impersonation" }),
        json!({ "scp": "user_impersonation" }),
        json!({ "azp": "spa", "roles": ["Orders.Write"] }),
        json!({ "azp": "spa", "azpacr": "2" }),
        json!({ "idtyp": "app" }),
        json!({ "idtyp": "user" }),
    ] {
        assert_not_allowed(&checker.identify(NAME, &with(access_token.clone())).await, &access_token.to_string());
    }
    // A person's roles in our app stand in ID tokens as well.
    for id_token in [json!({ "roles": ["Admin"] }), json!({ "azp": MICROSOFT.client_id })] {
        assert!(checker.identify(NAME, &with(id_token.clone())).await.is_ok(), "{id_token}");
    }
}

#[tokio::test]
async fn a_key_signs_for_the_issuer_that_it_is_published_for() {
    let (microsoft, checker) = started("").await;
    // The keys of personal accounts stand in the same set.
    microsoft.fails(JWKS, Fault::edited(|set| set["keys"][0]["issuer"] = json!(issuer(PERSONAL))));
    assert_not_allowed(&checker.identify(NAME, &microsoft.id_token(&ada())).await, "a company's tenant");
    let token = microsoft.id_token_with(&ada(), |claims| of_tenant(claims, PERSONAL));
    assert!(checker.identify(NAME, &token).await.is_ok());
}

#[tokio::test]
async fn one_tenant_may_be_all_that_is_taken() {
    let (microsoft, checker) = started(&format!("tenant: {}", TENANT.to_uppercase())).await;
    assert!(checker.identify(NAME, &microsoft.id_token(&ada())).await.is_ok());
    for other in [PERSONAL, "82229342-1101-4ab6-817b-70c0747630f3"] {
        let token = microsoft.id_token_with(&ada(), |claims| of_tenant(claims, other));
        assert_not_allowed(&checker.identify(NAME, &token).await, other);
    }
}

#[tokio::test]
async fn an_address_is_what_a_tenant_says_unless_microsoft_knows_better() {
    let unstated = |claims: &mut Value| drop(claims.as_object_mut().unwrap().remove("xms_edov"));
    let personal = |claims: &mut Value| {
        unstated(claims);
        of_tenant(claims, PERSONAL);
    };
    let refuted = |claims: &mut Value| claims["xms_edov"] = json!(false);
    let text = |claims: &mut Value| claims["xms_edov"] = json!("1");
    // Not the claim that other providers have: whoever runs a tenant can have it say anything.
    let claimed = |claims: &mut Value| {
        unstated(claims);
        claims["email_verified"] = json!(true);
    };
    let trusting = format!("tenant: {TENANT}, trust_email: true");
    let cases = [
        ("", &unstated as &dyn Fn(&mut Value), Verified::No),
        ("", &claimed, Verified::No),
        ("", &refuted, Verified::No),
        ("", &text, Verified::Yes),
        ("", &personal, Verified::Yes),
        (&format!("tenant: {TENANT}"), &unstated, Verified::No),
        (&trusting, &unstated, Verified::Yes),
        (&trusting, &refuted, Verified::No),
    ];
    for (settings, edit, verified) in cases {
        let (microsoft, checker) = started(settings).await;
        let identity = checker.identify(NAME, &microsoft.id_token_with(&ada(), edit)).await.unwrap();
        assert_eq!(identity.email.map(|email| email.verified), Some(verified), "{settings}");
    }
}

#[tokio::test]
async fn its_older_name_is_another_provider_of_the_same_kind() {
    let graph = Fake::start(&MICROSOFT_GRAPH).await;
    let checker = checker(&[&graph.yaml(), &Fake::start(&MICROSOFT).await.yaml()]);
    assert!(checker.identify("microsoft-graph", &graph.id_token(&ada())).await.is_ok());
    assert_eq!(checker.providers.names().collect::<Vec<_>>(), ["microsoft", "microsoft-graph"]);
}

#[tokio::test]
async fn a_person_is_called_what_they_sign_in_with() {
    let (microsoft, checker) = started("").await;
    for (name, username) in
        [(json!("bob@x.example.test"), "bob"), (json!("bob"), "bob"), (json!(""), "ada"), (json!(null), "ada")]
    {
        let token = microsoft.id_token_with(&ada(), |claims| claims["preferred_username"] = name.clone());
        assert_eq!(checker.identify(NAME, &token).await.unwrap().username, username, "{name}");
    }
}
