//! Sign In with LinkedIn: introspection, userinfo, and the keys of its ID tokens.

use serde_json::{Value, json};

use super::{
    NOW, Person,
    server::Asked,
    wire::{AccessTokens, Accounts, IdTokens, Wire},
};

pub const CLIENT_ID: &str = "78abcdefghijkl";
pub const CLIENT_SECRET: &str = "li-secret";

pub const INTROSPECTION: &str = "/oauth/v2/introspectToken";
pub const USERINFO: &str = "/v2/userinfo";

pub const LINKEDIN: Wire = Wire {
    name: "linkedin-openidconnect",
    client_id: CLIENT_ID,
    settings: "client_secret: li-secret",
    endpoints: &[("jwks", "/oauth/openid/jwks"), ("introspection", INTROSPECTION), ("userinfo", USERINFO)],
    namespace: "",
    access_tokens: Some(AccessTokens {
        prefix: "AQUvlL_DYEzvT2wz1QJiEPeLioeA",
        steps: &[INTROSPECTION, USERINFO],
        ids: &[(USERINFO, "/sub")],
        tell_app: true,
        respond,
    }),
    id_tokens: Some(IdTokens {
        issuer: Some("https://www.linkedin.com/oauth"),
        jwks: "/oauth/openid/jwks",
        subject: "sub",
        claims,
        key: |_| (),
    }),
};

fn respond(asked: &Asked, accounts: &Accounts) -> (u16, Value) {
    match asked.path.as_str() {
        INTROSPECTION if asked.field("client_id") != CLIENT_ID => (400, json!({ "error": "invalid_client_id" })),
        INTROSPECTION if asked.field("client_secret") != CLIENT_SECRET => (401, json!({ "error": "invalid_client" })),
        INTROSPECTION => match accounts.signed_in(asked.field("token")) {
            Some((_, app)) if app == CLIENT_ID => (
                200,
                json!({
                    "active": true, "client_id": app, "authorized_at": NOW, "created_at": NOW, "status": "active",
                    "expires_at": NOW + 5_184_000, "scope": "email,openid,profile", "auth_type": "3L",
                }),
            ),
            _ => (400, json!({ "error": "invalid_request", "error_description": "Invalid access token" })),
        },
        USERINFO => match accounts.bearer(asked) {
            Some((person, _)) => {
                let mut claims = person.claims();
                claims["locale"] = json!({ "country": "US", "language": "en" });
                (200, claims)
            }
            None => (
                401,
                json!({ "status": 401, "serviceErrorCode": 65600, "code": "INVALID_ACCESS_TOKEN", "message": "Invalid access token" }),
            ),
        },
        _ => (404, json!({ "status": 404, "message": "No virtual resource found" })),
    }
}

/// Truth is text here.
fn claims(person: &Person, claims: &mut Value) {
    if person.email.is_some() {
        claims["email_verified"] = person.verified.to_string().into();
    }
}
