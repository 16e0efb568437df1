//! `POST token` with `grant_type=refresh_token`.

use std::time::Duration;

use super::*;

const GRACE: Duration = Duration::from_secs(30);
const ACCESS_TTL: Duration = Duration::from_mins(15);
const IDLE_TTL: Duration = Duration::from_hours(14 * 24);
const ABSOLUTE_TTL: Duration = Duration::from_hours(90 * 24);
const SECOND: Duration = Duration::from_secs(1);

async fn with_vera() -> (Gateway, Pair) {
    let gateway = Gateway::start().await;
    let pair = sign_up(&gateway, "vera@example.test").await;
    (gateway, pair)
}

#[tokio::test]
async fn a_refresh_token_is_worth_a_new_pair() {
    let (gateway, old) = with_vera().await;
    let answer = refresh(&gateway, &old.refresh).await;
    assert_eq!(answer.json()["scope"], "read write");
    let new = Pair::of(&answer);
    assert!(new.access != old.access && new.refresh != old.refresh);
    assert_eq!(gateway.get(CURRENT_USER, Some(&new.access)).await.status, 200);
    Pair::of(&refresh(&gateway, &new.refresh).await);
}

#[tokio::test]
async fn the_access_token_of_before_lives_to_its_own_end() {
    let (gateway, old) = with_vera().await;
    Pair::of(&refresh(&gateway, &old.refresh).await);
    assert_eq!(gateway.get(CURRENT_USER, Some(&old.access)).await.status, 200);
    gateway.clock.advance(ACCESS_TTL + Duration::from_secs(6));
    assert_eq!(gateway.get(CURRENT_USER, Some(&old.access)).await.status, 401);
}

#[tokio::test]
async fn what_is_no_refresh_token_of_this_client_is_invalid_without_description() {
    let gateway = Gateway::start_with(&[("clients.spa.grants", "[password, refresh_token]")]).await;
    gateway.post_json(CREATE, person("vera@example.test")).await;
    let pair = sign_in(&gateway, "vera@example.test").await;
    let flipped = {
        let (head, last) = pair.refresh.split_at(pair.refresh.len() - 6);
        format!("{head}{}", last.chars().map(|c| if c == 'A' { 'B' } else { 'A' }).collect::<String>())
    };
    for wrong in ["garbage", "", "pgr_", "pgr_AAAA", &pair.access, &flipped, &format!("{} ", pair.refresh)] {
        assert_error(&refresh(&gateway, wrong).await, 400, "invalid_grant");
    }
    let other_client = with(refresh_request(&pair.refresh), &json!({ "client_id": "spa", "client_secret": null }));
    assert_error(&gateway.post_json(TOKEN, other_client).await, 400, "invalid_grant");
    Pair::of(&refresh(&gateway, &pair.refresh).await);
}

#[tokio::test]
async fn a_missing_parameter_and_a_wrong_secret_burn_nothing() {
    let (gateway, pair) = with_vera().await;
    let missing = with(refresh_request(""), &json!({ "refresh_token": null }));
    assert_answer(
        &gateway.post_json(TOKEN, missing).await,
        400,
        &json!({ "error": "invalid_request", "error_description": "Missing refresh token parameter." }),
    );
    for secret in [Value::Null, json!("wrong")] {
        let wrong = with(refresh_request(&pair.refresh), &json!({ "client_secret": secret }));
        assert_error(&gateway.post_json(TOKEN, wrong).await, 401, "invalid_client");
    }
    Pair::of(&refresh(&gateway, &pair.refresh).await);
}

#[tokio::test]
async fn a_scope_narrows_for_good_and_never_widens() {
    let (gateway, pair) = with_vera().await;
    let scoped = |token: &str, scope: &str| with(refresh_request(token), &json!({ "scope": scope }));
    assert_error(&gateway.post_json(TOKEN, scoped(&pair.refresh, "read write admin")).await, 400, "invalid_scope");
    let narrowed = gateway.post_json(TOKEN, scoped(&pair.refresh, "read")).await;
    assert_eq!(narrowed.json()["scope"], "read");
    let narrow = Pair::of(&narrowed).refresh;
    assert_error(&gateway.post_json(TOKEN, scoped(&narrow, "read write")).await, 400, "invalid_scope");
    assert_eq!(refresh(&gateway, &narrow).await.json()["scope"], "read");
}

