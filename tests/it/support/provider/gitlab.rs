//! A GitLab: token/info, the user, and the keys of its ID tokens.

use serde_json::{Value, json};

use super::{
    Person,
    server::Asked,
    wire::{AccessTokens, Accounts, IdTokens, Wire},
};

pub const CLIENT_ID: &str = "5c1a8f2d7be94c0f";

pub const TOKEN_INFO: &str = "/oauth/token/info";
pub const USER: &str = "/api/v4/user";
pub const JWKS: &str = "/oauth/discovery/keys";

pub const GITLAB: Wire = Wire {
    name: "gitlab",
    client_id: CLIENT_ID,
    // It is not gitlab.com.
    settings: "trust_email: true",
    endpoints: &[("base", "")],
    namespace: "",
    access_tokens: Some(AccessTokens {
        prefix: "8a61f9b3a7aba766",
        steps: &[TOKEN_INFO, USER],
        ids: &[(TOKEN_INFO, "/resource_owner_id"), (USER, "/id")],
        tell_app: true,
        respond,
    }),
    id_tokens: Some(IdTokens { issuer: None, jwks: JWKS, subject: "sub", claims, key: |_| () }),
};

fn respond(asked: &Asked, accounts: &Accounts) -> (u16, Value) {
    let Some((person, app)) = accounts.bearer(asked) else {
        return (401, json!({ "error": "invalid_token", "error_description": "The access token is invalid" }));
    };
    let id: u64 = person.id.parse().expect("ids are numbers");
    match asked.path.as_str() {
        TOKEN_INFO => (
            200,
            json!({
                "resource_owner_id": id, "scope": ["read_user"], "expires_in": 7200, "application": { "uid": app },
                "created_at": 1_799_999_999, "scopes": ["read_user"], "expires_in_seconds": 7200,
            }),
        ),
        USER => (
            200,
            json!({
                "id": id, "username": "ada-l", "name": person.name, "state": "active", "locked": false, "bot": false,
                "web_url": "https://gitlab.example.test/ada-l", "created_at": "2024-11-02T09:20:00.000Z",
                "public_email": "public@example.test", "email": person.email, "external": false,
                "confirmed_at": person.verified.then_some("2024-11-02T09:21:10.000Z"),
                "commit_email": person.email, "two_factor_enabled": true, "identities": [],
            }),
        ),
        _ => (404, json!({ "error": "404 Not Found" })),
    }
}

/// Names are in userinfo only.
fn claims(_: &Person, claims: &mut Value) {
    for name in ["name", "given_name", "family_name", "picture", "locale"] {
        claims.as_object_mut().expect("claims are an object").remove(name);
    }
    claims["sub_legacy"] = "cf1e7b2a".into();
    claims["auth_time"] = claims["iat"].clone();
    claims["groups_direct"] = json!(["cafe"]);
}
