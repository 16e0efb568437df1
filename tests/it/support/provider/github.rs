//! GitHub's REST API, as far as sign-in goes.

use serde_json::{Value, json};

use super::{
    Person,
    server::Asked,
    wire::{AccessTokens, Accounts, Wire},
};

pub const CLIENT_ID: &str = "Iv1.8a61f9b3a7aba766";
pub const CLIENT_SECRET: &str = "gh-secret";

pub const TOKEN: &str = "/applications/Iv1.8a61f9b3a7aba766/token";
pub const USER: &str = "/user";
pub const EMAILS: &str = "/user/emails";

pub const GITHUB: Wire = Wire {
    name: "github",
    client_id: CLIENT_ID,
    settings: "client_secret: gh-secret",
    endpoints: &[("api", "")],
    namespace: "",
    access_tokens: Some(AccessTokens {
        prefix: "gho_16C7e42F292c69",
        steps: &[TOKEN, USER, EMAILS],
        ids: &[(TOKEN, "/user/id"), (USER, "/id")],
        tell_app: true,
        respond,
    }),
    id_tokens: None,
};

fn respond(asked: &Asked, accounts: &Accounts) -> (u16, Value) {
    let person = accounts.bearer(asked).map(|(person, _)| person);
    match (asked.path.as_str(), person) {
        (TOKEN, _) => token(asked, accounts),
        (USER, Some(person)) => (200, user(&person, true)),
        // Without the scope it is as if there were no such thing.
        (EMAILS, Some(Person { email: Some(email), verified, .. })) => (
            200,
            json!([
                { "email": "old@example.test", "primary": false, "verified": true, "visibility": null },
                { "email": email, "primary": true, "verified": verified, "visibility": "private" },
                { "email": "1+ada@users.noreply.example.test", "primary": false, "verified": true, "visibility": null },
            ]),
        ),
        (USER | EMAILS, None) => refusal(401, "Bad credentials"),
        _ => refusal(404, "Not Found"),
    }
}

fn token(asked: &Asked, accounts: &Accounts) -> (u16, Value) {
    if asked.basic != Some((CLIENT_ID.to_owned(), CLIENT_SECRET.to_owned())) {
        return refusal(401, "Bad credentials");
    }
    let Some(token) = asked.json["access_token"].as_str().filter(|token| !token.is_empty()) else {
        return refusal(422, "Validation Failed");
    };
    match accounts.signed_in(token) {
        Some((person, app)) if app == CLIENT_ID => (
            200,
            json!({
                "id": 1, "url": "https://api.github.com/authorizations/1", "scopes": ["user:email"], "token": token,
                "token_last_eight": "12345678", "hashed_token": "25f94a2a5c7fbaf499c665bc73d67c1c",
                "app": { "name": "Café", "url": "https://example.test", "client_id": app },
                "note": null, "note_url": null, "fingerprint": null, "created_at": "2026-01-01T00:00:00Z",
                "updated_at": "2026-01-01T00:00:00Z", "user": user(&person, false),
            }),
        ),
        _ => refusal(404, "Not Found"),
    }
}

/// A person, by whole or in short.
fn user(person: &Person, whole: bool) -> Value {
    let id: u64 = person.id.parse().expect("ids are numbers");
    let mut user = json!({
        "login": "ada-l", "id": id, "node_id": "MDQ6VXNlcjE=", "gravatar_id": "", "type": "User", "site_admin": false,
        "url": "https://api.github.com/users/ada-l", "html_url": "https://github.com/ada-l",
    });
    if whole {
        user["name"] = person.name.as_str().into();
        // Of the public profile, and another one.
        user["email"] = "public@example.test".into();
        user["company"] = Value::Null;
    }
    user
}

fn refusal(status: u16, message: &str) -> (u16, Value) {
    let documentation = "https://docs.github.com/rest";
    (status, json!({ "message": message, "documentation_url": documentation, "status": status.to_string() }))
}
