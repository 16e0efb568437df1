//! `store` and `secrets`: where everything is kept, and what everything is sealed with.

use std::{path::PathBuf, time::Duration};

use super::{
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
    let redis = store.get("redis").and_then(|item| item.section(redis));
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

/// `store.redis`.
fn redis(redis: &mut Section<'_>) -> Option<store::redis::Settings> {
    let url = redis.secret("url", "url_file");
    let namespace = redis.with("namespace", Value::plain("passgate"), |item| item.text(namespace));
    let range = Duration::from_millis(50)..=Duration::from_secs(5);
    let connect_timeout = redis.duration("connect_timeout", Duration::from_millis(400), range.clone());
    let timeout = redis.duration("timeout", Duration::from_millis(800), range);
    let require_durable = redis.flag("require_durable", false);
    let key = if redis.get("url_file").is_some() { "url_file" } else { "url" };
    let Some(url) = url else {
        if redis.get(key).is_none() {
            redis.flaw(key, "`url` is missing in `store.redis`, or `url_file`");
        }
        return None;
    };
    let address = store::redis::Address::parse(url.expose()).map_err(|message| redis.flaw(key, message)).ok()?;
    Some(store::redis::Settings { address, namespace: namespace?, connect_timeout, timeout, require_durable })
}

/// What every key in a Redis begins with.
fn namespace(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'));
    if plain && (1..=64).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err("1 to 64 letters, digits and `-_.:` are wanted here".into())
    }
}

/// `secrets`: the master secret, or the file it is in.
pub(super) fn secrets(secrets: &mut Section<'_>) -> master::Source {
    let given = secrets.get("master").is_some();
    if given && secrets.get("master_file").is_some() {
        secrets.flaw("master_file", "`master` is given as well: one of the two is wanted");
    }
    if given {
        let master = secrets.get("master").and_then(|item| {
            item.secret(|text| match text.len() {
                SHORTEST_MASTER.. => Ok(Secret::from(text)),
                _ => {
                    Err("a master secret has 32 characters or more, all of them random: `openssl rand -base64 48`"
                        .into())
                }
            })
        });
        return master.map_or_else(|| master::Source::File(PathBuf::new()), master::Source::Given);
    }
    let file = Value::plain("data/master.secret");
    let file = secrets.with("master_file", file, |item| item.text(section::path));
    master::Source::File(file.unwrap_or_default())
}
