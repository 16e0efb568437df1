//! `store.redis`: where it is, how its servers are set up, how long they are waited for.

use std::{fs::File, io::Read as _, path::PathBuf, time::Duration};

use url::Url;

use super::{
    item::MASK,
    section::{self, Section},
    tree::Value,
};
use crate::store::redis::{Address, Certificates, Node, Sentinels, Servers, Settings};

/// More than all certificate authorities there are.
const MAX_PEM: u64 = 4 * 1024 * 1024;

pub(super) fn redis_store(redis: &mut Section<'_>) -> Option<Settings> {
    let address = address(redis);
    let servers = servers(redis, address.as_ref());
    let namespace = redis.with("namespace", Value::plain("passgate"), |item| item.text(namespace));
    let range = Duration::from_millis(50)..=Duration::from_secs(5);
    let connect_timeout = redis.duration("connect_timeout", Duration::from_millis(400), range.clone());
    let timeout = redis.duration("timeout", Duration::from_millis(800), range);
    let require_durable = redis.flag("require_durable", false);
    let read_from_replica = redis.flag("read_from_replica", false);
    if read_from_replica && matches!(servers, Servers::One) {
        redis.flaw("read_from_replica", "replicas are found with `sentinel` or `cluster` only");
    }
    let (address, namespace) = (address?, namespace?);
    Some(Settings { address, servers, namespace, connect_timeout, timeout, require_durable, read_from_replica })
}

fn address(redis: &mut Section<'_>) -> Option<Address> {
    let url = redis.masked("url", "url_file", without_password);
    let ca_file = redis.get("ca_file").map(|item| item.text(pem));
    let cert_file = redis.get("cert_file").map(|item| item.text(pem));
    let key = redis.get("key_file").map(|item| item.text(|path| section::read_secret(&section::path(path)?)));
    let url_key = if redis.get("url_file").is_some() { "url_file" } else { "url" };
    match (&cert_file, &key) {
        (Some(_), None) => redis.flaw("cert_file", "`key_file` is missing, the key of this certificate"),
        (None, Some(_)) => redis.flaw("key_file", "`cert_file` is missing, the certificate of this key"),
        _ => {}
    }
    let Some(url) = url else {
        if redis.get(url_key).is_none() {
            redis.flaw(url_key, "`url` is missing in `store.redis`, or `url_file`");
        }
        return None;
    };
    let address = Address::parse(url.expose()).map_err(|message| redis.flaw(url_key, message)).ok()?;
    if ca_file.is_none() && cert_file.is_none() {
        return Some(address);
    }
    // What is unusable was told of already.
    let authorities = ca_file.map_or(Some(None), |read| read.map(Some))?;
    let own = match (cert_file, key) {
        (Some(certificate), key) => Some((certificate?, key.flatten()?)),
        (None, _) => None,
    };
    address.with(Certificates { authorities, own }).map_err(|message| redis.flaw(url_key, message)).ok()
}

/// The URL, fit to be seen. A user without a password may be one in the wrong place.
fn without_password(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else { return MASK.to_owned() };
    let masked = match (url.password(), url.username()) {
        (Some(_), _) => url.set_password(Some(MASK)),
        (None, "") => Ok(()),
        (None, _) => url.set_username(MASK),
    };
    masked.map_or_else(|()| MASK.to_owned(), |()| url.into())
}

/// How the servers are set up.
fn servers(redis: &mut Section<'_>, address: Option<&Address>) -> Servers {
    let sentinel = redis.get("sentinel").map(|item| item.section(sentinels));
    let cluster = redis.get("cluster").map(|item| item.section(|cluster| cluster.list("nodes", &[], node)));
    match (sentinel, cluster) {
        (None, None) => Servers::One,
        (Some(sentinels), None) => sentinels.map_or(Servers::One, Servers::Sentinel),
        (None, Some(nodes)) => {
            if address.is_some_and(|address| address.database() != 0) {
                redis.flaw("cluster", "a Cluster has one database: take the number out of the URL");
            }
            Servers::Cluster(nodes)
        }
        (Some(_), Some(_)) => {
            redis.flaw("cluster", "`sentinel` is here as well: one of the two is wanted");
            Servers::One
        }
    }
}

fn sentinels(sentinel: &mut Section<'_>) -> Option<Sentinels> {
    let named = sentinel.get("nodes").is_some_and(|nodes| !nodes.is_empty_list());
    let nodes = sentinel.list("nodes", &[], node);
    let user = sentinel.get("user").and_then(|item| item.text(|user| Ok(user.to_owned())));
    let password = sentinel.secret("password", "password_file");
    if user.is_some() && password.is_none() {
        sentinel.flaw("user", "`password` is missing, or `password_file`");
    }
    if !named {
        sentinel.flaw("nodes", "the addresses of the Sentinels are wanted here: `nodes: [10.0.0.1:26379]`");
    }
    Some(Sentinels { nodes, user, password }).filter(|sentinels| !sentinels.nodes.is_empty())
}

fn node(text: &str) -> Result<Node, String> {
    Node::parse(text).map_err(str::to_owned)
}

/// Certificates in a file.
fn pem(path: &str) -> Result<Vec<u8>, String> {
    let path: PathBuf = section::path(path)?;
    let mut pem = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_PEM + 1).read_to_end(&mut pem));
    match read {
        Err(error) => Err(format!("this file cannot be read: {error}")),
        Ok(length) if length as u64 > MAX_PEM => Err("this file is too long for certificates".into()),
        Ok(_) if !pem.windows(10).any(|bytes| bytes == b"-----BEGIN") => Err("this file holds no PEM".into()),
        Ok(_) => Ok(pem),
    }
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
