//! Upstreams: named groups of servers behind us; names resolved by us, round robin, every time-out set.
//!
//! The present addresses of an upstream are one list of ready-made peers behind an `ArcSwap`: choosing one is a
//! counter and a clone. pingora's load balancer would do the same through a discovery trait, a selector, a registry
//! and a rebuild task, and its backends cannot carry a peer. Health checks belong in [`Candidate`]: a flag that a
//! checker sets and [`Upstreams::select`] skips by.

mod resolve;
pub mod whoami;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use http::HeaderValue;
use pingora::{
    protocols::ALPN,
    upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy, PeerOptions},
};

use crate::route;

/// One upstream as resolved.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name.
    pub name: String,
    /// Its servers; empty is the built-in `whoami`.
    pub servers: Vec<Server>,
    /// Which `Host` it is sent.
    pub host: Host,
    /// Its time-outs.
    pub timeouts: Timeouts,
}

/// One server of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Name or address; an IPv6 address with or without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// TLS, with the host as the name verified.
    pub tls: bool,
}

/// Which `Host` an upstream is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// As received.
    Preserve,
    /// The server's own.
    Upstream,
    /// This.
    Named(String),
}

/// Time-outs towards an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect, TLS included.
    pub connect: Duration,
    /// Between two reads of the response.
    pub read: Duration,
    /// Between two writes of the request.
    pub write: Duration,
    /// A connection kept for later.
    pub idle: Duration,
}

/// A server chosen for one try of one request.
pub struct Selected {
    /// Ready to connect to, every time-out set.
    pub peer: Box<HttpPeer>,
    /// The `Host` to send; `None` leaves it as received.
    pub host: Option<HeaderValue>,
}

/// All upstreams, with their servers' present addresses.
pub struct Upstreams(Vec<Upstream>);

struct Upstream {
    name: String,
    servers: Vec<Known>,
    candidates: ArcSwap<Vec<Arc<Candidate>>>,
    next: AtomicUsize,
}

/// A configured server, and what each of its candidates is made from.
struct Known {
    server: Server,
    /// `server.host` without brackets; also the name that TLS verifies.
    name: String,
    template: HttpPeer,
    host: Option<HeaderValue>,
    /// Whether the last look-up failed.
    failing: AtomicBool,
}

/// One address of one server.
struct Candidate {
    /// Index into the upstream's servers.
    server: usize,
    address: SocketAddr,
    peer: HttpPeer,
    host: Option<HeaderValue>,
}

impl Upstreams {
    /// Resolves every name once; `whoami` is where the built-in upstream listens. A name that does not resolve is
    /// warned of, and asked for again by [`Upstreams::keep_resolved`].
    pub async fn open(settings: Vec<Settings>, whoami: SocketAddr) -> Self {
        let upstreams = Self(settings.into_iter().map(|settings| Upstream::new(settings, whoami)).collect());
        upstreams.resolve_once().await;
        upstreams
    }

    /// The next server of `upstream` that is not among `tried` (which it is added to), ready to connect to;
    /// `None` when there is none left or its name never resolved.
    pub fn select(&self, upstream: usize, timeouts: &route::Timeouts, tried: &mut Vec<SocketAddr>) -> Option<Selected> {
        let upstream = self.0.get(upstream)?;
        let candidates = upstream.candidates.load();
        let first = upstream.next.fetch_add(1, Relaxed).checked_rem(candidates.len())?;
        let (before, from) = candidates.split_at_checked(first)?;
        let chosen = from.iter().chain(before).find(|candidate| !tried.contains(&candidate.address))?;
        tried.push(chosen.address);
        let mut peer = Box::new(chosen.peer.clone());
        if let Some(connect) = timeouts.connect {
            peer.options.connection_timeout = Some(connect);
            peer.options.total_connection_timeout = Some(connect);
        }
        peer.options.read_timeout = timeouts.read.or(peer.options.read_timeout);
        peer.options.write_timeout = timeouts.write.or(peer.options.write_timeout);
        Some(Selected { peer, host: chosen.host.clone() })
    }

    /// For logs and metrics.
    pub fn name(&self, upstream: usize) -> &str {
        self.0.get(upstream).map_or("", |upstream| &upstream.name)
    }
}

impl Upstream {
    fn new(settings: Settings, whoami: SocketAddr) -> Self {
        let mut servers = settings.servers;
        if servers.is_empty() {
            servers.push(Server { host: whoami.ip().to_string(), port: whoami.port(), tls: false });
        }
        let known =
            servers.into_iter().map(|server| Known::new(server, &settings.name, &settings.host, settings.timeouts));
        Self {
            servers: known.collect(),
            candidates: ArcSwap::default(),
            next: AtomicUsize::new(0),
            name: settings.name,
        }
    }

    /// Puts `addresses` in the place of those that server had.
    fn replace(&self, server: usize, addresses: &[SocketAddr]) {
        let Some(known) = self.servers.get(server) else { return };
        self.candidates.rcu(|present| {
            let others = present.iter().filter(|candidate| candidate.server != server).cloned();
            let own = addresses.iter().map(|address| Arc::new(known.candidate(server, *address)));
            let mut all: Vec<_> = others.chain(own).collect();
            // In the order of the file, whichever answer came first.
            all.sort_by_key(|candidate| (candidate.server, candidate.address));
            all
        });
    }

    /// The present addresses of a server.
    fn addresses(&self, server: usize) -> Vec<SocketAddr> {
        let candidates = self.candidates.load();
        candidates.iter().filter(|candidate| candidate.server == server).map(|candidate| candidate.address).collect()
    }
}

impl Known {
    fn new(server: Server, upstream: &str, host: &Host, timeouts: Timeouts) -> Self {
        let name = server.host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let host = match host {
            Host::Preserve => None,
            Host::Named(named) => HeaderValue::from_str(named).ok(),
            Host::Upstream => HeaderValue::from_str(&authority(&name, &server)).ok(),
        };
        // The name verified is also what goes into SNI; pingora verifies nothing when it is empty.
        let sni = if server.tls { name.clone() } else { String::new() };
        let mut template = HttpPeer::new(SocketAddr::from(([0, 0, 0, 0], 0)), server.tls, sni);
        let mut hasher = DefaultHasher::new();
        (upstream, &name, server.port, server.tls).hash(&mut hasher);
        template.group_key = hasher.finish();
        template.options = options(timeouts);
        Self { server, name, template, host, failing: AtomicBool::new(false) }
    }

    /// The address when no look-up is needed.
    fn literal(&self) -> Option<SocketAddr> {
        self.name.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, self.server.port))
    }

    fn candidate(&self, server: usize, address: SocketAddr) -> Candidate {
        let mut peer = self.template.clone();
        peer._address = address.into();
        Candidate { server, address, peer, host: self.host.clone() }
    }
}

/// pingora leaves every time-out out by default.
fn options(timeouts: Timeouts) -> PeerOptions {
    let mut options = PeerOptions::new();
    options.connection_timeout = Some(timeouts.connect);
    options.total_connection_timeout = Some(timeouts.connect);
    options.read_timeout = Some(timeouts.read);
    options.write_timeout = Some(timeouts.write);
    options.idle_timeout = Some(timeouts.idle);
    options.alpn = ALPN::H1;
    options.http_upstream_request_policy = HttpUpstreamRequestPolicy::deny_upgrades();
    options
}

/// Host and port as a `Host` header has them: no default port, IPv6 in brackets (RFC 9110 section 7.2).
fn authority(name: &str, server: &Server) -> String {
    let host = if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
    match (server.tls, server.port) {
        (true, 443) | (false, 80) => host,
        (_, port) => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests;
