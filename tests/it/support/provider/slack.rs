//! Sign in with Slack: ID tokens.

use serde_json::{Value, json};

use super::{
    Person,
    wire::{IdTokens, Wire},
};

pub const CLIENT_ID: &str = "25259531569.1115229121";

/// Of a workspace.
pub const TEAM: &str = "T0RR";

pub const SLACK: Wire = Wire {
    name: "slack",
    client_id: CLIENT_ID,
    settings: "",
    endpoints: &[("jwks", "/openid/connect/keys")],
    namespace: "T0RR:",
    access_tokens: None,
    id_tokens: Some(IdTokens {
        issuer: Some("https://slack.com"),
        jwks: "/openid/connect/keys",
        subject: "https://slack.com/user_id",
        claims,
        key: |_| (),
    }),
};

fn claims(person: &Person, claims: &mut Value) {
    for (claim, value) in [
        ("https://slack.com/user_id", json!(person.id)),
        ("https://slack.com/team_id", json!(TEAM)),
        ("sub", json!("U0R7MFMJM")),
        ("at_hash", json!("tUbyWGBHe0V32FJEupkgVQ")),
        ("auth_time", claims["iat"].clone()),
        ("locale", json!("en-US")),
        ("https://slack.com/team_image_default", json!(true)),
    ] {
        claims[claim] = value;
    }
    if person.email.is_some() {
        claims["date_email_verified"] = 1_622_128_723.into();
    }
}
