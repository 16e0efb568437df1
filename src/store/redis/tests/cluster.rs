//! A Cluster keeps the same contract, and may lose one of its servers.

use super::{redis_cluster::RedisCluster, redis_sentinel::wait_for_replicas, *};
use crate::store::{
    AccountStore as _, ChangeStore as _, Enrolment, InsertAccount, Rotation, SessionStart, SessionStore as _, Sessions,
    Store,
    contract::{RULES, account, enrolment, new_session, presented},
};

// It takes seconds until a Cluster is there.
contract::store_contract!(together crate::store::redis::tests::cluster::namespaces);

/// Makes two gateways on one Cluster, each time in a namespace of their own.
async fn namespaces() -> impl AsyncFnMut() -> Bench {
    let cluster = Arc::new(RedisCluster::start().await);
    let mut made = 0;
    async move || {
        made += 1;
        let settings = Settings { namespace: format!("test{made}"), ..of(&cluster) };
        let clock = contract::clock();
        let (here, there) = (member(&settings, &clock).await, member(&settings, &clock).await);
        Bench::new(clock, here, there, Arc::clone(&cluster))
    }
}

async fn member(settings: &Settings, clock: &Clock) -> Node {
    let view = Arc::<View>::default();
    let store = RedisStore::open(settings, clock.clone(), Arc::clone(&view)).await.unwrap();
    Node { store: Arc::new(store), view }
}

/// It knows one node; that one tells of the others.
fn of(cluster: &RedisCluster) -> Settings {
    Settings { servers: Servers::Cluster(Vec::new()), ..settings(cluster.nodes[0].address) }
}

/// Somebody who is signed in, which this primary alone knows.
async fn somebody_on(cluster: &RedisCluster, primary: usize, store: &dyn Store) -> SessionStart {
    loop {
        let somebody = account("ann");
        let session = new_session();
        let keys = [format!("test:{{{}}}", somebody.id), names::Names::new("test").session(session.id)];
        if keys.iter().any(|key| cluster.primary_of(key) != primary) {
            continue;
        }
        let new = Enrolment { session: Some(session), email_key: None, ..enrolment(&somebody) };
        let inserted = store.insert_account(&new).await.unwrap();
        let InsertAccount::Inserted { session: Some(begun), .. } = inserted else { panic!("{inserted:?}") };
        return begun;
    }
}

async fn refresh(store: &RedisStore, begun: &SessionStart, n: u32) -> Result<Rotation, StoreError> {
    store.rotate_session(&presented(&begun.session, n), &RULES).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_server_of_a_cluster_lost_is_told_again_and_the_others_go_on_meanwhile() {
    let mut cluster = RedisCluster::start_with_replicas().await;
    let view = Arc::<View>::default();
    let settings = Settings { timeout: Duration::from_secs(3), ..of(&cluster) };
    let store = RedisStore::open(&settings, contract::clock(), Arc::clone(&view)).await.unwrap();
    let log = cluster.primary_of("test:{log}");
    let lost = (log + 1) % 3;
    let (stays, revoked) = (somebody_on(&cluster, lost, &store).await, somebody_on(&cluster, lost, &store).await);
    let elsewhere = somebody_on(&cluster, (log + 2) % 3, &store).await;
    let before = store.read_changes(None).await.unwrap();
    assert!(!store.read_changes(Some(before.cursor)).await.unwrap().whole);

    wait_for_replicas(&cluster.nodes[lost]).await;
    // The replica does not hear of what comes now.
    cluster.nodes[lost + 3].signal("STOP");
    cluster.nodes[lost].tell("CLIENT KILL TYPE replica");
    store.end_sessions(revoked.session.account, &Sessions::One(revoked.session.id)).await.unwrap();
    assert!(matches!(refresh(&store, &stays, 0).await.unwrap(), Rotation::Rotated(_)));
    cluster.nodes[lost].kill();
    cluster.nodes[lost + 3].signal("CONT");
    assert!(matches!(refresh(&store, &elsewhere, 0).await.unwrap(), Rotation::Rotated(_)));
    cluster.wait_for_the_replica_of(lost).await;

    let rotation = loop {
        match refresh(&store, &stays, 1).await {
            Ok(rotation) => break rotation,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    assert!(matches!(rotation, Rotation::FastForwarded { gap: 1, .. }), "{rotation:?}");
    assert!(store.session(revoked.session.id).await.unwrap().is_some(), "its end was lost");
    let after = loop {
        store.wait_for_changes().await;
        let read = store.read_changes(Some(before.cursor)).await.unwrap();
        if read.whole {
            break read;
        }
    };
    store.reapply_changes(&view.remembered()).await.unwrap();
    assert!(store.session(revoked.session.id).await.unwrap().is_none());
    assert!(!store.read_changes(Some(after.cursor)).await.unwrap().whole, "it is told once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_was_gone_comes_back() {
    let mut cluster = RedisCluster::start().await;
    let store = RedisStore::open(&of(&cluster), contract::clock(), Arc::default()).await.unwrap();
    for node in &mut cluster.nodes {
        node.tell("CONFIG SET save \"3600 1\"");
        node.tell("SAVE");
        node.kill();
    }
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    for node in &mut cluster.nodes {
        node.restart();
    }
    while store.ping().await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_may_be_read_from_replicas() {
    let cluster = RedisCluster::start_with_replicas().await;
    let settings = Settings { read_from_replica: true, ..of(&cluster) };
    let store = RedisStore::open(&settings, contract::clock(), Arc::default()).await.unwrap();
    let ann = account("ann");
    store.insert_account(&enrolment(&ann)).await.unwrap();
    while store.accounts(None, 10).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let listed = |node: &RedisServer| node.info("INFO commandstats").iter().any(|line| line.contains("zrange"));
    assert!(cluster.nodes[3..].iter().any(listed) && !cluster.nodes[..3].iter().any(listed));
}
