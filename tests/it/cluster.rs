//! Two gateways on one Redis are one: what one hands out the other takes, what one ends the other refuses.

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use passgate::clock::{Clock, Timestamp};
use serde_json::json;

use crate::support::{
    Answer, Bench, Gateway, PASSWORD, RedisServer, Tokens, Upstream,
    process::{configuration, free_port, passgate, stderr},
};

/// In which a revocation reaches every gateway.
const REACH: Duration = Duration::from_millis(250);

/// What becomes effective everywhere, at the latest.
const SOON: Duration = Duration::from_secs(10);

pub struct Cluster {
    pub here: Gateway,
    pub there: Gateway,
    pub redis: RedisServer,
}

impl Cluster {
    async fn start() -> Self {
        // Many come from one address here.
        Self::start_with(("limits", "off")).await
    }

    /// With limits, which count in the Redis as well.
    pub async fn start_with_limits() -> Self {
        Self::start_with(("limits.sign_in.per_client", "off")).await
    }

    /// With one key of the configuration overridden.
    pub async fn start_with(setting: (&str, &str)) -> Self {
        Self::start_by(setting, Clock::manual(Timestamp::from_seconds(1_800_000_000))).await
    }

    async fn start_by(setting: (&str, &str), clock: Clock) -> Self {
        let redis = RedisServer::start();
        let here = start(&redis, setting, &clock).await;
        Self { here, there: start(&redis, setting, &clock).await, redis }
    }

    /// One more, with everything else of the bench.
    pub async fn gateway_on(redis: &RedisServer, clock: &Clock) -> Gateway {
        start(redis, ("limits", "off"), clock).await
    }

    /// One after the other.
    fn gateway(&self, turn: usize) -> &Gateway {
        if turn.is_multiple_of(2) { &self.here } else { &self.there }
    }
}

async fn start(redis: &RedisServer, (key, value): (&str, &str), clock: &Clock) -> Gateway {
    let directory = tempfile::tempdir().unwrap();
    let bench = Bench::default().redis(&redis.url()).set(key, value);
    bench.start_in(directory, Upstream::start().await, clock.clone()).await
}

impl Gateway {
    async fn end(&self, tokens: &Tokens) -> Answer {
        let client = json!({ "client_id": "web", "client_secret": "quickstart-secret" });
        self.post_json_as("/api-auth/revoke-token", &tokens.access, client).await
    }

    pub async fn lets_in(&self, tokens: &Tokens) -> bool {
        match self.get("/a", Some(&tokens.access)).await.status {
            200 => true,
            401 => false,
            other => panic!("{other}"),
        }
    }

