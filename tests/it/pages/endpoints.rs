//! docs/endpoints.md: held against the OpenAPI document, and its `curl` lines run.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use passgate::{
    account::{self, List},
    api, identity,
};
use serde_json::Value;

use super::root;
use crate::support::process::{Serving, free_port, passgate};

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

/// In a copy of what they need of the repository, as they stand but for the ports.
#[tokio::test]
async fn the_curl_lines_of_the_page_work() {
    let directory = tempfile::tempdir().unwrap();
    let file = |path: &str| directory.path().join(path);
    fs::create_dir_all(file("config")).unwrap();
    fs::create_dir_all(file("target/debug")).unwrap();
    fs::copy(root().join("config/quickstart.yaml"), file("config/quickstart.yaml")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_passgate"), file("target/debug/passgate")).unwrap();
    let (port, admin) = (free_port(), free_port());
    let address = |port: u16| format!("127.0.0.1:{port}");
    let mut serve = passgate();
    serve.args(["--config", "config/quickstart.yaml"]);
    serve.env("PASSGATE__SERVER__LISTEN", address(port)).env("PASSGATE__ADMIN__LISTEN", address(admin));
    let _serving = Serving::start_as(&mut serve, directory.path(), port).await;

    let page = page();
    let blocks: Vec<_> = page.split("```sh\n").skip(1).filter_map(|block| block.split("```").next()).collect();
    assert!(blocks.len() > 15, "the page has its lines in blocks of `sh`");
    let lines = blocks.concat().replace("127.0.0.1:8080", &address(port)).replace("127.0.0.1:9090", &address(admin));
    assert_eq!(lines.matches("8080").count() + lines.matches("9090").count(), 0, "{lines}");
    // Whatever is refused ends it.
    let script = format!("set -eu\ncurl() {{ command curl --fail --max-time 30 \"$@\"; }}\n{lines}");
    let run = || Command::new("bash").args(["-x", "-c", &script]).current_dir(directory.path()).output();
    let output = run().expect("bash and curl are there");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (told, steps) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{told}\n{steps}");
    for part in ["HTTP/1.1 201", "\"current\":true", "\"active\":true", "\"x-forwarded-email\"", "passgate_store_state"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
}
