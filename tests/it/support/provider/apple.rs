//! Sign in with Apple: ID tokens.

use serde_json::{Value, json};

use super::{
    Person,
    wire::{IdTokens, Wire},
};

pub const CLIENT_ID: &str = "test.example.cafe";

pub const APPLE: Wire = Wire {
    name: "apple-id",
    client_id: CLIENT_ID,
    settings: "",
    endpoints: &[("jwks", "/auth/keys")],
    namespace: "",
    access_tokens: None,
    id_tokens: Some(IdTokens {
        issuer: Some("https://appleid.apple.com"),
        jwks: "/auth/keys",
        subject: "sub",
        claims,
        key: |_| (),
    }),
};

/// No names; and truth is text at times.
fn claims(person: &Person, claims: &mut Value) {
    for absent in ["name", "given_name", "family_name", "picture", "locale"] {
        claims.as_object_mut().expect("claims are an object").remove(absent);
    }
    if person.email.is_some() {
        claims["email_verified"] = person.verified.to_string().into();
    }
    claims["auth_time"] = claims["iat"].clone();
    claims["nonce_supported"] = json!(true);
}
