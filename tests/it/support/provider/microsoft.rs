//! The Microsoft identity platform: ID tokens (version 2.0) of accounts in some company's tenant.

use serde_json::{Value, json};

use super::{
    Person,
    wire::{IdTokens, Wire},
};

pub const CLIENT_ID: &str = "6731de76-14a6-49ae-97bc-6eba6914391e";
pub const TENANT: &str = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490";
/// Of personal accounts.
pub const PERSONAL: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

pub const JWKS: &str = "/common/discovery/v2.0/keys";

pub const MICROSOFT: Wire = Wire {
    name: "microsoft",
    client_id: CLIENT_ID,
    settings: "",
    endpoints: &[("jwks", JWKS)],
    namespace: "8eaef023-2b34-4da1-9baa-8bc8c9d6a490:",
    access_tokens: None,
    id_tokens: Some(IdTokens {
        issuer: Some("https://login.microsoftonline.com/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/v2.0"),
        jwks: JWKS,
        subject: "sub",
        claims,
        key,
    }),
};

pub const MICROSOFT_GRAPH: Wire = Wire { name: "microsoft-graph", ..MICROSOFT };

/// The issuer of a tenant's tokens.
pub fn issuer(tenant: &str) -> String {
    format!("https://login.microsoftonline.com/{tenant}/v2.0")
}

fn claims(person: &Person, claims: &mut Value) {
    for absent in ["given_name", "family_name", "email_verified", "picture", "locale"] {
        claims.as_object_mut().expect("claims are an object").remove(absent);
    }
    for (claim, value) in [
        ("ver", json!("2.0")),
        ("tid", json!(TENANT)),
        ("oid", json!("690222be-ff1a-4d56-abd1-7e4f7d38e474")),
        ("preferred_username", json!("ada.l@contoso.example.test")),
        ("nbf", claims["iat"].clone()),
        ("uti", json!("fqiBqXLPj0eQa82S-IYFAA")),
        ("rh", json!("0.AAAA")),
    ] {
        claims[claim] = value;
    }
    // An optional claim: not among those of most apps.
    if person.email.is_some() && person.verified {
        claims["xms_edov"] = true.into();
    }
}

fn key(key: &mut Value) {
    key.as_object_mut().expect("a key is an object").remove("alg");
    key["issuer"] = "https://login.microsoftonline.com/{tenantid}/v2.0".into();
    key["x5t"] = key["kid"].clone();
}
