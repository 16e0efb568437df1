//! X, formerly Twitter: whose token it is, and nothing about the app.

use serde_json::{Value, json};

use super::{
    server::Asked,
    wire::{AccessTokens, Accounts, Wire},
};

pub const ME: &str = "/2/users/me";

pub const TWITTER: Wire = Wire {
    name: "twitter-oauth2",
    client_id: "rG9n6402A3dbUJKzXTNX4oWHJ",
    settings: "accept_any_app: true",
    endpoints: &[("api", "/2")],
    namespace: "",
    access_tokens: Some(AccessTokens {
        prefix: "Q0Mzb0VhZ0V5dmNXSTEyNER2MFNfVW50RzdXdTN6STFxQlVk",
        steps: &[ME],
        ids: &[(ME, "/data/id")],
        tell_app: false,
        respond,
    }),
    id_tokens: None,
};

/// A person without an address has not let the app have one: the scope is missing.
fn respond(asked: &Asked, accounts: &Accounts) -> (u16, Value) {
    let problem = |kind: &str| format!("https://api.twitter.com/2/problems/{kind}");
    let Some((person, _)) = accounts.bearer(asked) else {
        return (
            401,
            json!({ "title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized" }),
        );
    };
    let wants_email = asked.field("user.fields").split(',').any(|field| field == "confirmed_email");
    if asked.path != ME {
        return (404, json!({ "title": "Not Found", "type": problem("resource-not-found"), "status": 404 }));
    }
    if wants_email && person.email.is_none() {
        let detail = "Missing required OAuth2 scopes: users.email";
        return (
            403,
            json!({ "title": "Missing OAuth2 Scopes", "type": problem("missing-scopes"), "status": 403, "detail": detail }),
        );
    }
    let mut user = json!({ "id": person.id, "name": person.name, "username": "ada_l" });
    if wants_email && person.verified {
        user["confirmed_email"] = person.email.into();
    }
    (200, json!({ "data": user }))
}
