use std::{collections::BTreeMap, io, sync::Arc};

use async_trait::async_trait;
use pingora::{
    Result,
    proxy::{ProxyHttp, Session, http_proxy},
    server::configuration::ServerConf,
    upstreams::peer::{H1UpgradePolicy, Peer},
};
use tokio::sync::watch;

use super::*;
use crate::listener::testing::{AMPLE, Client, Served, certificate, soon};

const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(1),
    read: Duration::from_secs(2),
    write: Duration::from_secs(3),
    idle: Duration::from_secs(4),
};
const OWN: route::Timeouts = route::Timeouts { connect: None, read: None, write: None };

fn server(host: &str, port: u16, tls: bool) -> Server {
    Server { host: host.to_owned(), port, tls }
}

fn settings(servers: Vec<Server>, host: Host) -> Settings {
    Settings { name: "app".to_owned(), servers, host, timeouts: TIMEOUTS }
}

fn address(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

async fn open(settings: Settings) -> Upstreams {
    Upstreams::open(vec![settings], address("127.0.0.1:9")).await
}

/// The addresses that a request would be sent to, one try after the other.
fn tries(upstreams: &Upstreams) -> Vec<SocketAddr> {
    let mut tried = Vec::new();
    while upstreams.select(0, &OWN, &mut tried).is_some() {}
    tried
}

#[tokio::test]
async fn servers_take_turns_and_each_is_tried_once_for_a_request() {
    let servers = ["10.0.0.1", "10.0.0.2", "[::1]"].map(|host| server(host, 80, false));
    let upstreams = open(settings(servers.to_vec(), Host::Preserve)).await;
    let all = ["10.0.0.1:80", "10.0.0.2:80", "[::1]:80"].map(address);

    let mut turns = BTreeMap::new();
    for _ in 0..9 {
        let mut tried = Vec::new();
        let selected = upstreams.select(0, &OWN, &mut tried).unwrap();
        assert_eq!(tried, [*selected.peer.address().as_inet().unwrap()]);
        *turns.entry(tried[0]).or_insert(0) += 1;
    }
    assert_eq!(turns, all.map(|address| (address, 3)).into());

    let mut tried = tries(&upstreams);
    tried.sort_unstable();
    assert_eq!(tried, all);
    assert_eq!((upstreams.name(0), upstreams.name(1)), ("app", ""));
    assert!(upstreams.select(1, &OWN, &mut Vec::new()).is_none());
}

#[tokio::test]
async fn a_name_that_stops_resolving_keeps_its_last_addresses() {
    let upstreams =
        open(settings(vec![server("10.0.0.9", 1, false), server("app.invalid", 2, false)], Host::Preserve)).await;
    // RFC 6761: `.invalid` never resolves. Not fatal; the other server is there.
    assert_eq!(tries(&upstreams), [address("10.0.0.9:1")]);

    let learn = |found: io::Result<Vec<&str>>| {
        upstreams.0[0].learn(1, found.map(|found| found.into_iter().map(address).collect()));
        let mut now = tries(&upstreams);
        now.sort_unstable();
        now
    };
    let both = ["10.0.0.1:2", "10.0.0.2:2", "10.0.0.9:1"].map(address);
    assert_eq!(learn(Ok(vec!["10.0.0.2:2", "10.0.0.1:2", "10.0.0.2:2"])), both);
    assert_eq!(learn(Err(io::ErrorKind::TimedOut.into())), both);
    assert_eq!(learn(Ok(vec![])), both);
    assert_eq!(learn(Ok(vec!["10.0.0.3:2"])), ["10.0.0.3:2", "10.0.0.9:1"].map(address));
}

#[tokio::test]
async fn names_are_resolved_and_those_that_do_not_resolve_have_no_server() {
    let upstreams = open(settings(vec![server("localhost", 80, false)], Host::Preserve)).await;
    assert!(!tries(&upstreams).is_empty());
    assert!(tries(&upstreams).iter().all(|address| address.ip().is_loopback() && address.port() == 80));
    for nowhere in ["app.invalid", ""] {
        assert!(tries(&open(settings(vec![server(nowhere, 80, false)], Host::Preserve)).await).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn names_are_asked_for_again_and_addresses_are_not() {
    let upstreams =
        open(settings(vec![server("10.0.0.1", 80, false), server("localhost", 81, false)], Host::Preserve)).await;
    let before = tries(&upstreams).len();
    upstreams.0[0].replace(0, &[]);
    upstreams.0[0].replace(1, &[address("10.0.0.7:81")]);
    let learned = async {
        while tries(&upstreams).contains(&address("10.0.0.7:81")) {
            // The clock is paused: no time passes, it only moves on to the next look-up.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = upstreams.keep_resolved() => panic!("it ended"),
        () = soon(learned) => {}
    }
    assert_eq!(tries(&upstreams).len(), before - 1);
}

#[tokio::test]
async fn every_time_out_of_a_peer_is_set_and_a_route_may_change_it() {
    let upstreams = open(settings(vec![server("10.0.0.1", 80, false)], Host::Preserve)).await;
    let options = |timeouts| upstreams.select(0, &timeouts, &mut Vec::new()).unwrap().peer.options;
    let own = options(OWN);
    assert_eq!(
        [own.connection_timeout, own.total_connection_timeout, own.read_timeout, own.write_timeout, own.idle_timeout],
        [1, 1, 2, 3, 4].map(|seconds| Some(Duration::from_secs(seconds)))
    );
    let of_route = |seconds| Some(Duration::from_secs(seconds));
    let changed = options(route::Timeouts { connect: of_route(10), read: of_route(20), write: of_route(30) });
    assert_eq!(
        [changed.connection_timeout, changed.total_connection_timeout, changed.read_timeout, changed.write_timeout],
        [10, 10, 20, 30].map(of_route)
    );
    assert_eq!(changed.idle_timeout, own.idle_timeout);
    assert_eq!(own.http_upstream_request_policy.h1_upgrade, H1UpgradePolicy::Deny);
    assert!(own.http_upstream_request_policy.strip_hop_by_hop && own.verify_cert && own.verify_hostname);
}

#[tokio::test]
async fn tls_verifies_the_configured_host_and_connections_are_not_shared_across_upstreams() {
    let upstreams = Upstreams::open(
        vec![
            settings(vec![server("localhost", 443, true)], Host::Preserve),
            settings(vec![server("localhost", 443, false)], Host::Preserve),
            Settings { name: "other".to_owned(), ..settings(vec![server("localhost", 443, true)], Host::Preserve) },
        ],
        address("127.0.0.1:9"),
    )
    .await;
    let peer = |upstream| upstreams.select(upstream, &OWN, &mut Vec::new()).unwrap().peer;
    let [tls, plain, other] = [peer(0), peer(1), peer(2)];
    assert_eq!((tls.is_tls(), tls.sni.as_str()), (true, "localhost"));
    assert!(!plain.is_tls());
    assert!(tls.group_key != plain.group_key && tls.group_key != other.group_key);
    assert_eq!(peer(0).group_key, tls.group_key);
}

#[tokio::test]
async fn the_host_sent_is_the_one_received_the_servers_own_or_a_fixed_one() {
    let host = async |servers, host| {
        let selected = open(settings(vec![servers], host)).await.select(0, &OWN, &mut Vec::new()).unwrap();
        selected.host.map(|host| host.to_str().unwrap().to_owned())
    };
    assert_eq!(host(server("10.0.0.1", 80, false), Host::Preserve).await, None);
    let named = Host::Named("app.example".to_owned());
    assert_eq!(host(server("10.0.0.1", 80, false), named).await.as_deref(), Some("app.example"));
    for (server, own) in [
        (server("10.0.0.1", 80, false), "10.0.0.1"),
        (server("10.0.0.1", 443, false), "10.0.0.1:443"),
        (server("10.0.0.1", 443, true), "10.0.0.1"),
        (server("[::1]", 8000, false), "[::1]:8000"),
        (server("localhost", 8000, false), "localhost:8000"),
    ] {
        assert_eq!(host(server, Host::Upstream).await.as_deref(), Some(own));
    }
}

#[tokio::test]
async fn an_upstream_without_servers_is_whoami() {
    let upstreams = open(settings(Vec::new(), Host::Preserve)).await;
    assert_eq!(tries(&upstreams), [address("127.0.0.1:9")]);
}

/// A proxy with nothing but an upstream.
struct Bare(Upstreams);

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = Vec<SocketAddr>;

    fn new_ctx(&self) -> Self::CTX {
        Vec::new()
    }

    async fn upstream_peer(&self, _: &mut Session, tried: &mut Self::CTX) -> Result<Box<HttpPeer>> {
        Ok(self.0.select(0, &OWN, tried).ok_or_else(|| pingora::Error::new(pingora::HTTPStatus(502)))?.peer)
    }
}

fn proxy(upstreams: Upstreams, ca_file: Option<String>) -> Served {
    crate::listener::tls::install_crypto_provider();
    let conf = ServerConf { ca_file, ..ServerConf::default() };
    Served::app(http_proxy(&Arc::new(conf), Bare(upstreams)), AMPLE)
}

#[tokio::test]
async fn requests_pass_through_a_listener_a_proxy_and_whoami() {
    let (stop, stopped) = watch::channel(false);
    let (whoami, task) = whoami::start(stopped).unwrap();
    let served = proxy(Upstreams::open(vec![settings(Vec::new(), Host::Preserve)], whoami).await, None);
    let mut client = Client::connect(served.address).await;
    for _ in 0..2 {
        client.send("POST /a?b HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nabc").await;
        let response = client.response().await;
        assert_eq!((response.status, response.header("connection")), (200, Some("keep-alive")));
        let echo = response.json();
        assert_eq!((&echo["path"], &echo["body"]["text"]), (&"/a".into(), &"abc".into()));
        assert_eq!(echo["headers"]["host"], "test");
        assert!(echo["headers"].get("upgrade").is_none(), "upgrades are denied");
    }
    drop(client);
    served.drained().await;
    stop.send_replace(true);
    soon(task).await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_to_the_proxy_ends_with_the_drain() {
    let served = proxy(open(settings(Vec::new(), Host::Preserve)).await, None);
    let mut client = Client::connect(served.address).await;
    assert_eq!(client.get("/").await.status, 502);
    let mut idle = Client::connect(served.address).await;
    served.stop.send_replace(true);
    assert!(idle.closed_without_a_word().await);
    soon(served.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_tls_upstream_is_served_only_under_the_name_and_root_of_its_certificate() {
    let app = axum::Router::new().fallback(async || "over TLS");
    let behind = Served::tls(crate::listener::RouterApp::new(app, AMPLE.drain), AMPLE);
    let port = behind.address.port();
    let trusted = certificate().path("cert.pem").to_str().unwrap().to_owned();
    for (host, ca_file, status) in
        [("localhost", Some(trusted.clone()), 200), ("127.0.0.1", Some(trusted), 502), ("localhost", None, 502)]
    {
        let upstreams = open(settings(vec![server(host, port, true)], Host::Preserve)).await;
        // `localhost` may be ::1 first, where nothing listens.
        upstreams.0[0].replace(0, &[behind.address]);
        let served = proxy(upstreams, ca_file);
        let mut client = Client::connect(served.address).await;
        assert_eq!(client.get("/").await.status, status, "{host}");
        drop(client);
        served.drained().await;
    }
    behind.drained().await;
}
