//! `POST create/`.

use super::*;

#[tokio::test]
async fn a_new_account_is_signed_in_at_once() {
    let gateway = Gateway::start().await;
    let answer = gateway.post_json(CREATE, person("vera@example.test")).await;
    assert_eq!((answer.status, answer.header("Content-Type")), (201, Some("application/json")));
    let pair = Pair::of(&answer);
    assert_eq!(gateway.get(CURRENT_USER, Some(&pair.access)).await.json()["email"], "vera@example.test");
    Pair::of(&refresh(&gateway, &pair.refresh).await);
}

#[tokio::test]
async fn without_sign_in_after_registration_the_answer_is_empty() {
    let gateway = Gateway::start_with(&[("accounts.sign_in_after_registration", "false")]).await;
    let answer = gateway.post_json(CREATE, person("vera@example.test")).await;
    assert_eq!((answer.status, answer.body.len(), answer.header("Content-Type")), (201, 0, None));
    sign_in(&gateway, "vera@example.test").await;
}

#[tokio::test]
async fn a_client_that_is_named_has_to_prove_itself_before_anything_is_made() {
    let gateway = Gateway::start().await;
    let named =
        |secret: &str| with(person("vera@example.test"), &json!({ "client_id": "web", "client_secret": secret }));
    assert_error(&gateway.post_json(CREATE, named("wrong")).await, 401, "invalid_client");
    assert_eq!(gateway.post_json(CREATE, named("quickstart-secret")).await.status, 201);
}

#[tokio::test]
async fn with_several_clients_and_none_named_the_first_one_is_signed_in_with() {
    let gateway =
        Gateway::start_with(&[("clients.a-spa.grants", "[password]"), ("clients.a-spa.scopes", "[read]")]).await;
    let pair = Pair::of(&gateway.post_json(CREATE, person("vera@example.test")).await);
    Pair::of(&refresh(&gateway, &pair.refresh).await);
    let named = with(person("zoe@example.test"), &json!({ "client_id": "a-spa" }));
    assert_eq!(gateway.post_json(CREATE, named).await.json()["scope"], "read");
}

#[tokio::test]
async fn where_no_client_may_sign_in_the_account_is_made_and_the_answer_is_empty() {
    let gateway = Gateway::start_with(&[("clients.web.grants", "[refresh_token]")]).await;
    let answer = gateway.post_json(CREATE, person("vera@example.test")).await;
    assert_eq!((answer.status, answer.body.len(), answer.header("Content-Type")), (201, 0, None));
}

#[tokio::test]
async fn basic_counts_where_it_proves_a_client_and_is_ignored_where_it_does_not() {
    let gateway = Gateway::start_with(&[("clients.spa.grants", "[password]"), ("clients.spa.scopes", "[read]")]).await;
    for (n, (authorization, scope)) in [
        (basic("web", "quickstart-secret"), "read write"),
        (basic("spa", ""), "read"),
        (basic("web", "wrong"), "read write"),
        (basic("somebody", "at a proxy before us"), "read write"),
        ("Basic ***".to_owned(), "read write"),
    ]
    .into_iter()
    .enumerate()
    {
        let headers = [("Content-Type", "application/json"), ("Authorization", authorization.as_str())];
        let body = person(&format!("vera{n}@example.test")).to_string();
        let answer = send(&gateway, "POST", CREATE, &headers, &body).await;
        assert_eq!((answer.status, &answer.json()["scope"]), (201, &json!(scope)), "{authorization}");
    }
}

#[tokio::test]
async fn closed_registration_is_403() {
    let gateway = Gateway::start_with(&[("accounts.registration", "closed")]).await;
    let answer = gateway.post_json(CREATE, person("vera@example.test")).await;
    assert_answer(&answer, 403, &json!({ "detail": "Registration is closed." }));
}

#[tokio::test]
async fn all_wrong_fields_are_told_at_once() {
    let gateway = Gateway::start().await;
    let every = |text: &str| json!({ "email": [text], "username": [text], "first_name": [text], "password": [text] });
    assert_answer(&gateway.post_json(CREATE, json!({})).await, 400, &every("This field is required."));
    let nothing = send(&gateway, "POST", CREATE, &[("Content-Length", "0")], "").await;
    assert_answer(&nothing, 400, &every("This field is required."));
    let all = |value: Value| json!({ "email": value, "username": value, "first_name": value, "password": value });
    assert_answer(&gateway.post_json(CREATE, all(json!(""))).await, 400, &every("This field may not be blank."));
    assert_answer(&gateway.post_json(CREATE, all(Value::Null)).await, 400, &every("This field may not be null."));
    for value in [json!(true), json!(["x"]), json!({ "x": 1 })] {
        assert_answer(&gateway.post_json(CREATE, all(value)).await, 400, &every("Not a valid string."));
    }
}

#[tokio::test]
async fn a_missing_field_does_not_hide_what_is_wrong_with_the_others() {
    let gateway = Gateway::start().await;
    let answer = gateway
        .post_json(CREATE, json!({ "email": "nonsense", "username": null, "first_name": "x".repeat(151) }))
        .await;
    assert_answer(
        &answer,
        400,
        &json!({
            "email": ["Enter a valid email address."],
            "username": ["This field may not be null."],
            "first_name": ["Ensure this field has no more than 150 characters."],
            "password": ["This field is required."],
        }),
    );
}

