//! A server that is gone, silent, read-only, full or emptied: unavailable, soon, and nothing worse.

use std::time::Instant;

use super::{redis_cluster::RedisCluster, *};
use crate::{
    model::{Account, Health},
    session::Refusal,
    store::{
        ChangeStore as _, Enrolment, Rotation, SessionStart, SessionStore as _, Sessions, Store,
        contract::{INSERTED, RULES, account, enrolment, new_session, presented},
    },
};

/// A second, and what a busy machine adds.
const SOON: Duration = Duration::from_secs(2);

struct Scene {
    server: RedisServer,
    store: RedisStore,
    view: Arc<View>,
    ann: Account,
    begun: SessionStart,
}

impl Scene {
    /// Somebody is signed in, with the time-outs of the configuration's defaults.
    async fn set() -> Self {
        let (server, view) = (RedisServer::start(), Arc::<View>::default());
        let settings = Settings {
            connect_timeout: Duration::from_millis(400),
            timeout: Duration::from_millis(800),
            ..settings(server.address)
        };
        let store = RedisStore::open(&settings, contract::clock(), Arc::clone(&view)).await.unwrap();
        let store_as: &dyn Store = &store;
        let ann = account("ann");
        let new = Enrolment { session: Some(new_session()), ..enrolment(&ann) };
        let inserted = store_as.insert_account(&new).await.unwrap();
        let crate::store::InsertAccount::Inserted { session: Some(begun), .. } = inserted else {
            panic!("{inserted:?}")
        };
        Self { server, store, view, ann, begun }
    }

    /// What writes is unavailable, soon.
    async fn assert_that_nothing_is_written(&self) {
        let store: &dyn Store = &self.store;
        let started = Instant::now();
        let session = &self.begun.session;
        let new = enrolment(&account("bob"));
        let (fresh, presented, which) = (new_session(), presented(session, 0), Sessions::One(session.id));
        let (sign_up, sign_in, refresh, revoke, ping) = tokio::join!(
            store.insert_account(&new),
            store.create_session(self.ann.id, self.ann.epoch, &fresh),
            store.rotate_session(&presented, &RULES),
            store.end_sessions(self.ann.id, &which),
            store.ping(),
        );
        let unavailable = [
            matches!(sign_up, Err(StoreError::Unavailable(_))),
            matches!(sign_in, Err(StoreError::Unavailable(_))),
            matches!(refresh, Err(StoreError::Unavailable(_))),
            matches!(revoke, Err(StoreError::Unavailable(_))),
            matches!(ping, Ok(Health::ReadOnly) | Err(StoreError::Unavailable(_))),
        ];
        assert_eq!(unavailable, [true; 5]);
        assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    }

    async fn refresh(&self, n: u32) -> Result<Rotation, StoreError> {
        let store: &dyn Store = &self.store;
        store.rotate_session(&presented(&self.begun.session, n), &RULES).await
    }

