use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use utoipa::openapi::{AllOfBuilder, ObjectBuilder, Ref, RefOr, Schema};

use super::*;
use crate::{
    account::{self, List},
    api::{description, endpoints},
};

fn settings(list: List) -> Settings {
    let accounts =
        account::Settings { registration: true, sign_in_after_registration: true, reclaim_unverified: false, list };
    Settings { public_url: "https://auth.example.test".to_owned(), accounts, converts: true }
}

fn described(list: List) -> Value {
    serde_json::from_slice(&description(&settings(list), "/base")).unwrap()
}

/// Path, method and operation of all that is described.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let beside = ["summary", "description", "servers"];
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let members = item.as_object().unwrap().iter().filter(|(name, _)| !beside.contains(&name.as_str()));
        found.extend(members.map(|(method, operation)| (path.as_str(), method.as_str(), operation)));
    }
    found
}

/// Calls `see` with every object in `value`, itself included.
fn walk<'a>(value: &'a Value, see: &mut impl FnMut(&'a serde_json::Map<String, Value>)) {
    match value {
        Value::Object(members) => {
            see(members);
            members.values().for_each(|member| walk(member, see));
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, see)),
        _ => {}
    }
}

#[test]
fn what_is_mounted_is_described_and_nothing_else() {
    let mut mounted = BTreeSet::new();
    for endpoint in endpoints(&settings(List::Staff), "/base") {
        let path =
            if endpoint.path.starts_with('/') { endpoint.path.to_owned() } else { format!("/{}", endpoint.path) };
        let methods = endpoint.allow.split(", ").filter(|method| !["HEAD", "OPTIONS"].contains(method));
        mounted.extend(methods.map(|method| (path.clone(), method.to_ascii_lowercase())));
    }
    let document = described(List::Staff);
    let described: BTreeSet<_> =
        operations(&document).into_iter().map(|(path, method, _)| (path.to_owned(), method.to_owned())).collect();
    assert_eq!(described, mounted);
}

#[test]
fn every_operation_has_a_name_of_its_own_and_a_group() {
    let document = described(List::Staff);
    let groups: Vec<_> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut names = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let tags = operation["tags"].as_array().unwrap();
        assert!(tags.len() == 1 && groups.contains(&&tags[0]), "{method} {path}: {tags:?}");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path}");
        let name = operation["operationId"].as_str().unwrap();
        assert!(names.insert(name), "{name} names two operations");
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_used() {
    let document = described(List::Staff);
    let mut used = BTreeSet::new();
    walk(&document, &mut |object| {
        if let Some(Value::String(reference)) = object.get("$ref") {
            assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
            used.insert(reference.clone());
        }
    });
    for kind in ["schemas", "responses"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            assert!(used.contains(&format!("#/components/{kind}/{name}")), "nothing refers to {kind}/{name}");
        }
    }
}

#[test]
fn a_name_stands_for_one_schema() {
    let mut seen = BTreeMap::new();
    let own = endpoints(&settings(List::Staff), "/base").into_iter().map(|endpoint| endpoint.operations);
    for (name, schema) in own.chain([Shared::openapi as fn() -> _]).flat_map(|own| own().components.unwrap().schemas) {
        let schema = json!(schema);
        let earlier = seen.insert(name.clone(), schema.clone());
        assert!(earlier.is_none_or(|earlier| earlier == schema), "{name} is the name of two types");
    }
}

#[test]
fn bodies_are_read_as_any_type_and_take_what_they_do_not_know_and_answers_are_told_whole() {
    let document = described(List::Staff);
    let mut sent = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let Some(content) = operation["requestBody"]["content"].as_object() else { continue };
        assert_eq!(content.len(), 3, "{method} {path}");
        sent.extend(content.values().map(|body| body["schema"]["$ref"].as_str().unwrap()));
        assert!(operation["responses"]["413"].is_object() && operation["responses"]["415"].is_object());
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let open = sent.contains(&*format!("#/components/schemas/{name}"));
        walk(schema, &mut |object| {
            if object.contains_key("properties") {
                assert_eq!(object.get("additionalProperties"), (!open).then_some(&json!(false)), "{name}");
            }
        });
    }
}

#[test]
fn who_may_call_and_how_others_are_refused_follows_from_the_endpoint() {
    let bearer = json!({ "bearer": [] });
    for (list, listing) in
        [(List::Staff, json!([bearer])), (List::Authenticated, json!([bearer])), (List::Public, json!([bearer, {}]))]
    {
        let document = described(list);
        let operation = |path: &str, method: &str| &document["paths"][path][method];
        let all = operation("/all/", "get");
        assert_eq!(all["security"], listing);
        for (status, refusal) in [("401", "Unauthorized"), ("403", "Forbidden"), ("503", "Unavailable")] {
            assert_eq!(all["responses"][status]["$ref"], format!("#/components/responses/{refusal}"));
        }
        assert_eq!(operation("/revoke-token", "post")["security"], json!([bearer]));
        assert_eq!(operation("/token", "post")["security"], json!([{}, { "client": [] }]));
        let own = &operation("/token", "post")["responses"]["503"]["$ref"];
        assert_eq!(own, "#/components/responses/OAuthUnavailable", "what a handler says itself stands");
        let open = operation("/openapi.json", "get");
        assert_eq!((&open["security"], open["responses"].as_object().unwrap().len()), (&json!([]), 1));
    }
}

#[test]
fn it_is_told_where_it_is_and_what_it_is() {
    let document = described(List::Staff);
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["title"], "Passgate");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(document["info"]["license"]["identifier"], env!("CARGO_PKG_LICENSE"));
    assert_eq!(document["servers"], json!([{ "url": "https://auth.example.test/base" }]));
    let root = json!([{ "url": "https://auth.example.test" }]);
    assert_eq!(document["paths"]["/.well-known/jwks.json"]["servers"], root);
}

#[test]
fn a_header_that_is_always_sent_is_required() {
    let document = described(List::Staff);
    let header = |refusal: &str, name: &str| document["components"]["responses"][refusal]["headers"][name].clone();
    assert_eq!(header("Unauthorized", "WWW-Authenticate"), json!({ "schema": { "type": "string" }, "required": true }));
    assert_eq!(header("InvalidClient", "WWW-Authenticate"), json!({ "schema": { "type": "string" } }));
    assert_eq!(header("Unavailable", "Retry-After")["required"], true);
}

#[test]
fn members_taken_in_from_another_type_are_closed_together_with_the_rest() {
    let object = |member: &str| ObjectBuilder::new().property(member, Ref::from_schema_name("A")).required(member);
    let mut whole = Shared::openapi();
    let components = whole.components.as_mut().unwrap();
    components.schemas.insert("A".to_owned(), object("a").into());
    let both = AllOfBuilder::new().item(Ref::from_schema_name("A")).item(object("b"));
    components.schemas.insert("B".to_owned(), RefOr::T(Schema::AllOf(both.build())));
    complete::schemas(&mut whole);
    let reference = json!({ "$ref": "#/components/schemas/A" });
    assert_eq!(
        json!(whole.components.unwrap().schemas["B"]),
        json!({
            "type": "object", "required": ["a", "b"], "properties": { "a": reference, "b": reference },
            "additionalProperties": false,
        })
    );
}
