//! The rungs of an outage of the Redis that two gateways share: gone, silent, read-only, full, emptied.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{SOON, until};
use crate::{
    cluster::Cluster,
    support::{Gateway, RedisServer, Tokens},
};

/// A second, and what a busy machine adds.
const A_SECOND: Duration = Duration::from_secs(2);

/// One rung: what befalls the server, what it is called, what ends it, and whether reading goes on.
struct Rung {
    begin: fn(&mut RedisServer),
    store: &'static str,
    end: fn(&mut RedisServer),
    reads: bool,
}

impl Rung {
    /// Down this rung and up again, with people busy on both gateways all the time.
    async fn climb(self) {
        let Cluster { here, there, mut redis } = Cluster::start_with_limits().await;
        let both = [&here, &there];
        let (ada, busy) = (here.sign_up("ada@example.com").await, here.sign_in("ada@example.com").await);
        redis.tell("CONFIG SET save \"3600 1\"");
        redis.tell("SAVE");
        let story = async {
            (self.begin)(&mut redis);
            for gateway in both {
                gateway.assert_that_it_is_an_outage(&ada, self.store, self.reads).await;
            }
            (self.end)(&mut redis);
            for gateway in both {
                gateway.assert_that_it_comes_back().await;
            }
        };
        tokio::select! {
            () = story => {}
            () = call_without_a_pause(both, &ada) => {}
            () = refresh_without_a_pause(both, busy) => {}
        }
        // What one of them ends, the other hears of as before.
        let ada = there.sign_in("ada@example.com").await;
        assert_eq!(here.revoke(&ada).await.status, 204);
        there.refuses_after(&ada).await;
    }
}

impl Gateway {
    async fn assert_that_it_is_an_outage(&self, tokens: &Tokens, store: &str, reads: bool) {
        let started = Instant::now();
        self.assert_that_writing_is_put_off(tokens).await;
        assert!(started.elapsed() < A_SECOND, "{:?}", started.elapsed());
        let current_user = self.get("/api-auth/currentUser/", Some(&tokens.access)).await;
        assert_eq!(current_user.status, if reads { 200 } else { 503 });
        assert_eq!(self.readyz("").await, (200, store.to_owned()));
        assert_eq!(self.readyz("?strict=1").await, (503, store.to_owned()));
        for state in ["reachable", "read-only", "unreachable"] {
            let figure = self.figure(&format!("passgate_store_state{{state=\"{state}\"}}")).await;
            assert_eq!(figure > 0.0, state == store, "{state}");
        }
        assert_eq!(self.figure("passgate_store_up").await.to_string(), "0");
    }

    /// Without being started again.
    async fn assert_that_it_comes_back(&self) {
        until("it is reachable", async || self.readyz("?strict=1").await == (200, "reachable".to_owned())).await;
        assert_eq!(self.figure("passgate_store_up").await.to_string(), "1");
        let tokens = self.sign_in("ada@example.com").await;
        let tokens = Tokens::of(&self.refresh(&tokens.refresh).await);
        assert_eq!(self.revoke(&tokens).await.status, 204);
    }
}

/// No call with a valid token fails.
async fn call_without_a_pause(both: [&Gateway; 2], tokens: &Tokens) {
    loop {
        for gateway in both {
            assert_eq!(gateway.get("/a", Some(&tokens.access)).await.status, 200);
        }
    }
}

