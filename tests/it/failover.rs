//! A server dies under load and a replica takes its place: nobody is signed out, and nobody comes back.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use passgate::clock::Clock;
use serde_json::json;

use crate::support::{
    Bench, Gateway, Tokens, Upstream,
    redis_cluster::RedisCluster,
    redis_sentinel::{PRIMARY, Sentinels},
};

/// Who stays signed in, and how often each of them refreshes afterwards.
const PEOPLE: usize = 16;
const REFRESHES: usize = 3;

/// How long it may take on a busy machine until there is another primary.
const PATIENCE: Duration = Duration::from_mins(1);

async fn gateway(redis: &str) -> Gateway {
    let bench = Bench::default().redis_by(redis).set("limits", "off");
    bench.start_in(tempfile::tempdir().unwrap(), Upstream::start().await, Clock::system()).await
}

/// Refreshes at both gateways in turn, until it has worked so often after the failure.
async fn stay_signed_in(gateways: &[Gateway], mut tokens: Tokens, failed: &AtomicBool) -> Tokens {
    let (started, mut worked, mut turn) = (Instant::now(), 0, 0);
    while worked < REFRESHES {
        assert!(started.elapsed() < PATIENCE, "there is no other primary");
        turn += 1;
        let gateway = &gateways[turn % gateways.len()];
        let answer = gateway.refresh(&tokens.refresh).await;
        match answer.status {
            200 => {
                tokens = Tokens::of(&answer);
                worked += usize::from(failed.load(Ordering::SeqCst));
            }
            503 => assert!(answer.header("Retry-After").is_some()),
            other => panic!("{other}: {}", answer.text()),
        }
        assert_eq!(gateway.get("/a", Some(&tokens.access)).await.status, 200, "what is proxied goes on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokens
}

/// People go on while a server dies, and some leave right before: those stay away.
async fn nobody_is_signed_out_or_comes_back(
    redis: &str,
    replicas_have_everything: impl AsyncFn(),
    server_dies: impl FnOnce(),
) {
    let gateways = [gateway(redis).await, gateway(redis).await];
    let (mut staying, mut leaving) = (Vec::new(), Vec::new());
    for person in 0..PEOPLE {
        staying.push(gateways[0].sign_up(&format!("ada{person}@example.com")).await);
        leaving.push(gateways[1].sign_in(&format!("ada{person}@example.com")).await);
    }
    replicas_have_everything().await;

    let failed = AtomicBool::new(false);
    let load = join_all(staying.into_iter().map(|tokens| stay_signed_in(&gateways, tokens, &failed)));
    // None of this is known to the replicas for sure when the server goes.
    let dies = async {
        for tokens in &leaving {
            let client = json!({ "client_id": "web", "client_secret": "quickstart-secret" });
            let ended = gateways[0].post_json_as("/api-auth/revoke-token", &tokens.access, client).await;
            assert_eq!(ended.status, 204, "it is still there");
        }
        server_dies();
        failed.store(true, Ordering::SeqCst);
    };
    let (stayed, ()) = tokio::join!(load, dies);

    for (person, tokens) in stayed.iter().enumerate() {
        assert_eq!(gateways[person % 2].refresh(&tokens.refresh).await.status, 200);
    }
    for gateway in &gateways {
        for tokens in &leaving {
            assert_eq!(gateway.refresh(&tokens.refresh).await.status, 400, "who left stays away");
            assert_eq!(gateway.get("/a", Some(&tokens.access)).await.status, 401);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_primary_that_dies_under_load_signs_nobody_out_and_brings_nobody_back() {
    let servers = Sentinels::start().await;
    let redis = format!("url: \"redis://{PRIMARY}\", sentinel: {{ nodes: {:?} }}", servers.nodes());
    let kill = || servers.servers[0].signal("KILL");
    nobody_is_signed_out_or_comes_back(&redis, async || servers.wait_for_replicas().await, kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_of_a_cluster_that_dies_under_load_signs_nobody_out_and_brings_nobody_back() {
    let cluster = RedisCluster::start_with_replicas().await;
    let redis = format!("url: \"redis://{}\", cluster: {{}}", cluster.nodes[0].address);
    let kill = || cluster.nodes[cluster.primary_of("passgate:{log}")].signal("KILL");
    nobody_is_signed_out_or_comes_back(&redis, async || cluster.wait_for_replicas().await, kill).await;
}
