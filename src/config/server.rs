//! `server`, `admin`, `log`: what we listen on, and what we let in.

use std::{net::SocketAddr, time::Duration};

use ipnet::IpNet;
use tracing::Level;
use url::{Host, Url};

use super::{
    item::Item,
    section::{Section, path},
    tree::{Place, Value},
    values,
};
use crate::{listener, telemetry};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const TENTH: Duration = Duration::from_millis(100);

/// `server`.
pub(super) struct Server {
    pub listeners: Vec<(Place, listener::Settings)>,
    pub public_url: String,
    pub base_path: String,
    pub hosts: Vec<String>,
    pub trusted_proxies: Vec<IpNet>,
    pub allow_headers: Vec<(Place, String)>,
    pub limits: listener::Limits,
    pub headers: usize,
    pub max_body: u64,
}

impl Server {
    pub(super) fn read(server: &mut Section<'_>) -> Self {
        let listeners = server.with("listen", Value::plain("127.0.0.1:8080"), listen);
        let public_url =
            server.with("public_url", Value::plain("http://127.0.0.1:8080"), |url| url.text(values::public_url));
        let base_path = server.with("base_path", Value::plain("/api-auth"), |path| path.text(values::base_path));
        let hosts = server.list("hosts", &[], values::host);
        if let Some(url) = &public_url {
            warn_of_public_url(server, url, &hosts);
        }
        let trusted_proxies = server.list("trusted_proxies", &[], values::network);
        if trusted_proxies.iter().any(|network| network.prefix_len() == 0) {
            server.warn("trusted_proxies", "every peer is trusted: anybody can claim any source address");
        }
        let allow_headers = server.with("allow_headers", Value::List(Vec::new()), |names| {
            names.list(|name| Some((name.place.clone(), name.text(allowed_header)?)))
        });
        let drain = server.duration("drain", 30 * SECOND, Duration::ZERO..=HOUR);
        server.section("limits", |limits| Self {
            listeners,
            public_url: public_url.unwrap_or_default(),
            base_path: base_path.unwrap_or_default(),
            hosts,
            trusted_proxies,
            allow_headers,
            limits: listener::Limits {
                connections: limits.number("connections", 10_000, 1..=1_000_000) as usize,
                header_timeout: limits.duration("header_timeout", 10 * SECOND, TENTH..=5 * 60 * SECOND),
                idle_timeout: limits.duration("idle_timeout", 60 * SECOND, TENTH..=HOUR),
                header_bytes: bytes(limits.size("header_bytes", 32 << 10, 1 << 10..=listener::MAX_HEAD as u64)),
                drain,
            },
            headers: limits.number("headers", 100, 1..=256) as usize,
            max_body: limits.size("body", 64 << 20, 1..=1 << 40),
        })
    }
}

fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

fn warn_of_public_url(server: &mut Section<'_>, url: &str, hosts: &[String]) {
    let Ok(url) = Url::parse(url) else { return };
    let local = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    };
    if url.scheme() == "http" && !local {
        let message = "with http, passwords and tokens cross the network in the clear: give the https URL clients use";
        server.warn("public_url", message);
    }
    if !hosts.is_empty() && !url.host_str().is_some_and(|host| hosts.iter().any(|known| known == host)) {
        server.warn("public_url", "`server.hosts` does not have this host, so requests to it are refused");
    }
}

/// One address or several.
fn listen(item: Item<'_>) -> Vec<(Place, listener::Settings)> {
    if item.is_empty_list() {
        item.flaw("at least one address is wanted here");
        Vec::new()
    } else if item.is_list() {
        item.list(listener)
    } else {
        listener(item).into_iter().collect()
    }
}

/// An address, or `{ address, tls }`.
fn listener(item: Item<'_>) -> Option<(Place, listener::Settings)> {
    let place = item.place.clone();
    if item.is_scalar() {
        return Some((place, listener::Settings { address: item.text(values::address)?, tls: None }));
    }
    item.section(|listener| {
        let address = listener.required("address").and_then(|address| address.text(values::address));
        let tls = listener.get("tls").map(|tls| tls.section(tls_files));
        // TLS files that are not usable must not leave a listener without TLS.
        let tls = match tls {
            Some(files) => Some(files?),
            None => None,
        };
        Some((place, listener::Settings { address: address?, tls }))
    })
}

fn tls_files(tls: &mut Section<'_>) -> Option<listener::TlsFiles> {
    let cert_file = tls.required("cert_file").and_then(|file| file.text(path));
    let key_file = tls.required("key_file").and_then(|file| file.text(path));
    Some(listener::TlsFiles { cert_file: cert_file?, key_file: key_file? })
}

fn allowed_header(text: &str) -> Result<String, String> {
    let name = values::header_name(text)?;
    if name.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err("a header of letters, digits and `-` passes anyway: leave it out".into());
    }
    Ok(name.as_str().to_owned())
}

/// `admin`: where, or nowhere.
pub(super) fn admin(admin: &mut Section<'_>) -> Option<(Place, SocketAddr)> {
    admin.with("listen", Value::plain("127.0.0.1:9090"), |mut listen| {
        if listen.is("off") {
            return None;
        }
        let place = listen.place.clone();
        Some((place, listen.text(values::address)?))
    })
}

/// `log`.
pub(super) fn log(log: &mut Section<'_>) -> telemetry::Settings {
    use telemetry::Format::{Auto, Json, Text};
    let levels = [
        ("error", Level::ERROR),
        ("warn", Level::WARN),
        ("info", Level::INFO),
        ("debug", Level::DEBUG),
        ("trace", Level::TRACE),
    ];
    telemetry::Settings {
        format: log.choice("format", &[("auto", Auto), ("text", Text), ("json", Json)], Auto),
        level: log.choice("level", &levels, Level::INFO),
        access: log.flag("access", true),
    }
}
