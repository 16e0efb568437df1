//! `GET openapi.json`: these endpoints as an OpenAPI 3.1 document, put together from what each says of itself.
//!
//! A handler tells its answers, and its request body where it has one, in `#[utoipa::path(…)]`. What follows
//! from its [`Endpoint`], and from the way that every request takes, is added by [`complete`].

mod complete;
pub(super) mod refusals;

use axum::routing::{MethodRouter, get};
use bytes::Bytes;
use utoipa::{
    OpenApi, ToSchema,
    openapi::{
        self, Components,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
        server::Server,
    },
};

use super::{
    Settings,
    endpoint::{Endpoint, operations},
    error,
    guard::Access,
    well_known,
};

/// Access tokens, among the document's security schemes.
const BEARER: &str = "bearer";
/// HTTP Basic, the same. The other way to authenticate a client is two fields of the body.
const CLIENT: &str = "client";

/// What all endpoints share.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Passgate",
        description = "What Passgate answers by itself.\n\n\
            Request bodies may be JSON, a form or multipart alike; fields that are not described are ignored. \
            `HEAD` works where `GET` does, `OPTIONS` tells what an endpoint is for, any other method is 405 and says \
            in `Allow` which are offered. A path described with a slash at its end is 301 without it; one described \
            without is the same with it. What is not described is 404.\n\n\
            Refusals have one of three shapes, told apart by their key: field lists, `error`, `detail`. A request \
            that is refused before it comes to an endpoint, because it cannot be read or is too large, gets a \
            `detail` with a `request_id` beside it. 500 is a mistake of Passgate's own.",
    ),
    tags(
        (name = "accounts", description = "Signing up, and who is signed in."),
        (name = "oauth", description = "Tokens: getting them and ending them."),
        (name = "documents", description = "For those who verify our tokens or call our endpoints."),
    ),
    components(schemas(error::Detail, error::OAuthError, error::FieldLists)),
)]
struct Shared;

/// OpenAPI 3.1 section 4.8.1, the members that this document has.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what utoipa serialises")]
struct OpenApiDocument {
    #[schema(pattern = r"^3\.1\.")]
    openapi: String,
    #[schema(value_type = Object)]
    info: (),
    #[schema(value_type = Vec<Object>)]
    servers: (),
    #[schema(value_type = Object)]
    paths: (),
    #[schema(value_type = Object)]
    components: (),
    #[schema(value_type = Vec<Object>)]
    tags: (),
}

/// The endpoint that describes `others` and itself.
pub(super) fn endpoint(others: &[Endpoint], settings: &Settings, base_path: &str) -> Endpoint {
    let mut endpoint = Endpoint {
        path: "openapi.json",
        name: "OpenAPI",
        description: "This document.",
        access: Access::Open,
        allow: "GET, HEAD, OPTIONS",
        methods: MethodRouter::new(),
        operations: operations![document],
    };
    let document = document(others.iter().chain([&endpoint]), settings, base_path);
    endpoint.methods = get(move || async move { well_known::document(document) });
    endpoint
}

/// The document that describes `endpoints`, below `base_path` (no trailing slash).
#[utoipa::path(
    get, path = "/openapi.json", tag = "documents", operation_id = "openapi",
    responses((status = 200, description = "OpenAPI 3.1.", body = OpenApiDocument)),
)]
#[expect(clippy::expect_used, reason = "plain members under fixed names always make JSON")]
pub(super) fn document<'a>(
    endpoints: impl IntoIterator<Item = &'a Endpoint>,
    settings: &Settings,
    base_path: &str,
) -> Bytes {
    serde_json::to_vec(&describe(endpoints, settings, base_path)).expect("a description is JSON").into()
}

fn describe<'a>(
    endpoints: impl IntoIterator<Item = &'a Endpoint>,
    settings: &Settings,
    base_path: &str,
) -> openapi::OpenApi {
    let mut whole = Shared::openapi();
    whole.servers = Some(vec![Server::new(format!("{}{base_path}", settings.public_url))]);
    let shared = whole.components.get_or_insert_default();
    shared.responses.extend(refusals::all().responses);
    add_security_schemes(shared);
    for endpoint in endpoints {
        let mut own = (endpoint.operations)();
        complete::operations(&mut own, endpoint, settings);
        whole.merge(own);
    }
    complete::schemas(&mut whole);
    whole
}

fn add_security_schemes(components: &mut Components) {
    let scheme = |scheme, description: &str| HttpBuilder::new().scheme(scheme).description(Some(description));
    let bearer = scheme(HttpAuthScheme::Bearer, "An access token (RFC 6750).").bearer_format("JWT");
    let client = scheme(
        HttpAuthScheme::Basic,
        "Client authentication (RFC 6749 section 2.3.1): by HTTP Basic, or with `client_id` and `client_secret` in \
         the body. A public client has no secret.",
    );
    for (name, scheme) in [(BEARER, bearer), (CLIENT, client)] {
        components.add_security_scheme(name, SecurityScheme::Http(scheme.build()));
    }
}

#[cfg(test)]
mod tests;
