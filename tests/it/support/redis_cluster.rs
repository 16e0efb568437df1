//! A Redis Cluster.

#![allow(dead_code, reason = "the tests of the store and those of the gateways need different parts")]

use super::{
    redis_sentinel::{until, wait_for_replicas},
    redis_server::{RedisServer, free_address},
};

/// Slots that a Cluster has.
const SLOTS: usize = 16384;

/// Primaries with a part of the slots each, then their replicas, in the same order.
pub struct RedisCluster {
    pub nodes: Vec<RedisServer>,
    primaries: usize,
}

impl RedisCluster {
    /// Three primaries.
    pub async fn start() -> Self {
        Self::of(3, 0).await
    }

    /// Three primaries with a replica each.
    pub async fn start_with_replicas() -> Self {
        Self::of(3, 3).await
    }

    async fn of(primaries: usize, replicas: usize) -> Self {
        let node = |_| {
            RedisServer::start_with(|_| {
                let bus = free_address().port();
                let arguments = format!(
                    "--cluster-enabled yes --cluster-node-timeout 1000 --cluster-port {bus} --repl-ping-replica-period 1"
                );
                arguments.split(' ').map(str::to_owned).collect()
            })
        };
        let cluster = Self { nodes: (0..primaries + replicas).map(node).collect(), primaries };
        cluster.join().await;
        cluster
    }

    async fn join(&self) {
        for (at, node) in self.nodes.iter().enumerate().take(self.primaries) {
            let (from, to) = (SLOTS * at / self.primaries, SLOTS * (at + 1) / self.primaries - 1);
            node.tell(&format!("CLUSTER SET-CONFIG-EPOCH {}", at + 1));
            node.tell(&format!("CLUSTER ADDSLOTSRANGE {from} {to}"));
        }
        let (first, others) = self.nodes.split_first().unwrap();
        for other in others {
            let bus = other.tell("CONFIG GET cluster-port").remove(1);
            first.tell(&format!("CLUSTER MEET 127.0.0.1 {} {bus}", other.address.port()));
        }
        let known = format!("cluster_known_nodes:{}", self.nodes.len());
        let says = |node: &RedisServer, what: &str| node.info("CLUSTER INFO").iter().any(|fact| fact == what);
        until("the nodes know each other", || self.nodes.iter().all(|node| says(node, &known))).await;
        for (at, replica) in self.nodes.iter().enumerate().skip(self.primaries) {
            let primary = self.nodes[at - self.primaries].tell("CLUSTER MYID").remove(0);
            replica.tell(&format!("CLUSTER REPLICATE {primary}"));
        }
        until("the Cluster is there", || {
            self.nodes.iter().all(|node| {
                // A replica is told of once it has got something from its primary.
                let told = node.tell("CLUSTER SLOTS");
                let tells = |of: &RedisServer| told.contains(&of.address.port().to_string());
                says(node, "cluster_state:ok") && self.nodes.iter().all(tells)
            })
        })
        .await;
    }

    /// Waits until the replicas have all that the primaries have.
    pub async fn wait_for_replicas(&self) {
        for primary in &self.nodes[..self.primaries] {
            wait_for_replicas(primary).await;
        }
    }

    /// The primary that has the key.
    pub fn primary_of(&self, key: &str) -> usize {
        let slot: usize = self.nodes[0].tell(&format!("CLUSTER KEYSLOT {key}"))[0].parse().unwrap();
        (0..self.primaries).find(|at| slot < SLOTS * (at + 1) / self.primaries).unwrap()
    }

    /// Waits until the replica of a primary that is gone has taken its place.
    pub async fn wait_for_the_replica_of(&self, primary: usize) {
        let replica = &self.nodes[primary + self.primaries];
        until("the replica is a primary", || {
            replica.tell("ROLE")[0] == "master"
                && replica.info("CLUSTER INFO").iter().any(|fact| fact == "cluster_state:ok")
        })
        .await;
    }
}
