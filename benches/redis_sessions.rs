//! What many sessions in a Redis cost: bytes of memory, and the time that a refresh takes beside them.
//!
//! `cargo bench --bench redis_sessions -- [ACCOUNTS] [SESSIONS]`: by default a million of each, which takes some five
//! minutes and 2 GiB. It starts redis-servers of its own. What a refresh takes is measured in turns beside all,
//! a tenth and a thousandth of the sessions, so that whatever else the machine does meets all three alike.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench that cannot go on says so by panicking"
)]

#[allow(dead_code, reason = "the tests do more with it")]
#[path = "../tests/it/support/redis_server.rs"]
mod redis_server;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::stream::{self, StreamExt as _};
use passgate::{
    clock::{Clock, Timestamp},
    model::{Account, AccountId, ClientId, Epoch, Scope, SessionId, SourceId},
    session::{Presented, Rules},
    store::{
        AccountStore as _, Enrolment, InsertAccount, NewSession, Rotation, SessionStore as _,
        redis::{Address, RedisStore, Servers, Settings},
    },
};

use self::redis_server::RedisServer;

const APP: &str = "Example/4.2.0";
const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 \
                       Safari/537.36";

/// As long as those that Passgate makes.
const PASSWORD_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";

const RULES: Rules = Rules {
    idle_ttl: Duration::from_hours(14 * 24),
    absolute_ttl: Duration::from_hours(90 * 24),
    // The few sessions are refreshed often: within a grace their rows would grow, and those of the many would not.
    reuse_grace: Duration::ZERO,
    access_ttl: Duration::from_mins(15),
};

/// Operations at once while sessions are made.
const MAKERS: usize = 256;

/// Turns, and refreshes in each.
const TURNS: usize = 60;
const REFRESHES: usize = 1000;

/// Coprime to any count that has no such factor, and far from one: refreshes are of sessions made at other times.
const STRIDE: usize = 611_953;

#[tokio::main]
async fn main() {
    let counts: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let accounts = counts.first().copied().unwrap_or(1_000_000);
    let sessions = counts.get(1).copied().unwrap_or(1_000_000);
    let share = |part: usize| ((accounts / part).max(1), (sessions / part).max(1));

    for (what, agent, source) in
        [("of an app", APP, None), ("of an app from a new source", APP, Some(SourceId([7; 16])))]
    {
        Scene::set(share(10), what, agent, source).await;
    }
    let mut scenes = Vec::new();
    for part in [1000, 10, 1] {
        scenes.push(Scene::set(share(part), "of a browser", BROWSER, None).await);
    }
    let before = scenes[1].memory().await;
    let all = scenes[1].sessions.len();
    scenes[1].refresh(all, 32).await;
    println!("a refresh adds {:.0} bytes to a browser's session", per(scenes[1].memory().await - before, all));
    compare(&mut scenes).await;
}

/// A server with accounts and sessions.
struct Scene {
    server: RedisServer,
    store: RedisStore,
    /// Each with its generation.
    sessions: Vec<(SessionId, u32)>,
    refreshed: usize,
}

impl Scene {
    /// Makes them, and tells what each takes.
    async fn set((accounts, sessions): (usize, usize), what: &str, agent: &str, source: Option<SourceId>) -> Self {
        let server = RedisServer::start();
        let settings = Settings {
            address: Address::parse(&server.url()).unwrap(),
            servers: Servers::One,
            namespace: "passgate".to_owned(),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            require_durable: false,
            read_from_replica: false,
        };
        let store = RedisStore::open(&settings, Clock::system(), Arc::default()).await.unwrap();
        let mut scene = Self { server, store, sessions: Vec::new(), refreshed: 0 };

        let empty = scene.memory().await;
        let ids: Vec<_> = scene.at_once(accounts, |store, n| async move { insert(&store, n).await }).await;
        let with_accounts = scene.memory().await;
        let make = |store: RedisStore, n: usize| {
            let (account, new) = (ids[n % ids.len()], new_session(agent, source));
            async move {
                store.create_session(account, Epoch::default(), &new).await.unwrap().unwrap();
                (new.id, 0)
            }
        };
        scene.sessions = scene.at_once(sessions, make).await;
        let with_sessions = scene.memory().await;
        println!(
            "{accounts} accounts of {:.0} bytes, {sessions} sessions {what} of {:.0} bytes",
            per(with_accounts - empty, accounts),
            per(with_sessions - with_accounts, sessions)
        );
        scene
    }