#[tokio::test]
async fn each_field_has_its_rules() {
    let gateway = Gateway::start().await;
    let at_most_150 = "Ensure this field has no more than 150 characters.";
    let no_nul = "Null characters are not allowed.";
    for (field, value, text) in [
        ("username", "é".repeat(151), at_most_150),
        ("first_name", "é".repeat(151), at_most_150),
        ("username", "   ".to_owned(), "This field may not be blank."),
        ("username", "a\0b".to_owned(), no_nul),
        ("first_name", "a\0b".to_owned(), no_nul),
        ("password", format!("{PASSWORD}\0"), no_nul),
        ("password", "Xq7-".repeat(33), "Ensure this field has no more than 128 characters."),
        ("email", format!("{}@example.test", "x".repeat(250)), "Ensure this field has no more than 254 characters."),
    ] {
        let request = with(person("vera@example.test"), &json!({ field: value }));
        let answer = gateway.post_json(CREATE, request).await;
        assert_eq!(answer.status, 400, "{field} {value:?}");
        let texts = answer.json()[field].clone();
        assert!(texts.as_array().is_some_and(|texts| texts.contains(&json!(text))), "{field} {value:?}: {texts}");
    }
    let longest = with(person("vera@example.test"), &json!({ "username": "é".repeat(150) }));
    assert_eq!(gateway.post_json(CREATE, longest).await.status, 201);
}

#[tokio::test]
async fn addresses_are_what_django_takes_for_one() {
    let gateway = Gateway::start().await;
    for good in [
        "a@localhost",
        "a@[127.0.0.1]",
        "\"quoted.local\"@example.test",
        "a@bücher.test",
        "first.last+tag@sub.example.test",
        "  spaced@example.test  ",
    ] {
        let answer = gateway.post_json(CREATE, person(good)).await;
        assert_eq!(answer.status, 201, "{good}: {}", text(&answer));
    }
    for bad in [
        "zoë@example.test",
        "a@b",
        ".a@example.test",
        "a.@example.test",
        "a..b@example.test",
        "a@example..test",
        "a@.example.test",
        "a b@example.test",
        "example.test",
        "@example.test",
        "a@",
    ] {
        let answer = gateway.post_json(CREATE, person(bad)).await;
        assert_answer(&answer, 400, &json!({ "email": ["Enter a valid email address."] }));
    }
}

#[tokio::test]
async fn numbers_are_text_and_names_are_trimmed() {
    let gateway = Gateway::start().await;
    let request = with(person(" vera@example.test "), &json!({ "username": 12_345_678, "first_name": "  Vera  " }));
    let pair = Pair::of(&gateway.post_json(CREATE, request).await);
    assert_answer(
        &gateway.get(CURRENT_USER, Some(&pair.access)).await,
        200,
        &json!({ "email": "vera@example.test", "username": "12345678", "first_name": "Vera" }),
    );
}

#[tokio::test]
async fn weak_passwords_are_refused_and_padded_ones_are_kept_as_typed() {
    let gateway = Gateway::start().await;
    for weak in ["short7!", "password", "12345678", "qwertyuiop"] {
        let answer = gateway.post_json(CREATE, with(person("vera@example.test"), &json!({ "password": weak }))).await;
        assert_eq!(answer.status, 400, "{weak}");
        let body = answer.json();
        assert!(body["password"].is_array() && body.as_object().unwrap().len() == 1, "{weak}: {body}");
    }
    let padded = json!({ "password": format!("  {PASSWORD}  ") });
    assert_eq!(gateway.post_json(CREATE, with(person("vera@example.test"), &padded)).await.status, 201);
    let as_typed = with(password_request("vera@example.test"), &padded);
    assert_eq!(gateway.post_json(TOKEN, as_typed).await.status, 200);
    let trimmed = gateway.post_json(TOKEN, password_request("vera@example.test")).await;
    assert_eq!(trimmed.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn an_address_is_taken_in_every_spelling() {
    let gateway = Gateway::start().await;
    sign_up(&gateway, "Vera@Example.test").await;
    for variant in ["Vera@Example.test", "vera@example.test", "VERA@EXAMPLE.TEST", " vera@example.test"] {
        let answer = gateway.post_json(CREATE, person(variant)).await;
        assert_answer(&answer, 400, &json!({ "email": ["account with this email already exists."] }));
    }
    let pair = sign_in(&gateway, "vera@EXAMPLE.test").await;
    let shown = gateway.get(CURRENT_USER, Some(&pair.access)).await.json();
    assert_eq!(shown["email"], "Vera@Example.test", "the spelling given is the one shown");
}

#[tokio::test]
async fn of_the_same_address_sent_at_once_one_is_made() {
    let gateway = Gateway::start().await;
    let answers =
        futures_util::future::join_all((0..6).map(|_| gateway.post_json(CREATE, person("vera@example.test")))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert_answer(answer, 400, &json!({ "email": ["account with this email already exists."] }));
    }
}

#[tokio::test]
async fn members_we_do_not_know_make_nobody_staff() {
    let gateway = Gateway::start().await;
    let request = with(
        person("vera@example.test"),
        &json!({ "is_staff": true, "staff": true, "is_superuser": true, "groups": ["admin"], "id": 1, "email_verified": true }),
    );
    let pair = Pair::of(&gateway.post_json(CREATE, request).await);
    assert_eq!(gateway.get(ALL, Some(&pair.access)).await.status, 403);
}

#[tokio::test]
async fn a_body_that_is_no_object_is_named() {
    let gateway = Gateway::start().await;
    for (body, kind) in [(json!([]), "list"), (json!("text"), "str"), (json!(1), "int"), (json!(true), "bool")] {
        let text = format!("Invalid data. Expected a dictionary, but got {kind}.");
        assert_answer(&gateway.post_json(CREATE, body).await, 400, &json!({ "non_field_errors": [text] }));
    }
}
