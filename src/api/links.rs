//! `GET links/`: the identities at providers by which the bearer's account signs in; `POST links/`: one more;
//! `POST disconnect-backend`: one less.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Api, Caller,
    body::Body,
    convert_token::{MAX_BACKEND, MAX_NONCE, MAX_TOKEN, refusal},
    endpoint::{Endpoint, operations},
    error::Error,
    form::Form,
    guard::{Access, User},
    openapi::refusals::{Conflict, ProofUnavailable, Throttled, WrongFields, WrongFieldsOrProof},
};
use crate::{
    authn::Rejection,
    model::{Link, LinkKey},
    oauth::ConvertError,
    provider::{Kind, Presented},
    secret::Secret,
    store::{DeleteLink, InsertLink},
    throttle::Event,
};

pub(super) fn links() -> Endpoint {
    Endpoint {
        path: "links/",
        name: "Links",
        description: "The identities at other providers by which the account signs in.",
        access: Access::User,
        allow: "GET, HEAD, POST, OPTIONS",
        methods: get(list).post(link),
        operations: operations![list, link],
    }
}

pub(super) fn disconnect_backend() -> Endpoint {
    Endpoint {
        path: "disconnect-backend",
        name: "Disconnect backend",
        description: "Removes an identity by which the account signs in.",
        access: Access::User,
        allow: "POST, OPTIONS",
        methods: post(disconnect),
        operations: operations![disconnect],
    }
}

/// An identity at a provider by which the account signs in.
#[derive(Serialize, ToSchema)]
#[schema(as = Link)]
struct Shown {
    association_id: i64,
    /// The provider's name.
    backend: String,
    /// What the provider calls the person by.
    uid: String,
    #[schema(format = "date-time")]
    created_at: String,
}

/// A provider's token as proof of an identity.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is read field by field")]
struct LinkFields {
    #[schema(max_length = 200)]
    backend: String,
    /// The provider's access token, or its ID token.
    #[schema(max_length = 5000)]
    token: String,
    /// What the ID token must have as its `nonce`.
    #[schema(max_length = 500)]
    nonce: Option<String>,
}

/// The link to be removed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is read field by field")]
struct DisconnectFields {
    #[schema(max_length = 200)]
    backend: String,
    association_id: i64,
}

impl From<Link> for Shown {
    fn from(link: Link) -> Self {
        let LinkKey { provider, subject } = link.key;
        Self { association_id: link.id, backend: provider, uid: subject, created_at: link.created_at.to_rfc3339() }
    }
}

/// The identities by which the account signs in.
#[utoipa::path(
    get, path = "/links/", tag = "accounts", operation_id = "links",
    responses((status = 200, description = "The links, the oldest first.", body = [Shown])),
)]
async fn list(State(api): State<Arc<Api>>, user: User) -> Result<Response, Error> {
    let links: Vec<Shown> = api.store.links(user.account.id).await?.into_iter().map(Shown::from).collect();
    Ok(Json(links).into_response())
}

/// Has the account sign in by one more identity.
#[utoipa::path(
    post, path = "/links/", tag = "accounts", operation_id = "link",
    request_body = LinkFields,
    responses(
        (status = 200, description = "The account had it.", body = Shown),
        (status = 201, description = "The account signs in by it from now on.", body = Shown),
        (status = 400, response = WrongFieldsOrProof),
        (status = 409, response = Conflict),
        (status = 429, response = Throttled),
        (status = 503, response = ProofUnavailable),
    ),
)]
async fn link(State(api): State<Arc<Api>>, user: User, caller: Caller, body: Body) -> Result<Response, Error> {
    let mut form = Form::new(body.fields()?);
    let proof = Proof::read(&mut form);
    form.finish()?;
    let failed = |reason| caller.link_failed(user.account.id, proof.backend(), reason);
    let key = proof.key(&api, &caller).await.inspect_err(|error| {
        if matches!(error, Error::Denied(..)) {
            failed("refused");
        }
    })?;
    match api.oauth.link(user.account.id, key, &caller).await? {
        InsertLink::Inserted(link) => Ok((StatusCode::CREATED, Json(Shown::from(link))).into_response()),
        InsertLink::Present(link) => Ok(Json(Shown::from(link)).into_response()),
        InsertLink::Taken => {
            failed("taken");
            Err(Error::detail(StatusCode::CONFLICT, "This account is already in use."))
        }
        InsertLink::NoAccount => Err(Error::Unauthorized(Rejection::Revoked)),
    }
}

#[utoipa::path(
    post, path = "/disconnect-backend", tag = "accounts", operation_id = "disconnectBackend",
    request_body = DisconnectFields,
    responses(
        (status = 204, description = "There is no such link of the account."),
        (status = 400, response = WrongFields),
    ),
)]
async fn disconnect(State(api): State<Arc<Api>>, user: User, caller: Caller, body: Body) -> Result<StatusCode, Error> {
    let mut form = Form::new(body.fields()?);
    let backend = form.text("backend", MAX_BACKEND);
    let id = form.integer("association_id");
    form.finish()?;
    if !api.oauth.providers.contains(backend.expose()) {
        return Err(Error::field("backend", "Invalid backend."));
    }
    match api.oauth.unlink(user.account.id, backend.expose().to_owned(), id, &caller).await? {
        DeleteLink::Deleted | DeleteLink::Unknown => Ok(StatusCode::NO_CONTENT),
        DeleteLink::LastWay => {
            Err(Error::bad_request("This social account cannot be disconnected because it is your only way to log in."))
        }
    }
}

/// A provider's token as proof of an identity.
pub(super) struct Proof {
    backend: Secret,
    token: Secret,
    nonce: Option<Secret>,
}

impl Proof {
    /// `backend`, `token` and perhaps `nonce`.
    pub(super) fn read(form: &mut Form) -> Self {
        let backend = form.text("backend", MAX_BACKEND);
        let token = form.text("token", MAX_TOKEN);
        Self { backend, token, nonce: form.optional("nonce", MAX_NONCE) }
    }

    /// The provider as it was named.
    fn backend(&self) -> &str {
        self.backend.expose()
    }

    /// Whose identity it proves.
    pub(super) async fn key(&self, api: &Api, caller: &Caller) -> Result<LinkKey, Error> {
        api.oauth.admit(Event::Convert, caller).await?;
        let nonce = self.nonce.as_ref().map(Secret::expose);
        let presented = Presented { token: &self.token, kind: Kind::Unsaid, nonce };
        let provider = self.backend.expose();
        let identity = match api.oauth.providers.identify(provider, &presented).await {
            None => Err(ConvertError::UnknownProvider),
            Some(Err(error)) => Err(ConvertError::Provider(error)),
            Some(Ok(identity)) => Ok(identity),
        };
        let subject = identity.map_err(refusal)?.subject;
        Ok(LinkKey { provider: provider.to_owned(), subject })
    }
}
