//! `GET currentUser/`, and what a bearer is told that does not hold.

use std::time::Duration;

use super::*;

const INVALID: &str = r#"Bearer realm="api",error="invalid_token",error_description="The access token is invalid.""#;
const EXPIRED: &str = r#"Bearer realm="api",error="invalid_token",error_description="The access token has expired.""#;
const PLAIN: &str = r#"Bearer realm="api""#;

async fn with_authorization(gateway: &Gateway, authorization: &str) -> Answer {
    send(gateway, "GET", CURRENT_USER, &[("Authorization", authorization)], "").await
}

#[tokio::test]
async fn the_bearer_sees_three_members_of_their_account() {
    let gateway = Gateway::start().await;
    let pair = sign_up(&gateway, "vera@example.test").await;
    let expected = json!({ "email": "vera@example.test", "username": "vera", "first_name": "Vera" });
    assert_answer(&gateway.get(CURRENT_USER, Some(&pair.access)).await, 200, &expected);
    for spelling in [format!("bearer {}", pair.access), format!("BEARER   {}", pair.access)] {
        assert_answer(&with_authorization(&gateway, &spelling).await, 200, &expected);
    }
}

#[tokio::test]
async fn no_credentials_are_told_so() {
    let gateway = Gateway::start().await;
    let answer = gateway.get(CURRENT_USER, None).await;
    assert_unauthorized(&answer, NO_CREDENTIALS, PLAIN);
    assert_eq!(answer.reason, "Unauthorized");
    assert_eq!(answer.header("Allow"), Some("GET, HEAD, OPTIONS"));
    for other in ["Basic d2ViOnF1aWNrc3RhcnQtc2VjcmV0", "Token abc", "Digest x"] {
        assert_unauthorized(&with_authorization(&gateway, other).await, NO_CREDENTIALS, PLAIN);
    }
}

#[tokio::test]
async fn a_token_that_does_not_hold_is_told_so() {
    let gateway = Gateway::start().await;
    let pair = sign_up(&gateway, "vera@example.test").await;
    for wrong in ["null", "garbage", "a.b.c", &pair.refresh, &format!("{}x", pair.access)] {
        assert_unauthorized(&gateway.get(CURRENT_USER, Some(wrong)).await, BAD_TOKEN, INVALID);
    }
}

#[tokio::test]
async fn an_expired_token_is_told_so() {
    let gateway = Gateway::start().await;
    let pair = sign_up(&gateway, "vera@example.test").await;
    gateway.clock.advance(Duration::from_mins(15) + Duration::from_secs(6));
    assert_unauthorized(&gateway.get(CURRENT_USER, Some(&pair.access)).await, BAD_TOKEN, EXPIRED);
}

#[tokio::test]
async fn a_bearer_of_other_than_two_words_is_told_so() {
    let gateway = Gateway::start().await;
    for (authorization, detail, challenge) in [
        ("Bearer", "Invalid token header. No backend provided.", INVALID),
        ("Bearer a b", "Invalid token header. Invalid backend.", PLAIN),
        ("Bearer google-oauth2 provider-token", "Invalid token header. Invalid backend.", PLAIN),
        ("Bearer a b c", "Invalid token header. Token string should not contain spaces.", PLAIN),
    ] {
        assert_unauthorized(&with_authorization(&gateway, authorization).await, detail, challenge);
    }
}

#[tokio::test]
async fn a_token_in_query_or_body_is_no_credential() {
    let gateway = Gateway::start().await;
    let pair = sign_up(&gateway, "vera@example.test").await;
    let in_query = gateway.get(&format!("{CURRENT_USER}?access_token={}", pair.access), None).await;
    assert_unauthorized(&in_query, NO_CREDENTIALS, PLAIN);
    let in_body = gateway.post_form(REVOKE, &[("access_token", &pair.access), ("client_id", "web")]).await;
    assert_unauthorized(&in_body, NO_CREDENTIALS, PLAIN);
}
