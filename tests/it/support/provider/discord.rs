//! Discord's API, as far as sign-in goes.

use serde_json::{Value, json};

use super::{
    server::Asked,
    wire::{AccessTokens, Accounts, Wire},
};

pub const CLIENT_ID: &str = "159799960412356608";

pub const AUTHORIZATION: &str = "/api/v10/oauth2/@me";
pub const USER: &str = "/api/v10/users/@me";

pub const DISCORD: Wire = Wire {
    name: "discord",
    client_id: CLIENT_ID,
    settings: "",
    endpoints: &[("api", "/api/v10")],
    namespace: "",
    access_tokens: Some(AccessTokens {
        prefix: "6qrZcUqja7812RVdnEKjpzOL4CvHBFG",
        steps: &[AUTHORIZATION, USER],
        ids: &[(AUTHORIZATION, "/user/id"), (USER, "/id")],
        tell_app: true,
        respond,
    }),
    id_tokens: None,
};

fn respond(asked: &Asked, accounts: &Accounts) -> (u16, Value) {
    let Some((person, app)) = accounts.bearer(asked) else {
        return (401, json!({ "message": "401: Unauthorized", "code": 0 }));
    };
    let mut user = json!({
        "id": person.id, "username": "ada.l", "avatar": null, "discriminator": "0", "public_flags": 0, "flags": 0,
        "global_name": person.name, "banner": null, "accent_color": null, "clan": null,
    });
    match asked.path.as_str() {
        AUTHORIZATION => (
            200,
            json!({
                "application": {
                    "id": app, "name": "Café", "icon": null, "description": "", "hook": true, "bot_public": true,
                    "bot_require_code_grant": false, "verify_key": "1e0a356058d627ca38a5c8c9648818061d49e4",
                },
                "scopes": ["identify", "email"], "expires": "2027-01-22T00:00:00.000000+00:00", "user": user,
            }),
        ),
        USER => {
            user["mfa_enabled"] = true.into();
            user["locale"] = "en-GB".into();
            user["premium_type"] = 0.into();
            // With the scope only.
            if let Some(email) = person.email {
                user["email"] = email.into();
                user["verified"] = person.verified.into();
            }
            (200, user)
        }
        _ => (404, json!({ "message": "404: Not Found", "code": 0 })),
    }
}
