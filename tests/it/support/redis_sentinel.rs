//! A primary, its replicas, and three Sentinels that choose another primary when it is gone.

#![allow(dead_code, reason = "the tests of the store and those of the gateways need different parts")]

use std::{
    fs,
    time::{Duration, Instant},
};

use super::redis_server::RedisServer;

/// What the Sentinels call the primary.
pub const PRIMARY: &str = "gate";

/// How long anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Sentinels {
    /// The primary, then its replicas.
    pub servers: Vec<RedisServer>,
    pub sentinels: Vec<RedisServer>,
}

impl Sentinels {
    /// A primary with two replicas, which all know each other.
    pub async fn start() -> Self {
        let primary = RedisServer::start();
        let (host, port) = (primary.address.ip().to_string(), primary.address.port().to_string());
        let place = format!("{host} {port}");
        let replica = || RedisServer::start_with(|_| vec!["--replicaof".to_owned(), host.clone(), port.clone()]);
        let servers = vec![primary, replica(), replica()];
        let configuration = format!(
            "sentinel monitor {PRIMARY} {place} 2\nsentinel down-after-milliseconds {PRIMARY} 500\n\
             sentinel failover-timeout {PRIMARY} 3000\n"
        );
        let sentinel = || {
            RedisServer::start_with(|directory| {
                let file = directory.join("sentinel.conf");
                fs::write(&file, &configuration).unwrap();
                vec![file.display().to_string(), "--sentinel".to_owned()]
            })
        };
        let all = Self { servers, sentinels: vec![sentinel(), sentinel(), sentinel()] };
        until("the Sentinels know each other and the replicas", || {
            all.sentinels.iter().all(|sentinel| {
                let facts = sentinel.tell(&format!("SENTINEL MASTER {PRIMARY}"));
                let fact = |name| facts.iter().position(|fact| fact == name).map(|at| facts[at + 1].as_str());
                fact("num-other-sentinels") == Some("2") && fact("num-slaves") == Some("2")
            })
        })
        .await;
        all
    }

    /// Host and port of each Sentinel, as the configuration has them.
    pub fn nodes(&self) -> Vec<String> {
        self.sentinels.iter().map(|sentinel| sentinel.address.to_string()).collect()
    }

    /// Waits until the replicas have all that the primary has.
    pub async fn wait_for_replicas(&self) {
        wait_for_replicas(&self.servers[0]).await;
    }

    /// Waits until another server than this one is the primary for most Sentinels, and says so itself.
    pub async fn wait_for_another_than(&self, old: usize) {
        until("another server is the primary", || {
            let ask = format!("SENTINEL GET-MASTER-ADDR-BY-NAME {PRIMARY}");
            let named: Vec<_> = self.sentinels.iter().map(|sentinel| sentinel.tell(&ask).remove(1)).collect();
            let is_named = |server: &RedisServer| {
                let port = server.address.port().to_string();
                named.iter().filter(|named| **named == port).count() >= 2
            };
            let new = self.servers.iter().enumerate().find(|(at, server)| *at != old && is_named(server));
            new.is_some_and(|(_, server)| server.tell("ROLE")[0] == "master")
        })
        .await;
    }
}

/// Waits until its replicas have all that this server has.
pub async fn wait_for_replicas(primary: &RedisServer) {
    until("the replicas have everything", || {
        let facts = primary.info("INFO replication");
        let offset = facts.iter().find_map(|fact| fact.strip_prefix("master_repl_offset:")).unwrap();
        let has_it = |fact: &String| fact.contains(&format!(",offset={offset},"));
        let mut replicas = facts.iter().filter(|fact| fact.contains(",state=")).peekable();
        replicas.peek().is_some() && replicas.all(has_it)
    })
    .await;
}

/// Waits for it.
pub async fn until(what: &str, it_is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !it_is_so() {
        assert!(started.elapsed() < PATIENCE, "it takes too long until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