    /// Does `what` so many times, many at once.
    async fn at_once<T, F: Future<Output = T>>(&self, times: usize, what: impl Fn(RedisStore, usize) -> F) -> Vec<T> {
        let all = stream::iter(0..times).map(|n| what(self.store.clone(), n));
        all.buffer_unordered(MAKERS).collect().await
    }

    /// Bytes in use, once the server has finished what it does in the background.
    async fn memory(&self) -> f64 {
        self.server.tell("CONFIG SET hz 500");
        tokio::time::sleep(Duration::from_secs(5)).await;
        self.server.tell("CONFIG SET hz 10");
        let told = self.server.tell("MEMORY STATS");
        let mut told = told.iter().skip_while(|name| *name != "total.allocated");
        told.nth(1).unwrap().parse().unwrap()
    }

    /// Refreshes so many sessions, so many at once; how long each took. No session is refreshed twice at once.
    async fn refresh(&mut self, times: usize, at_once: usize) -> Vec<Duration> {
        let (from, all) = (self.refreshed, self.sessions.len());
        self.refreshed += times;
        let chosen: Vec<_> = (from..self.refreshed).map(|n| n * STRIDE % all).collect();
        let presented = chosen.iter().map(|n| presented(self.sessions[*n]));
        let store = &self.store;
        let refreshes = presented.map(|presented| async move {
            let started = Instant::now();
            let rotation = store.rotate_session(&presented, &RULES).await.unwrap();
            assert!(matches!(rotation, Rotation::Rotated(_)), "{rotation:?}");
            started.elapsed()
        });
        let took = stream::iter(refreshes).buffer_unordered(at_once).collect().await;
        for n in chosen {
            self.sessions[n].1 += 1;
        }
        took
    }
}

/// Tells how long a refresh takes in each of the scenes: of all turns, the one in the middle.
async fn compare(scenes: &mut [Scene]) {
    for at_once in [1, 32] {
        let mut turns = vec![Vec::new(); scenes.len()];
        for turn in 0..TURNS {
            for n in 0..scenes.len() {
                // Each of them is the first in turn.
                let n = (n + turn) % scenes.len();
                let times = REFRESHES.min(scenes[n].sessions.len());
                let mut took = scenes[n].refresh(times, at_once).await;
                turns[n].push((percentile(&mut took, 50), percentile(&mut took, 99)));
            }
        }
        let mut first = None;
        for (scene, turns) in scenes.iter().zip(turns) {
            let (mut medians, mut highs): (Vec<_>, Vec<_>) = turns.into_iter().unzip();
            let (median, high) = (micros(percentile(&mut medians, 50)), micros(percentile(&mut highs, 50)));
            let ratio = high / *first.get_or_insert(high);
            let all = scene.sessions.len();
            println!(
                "{all} sessions, {at_once} at once: p50 {median:.0} us, p99 {high:.0} us, {ratio:.2} of the first"
            );
        }
    }
}

fn percentile(took: &mut [Duration], percent: usize) -> Duration {
    took.sort_unstable();
    took[took.len() * percent / 100]
}

async fn insert(store: &RedisStore, n: usize) -> AccountId {
    let email = format!("ada.lovelace{n}@example.org");
    let account = Account {
        id: AccountId::generate(),
        email: Some(email.clone()),
        email_verified: true,
        username: format!("ada{n}"),
        first_name: "Ada".to_owned(),
        last_name: "Lovelace".to_owned(),
        groups: Vec::new(),
        staff: false,
        active: true,
        external_id: None,
        epoch: Epoch::default(),
        created_at: Timestamp::from_seconds(1_790_000_000),
    };
    let id = account.id;
    let new = Enrolment { password_hash: Some(PASSWORD_HASH.to_owned()), ..Enrolment::of(account, Some(&email)) };
    let inserted = store.insert_account(&new).await.unwrap();
    assert!(matches!(inserted, InsertAccount::Inserted { .. }), "{inserted:?}");
    id
}

fn new_session(agent: &str, source: Option<SourceId>) -> NewSession {
    NewSession {
        // Any 16 bytes that are not used twice.
        id: SessionId::from_bytes(*AccountId::generate().as_bytes()),
        client: ClientId::from("web"),
        scope: Scope::parse("read write").unwrap(),
        user_agent: agent.to_owned(),
        source,
        rules: RULES,
    }
}

fn presented((sid, generation): (SessionId, u32)) -> Presented {
    Presented { sid, generation, client: ClientId::from("web"), scope: None }
}

#[expect(clippy::cast_precision_loss, reason = "they are no such large numbers")]
fn per(bytes: f64, count: usize) -> f64 {
    bytes / count as f64
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
