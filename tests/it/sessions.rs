//! The life of a session, as its clients live it.

use std::{collections::HashSet, time::Duration};

use serde_json::json;

use crate::support::{Bench, Gateway, Tokens};

const GRACE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn sixty_four_refreshes_at_once_agree_on_one_successor() {
    let gateway = Gateway::start().await;
    let tokens = gateway.sign_up("ada@example.com").await;
    let answers = futures_util::future::join_all((0..64).map(|_| gateway.refresh(&tokens.refresh))).await;
    let pairs: Vec<Tokens> = answers.iter().map(Tokens::of).collect();
    assert_eq!(pairs.iter().map(|pair| &pair.refresh).collect::<HashSet<_>>().len(), 1);
    for pair in &pairs {
        assert_eq!(gateway.get("/a", Some(&pair.access)).await.status, 200);
    }
    assert_eq!(gateway.refresh(&pairs[0].refresh).await.status, 200, "the successor works");
}

#[tokio::test]
async fn a_straggler_within_the_grace_gets_the_current_token() {
    let gateway = Gateway::start().await;
    let first = gateway.sign_up("ada@example.com").await;
    let second = Tokens::of(&gateway.refresh(&first.refresh).await);
    gateway.advance(GRACE / 3);
    let third = Tokens::of(&gateway.refresh(&second.refresh).await);
    gateway.advance(GRACE / 3);
    for straggler in [&first, &second] {
        assert_eq!(Tokens::of(&gateway.refresh(&straggler.refresh).await).refresh, third.refresh);
    }
}

#[tokio::test]
async fn a_replay_after_the_grace_ends_the_whole_session() {
    let gateway = Gateway::start().await;
    let first = gateway.sign_up("ada@example.com").await;
    let second = Tokens::of(&gateway.refresh(&first.refresh).await);
    gateway.advance(GRACE + Duration::from_secs(1));
    let answer = gateway.refresh(&first.refresh).await;
    assert_eq!((answer.status, answer.json()), (400, json!({ "error": "invalid_grant" })));
    assert_eq!(gateway.refresh(&second.refresh).await.status, 400, "the thief's or the victim's, it is over");
    assert_eq!(gateway.get("/a", Some(&second.access)).await.status, 401, "access tokens end at once");
    assert_eq!(gateway.get("/a", Some(&first.access)).await.status, 401);
    // The account's other sessions go on.
    let other = gateway.sign_in("ada@example.com").await;
    assert_eq!(gateway.refresh(&other.refresh).await.status, 200);
}

#[tokio::test]
async fn a_busy_client_does_not_stretch_the_grace_of_its_first_token() {
    let gateway = Gateway::start().await;
    let first = gateway.sign_up("ada@example.com").await;
    let mut current = Tokens::of(&gateway.refresh(&first.refresh).await);
    for _ in 0..4 {
        gateway.advance(GRACE / 3);
        current = Tokens::of(&gateway.refresh(&current.refresh).await);
    }
    assert_eq!(gateway.refresh(&first.refresh).await.status, 400);
    assert_eq!(gateway.refresh(&current.refresh).await.status, 400, "a replay ended it");
}

#[tokio::test]
async fn sessions_end_by_idleness_and_by_age() {
    let gateway = Gateway::start().await;
    let day = Duration::from_hours(24);
    let idle = gateway.sign_up("ada@example.com").await;
    gateway.advance(14 * day + Duration::from_secs(1));
    assert_eq!(gateway.refresh(&idle.refresh).await.json(), json!({ "error": "invalid_grant" }));

    let mut tokens = gateway.sign_in("ada@example.com").await;
    for _ in 0..8 {
        gateway.advance(11 * day);
        tokens = Tokens::of(&gateway.refresh(&tokens.refresh).await);
    }
    gateway.advance(2 * day);
    assert_eq!(gateway.refresh(&tokens.refresh).await.status, 400, "90 days after signing in");
}

#[tokio::test]
async fn no_access_token_outlives_its_session() {
    let gateway = Gateway::start().await;
    let day = Duration::from_hours(24);
    let mut tokens = gateway.sign_up("ada@example.com").await;
    for _ in 0..8 {
        gateway.advance(11 * day);
        tokens = Tokens::of(&gateway.refresh(&tokens.refresh).await);
    }
    gateway.advance(Duration::from_hours(48).saturating_sub(Duration::from_mins(1)));
    let last = gateway.refresh(&tokens.refresh).await;
    assert_eq!(last.json()["expires_in"], 60);
}

