//! Configuration in two stages: the file as written (`tree`), then what is usable (`resolve`).
//!
//! A YAML file becomes a tree whose every value knows its line. Environment variables are laid over it. One walk then
//! asks for every key by name, type and default; it notes whatever does not fit and goes on, so that a [`Report`] has
//! all problems at once. Relative paths are relative to the working directory.

mod clients;
mod environment;
mod identity;
mod item;
mod print;
mod providers;
mod redis_store;
mod report;
mod resolve;
mod routes;
mod section;
mod server;
mod storage;
#[cfg(test)]
mod tests;
mod tokens;
mod tree;
mod units;
mod values;

use std::{
    collections::BTreeMap,
    collections::HashSet,
    fs::File,
    io::{ErrorKind, Read},
    net::SocketAddr,
    path::Path,
    time::Duration,
};

use zeroize::Zeroizing;

use item::{Item, Walk};
use report::Source;
pub use report::{Problem, Report};
use tree::Node;

use crate::{
    account, cors, hygiene, listener, master, oauth, password, provider, route, session, store, telemetry, throttle,
    token, upstream,
};

/// The JSON Schema (2020-12) of the file as written, for editors. Tests hold it against what is read here; where the
/// two cannot say the same, as of values with `${NAME}` in them, the schema takes more.
pub const SCHEMA: &str = include_str!("../config/schema.json");

/// Longer than any configuration.
const MAX_FILE: u64 = 1 << 20;

/// Reads and checks the file at `path` with the variables of `environment` laid over it.
///
/// # Errors
/// Every problem there is. Files of secrets are read; nothing else is opened, made or bound.
pub fn load(path: &Path, environment: impl Iterator<Item = (String, String)>) -> Result<Settings, Report> {
    let text = read_file(path)?;
    parse(&text, &path.to_string_lossy(), environment)
}

/// As [`load`], of a text; `file_name` is for messages.
///
/// # Errors
/// See [`load`].
pub fn parse(
    text: &str,
    file_name: &str,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Settings, Report> {
    read(text, file_name, environment).map(|(settings, _)| settings)
}

/// The configuration in effect as YAML: defaults and environment put in, `${NAME}` as written, other secrets masked. It
/// reads back as the same, but for the secrets.
///
/// # Errors
/// See [`load`].
pub fn print(path: &Path, environment: impl Iterator<Item = (String, String)>) -> Result<String, Report> {
    let text = read_file(path)?;
    let (_, tree) = read(&text, &path.to_string_lossy(), environment)?;
    Ok(print::print(&tree))
}

fn read_file(path: &Path) -> Result<Zeroizing<String>, Report> {
    let mut text = Zeroizing::new(String::new());
    let unreadable = |message| Report::unreadable(&path.to_string_lossy(), message);
    match File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(unreadable(
            "this file cannot be read: it does not exist; name yours with --config or in PASSGATE_CONFIG".into(),
        )),
        Err(error) => Err(unreadable(format!("this file cannot be read: {error}"))),
        Ok(length) if length as u64 > MAX_FILE => Err(unreadable("this file is longer than 1MiB".into())),
        Ok(_) => Ok(text),
    }
}

fn read(
    text: &str,
    file: &str,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<(Settings, Node), Report> {
    let environment: BTreeMap<String, String> = environment.collect();
    let mut document = tree::parse(text).map_err(|flaw| {
        let source = Source { file, text, scalars: None, shown: &HashSet::new() };
        Report::new(vec![flaw], &source)
    })?;
    let mut walk = Walk::default();
    for flaw in document.flaws {
        walk.show(&flaw.place);
        walk.flaws.push(flaw);
    }
    environment::override_with(&mut document.root, &environment, &mut walk.flaws);
    environment::interpolate(&mut document.root, &environment, &mut walk.flaws);
    let mut settings = Item::root(&mut document.root, &mut walk).section(resolve::resolve);
    let source = Source { file, text, scalars: Some(&document.scalars), shown: &walk.shown };
    if !walk.flaws.is_empty() {
        return Err(Report::new(walk.flaws, &source));
    }
    walk.warnings.sort();
    settings.warnings =
        walk.warnings.iter().map(|flaw| format!("{}: {}", source.describe(&flaw.place), flaw.message)).collect();
    Ok((settings, document.root))
}

/// What the rest of the program goes by. Nothing in it is left to parse.
pub struct Settings {
    /// `server.listen`.
    pub listeners: Vec<listener::Settings>,
    /// `server.public_url` without a trailing slash.
    pub public_url: String,
    /// `server.base_path`, without a trailing slash.
    pub base_path: String,
    /// `server.hosts`, `trusted_proxies`, `allow_headers`, head limits, managed names.
    pub hygiene: hygiene::Settings,
    /// `server.limits`, `server.drain`.
    pub limits: listener::Limits,
    /// `limits`.
    pub throttle: throttle::Settings,
    /// `server.limits.body`, bytes.
    pub max_body: u64,
    /// `admin.listen`; `None` when switched off.
    pub admin: Option<SocketAddr>,
    /// `log`.
    pub log: telemetry::Settings,
    /// `store`.
    pub store: store::Settings,
    /// `secrets`.
    pub master: master::Source,
    /// `secrets.previous_master_files`, `secrets.previous_masters`.
    pub previous_masters: Vec<master::Source>,
    /// `clients`.
    pub clients: Vec<oauth::client::Settings>,
    /// `cors`.
    pub cors: cors::Settings,
    /// `providers`, in the order of the file.
    pub providers: Vec<provider::Settings>,
    /// `accounts`.
    pub accounts: account::Settings,
    /// `tokens.access`, `tokens.keys`.
    pub tokens: token::Settings,
    /// `tokens.refresh`, and the access lifetime.
    pub sessions: session::Rules,
    /// `tokens.cache`, bytes.
    pub token_cache: u64,
    /// `revocation.max_staleness`; `None` when it is off.
    pub max_staleness: Option<Duration>,
    /// `hashing`.
    pub hashing: password::Settings,
    /// `identity_headers`.
    pub identity: crate::identity::Settings,
    /// `upstreams`, in the order of the file.
    pub upstreams: Vec<upstream::Settings>,
    /// `routes`, in the order of the file.
    pub routes: Vec<route::Route>,
    /// What is written in the file and not acted on yet, or is likely not meant.
    pub warnings: Vec<String>,
}
