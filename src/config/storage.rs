//! `store` and `secrets`: where everything is kept, and what everything is sealed with.

use std::path::PathBuf;

use super::{
    redis_store::redis_store,
    section::{self, Section},
    tree::Value,
};
use crate::{master, secret::Secret, store};

/// As many characters as a random secret in base64 of 24 bytes.
const SHORTEST_MASTER: usize = 32;

/// `store`: exactly one.
pub(super) fn store(store: &mut Section<'_>) -> store::Settings {
    let mut written = None;
    for kind in ["sqlite", "postgres", "redis"] {
        if store.get(kind).is_none() {
            continue;
        }
        if let Some(other) = written.replace(kind) {
            store.flaw(kind, format!("`{other}` is here as well: one store is wanted"));
        } else if kind == "postgres" {
            store.flaw(
                kind,
                "this version has no PostgreSQL: `sqlite: { path: data/passgate.db }`, or `redis: { url }`",
            );
        }
    }
    if let Some(item) = store.get("postgres") {
        item.section(|server| server.secret("url", "url_file"));
    }
    let redis = store.get("redis").and_then(|item| item.section(redis_store));
    let sqlite = |sqlite: &mut Section<'_>| {
        sqlite.with("path", Value::plain("data/passgate.db"), |item| item.text(section::path))
    };
    let path = match (store.get("sqlite"), written) {
        (Some(item), _) => item.section(sqlite),
        (None, None) => store.section("sqlite", sqlite),
        (None, Some(_)) => None,
    };
    match redis {
        Some(redis) => store::Settings::Redis(redis),
        None => store::Settings::Sqlite { path: path.unwrap_or_default() },
    }
}

/// `secrets`: the master secret, and those before it.
pub(super) fn secrets(secrets: &mut Section<'_>) -> (master::Source, Vec<master::Source>) {
    let master = master(secrets);
    let files = secrets.list("previous_master_files", &[], section::path);
    let given = secrets.get("previous_masters").map(|item| item.list(|item| item.masked(master_mask, master_text)));
    let given = given.unwrap_or_default().into_iter().map(master::Source::Given);
    (master, files.into_iter().map(master::Source::File).chain(given).collect())
}

fn master(secrets: &mut Section<'_>) -> master::Source {
    let given = secrets.get("master").is_some();
    if given && secrets.get("master_file").is_some() {
        secrets.flaw("master_file", "`master` is given as well: one of the two is wanted");
    }
    if given {
        let master = secrets.get("master").and_then(|item| item.masked(master_mask, master_text));
        return master.map_or_else(|| master::Source::File(PathBuf::new()), master::Source::Given);
    }
    let file = Value::plain("data/master.secret");
    let file = secrets.with("master_file", file, |item| item.text(section::path));
    master::Source::File(file.unwrap_or_default())
}

/// As long as one must be.
fn master_mask(_: &str) -> String {
    "*".repeat(SHORTEST_MASTER)
}

fn master_text(text: &str) -> Result<Secret, String> {
    match text.len() {
        SHORTEST_MASTER.. => Ok(Secret::from(text)),
        _ => Err("a master secret has 32 characters or more, all of them random: `openssl rand -base64 48`".into()),
    }
}
