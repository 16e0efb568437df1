//! What the description of an operation need not say, because it follows from its endpoint.

use std::collections::BTreeSet;

use utoipa::{
    ToResponse,
    openapi::{
        AllOf, Components, Content, Object, ObjectBuilder, OpenApi, PathItem, Ref, RefOr, Schema,
        path::Operation,
        schema::{AdditionalProperties, ArrayItems},
        security::SecurityRequirement,
        server::Server,
    },
};

use super::{
    BEARER,
    refusals::{Forbidden, TooLarge, Unauthorized, Unavailable, UnsupportedMediaType},
};
use crate::{
    account::List,
    api::{Settings, body, endpoint::Endpoint, guard::Access},
};

/// Completes what `own` has of `endpoint`: its texts, where it is, who may call it, and the refusals of the way
/// there. An answer that a handler describes for itself stands.
pub(super) fn operations(own: &mut OpenApi, endpoint: &Endpoint, settings: &Settings) {
    for item in own.paths.paths.values_mut() {
        if endpoint.path.starts_with('/') {
            item.servers = Some(vec![Server::new(&settings.public_url)]);
        }
        let mut operations = operations_of(item);
        for operation in &mut operations {
            take_bodies_alike(operation);
            guard(operation, endpoint.access, settings.accounts.list);
            if endpoint.access != Access::Open || operation.request_body.is_some() {
                refusal::<Unavailable>(operation, "503");
            }
        }
        let (name, description) = (Some(endpoint.name.to_owned()), Some(endpoint.description.to_owned()));
        if let [only] = operations.as_mut_slice() {
            (only.summary, only.description) = (name, description);
        } else {
            (item.summary, item.description) = (name, description);
        }
    }
}

/// Those of an item that there are.
pub(super) fn operations_of(item: &mut PathItem) -> Vec<&mut Operation> {
    let PathItem { get, post, put, patch, delete, .. } = item;
    [get, post, put, patch, delete].into_iter().flatten().collect()
}

/// A body described as JSON may be of every type that [`body`] reads.
fn take_bodies_alike(operation: &mut Operation) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    let Some(content) = body.content.values().next().cloned() else { return };
    body.content.extend(body::MEDIA_TYPES.map(|media_type| (media_type.to_owned(), content.clone())));
    refusal::<TooLarge>(operation, "413");
    refusal::<UnsupportedMediaType>(operation, "415");
}

/// What the guard asks for and how it refuses.
fn guard(operation: &mut Operation, access: Access, list: List) {
    if access == Access::Open {
        // Said, where it is nothing: a reader cannot tell silence from an oversight.
        operation.security.get_or_insert_default();
        return;
    }
    let mut security = vec![SecurityRequirement::new(BEARER, [""; 0])];
    if access == Access::Listing {
        refusal::<Forbidden>(operation, "403");
        if list == List::Public {
            security.push(SecurityRequirement::default());
        }
    }
    operation.security = Some(security);
    refusal::<Unauthorized>(operation, "401");
}

fn refusal<R: ToResponse<'static>>(operation: &mut Operation, status: &str) {
    let reference = || RefOr::Ref(Ref::from_response_name(R::response().0));
    operation.responses.responses.entry(status.to_owned()).or_insert_with(reference);
}

/// Closes all objects but request bodies: what we answer has no members beyond those described, what we are sent
/// may have.
pub(super) fn schemas(whole: &mut OpenApi) {
    let mut sent = BTreeSet::new();
    for operation in whole.paths.paths.values_mut().flat_map(operations_of) {
        if let Some(RefOr::T(body)) = &operation.request_body {
            sent.extend(body.content.values().filter_map(referred));
        }
    }
    let Some(components) = &mut whole.components else { return };
    let parts = components.clone();
    for (name, schema) in &mut components.schemas {
        if let RefOr::T(Schema::AllOf(all_of)) = schema
            && let Some(object) = joined(all_of, &parts)
        {
            *schema = object.into();
        }
        if !sent.contains(&*Ref::from_schema_name(name).ref_location) {
            close(schema);
        }
    }
}

/// Where the schema of a body is, when it is a component.
fn referred(body: &RefOr<Content>) -> Option<String> {
    match body {
        RefOr::T(Content { schema: Some(RefOr::Ref(reference)), .. }) => Some(reference.ref_location.clone()),
        _ => None,
    }
}

/// A type that has another one's members among its own, as one object: as two they could not both be closed.
fn joined(all_of: &AllOf, components: &Components) -> Option<Object> {
    let mut whole = ObjectBuilder::new().description(all_of.description.clone()).build();
    for part in &all_of.items {
        let part = match part {
            RefOr::T(schema) => schema,
            RefOr::Ref(reference) => {
                let named = |name: &&String| Ref::from_schema_name(*name).ref_location == reference.ref_location;
                match components.schemas.get(components.schemas.keys().find(named)?)? {
                    RefOr::T(schema) => schema,
                    RefOr::Ref(_) => return None,
                }
            }
        };
        let Schema::Object(part) = part else { return None };
        whole.properties.extend(part.properties.clone());
        whole.required.extend(part.required.clone());
    }
    Some(whole)
}

fn close(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            if !object.properties.is_empty() {
                object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
            }
            object.properties.values_mut().for_each(close);
        }
        RefOr::T(Schema::Array(array)) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                close(items);
            }
        }
        RefOr::T(Schema::OneOf(one_of)) => one_of.items.iter_mut().for_each(close),
        _ => {}
    }
}
