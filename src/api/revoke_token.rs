//! `POST revoke-token`: ends the session of the bearer. Other sessions go on, and a `token` in the body is
//! not looked at.

use std::sync::Arc;

use axum::{extract::State, routing::post};
use http::StatusCode;
use utoipa::ToSchema;

use super::{
    Api, Caller,
    body::{Body, Fields},
    endpoint::{Endpoint, operations},
    error::Error,
    guard::{Access, User},
    openapi::refusals::{UnauthorizedOrInvalidClient, WrongFields},
};
use crate::{
    authn::Rejection,
    oauth::client::{Basic, Credentials},
};

/// Most characters of a `client_id`.
const MAX_CLIENT_ID: usize = 200;

pub(super) fn endpoint() -> Endpoint {
    Endpoint {
        path: "revoke-token",
        name: "Revoke token",
        description: "Ends the session of the bearer token.",
        access: Access::User,
        allow: "POST, OPTIONS",
        methods: post(revoke),
        operations: operations![revoke],
    }
}

/// The client that the session is with.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is read field by field")]
struct ClientFields {
    #[schema(max_length = 200)]
    client_id: String,
    /// Of a client that has one.
    client_secret: Option<String>,
}

#[utoipa::path(
    post, path = "/revoke-token", tag = "oauth", operation_id = "revokeToken",
    request_body = ClientFields,
    responses(
        (status = 204, description = "The session has ended."),
        (status = 400, response = WrongFields),
        (status = 401, response = UnauthorizedOrInvalidClient),
    ),
)]
async fn revoke(State(api): State<Arc<Api>>, user: User, caller: Caller, body: Body) -> Result<StatusCode, Error> {
    let mut fields = body.fields()?;
    let id = client_id(&mut fields).map_err(|text| Error::Fields(vec![("client_id", text)]))?;
    if api.oauth.clients.find(&id).is_none() {
        return Err(Error::bad_request("The application for this client_id does not exist."));
    }
    // The bearer takes the place of Basic, so a secret can only be in the body.
    let secret =
        fields.optional("client_secret").map_err(|text| Error::Fields(vec![("client_secret", text.into())]))?;
    let client = api.oauth.clients.authenticate(&Credentials { basic: Basic::Absent, id: Some(id), secret })?;
    let claims = &user.principal.claims;
    if client.id != claims.client {
        return Err(Error::bad_request("The token was issued to another application."));
    }
    if api.oauth.revoke(claims.session, user.account.id, &client.id, &caller).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Error::Unauthorized(Rejection::Revoked))
    }
}

fn client_id(fields: &mut Fields) -> Result<String, String> {
    let id = fields.required("client_id").map_err(ToOwned::to_owned)?;
    match id.expose().trim() {
        "" => Err("This field may not be blank.".to_owned()),
        id if id.chars().count() > MAX_CLIENT_ID => {
            Err(format!("Ensure this field has no more than {MAX_CLIENT_ID} characters."))
        }
        id if id.contains('\0') => Err("Null characters are not allowed.".to_owned()),
        id => Ok(id.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::FromRequest;

    use super::*;

    async fn read(json: String) -> Result<String, String> {
        let request = http::Request::builder().header("content-type", "application/json").body(json.into()).unwrap();
        client_id(&mut Body::from_request(request, &()).await.ok().unwrap().fields().ok().unwrap())
    }

    #[tokio::test]
    async fn the_client_id_is_judged_as_a_field() {
        for (json, text) in [
            ("{}".to_owned(), "This field is required."),
            (r#"{"client_id":null}"#.to_owned(), "This field may not be null."),
            (r#"{"client_id":true}"#.to_owned(), "Not a valid string."),
            (r#"{"client_id":"  "}"#.to_owned(), "This field may not be blank."),
            (r#"{"client_id":"a\u0000b"}"#.to_owned(), "Null characters are not allowed."),
            (format!(r#"{{"client_id":"{}"}}"#, "é".repeat(201)), "Ensure this field has no more than 200 characters."),
        ] {
            assert_eq!(read(json.clone()).await, Err(text.to_owned()), "{json}");
        }
        assert_eq!(read(r#"{"client_id":" web "}"#.to_owned()).await.as_deref(), Ok("web"));
        assert!(read(format!(r#"{{"client_id":"{}"}}"#, "é".repeat(200))).await.is_ok());
    }
}
