//! docs/endpoints.md: held against the OpenAPI document, and its `curl` lines run.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use passgate::{
    account::{self, List},
    api, identity,
};
use serde_json::Value;

use super::{
    root,
    shell::{QuickStart, blocks},
};

fn page() -> String {
    fs::read_to_string(root().join("docs/endpoints.md")).unwrap()
}

fn document() -> Value {
    let accounts = account::Settings {
        registration: true,
        sign_in_after_registration: true,
        reclaim_unverified: false,
        list: List::Staff,
    };
    let settings = api::Settings { public_url: "https://gate.example".to_owned(), accounts, converts: true };
    serde_json::from_slice(&api::description(&settings, "/api-auth")).unwrap()
}

/// `METHOD /path` and the operation.
fn operations(document: &Value) -> BTreeMap<String, &Value> {
    let mut found = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let base = if item["servers"].is_array() { "" } else { "/api-auth" };
        for method in ["get", "post", "put", "patch", "delete"] {
            if item[method].is_object() {
                found.insert(format!("{} {base}{path}", method.to_uppercase()), &item[method]);
            }
        }
    }
    found
}

/// What stands below each heading of an endpoint, by the heading.
fn sections(page: &str) -> BTreeMap<&str, &str> {
    let parts = page.split("\n## ").flat_map(|chapter| chapter.split("\n### ").skip(1));
    let parts = parts.filter_map(|part| part.split_once('\n'));
    parts.filter(|(title, _)| title.starts_with(|c: char| c.is_ascii_uppercase()) && title.contains(" /")).collect()
}

/// The first cell of each row, with the rest.
fn rows(section: &str) -> impl Iterator<Item = (&str, &str)> {
    section.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |"))
}

#[test]
fn the_page_has_the_endpoints_that_there_are_with_their_fields_and_answers() {
    let (page, document) = (page(), document());
    let (operations, sections) = (operations(&document), sections(&page));
    assert_eq!(sections.keys().copied().collect::<Vec<_>>(), operations.keys().collect::<Vec<_>>());
    for (name, operation) in operations {
        let section = sections[&*name];
        let told: BTreeSet<_> = rows(section)
            .filter(|(cell, _)| cell.starts_with(|c: char| c.is_ascii_digit()))
            .flat_map(|(cell, _)| cell.split(", "))
            .collect();
        let answers: BTreeSet<_> = operation["responses"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(told, answers, "the answers of {name}");

        let body = operation["requestBody"]["content"].as_object().and_then(|content| content.values().next());
        let body = body.and_then(|body| body["schema"]["$ref"].as_str()).and_then(|to| document.pointer(&to[1..]));
        let required = body.map(|body| body["required"].as_array().cloned().unwrap_or_default()).unwrap_or_default();
        let fields = body.and_then(|body| body["properties"].as_object()).into_iter().flatten();
        let fields: BTreeMap<_, _> =
            fields.map(|(field, _)| (field.clone(), required.contains(&field.clone().into()))).collect();
        let told = section.split_once("| field |").map(|(_, table)| table.split("\n\n").next().unwrap());
        let told = rows(told.unwrap_or_default()).filter(|(cell, _)| cell.starts_with('`'));
        let told =
            told.map(|(cell, rest)| (cell.trim_matches('`').to_owned(), rest.trim_start().starts_with("required")));
        assert_eq!(told.collect::<BTreeMap<_, _>>(), fields, "the fields of {name}, and which are required");
    }
}

#[test]
fn the_page_has_every_error_and_every_identity_header() {
    let (page, document) = (page(), document());
    let codes = document["components"]["schemas"]["OAuthErrorCode"]["enum"].as_array().unwrap();
    let of_errors = page.split("### OAuth errors").nth(1).unwrap().split("\n## ").next().unwrap();
    let told: BTreeSet<_> =
        rows(of_errors).map(|(cell, _)| cell.trim_matches('`')).filter(|cell| *cell != "error").collect();
    let told: BTreeSet<_> = told.into_iter().filter(|cell| !cell.starts_with('-')).collect();
    assert_eq!(told, codes.iter().map(|code| code.as_str().unwrap()).collect());

    let table = page.split("## Identity headers").nth(1).unwrap().split("\n\n").nth(2).unwrap().to_lowercase();
    let title: Vec<_> =
        table.lines().next().unwrap().split(" | ").map(|cell| cell.trim_matches(['`', ' ', '|'])).collect();
    for (name, preset) in identity::Preset::ALL {
        let column = title.iter().position(|cell| *cell == name).unwrap();
        let told: BTreeSet<_> = table.lines().skip(2).map(|row| row.split(" | ").nth(column).unwrap()).collect();
        let told: BTreeSet<_> = told.into_iter().map(|cell| cell.trim_matches(['`', ' ', '|']).to_owned()).collect();
        let sent: BTreeSet<_> = preset.headers().into_iter().map(|(header, _)| header.to_string()).collect();
        assert_eq!(told, sent, "{name}");
    }
}

#[tokio::test]
async fn the_curl_lines_of_the_page_work() {
    let page = page();
    let blocks = blocks(&page);
    assert!(blocks.len() > 15, "the page has its lines in blocks of `sh`");
    // Whatever is refused ends it.
    let told = QuickStart::start().await.run(&blocks.concat(), "--fail");
    for part in ["HTTP/1.1 201", "\"current\":true", "\"active\":true", "\"x-forwarded-email\"", "passgate_store_state"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
}