    /// The first answer to a refresh that is no 503.
    async fn first_answer(&self, tokens: &Tokens) -> Answer {
        let started = Instant::now();
        loop {
            let answer = self.refresh(&tokens.refresh).await;
            if answer.status != 503 {
                return answer;
            }
            assert!(started.elapsed() < SOON, "it does not come back");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How long it takes until the token is refused.
    pub async fn refuses_after(&self, tokens: &Tokens) -> Duration {
        let started = Instant::now();
        while self.lets_in(tokens).await {
            assert!(started.elapsed() < SOON, "it hears of nothing");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        started.elapsed()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_one_hands_out_the_other_takes() {
    let cluster = Cluster::start().await;
    let mut tokens = cluster.here.sign_up("ada@example.com").await;
    for turn in 1..7 {
        assert!(cluster.gateway(turn).lets_in(&tokens).await);
        tokens = Tokens::of(&cluster.gateway(turn).refresh(&tokens.refresh).await);
    }
    cluster.there.sign_in("ada@example.com").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn refreshes_at_once_on_both_agree_on_one_successor() {
    let cluster = Cluster::start().await;
    let first = cluster.here.sign_up("ada@example.com").await;
    let all = futures_util::future::join_all((0..64).map(|turn| cluster.gateway(turn).refresh(&first.refresh))).await;
    let mut successors: Vec<_> = all.iter().map(|answer| Tokens::of(answer).refresh).collect();
    successors.dedup();
    assert_eq!(successors.len(), 1);
    assert_ne!(successors[0], first.refresh);
    for turn in 0..2 {
        assert_eq!(cluster.gateway(turn).refresh(&successors[0]).await.status, 200, "and it holds on both");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_used_refresh_token_is_theft_wherever_it_comes_back() {
    let cluster = Cluster::start().await;
    let first = cluster.here.sign_up("ada@example.com").await;
    let second = Tokens::of(&cluster.there.refresh(&first.refresh).await);
    cluster.here.advance(Duration::from_secs(31));
    assert_eq!(cluster.here.refresh(&first.refresh).await.status, 400);
    assert_eq!(cluster.there.refresh(&second.refresh).await.status, 400);
    cluster.there.refuses_after(&second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_one_ends_the_other_refuses_at_once() {
    let cluster = Cluster::start().await;
    cluster.here.sign_up("ada@example.com").await;
    let mut took = Vec::new();
    for turn in 0..40 {
        let (one, other) = (cluster.gateway(turn), cluster.gateway(turn + 1));
        let tokens = one.sign_in("ada@example.com").await;
        assert!(other.lets_in(&tokens).await, "and so it is cached");
        assert_eq!(one.end(&tokens).await.status, 204);
        assert!(!one.lets_in(&tokens).await);
        took.push(other.refuses_after(&tokens).await);
        assert_eq!(other.refresh(&tokens.refresh).await.status, 400);
    }
    took.sort();
    let p95 = took[took.len() * 95 / 100];
    assert!(p95 < REACH, "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn revoking_here_while_refreshing_there_leaves_no_token_that_works() {
    let cluster = Cluster::start().await;
    cluster.here.sign_up("ada@example.com").await;
    let mut survivors = Vec::new();
    for turn in 0..100 {
        let (one, other) = (cluster.gateway(turn), cluster.gateway(turn + 1));
        let tokens = one.sign_in("ada@example.com").await;
        let (refreshed, revoked) = tokio::join!(other.refresh(&tokens.refresh), one.end(&tokens));
        assert_eq!(revoked.status, 204);
        match refreshed.status {
            200 => survivors.push(Tokens::of(&refreshed)),
            400 => {}
            other => panic!("{other}"),
        }
    }
    tokio::time::sleep(REACH).await;
    for survivor in &survivors {
        for gateway in [&cluster.here, &cluster.there] {
            assert!(!gateway.lets_in(survivor).await);
            assert_eq!(gateway.refresh(&survivor.refresh).await.status, 400);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_account_locked_by_an_operator_is_locked_on_both() {
    let cluster = Cluster::start().await;
    let tokens = cluster.here.sign_up("ada@example.com").await;
    cluster.here.deactivate("ada@example.com").await;
    for gateway in [&cluster.here, &cluster.there] {
        gateway.refuses_after(&tokens).await;
        assert_eq!(gateway.refresh(&tokens.refresh).await.status, 400);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sign_ups_at_once_on_both_make_one_account() {
    let cluster = Cluster::start().await;
    let body = json!({ "email": "ada@example.com", "username": "ada", "first_name": "Ada", "password": PASSWORD });
    let sign_ups = (0..8).map(|turn| cluster.gateway(turn).post_json("/api-auth/create/", &body));
    let all = futures_util::future::join_all(sign_ups).await;
    let of_status = |status| all.iter().filter(|answer| answer.status == status).count();
    assert_eq!((of_status(201), of_status(400)), (1, 7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_redis_with_an_older_copy_brings_nothing_back() {
    let mut cluster = Cluster::start().await;
    let (stays, revoked) =
        (cluster.here.sign_up("ada@example.com").await, cluster.here.sign_in("ada@example.com").await);
    cluster.redis.tell("CONFIG SET save \"3600 1\"");
    cluster.redis.tell("SAVE");
    // None of this is on its disk.
    assert_eq!(cluster.here.end(&revoked).await.status, 204);
    cluster.there.refuses_after(&revoked).await;
    let ahead = Tokens::of(&cluster.there.refresh(&stays.refresh).await);
    let ahead = Tokens::of(&cluster.there.refresh(&ahead.refresh).await);
    cluster.redis.kill();
    cluster.redis.restart();

    for gateway in [&cluster.here, &cluster.there] {
        assert_eq!(gateway.first_answer(&revoked).await.status, 400, "and that is the right one");
        assert!(!gateway.lets_in(&revoked).await);
    }
    let caught_up = Tokens::of(&cluster.here.refresh(&ahead.refresh).await);
    assert!(cluster.there.lets_in(&caught_up).await, "who was ahead of it goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn by_its_own_clock_it_all_works_as_well() {
    let cluster = Cluster::start_by(("limits", "off"), Clock::system()).await;
    let first = cluster.here.sign_up("ada@example.com").await;
    let second = Tokens::of(&cluster.there.refresh(&first.refresh).await);
    assert_eq!(Tokens::of(&cluster.here.refresh(&first.refresh).await).refresh, second.refresh, "within the grace");
    assert!(cluster.here.lets_in(&second).await);
    assert_eq!(cluster.there.end(&second).await.status, 204);
    cluster.here.refuses_after(&second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_limited_is_limited_on_both_together() {
    let cluster = Cluster::start_with(("limits.refresh.per_client", "3/1m")).await;
    let tokens = cluster.here.sign_up("ada@example.com").await;
    let refresh = async |turn| cluster.gateway(turn).refresh(&tokens.refresh).await.status;
    assert_eq!([refresh(0).await, refresh(1).await, refresh(0).await], [200; 3]);
    assert_eq!((refresh(0).await, refresh(1).await), (429, 429));
    cluster.here.advance(Duration::from_secs(20));
    assert_eq!((refresh(1).await, refresh(0).await), (200, 429));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_new_signing_key_is_known_to_all_before_it_signs() {
    let cluster = Cluster::start().await;
    cluster.here.sign_up("ada@example.com").await;
    let (before, published_ahead) = (cluster.here.kids().await, Duration::from_hours(1));
    cluster.here.advance(Duration::from_hours(90 * 24 - 1));
    // Keys are looked at every now and then, and at each start.
    let newcomer = Cluster::gateway_on(&cluster.redis, &cluster.here.clock).await;
    let published = newcomer.kids().await;
    assert_eq!((before.len(), published.len()), (1, 2));
    for gateway in [&cluster.here, &cluster.there] {
        let started = Instant::now();
        while gateway.kids().await != published {
            assert!(started.elapsed() < SOON, "it hears of no key");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    let old = newcomer.sign_in("ada@example.com").await;
    assert_eq!(kid(&old), before[0], "it signs nothing yet");
    cluster.here.advance(published_ahead);
    let new = newcomer.sign_in("ada@example.com").await;
    assert!(published.contains(&kid(&new)) && kid(&new) != before[0]);
    assert!(cluster.here.lets_in(&new).await && cluster.there.lets_in(&new).await, "from the first token on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_gateway_with_another_master_secret_is_refused_at_its_start() {
    let cluster = Cluster::start().await;
    let directory = tempfile::tempdir().unwrap();
    let yaml = format!(
        "{}store: {{ redis: {{ url: \"{}\" }} }}\nsecrets: {{ master: another-than-all-who-share-this-redis }}\n",
        configuration(free_port()),
        cluster.redis.url()
    );
    std::fs::write(directory.path().join("passgate.yaml"), yaml).unwrap();
    let refused =
        passgate().current_dir(directory.path()).args(["serve", "--config", "passgate.yaml"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(64), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("not the one that this store is under"), "{}", stderr(&refused));
    cluster.here.sign_up("ada@example.com").await;
}

impl Gateway {
    /// The names of the keys that are published.
    async fn kids(&self) -> Vec<String> {
        let keys = self.get("/.well-known/jwks.json", None).await.json()["keys"].take();
        keys.as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }
}

/// The name of the key that signed the access token.
fn kid(tokens: &Tokens) -> String {
    let header = URL_SAFE_NO_PAD.decode(tokens.access.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<serde_json::Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}
