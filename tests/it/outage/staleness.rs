//! `revocation.max_staleness`: who asks for it would rather turn everybody away than let somebody in whose revocation
//! this node could not hear of.

use std::{fs, time::Duration};

use super::{DETAIL, OAUTH, assert_come_back, assert_has_a_time_to_come_back, until};
use crate::{
    cluster::Cluster,
    support::{Gateway, Tokens},
};

const SETTING: (&str, &str) = ("revocation.max_staleness", "5m");
const MOST: Duration = Duration::from_mins(5);
const INSTANT: Duration = Duration::from_millis(1);

impl Gateway {
    /// As long as it may take, then an instant longer.
    async fn assert_that_it_fails_closed_in_time(&self, tokens: &Tokens) {
        self.advance(MOST);
        assert_eq!(self.get("/a", Some(&tokens.access)).await.status, 200);
        self.advance(INSTANT);
        self.assert_that_it_fails_closed(tokens).await;
    }

    async fn assert_that_it_fails_closed(&self, tokens: &Tokens) {
        for token in [&tokens.access, "made.up.token"] {
            for path in ["/a", "/optional/", "/staff/"] {
                let answer = self.get(path, Some(token)).await;
                assert_eq!((answer.status, &answer.json()["detail"]), (503, &"Try again in a moment.".into()));
                assert_has_a_time_to_come_back(&answer);
            }
        }
        assert_eq!(self.get("/public/", Some(&tokens.access)).await.status, 200);
        assert_eq!(self.get("/optional/", None).await.status, 200);
        let other_scheme = [("Authorization", "Basic d2ViOnNlY3JldA==")];
        assert_eq!(self.send("GET", "/optional/", &other_scheme, b"").await.status, 200);
        assert_eq!(self.get("/a", None).await.status, 401, "whoever shows no token is asked for one");

        assert_come_back(&self.get("/api-auth/currentUser/", Some(&tokens.access)).await, DETAIL);
        assert_come_back(&self.revoke(tokens).await, DETAIL);
        for endpoint in ["revoke", "introspect"] {
            assert_come_back(&self.post_token(endpoint, &tokens.access).await, OAUTH);
        }
        assert_eq!(self.readyz("").await.0, 200);
        assert_eq!(self.figure("passgate_change_log_age_seconds").await.to_string(), "300.001");
        assert!(self.figure("passgate_authn_total{outcome=\"unavailable\"}").await >= 8.0);
    }

    async fn assert_that_it_lets_in_again(&self, tokens: &Tokens) {
        until("it lets in again", async || self.get("/a", Some(&tokens.access)).await.status == 200).await;
        assert_eq!(self.get("/a", Some("made.up.token")).await.status, 401);
        assert_eq!(self.figure("passgate_change_log_age_seconds").await.to_string(), "0");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_its_redis_a_gateway_fails_closed_after_that_time_and_comes_back() {
    let mut cluster = Cluster::start_with(SETTING).await;
    let tokens = cluster.here.sign_up("ada@example.com").await;
    cluster.redis.tell("CONFIG SET save \"3600 1\"");
    cluster.redis.tell("SAVE");
    cluster.redis.kill();
    cluster.here.assert_that_it_fails_closed_in_time(&tokens).await;
    cluster.there.assert_that_it_fails_closed(&tokens).await;
    cluster.redis.restart();
    cluster.here.assert_that_it_lets_in_again(&tokens).await;
    cluster.there.assert_that_it_lets_in_again(&tokens).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_redis_that_takes_no_writes_is_still_heard() {
    let cluster = Cluster::start_with(SETTING).await;
    let tokens = cluster.here.sign_up("ada@example.com").await;
    cluster.redis.tell("REPLICAOF 127.0.0.1 1");
    cluster.here.advance(MOST + INSTANT);
    cluster.here.assert_that_it_lets_in_again(&tokens).await;
    assert_eq!(cluster.here.readyz("").await, (200, "read-only".to_owned()));
}

#[tokio::test]
async fn without_its_file_a_gateway_fails_closed_as_well() {
    let gateway = Gateway::start_with(&[SETTING]).await;
    let tokens = gateway.sign_up("ada@example.com").await;
    let (file, away) = (gateway.directory.path().join("passgate.db"), gateway.directory.path().join("away"));
    fs::rename(&file, &away).unwrap();
    gateway.assert_that_it_fails_closed_in_time(&tokens).await;
    fs::rename(&away, &file).unwrap();
    gateway.assert_that_it_lets_in_again(&tokens).await;
}
