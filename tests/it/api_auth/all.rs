//! `GET all/`.

use super::*;

#[tokio::test]
async fn by_default_staff_alone_may_list() {
    let gateway = Gateway::start().await;
    let vera = sign_up(&gateway, "vera@example.test").await;
    sign_up(&gateway, "inactive@example.test").await;
    gateway.deactivate("inactive@example.test").await;

    assert_answer(&gateway.get(ALL, None).await, 401, &json!({ "detail": NO_CREDENTIALS }));
    assert_answer(
        &gateway.get(ALL, Some(&vera.access)).await,
        403,
        &json!({ "detail": "You do not have permission to perform this action." }),
    );

    gateway.promote("vera@example.test").await;
    let vera = sign_in(&gateway, "vera@example.test").await;
    let shown = |email: &str| json!({ "email": email, "username": "vera", "first_name": "Vera" });
    assert_answer(
        &gateway.get(ALL, Some(&vera.access)).await,
        200,
        &json!([shown("vera@example.test"), shown("inactive@example.test")]),
    );
}

#[tokio::test]
async fn a_setting_opens_the_list_to_whoever_is_signed_in() {
    let gateway = Gateway::start_with(&[("accounts.list", "authenticated")]).await;
    let vera = sign_up(&gateway, "vera@example.test").await;
    assert_eq!(gateway.get(ALL, None).await.status, 401);
    let answer = gateway.get(&format!("{ALL}?page=2&email=x"), Some(&vera.access)).await;
    assert_eq!((answer.status, answer.json().as_array().unwrap().len()), (200, 1), "the query is ignored");
}

#[tokio::test]
async fn a_setting_opens_the_list_to_everybody_but_a_dead_bearer() {
    let gateway = Gateway::start_with(&[("accounts.list", "public")]).await;
    assert_answer(&gateway.get(ALL, None).await, 200, &json!([]));
    let vera = sign_up(&gateway, "vera@example.test").await;
    assert_eq!(gateway.get(ALL, None).await.json().as_array().unwrap().len(), 1);
    assert_eq!(gateway.get(ALL, Some(&vera.access)).await.status, 200);
    assert_answer(&gateway.get(ALL, Some("dead")).await, 401, &json!({ "detail": BAD_TOKEN }));
}
