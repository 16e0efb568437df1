//! Sentinels choose another primary: it is found, and what the old one had not passed on is made good.

use super::{
    redis_sentinel::{PRIMARY, Sentinels as Servers3},
    *,
};
use crate::store::{
    AccountStore as _, ChangeStore as _, Enrolment, InsertAccount, Rotation, SessionStart, SessionStore as _, Sessions,
    contract::{RULES, account, enrolment, new_session, presented},
};

struct Scene {
    servers: Servers3,
    store: RedisStore,
    view: Arc<View>,
}

impl Scene {
    async fn set() -> Self {
        let servers = Servers3::start().await;
        let view = Arc::<View>::default();
        let store = RedisStore::open(&of(&servers), contract::clock(), Arc::clone(&view)).await.unwrap();
        Self { servers, store, view }
    }

    async fn sign_up(&self) -> SessionStart {
        let new = Enrolment { session: Some(new_session()), email_key: None, ..enrolment(&account("ann")) };
        let inserted = self.store.insert_account(&new).await.unwrap();
        let InsertAccount::Inserted { session: Some(begun), .. } = inserted else { panic!("{inserted:?}") };
        begun
    }

    async fn refresh(&self, begun: &SessionStart, n: u32) -> Result<Rotation, StoreError> {
        self.store.rotate_session(&presented(&begun.session, n), &RULES).await
    }

    /// The first answer to a refresh that is one.
    async fn refresh_at_last(&self, begun: &SessionStart, n: u32) -> Rotation {
        loop {
            match self.refresh(begun, n).await {
                Ok(rotation) => return rotation,
                Err(StoreError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn of(servers: &Servers3) -> Settings {
    let nodes = servers.nodes().iter().map(|node| settings::Node::parse(node).unwrap()).collect();
    Settings {
        address: Address::parse(&format!("redis://{PRIMARY}")).unwrap(),
        servers: Servers::Sentinel(Sentinels { nodes, user: None, password: None }),
        timeout: Duration::from_millis(800),
        ..settings(servers.servers[0].address)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_primary_is_found_and_told_what_it_missed() {
    let mut scene = Scene::set().await;
    let (stays, revoked) = (scene.sign_up().await, scene.sign_up().await);
    let before = scene.store.read_changes(None).await.unwrap();
    scene.servers.wait_for_replicas().await;
    // The replicas do not hear of what comes now.
    scene.servers.servers[1..].iter().for_each(|replica| replica.signal("STOP"));
    scene.servers.servers[0].tell("CLIENT KILL TYPE replica");
    scene.store.end_sessions(revoked.session.account, &Sessions::One(revoked.session.id)).await.unwrap();
    assert!(matches!(scene.refresh(&stays, 0).await.unwrap(), Rotation::Rotated(_)));
    scene.servers.servers[0].kill();
    scene.servers.servers[1..].iter().for_each(|replica| replica.signal("CONT"));
    scene.servers.wait_for_another_than(0).await;

    let rotation = scene.refresh_at_last(&stays, 1).await;
    assert!(matches!(rotation, Rotation::FastForwarded { gap: 1, .. }), "{rotation:?}");
    assert!(scene.store.session(revoked.session.id).await.unwrap().is_some(), "its end was lost");
    assert_eq!(scene.refresh_at_last(&revoked, 0).await, Rotation::Refused(crate::session::Refusal::Ended));
    let read = scene.store.read_changes(Some(before.cursor)).await.unwrap();
    assert!(read.whole, "another server runs");
    scene.store.reapply_changes(&scene.view.remembered()).await.unwrap();
    assert!(scene.store.session(revoked.session.id).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_is_silent_is_left_for_the_next() {
    let scene = Scene::set().await;
    let begun = scene.sign_up().await;
    scene.servers.wait_for_replicas().await;
    scene.servers.servers[0].signal("STOP");
    assert!(matches!(scene.refresh(&begun, 0).await, Err(StoreError::Unavailable(_))));
    scene.servers.wait_for_another_than(0).await;
    assert!(matches!(scene.refresh_at_last(&begun, 0).await, Rotation::Rotated(_)));
    scene.servers.servers[0].signal("CONT");
    // It is made a replica, and is not taken for a primary meanwhile.
    assert!(matches!(scene.refresh_at_last(&begun, 1).await, Rotation::Rotated(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_sentinel_holds_nobody_up() {
    let scene = Scene::set().await;
    scene.servers.sentinels[0].signal("STOP");
    let started = std::time::Instant::now();
    let store = RedisStore::open(&of(&scene.servers), contract::clock(), Arc::default()).await.unwrap();
    store.ping().await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    scene.servers.sentinels[0].signal("CONT");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_may_be_read_from_replicas() {
    let scene = Scene::set().await;
    let settings = Settings { read_from_replica: true, ..of(&scene.servers) };
    let store = RedisStore::open(&settings, contract::clock(), Arc::default()).await.unwrap();
    scene.sign_up().await;
    while store.accounts(None, 10).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let listed = scene.servers.servers[0].info("INFO commandstats");
    assert!(!listed.iter().any(|line| line.contains("zrange") || line.contains("hmget")), "{listed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_no_sentinel_knows_is_out_of_reach_and_says_why() {
    let scene = Scene::set().await;
    let settings = Settings { address: Address::parse("redis://nobody").unwrap(), ..of(&scene.servers) };
    let refused = RedisStore::open(&settings, contract::clock(), Arc::default()).await.map(drop).unwrap_err();
    assert_eq!(refused.exit_code(), 69);
    assert!(refused.to_string().contains("know no primary of this name"), "{refused}");
}