#[tokio::test]
async fn the_deactivated_refresh_no_more_and_their_access_tokens_hold_no_more() {
    let (gateway, pair) = with_vera().await;
    gateway.deactivate("vera@example.test").await;
    assert_error(&refresh(&gateway, &pair.refresh).await, 400, "invalid_grant");
    assert_eq!(gateway.get(CURRENT_USER, Some(&pair.access)).await.status, 401);
}

#[tokio::test]
async fn sixty_four_refreshes_at_once_agree_on_one_successor() {
    let (gateway, pair) = with_vera().await;
    let answers = futures_util::future::join_all((0..64).map(|_| refresh(&gateway, &pair.refresh))).await;
    let successors: std::collections::HashSet<_> = answers.iter().map(|answer| Pair::of(answer).refresh).collect();
    assert_eq!(successors.len(), 1);
    for answer in &answers {
        assert_eq!(gateway.get(CURRENT_USER, Some(&Pair::of(answer).access)).await.status, 200);
    }
}

#[tokio::test]
async fn a_straggler_within_the_grace_gets_the_same_successor() {
    let (gateway, old) = with_vera().await;
    let new = Pair::of(&refresh(&gateway, &old.refresh).await);
    gateway.clock.advance(GRACE.saturating_sub(SECOND));
    assert_eq!(Pair::of(&refresh(&gateway, &old.refresh).await).refresh, new.refresh);
    Pair::of(&refresh(&gateway, &new.refresh).await);
}

#[tokio::test]
async fn a_replay_after_the_grace_ends_the_whole_session() {
    let (gateway, stolen) = with_vera().await;
    let new = Pair::of(&refresh(&gateway, &stolen.refresh).await);
    gateway.clock.advance(GRACE + SECOND);
    assert_error(&refresh(&gateway, &stolen.refresh).await, 400, "invalid_grant");
    assert_error(&refresh(&gateway, &new.refresh).await, 400, "invalid_grant");
    for access in [&stolen.access, &new.access] {
        assert_eq!(gateway.get(CURRENT_USER, Some(access)).await.status, 401);
    }
}

#[tokio::test]
async fn a_thief_with_another_client_cannot_end_the_session() {
    let gateway = Gateway::start_with(&[("clients.spa.grants", "[password, refresh_token]")]).await;
    gateway.post_json(CREATE, person("vera@example.test")).await;
    let old = sign_in(&gateway, "vera@example.test").await;
    let new = Pair::of(&refresh(&gateway, &old.refresh).await);
    gateway.clock.advance(GRACE + SECOND);
    let other_client = with(refresh_request(&old.refresh), &json!({ "client_id": "spa", "client_secret": null }));
    assert_error(&gateway.post_json(TOKEN, other_client).await, 400, "invalid_grant");
    Pair::of(&refresh(&gateway, &new.refresh).await);
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_for_too_long() {
    let (gateway, pair) = with_vera().await;
    gateway.clock.advance(IDLE_TTL.saturating_sub(SECOND));
    let pair = Pair::of(&refresh(&gateway, &pair.refresh).await);
    gateway.clock.advance(IDLE_TTL + SECOND);
    assert_error(&refresh(&gateway, &pair.refresh).await, 400, "invalid_grant");
}

#[tokio::test]
async fn a_session_ends_at_its_absolute_limit_and_no_access_token_outlives_it() {
    let (gateway, mut pair) = with_vera().await;
    let week = Duration::from_hours(7 * 24);
    let mut left = ABSOLUTE_TTL;
    while left > week {
        gateway.clock.advance(week);
        left -= week;
        pair = Pair::of(&refresh(&gateway, &pair.refresh).await);
    }
    gateway.clock.advance(left.saturating_sub(Duration::from_mins(1)));
    let answer = refresh(&gateway, &pair.refresh).await;
    assert_eq!(answer.json()["expires_in"], 60);
    gateway.clock.advance(Duration::from_mins(1));
    assert_error(&refresh(&gateway, &Pair::of(&answer).refresh).await, 400, "invalid_grant");
}