#[tokio::test]
async fn a_failed_try_burns_nothing() {
    let gateway = Gateway::start_with(&[("clients.other.secret", "other-secret")]).await;
    let tokens = gateway.sign_up("ada@example.com").await;
    let refresh = |client: &str, secret: &str, scope: &str| {
        let mut body = json!({
            "grant_type": "refresh_token", "refresh_token": tokens.refresh,
            "client_id": client, "client_secret": secret,
        });
        if !scope.is_empty() {
            body["scope"] = json!(scope);
        }
        body
    };
    for (body, status, error) in [
        (refresh("other", "other-secret", ""), 400, "invalid_grant"),
        (refresh("web", "wrong", ""), 401, "invalid_client"),
        (refresh("web", "quickstart-secret", "read write admin"), 400, "invalid_scope"),
    ] {
        let answer = gateway.post_json("/api-auth/token", &body).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (status, Some(error)));
    }
    assert_eq!(gateway.refresh(&tokens.refresh).await.status, 200);
}

#[tokio::test]
async fn a_narrowed_scope_stays_narrow() {
    let gateway = Gateway::start().await;
    let tokens = gateway.sign_up("ada@example.com").await;
    let mut body = json!({
        "grant_type": "refresh_token", "refresh_token": tokens.refresh, "scope": "read",
        "client_id": "web", "client_secret": "quickstart-secret",
    });
    let narrowed = gateway.post_json("/api-auth/token", &body).await;
    assert_eq!(narrowed.json()["scope"], "read");
    body["refresh_token"] = narrowed.json()["refresh_token"].clone();
    body["scope"] = json!("read write");
    assert_eq!(gateway.post_json("/api-auth/token", &body).await.json(), json!({ "error": "invalid_scope" }));
}

#[tokio::test]
async fn revocation_acts_at_once_and_on_one_session_alone() {
    let gateway = Gateway::start().await;
    let gone = gateway.sign_up("ada@example.com").await;
    let stays = gateway.sign_in("ada@example.com").await;
    assert_eq!(gateway.get("/a", Some(&gone.access)).await.status, 200, "and so it is cached");
    let client = json!({ "client_id": "web", "client_secret": "quickstart-secret" });
    let answer = gateway.post_json_as("/api-auth/revoke-token", &gone.access, &client).await;
    assert_eq!((answer.status, answer.body.len(), answer.header("Content-Length")), (204, 0, None));
    assert_eq!(gateway.get("/a", Some(&gone.access)).await.status, 401);
    assert_eq!(gateway.refresh(&gone.refresh).await.status, 400);
    assert_eq!(gateway.post_json_as("/api-auth/revoke-token", &gone.access, &client).await.status, 401);
    assert_eq!(gateway.get("/a", Some(&stays.access)).await.status, 200);
}

#[tokio::test]
async fn revoking_while_refreshing_leaves_no_token_that_works() {
    let gateway = Gateway::start().await;
    gateway.sign_up("ada@example.com").await;
    for _ in 0..20 {
        let tokens = gateway.sign_in("ada@example.com").await;
        let client = json!({ "client_id": "web", "client_secret": "quickstart-secret" });
        let (refreshed, revoked) = tokio::join!(
            gateway.refresh(&tokens.refresh),
            gateway.post_json_as("/api-auth/revoke-token", &tokens.access, &client),
        );
        assert_eq!(revoked.status, 204);
        if refreshed.status == 200 {
            let survivor = Tokens::of(&refreshed);
            assert_eq!(gateway.get("/a", Some(&survivor.access)).await.status, 401);
            assert_eq!(gateway.refresh(&survivor.refresh).await.status, 400);
        }
    }
}

#[tokio::test]
async fn a_restart_signs_nobody_out_and_brings_nothing_back() {
    let gateway = Gateway::start().await;
    let stays = gateway.sign_up("ada@example.com").await;
    let gone = gateway.sign_in("ada@example.com").await;
    let client = json!({ "client_id": "web", "client_secret": "quickstart-secret" });
    gateway.post_json_as("/api-auth/revoke-token", &gone.access, &client).await;
    let (directory, upstream, clock) = gateway.stop().await;
    let gateway = Bench::default().start_in(directory, upstream, clock).await;
    assert_eq!(gateway.get("/a", Some(&stays.access)).await.status, 200);
    assert_eq!(gateway.refresh(&stays.refresh).await.status, 200);
    assert_eq!(gateway.get("/a", Some(&gone.access)).await.status, 401);
    assert_eq!(gateway.refresh(&gone.refresh).await.status, 400);
}

#[tokio::test]
async fn no_kind_of_token_stands_in_for_another() {
    let gateway = Gateway::start().await;
    let tokens = gateway.sign_up("ada@example.com").await;
    assert_eq!(gateway.get("/a", Some(&tokens.refresh)).await.status, 401);
    assert_eq!(gateway.refresh(&tokens.access).await.json(), json!({ "error": "invalid_grant" }));
    let mut altered = tokens.refresh.clone();
    let last = altered.pop().unwrap();
    altered.push(if last == 'A' { 'B' } else { 'A' });
    assert_eq!(gateway.refresh(&altered).await.status, 400);
    assert_eq!(gateway.refresh(&tokens.refresh).await.status, 200, "a forgery burns nothing");
}
