//! `POST create/`: sign-up.
//!
//! With `sign_in_after_registration` the answer carries tokens, for the client that the request names and
//! proves as at the token endpoint, or, when it names none, for the first client of the configuration that may
//! use the password grant. Where there is none, the account is made and the answer is empty.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use http::{HeaderMap, StatusCode};
use utoipa::ToSchema;

use super::{
    Api, Caller,
    body::{Body, Fields},
    endpoint::{Endpoint, operations},
    error::Error,
    guard::Access,
    openapi::refusals::{ClientUnavailable, Forbidden, InvalidClient, SignUpThrottled, WrongFieldsOrClient},
    token,
};
use crate::{
    account::{Draft, Faults, RegisterError, Registration},
    oauth::{
        self,
        client::{Client, Grant},
    },
    secret::Secret,
    throttle::Event,
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint {
        path: "create/",
        name: "Create an account",
        description: "Sign-up with an email address and a password.",
        access: Access::Open,
        allow: "POST, OPTIONS",
        methods: post(create),
        operations: operations![create],
    }
}

#[utoipa::path(
    post, path = "/create/", tag = "accounts", security((), ("client" = [])),
    request_body = SignUpFields,
    responses(
        (status = 201, description = "The account was made. Tokens, or nothing where it is not signed in at once.",
            body = token::Answer),
        (status = 400, response = WrongFieldsOrClient),
        (status = 401, response = InvalidClient),
        (status = 403, response = Forbidden),
        (status = 429, response = SignUpThrottled),
        (status = 503, response = ClientUnavailable),
    ),
)]
async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    api.oauth.admit(Event::SignUp, &caller).await?;
    let mut fields = body.fields()?;
    let client = first_client(&api, &headers, &mut fields, &caller).await?;
    let failed = |_: &Error| caller.sign_up_failed();
    let registration = registration(&api, Sent::take(&mut fields)).await.inspect_err(failed)?;

    let (client, handle, first_session) = match client {
        Some(client) => {
            let (handle, session) = api.oauth.new_session(&client, client.scopes.clone(), &caller);
            (Some(client), Some(handle), Some(session))
        }
        None => (None, None, None),
    };
    let enrolment = api.accounts.prepare(registration, first_session).await.map_err(refusal).inspect_err(failed)?;
    let start = api.oauth.sign_up(enrolment, &caller).await.map_err(refusal).inspect_err(failed)?;

    let (Some(client), Some(handle), Some(start)) = (client, handle, start) else {
        return Ok(StatusCode::CREATED.into_response());
    };
    match api.oauth.issue(&client, &start, &handle) {
        Ok(tokens) => Ok((StatusCode::CREATED, Json(token::Answer::from(&tokens))).into_response()),
        // The account stands, and signing in is another try away: an error would tell its owner otherwise.
        Err(error) => {
            tracing::error!(%error, "a new account was made and got no tokens");
            Ok(StatusCode::CREATED.into_response())
        }
    }
}

/// The client that the new account is signed in with. One that the body names has to prove itself before anything
/// is made; Basic that proves none may be meant for somebody before us, and counts as absent.
async fn first_client(
    api: &Api,
    headers: &HeaderMap,
    fields: &mut Fields,
    caller: &Caller,
) -> Result<Option<Arc<Client>>, oauth::Error> {
    if !api.settings.accounts.sign_in_after_registration {
        return Ok(None);
    }
    let credentials = token::credentials(headers, fields)?;
    let named = credentials.id.is_some() || credentials.secret.is_some();
    if !named && credentials.named().is_none() {
        return Ok(api.oauth.clients.first_configured(Grant::Password));
    }
    match api.oauth.authenticate(&credentials, caller).await {
        Ok(client) if client.may_use(Grant::Password) => Ok(Some(client)),
        Ok(_) => Err(oauth::Error::UnauthorizedClient),
        Err(oauth::Error::InvalidClient { .. }) if !named => Ok(api.oauth.clients.first_configured(Grant::Password)),
        Err(error) => Err(error),
    }
}

/// A new account, and the client that it is to be signed in with.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is read field by field")]
struct SignUpFields {
    #[schema(max_length = 254)]
    email: String,
    /// What others may call the person: neither unique nor an identifier.
    #[schema(max_length = 150)]
    username: String,
    #[schema(max_length = 150)]
    first_name: String,
    #[schema(min_length = 8, max_length = 128)]
    password: String,
    /// Absent: the first that may sign in with a password.
    client_id: Option<String>,
    client_secret: Option<String>,
}

/// The fields as sent.
struct Sent {
    email: Option<Secret>,
    username: Option<Secret>,
    first_name: Option<Secret>,
    password: Option<Secret>,
    /// What is wrong with those that are absent or no text.
    wrong: Faults,
}

impl Sent {
    fn take(fields: &mut Fields) -> Self {
        let mut wrong = Faults::new();
        let mut take = |name| fields.required(name).map_err(|text| wrong.push((name, text.to_owned()))).ok();
        let [email, username, first_name, password] = ["email", "username", "first_name", "password"].map(&mut take);
        Self { email, username, first_name, password, wrong }
    }
}

/// A registration when every field is there; otherwise what is wrong with all of them, present ones too.
async fn registration(api: &Api, sent: Sent) -> Result<Registration, Error> {
    let Sent { email, username, first_name, password, mut wrong } = sent;
    match (email, username, first_name, password) {
        (Some(email), Some(username), Some(first_name), Some(password)) => Ok(Registration {
            email: email.expose().to_owned(),
            username: username.expose().to_owned(),
            first_name: first_name.expose().to_owned(),
            password,
        }),
        (email, username, first_name, password) => {
            let present = Draft {
                email: email.as_ref().map(Secret::expose),
                username: username.as_ref().map(Secret::expose),
                first_name: first_name.as_ref().map(Secret::expose),
                password: password.as_ref(),
            };
            wrong.extend(api.accounts.faults(present).await.map_err(refusal)?);
            Err(Error::Fields(wrong))
        }
    }
}

pub(super) fn refusal(error: RegisterError) -> Error {
    match error {
        RegisterError::Fields(faults) => Error::Fields(faults),
        RegisterError::Closed => Error::detail(StatusCode::FORBIDDEN, "Registration is closed."),
        RegisterError::Busy(busy) => busy.into(),
        RegisterError::Store(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::FromRequest;

    use super::*;

    async fn fields(json: &'static str) -> Fields {
        let request = http::Request::builder().header("content-type", "application/json").body(json.into()).unwrap();
        Body::from_request(request, &()).await.ok().unwrap().fields().ok().unwrap()
    }

    #[tokio::test]
    async fn absent_null_and_what_is_no_text_are_told_apart() {
        let sent = Sent::take(&mut fields(r#"{"email":null,"username":["x"],"password":12345678}"#).await);
        assert!(sent.email.is_none() && sent.username.is_none() && sent.first_name.is_none());
        assert_eq!(sent.password.unwrap().expose(), "12345678");
        let wrong: Vec<_> = sent.wrong.iter().map(|(field, text)| (*field, text.as_str())).collect();
        assert_eq!(
            wrong,
            [
                ("email", "This field may not be null."),
                ("username", "Not a valid string."),
                ("first_name", "This field is required."),
            ]
        );
    }

    #[test]
    fn closed_registration_is_403() {
        let Error::Detail(status, text) = refusal(RegisterError::Closed) else { panic!("no detail") };
        assert_eq!((status.as_u16(), &*text), (403, "Registration is closed."));
    }
}