    /// The next try is answered, or one soon after it.
    async fn assert_that_it_comes_back(&self) {
        let started = Instant::now();
        while !matches!(self.store.ping().await, Ok(Health::Reachable)) {
            assert!(started.elapsed() < Duration::from_secs(10), "it does not come back");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_gone_is_unavailable_until_there_is_one() {
    let mut scene = Scene::set().await;
    scene.server.kill();
    scene.assert_that_nothing_is_written().await;
    scene.server.restart();
    scene.assert_that_it_comes_back().await;
    // It had nothing on disk: an empty store says so, and nobody else does.
    assert_eq!(scene.refresh(0).await.unwrap(), Rotation::Refused(Refusal::Ended));
    let store: &dyn Store = &scene.store;
    assert_eq!(store.insert_account(&enrolment(&scene.ann)).await.unwrap(), INSERTED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_silent_is_unavailable_until_it_speaks() {
    let scene = Scene::set().await;
    scene.server.signal("STOP");
    scene.assert_that_nothing_is_written().await;
    scene.server.signal("CONT");
    scene.assert_that_it_comes_back().await;
    // Whatever of the above it still did: one who was not told that is no thief.
    assert!(!matches!(scene.refresh(0).await.unwrap(), Rotation::Theft { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_no_writes_still_reads() {
    let scene = Scene::set().await;
    let store: &dyn Store = &scene.store;
    for (begin, end) in
        [("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"), ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0")]
    {
        scene.server.tell(begin);
        scene.assert_that_nothing_is_written().await;
        assert!(store.session(scene.begun.session.id).await.unwrap().is_some(), "{begin}");
        assert_eq!(store.ping().await.unwrap(), Health::ReadOnly, "{begin}");
        scene.server.tell(end);
        scene.assert_that_it_comes_back().await;
    }
    assert!(matches!(scene.refresh(0).await.unwrap(), Rotation::Rotated(_)), "nothing was written meanwhile");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_server_is_another_log_and_is_told_what_was_lost() {
    let scene = Scene::set().await;
    let store: &dyn Store = &scene.store;
    let sid = scene.begun.session.id;
    let before = store.read_changes(None).await.unwrap();
    store.end_sessions(scene.ann.id, &Sessions::One(sid)).await.unwrap();
    scene.server.tell("FLUSHALL");

    let after = store.read_changes(Some(before.cursor)).await.unwrap();
    assert!(after.whole && after.cursor.log_id != before.cursor.log_id);
    store.reapply_changes(&scene.view.remembered()).await.unwrap();
    let told = store.read_changes(None).await.unwrap().entries;
    assert!(told.starts_with(&scene.view.remembered()), "others hear of it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_run_of_the_server_is_another_log() {
    let mut scene = Scene::set().await;
    let before = scene.store.read_changes(None).await.unwrap();
    let again = scene.store.read_changes(Some(before.cursor)).await.unwrap();
    assert!(!again.whole);
    scene.server.tell("CONFIG SET save \"3600 1\"");
    scene.server.tell("SAVE");
    scene.server.kill();
    scene.server.restart();
    scene.assert_that_it_comes_back().await;
    assert!(scene.store.session(scene.begun.session.id).await.unwrap().is_some(), "it has what was saved");
    assert!(scene.store.read_changes(Some(before.cursor)).await.unwrap().whole, "it may have lost what was not");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_knows_to_be_ended_is_not_refreshed_by_a_server_that_forgot() {
    let scene = Scene::set().await;
    let store: &dyn Store = &scene.store;
    let sid = scene.begun.session.id;
    let short = short::id(sid.as_bytes());
    let (hash, field, whose) =
        (format!("test:{{{}}}", scene.ann.id), format!("s:{short}"), format!("test:sid:{short}"));
    scene.server.tell(&format!("COPY {hash} copy"));
    scene.server.tell(&format!("COPY {whose} copy-of-whose"));
    store.end_sessions(scene.ann.id, &Sessions::One(sid)).await.unwrap();
    scene.server.tell(&format!("COPY copy {hash} REPLACE"));
    scene.server.tell(&format!("COPY copy-of-whose {whose}"));
    assert_eq!(scene.server.tell(&format!("HEXISTS {hash} {field}")), ["1"]);
    assert!(store.session(sid).await.unwrap().is_some(), "it came back");
    assert_eq!(scene.refresh(0).await.unwrap(), Rotation::Refused(Refusal::Ended));
}

#[tokio::test]
async fn a_server_that_does_not_answer_or_let_us_in_is_told_at_once() {
    let mut server = RedisServer::start();
    let place = server.address;
    let opened = async |url: &str| {
        let settings = Settings { address: Address::parse(url).unwrap(), ..settings(place) };
        RedisStore::open(&settings, contract::clock(), Arc::default()).await.map(drop)
    };
    server.tell("ACL SETUSER gate on >sesame ~test:* +@read +@write +@scripting +@connection +info +time");
    opened(&format!("redis://gate:sesame@{place}")).await.unwrap();
    let refused = opened(&format!("redis://gate:CANARY@{place}")).await.unwrap_err();
    assert_eq!((refused.exit_code(), refused.to_string().contains("CANARY")), (64, false), "{refused}");
    server.kill();
    let gone = opened(&server.url()).await.unwrap_err();
    assert_eq!(gone.exit_code(), 69, "{gone}");
    assert!(gone.to_string().contains(&place.to_string()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_user_of_the_documentation_may_do_everything() {
    let documentation = include_str!("../../../../docs/redis.md");
    let user = documentation.lines().find_map(|line| line.trim().strip_prefix("ACL SETUSER passgate")).unwrap();
    let user = format!("ACL SETUSER passgate{}", user.replace("passgate:", "test:"));
    let signed_in = |server: &RedisServer| {
        let address = Address::parse(&format!("redis://passgate:PASSWORD@{}", server.address)).unwrap();
        Settings { address, ..settings(server.address) }
    };
    let server = RedisServer::start();
    server.tell(&user);
    do_everything(&signed_in(&server)).await;

    let cluster = RedisCluster::start_with_replicas().await;
    cluster.nodes.iter().for_each(|node| drop(node.tell(&user)));
    let of_cluster = Settings { servers: Servers::Cluster(Vec::new()), ..signed_in(&cluster.nodes[0]) };
    do_everything(&Settings { read_from_replica: true, ..of_cluster }).await;
}

async fn do_everything(settings: &Settings) {
    let store = RedisStore::open(settings, contract::clock(), Arc::default()).await.unwrap();
    let store: &dyn Store = &store;
    let ann = account("ann");
    let link = Some(contract::key("facebook", "42"));
    let new =
        Enrolment { link, session: Some(new_session()), password_hash: Some("hash".to_owned()), ..enrolment(&ann) };
    let inserted = store.insert_account(&new).await.unwrap();
    let crate::store::InsertAccount::Inserted { session: Some(begun), .. } = inserted else { panic!("{inserted:?}") };
    assert!(matches!(store.rotate_session(&presented(&begun.session, 0), &RULES).await.unwrap(), Rotation::Rotated(_)));
    let listed = async || store.accounts(None, 10).await.unwrap();
    while listed().await.is_empty() {
        assert!(settings.read_from_replica, "it is there");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(listed().await, std::slice::from_ref(&ann));
    let link = store.links(ann.id).await.unwrap().remove(0);
    store.delete_link(ann.id, "facebook", link.id, &[]).await.unwrap();
    store.end_sessions(ann.id, &Sessions::One(begun.session.id)).await.unwrap();
    store.read_changes(None).await.unwrap();
    store.wait_for_changes().await;
    store.sweep_expired(&RULES, 10).await.unwrap();
    store.keys().await.unwrap();
    store.clients().await.unwrap();
    store.ping().await.unwrap();
}

#[tokio::test]
async fn a_redis_that_keeps_too_little_is_refused_where_that_is_asked_for() {
    let server = RedisServer::start();
    let opened = async |require_durable| {
        let settings = Settings { require_durable, ..settings(server.address) };
        RedisStore::open(&settings, contract::clock(), Arc::default()).await.map(drop)
    };
    opened(false).await.unwrap();
    let refused = opened(true).await.unwrap_err();
    assert_eq!(refused.exit_code(), 64);
    assert!(refused.to_string().contains("a restart loses every account"), "{refused}");
    server.tell("CONFIG SET appendonly yes");
    assert!(opened(true).await.unwrap_err().to_string().contains("the last second"));
    server.tell("CONFIG SET appendfsync always");
    opened(true).await.unwrap();
}