/// Who refreshes is answered, or told to come back; never that the token is not good.
async fn refresh_without_a_pause(both: [&Gateway; 2], mut tokens: Tokens) {
    for turn in 0.. {
        let answer = both[turn % 2].refresh(&tokens.refresh).await;
        if answer.status == 503 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        } else {
            tokens = Tokens::of(&answer);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_redis_that_is_gone_stops_what_needs_it_and_nothing_else() {
    let rung = Rung { begin: RedisServer::kill, store: "unreachable", end: RedisServer::restart, reads: false };
    rung.climb().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_silent_redis_is_not_waited_for() {
    let rung = Rung {
        begin: |redis| redis.signal("STOP"),
        store: "unreachable",
        end: |redis| redis.signal("CONT"),
        reads: false,
    };
    rung.climb().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_replica_is_read_and_not_written_to() {
    let rung = Rung {
        begin: |redis| drop(redis.tell("REPLICAOF 127.0.0.1 1")),
        store: "read-only",
        end: |redis| drop(redis.tell("REPLICAOF NO ONE")),
        reads: true,
    };
    rung.climb().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_redis_is_read_and_not_written_to() {
    let rung = Rung {
        begin: |redis| drop(redis.tell("CONFIG SET maxmemory 1")),
        store: "read-only",
        end: |redis| drop(redis.tell("CONFIG SET maxmemory 0")),
        reads: true,
    };
    rung.climb().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_redis_that_cannot_save_is_read_and_not_written_to() {
    /// Where it saves to.
    fn file(redis: &RedisServer) -> PathBuf {
        Path::new(&redis.tell("CONFIG GET dir")[1]).join("dump.rdb")
    }
    let rung = Rung {
        begin: |redis| {
            fs::remove_file(file(redis)).unwrap();
            fs::create_dir(file(redis)).unwrap();
            save_until(redis, "err");
        },
        store: "read-only",
        end: |redis| {
            fs::remove_dir(file(redis)).unwrap();
            save_until(redis, "ok");
        },
        reads: true,
    };
    rung.climb().await;
}

/// Has it save, and waits for how that ends.
fn save_until(redis: &RedisServer, status: &str) {
    const STATUS: &str = "return string.match(redis.call('INFO','persistence'),'rdb_last_bgsave_status:(%a+)')";
    redis.tell("BGSAVE");
    let started = Instant::now();
    while redis.tell(&format!("EVAL \"{STATUS}\" 0")) != [status] {
        assert!(started.elapsed() < SOON, "it is still not {status}");
        std::thread::yield_now();
    }
}

/// Emptied by somebody, and started again without what it had.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_emptied_redis_lets_in_whom_it_let_in_and_nobody_that_was_sent_away() {
    let emptied: [fn(&mut RedisServer); 2] = [
        |redis| drop(redis.tell("FLUSHALL")),
        |redis| {
            redis.kill();
            redis.restart();
        },
    ];
    for empty in emptied {
        let Cluster { here, there, mut redis } = Cluster::start_with_limits().await;
        let both = [&here, &there];
        let (ada, revoked) = (here.sign_up("ada@example.com").await, here.sign_in("ada@example.com").await);
        assert_eq!(here.revoke(&revoked).await.status, 204);
        there.refuses_after(&revoked).await;
        let story = async {
            let deployment = redis.tell("GET passgate:{log}:deployment");
            empty(&mut redis);
            let whole = async || redis.tell("GET passgate:{log}:deployment") == deployment;
            until("it has been told whose it is", whole).await;
            for gateway in both {
                until("it has an account again", async || {
                    matches!(gateway.try_to_sign_up("ada@example.com").await.status, 201 | 400)
                })
                .await;
                let tokens = gateway.sign_in("ada@example.com").await;
                assert!(here.lets_in(&tokens).await && there.lets_in(&tokens).await);
            }
        };
        tokio::select! {
            () = story => {}
            () = call_without_a_pause(both, &ada) => {}
        }
        let newcomer = Cluster::gateway_on(&redis, &here.clock).await;
        assert!(newcomer.lets_in(&ada).await);
        for gateway in [&here, &there, &newcomer] {
            assert!(!gateway.lets_in(&revoked).await);
            let refused = gateway.refresh(&ada.refresh).await;
            assert_eq!(refused.json()["error"], "invalid_grant", "its session is gone: that is so, and no outage");
        }
    }
}
