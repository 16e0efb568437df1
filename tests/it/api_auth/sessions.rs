//! `sessions/`, `sessions/{id}` and `sign-out-everywhere/`.

use std::time::Duration;

use super::*;

const SESSIONS: &str = "/api-auth/sessions/";
const EVERYWHERE: &str = "/api-auth/sign-out-everywhere/";

async fn listed(gateway: &Gateway, pair: &Pair) -> Vec<Value> {
    let answer = gateway.get(SESSIONS, Some(&pair.access)).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    answer.json().as_array().unwrap().clone()
}

async fn end(gateway: &Gateway, pair: &Pair, id: &str) -> Answer {
    let authorization = format!("Bearer {}", pair.access);
    send(gateway, "DELETE", &format!("/api-auth/sessions/{id}"), &[("Authorization", &authorization)], "").await
}

async fn sign_in_as(gateway: &Gateway, user_agent: &str) -> Pair {
    let headers = [("Content-Type", "application/json"), ("User-Agent", user_agent)];
    Pair::of(&send(gateway, "POST", TOKEN, &headers, &password_request("vera@example.test").to_string()).await)
}

#[tokio::test]
async fn they_say_when_with_which_client_and_by_what() {
    let gateway = Gateway::start_with(&[("clients.spa.grants", "[password, refresh_token]")]).await;
    sign_up(&gateway, "other@example.test").await;
    gateway.post_json(CREATE, person("vera@example.test")).await;
    gateway.advance(Duration::from_mins(1));
    let phone = sign_in_as(&gateway, "Phone/1.0").await;
    gateway.advance(Duration::from_mins(1));
    let request = with(password_request("vera@example.test"), &json!({ "client_id": "spa", "client_secret": null }));
    let spa = Pair::of(&gateway.post_json(TOKEN, request).await);
    gateway.advance(Duration::from_mins(1));
    let phone = Pair::of(&refresh(&gateway, &phone.refresh).await);

    let sessions = listed(&gateway, &phone).await;
    let of = |n: usize| {
        let session = &sessions[n];
        let member = |name: &str| session[name].as_str().unwrap().to_owned();
        (
            member("client_id"),
            member("user_agent"),
            member("created_at"),
            member("last_used_at"),
            session["current"] == true,
        )
    };
    let row = |client: &str, agent: &str, created: &str, used: &str, current| {
        (client.to_owned(), agent.to_owned(), created.to_owned(), used.to_owned(), current)
    };
    // The last used first.
    assert_eq!(of(0), row("web", "Phone/1.0", "2027-01-15T08:01:00Z", "2027-01-15T08:03:00Z", true));
    assert_eq!(of(1), row("spa", "", "2027-01-15T08:02:00Z", "2027-01-15T08:02:00Z", false));
    assert_eq!(of(2), row("web", "", "2027-01-15T08:00:00Z", "2027-01-15T08:00:00Z", false));
    assert_eq!(sessions.len(), 3);
    assert_eq!(listed(&gateway, &spa).await[1]["current"], true);
}

#[tokio::test]
async fn a_session_past_its_limits_is_not_listed() {
    let gateway = Gateway::start().await;
    sign_up(&gateway, "vera@example.test").await;
    gateway.advance(Duration::from_hours(15 * 24));
    let now = sign_in(&gateway, "vera@example.test").await;
    assert_eq!(listed(&gateway, &now).await.len(), 1);
}

#[tokio::test]
async fn one_session_ends_and_no_other() {
    let gateway = Gateway::start().await;
    let old = sign_up(&gateway, "vera@example.test").await;
    gateway.advance(Duration::from_secs(1));
    let new = sign_in(&gateway, "vera@example.test").await;
    let ids: Vec<_> =
        listed(&gateway, &new).await.iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect();
    let answer = end(&gateway, &new, &ids[1]).await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert_eq!(gateway.get(CURRENT_USER, Some(&old.access)).await.status, 401);
    assert_error(&refresh(&gateway, &old.refresh).await, 400, "invalid_grant");
    assert_eq!(end(&gateway, &new, &ids[1]).await.status, 404);
    // One's own is a session like any other.
    assert_eq!(end(&gateway, &new, &format!("{}/", ids[0])).await.status, 204);
    assert_eq!(gateway.get(CURRENT_USER, Some(&new.access)).await.status, 401);
}

#[tokio::test]
async fn what_is_not_ones_own_session_is_not_found() {
    let gateway = Gateway::start().await;
    let vera = sign_up(&gateway, "vera@example.test").await;
    let other = sign_up(&gateway, "other@example.test").await;
    let id = listed(&gateway, &other).await[0]["id"].as_str().unwrap().to_owned();
    for id in [id.as_str(), "x", "00000000000000000000000000000000", &"a".repeat(5000), "%F0%9F"] {
        assert_answer(&end(&gateway, &vera, id).await, 404, &json!({ "detail": "Not found." }));
    }
    assert_eq!(gateway.get(CURRENT_USER, Some(&other.access)).await.status, 200);
    assert_eq!(send(&gateway, "DELETE", &format!("/api-auth/sessions/{id}"), &[], "").await.status, 401);
}

#[tokio::test]
async fn signing_out_everywhere_ends_every_session_of_the_account() {
    let gateway = Gateway::start().await;
    let other = sign_up(&gateway, "other@example.test").await;
    let first = sign_up(&gateway, "vera@example.test").await;
    let second = sign_in(&gateway, "vera@example.test").await;
    assert_eq!(gateway.post_json(EVERYWHERE, json!({})).await.status, 401);
    let answer = gateway.post_json_as(EVERYWHERE, &first.access, json!({})).await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    for pair in [&first, &second] {
        assert_eq!(gateway.get(CURRENT_USER, Some(&pair.access)).await.status, 401);
        assert_eq!(gateway.get("/proxied", Some(&pair.access)).await.status, 401);
        assert_error(&refresh(&gateway, &pair.refresh).await, 400, "invalid_grant");
    }
    assert_eq!(gateway.get(CURRENT_USER, Some(&other.access)).await.status, 200);
    sign_in(&gateway, "vera@example.test").await;
}
