//! `POST convert-token`: what a provider says of a token, as far as clients see it.

use super::*;
use crate::support::{
    Bench,
    provider::{Facebook, Fault, Google, Person, facebook, google},
};

const CONVERT: &str = "/api-auth/convert-token";
const EMAIL: &str = "gina@example.test";

/// A gateway with Google and Facebook.
pub(super) struct Scene {
    pub gateway: Gateway,
    pub google: Google,
    pub facebook: Facebook,
}

impl Scene {
    pub async fn start() -> Self {
        Self::start_with(|bench| bench).await
    }

    pub async fn start_with(change: impl FnOnce(Bench) -> Bench) -> Self {
        let (google, facebook) = (Google::start().await, Facebook::start().await);
        let bench = Bench::default()
            .providers(&[google.yaml(), facebook.yaml()])
            .set("clients.web.grants", "[password, refresh_token, convert_token]")
            .set("clients.spa.grants", "[password, refresh_token, convert_token]")
            .set("accounts.list", "public");
        Self { gateway: change(bench).start().await, google, facebook }
    }

    pub async fn convert(&self, backend: &str, token: &str) -> Answer {
        self.gateway.post_json(CONVERT, request(backend, token)).await
    }

    pub async fn by_google(&self, person: Person) -> Answer {
        self.convert("google-oauth2", &self.google.user(person)).await
    }

    pub async fn by_facebook(&self, person: Person) -> Answer {
        self.convert("facebook", &self.facebook.user(person)).await
    }

    /// How many accounts there are.
    pub async fn accounts(&self) -> usize {
        self.gateway.get(ALL, None).await.json().as_array().unwrap().len()
    }
}

pub(super) fn request(backend: &str, token: &str) -> Value {
    json!({
        "grant_type": "convert_token", "backend": backend, "token": token,
        "client_id": "web", "client_secret": "quickstart-secret",
    })
}

pub(super) fn gina() -> Person {
    Person::new("g-1").email(EMAIL).named("Gina New")
}

#[track_caller]
fn assert_refused(answer: &Answer, error: &str, description: &str) {
    assert_answer(answer, 400, &json!({ "error": error, "error_description": description }));
}

#[tokio::test]
async fn the_first_sign_in_makes_an_account_and_the_next_finds_it() {
    let scene = Scene::start().await;
    let answer = scene.by_google(gina()).await;
    let body = answer.json();
    assert_eq!(body["user"], json!({ "email": EMAIL, "first_name": "Gina", "last_name": "New" }));
    assert_eq!(
        (&body["token_type"], &body["scope"], &body["expires_in"]),
        (&json!("Bearer"), &json!("read write"), &json!(900))
    );
    let first = Pair::of(&answer);
    let shown = json!({ "email": EMAIL, "username": "gina", "first_name": "Gina" });
    assert_answer(&scene.gateway.get(CURRENT_USER, Some(&first.access)).await, 200, &shown);

    let second = Pair::of(&scene.by_google(gina()).await);
    assert_eq!(scene.accounts().await, 1);
    // Each is a session of its own, and refreshes like any other.
    Pair::of(&refresh(&scene.gateway, &first.refresh).await);
    Pair::of(&refresh(&scene.gateway, &second.refresh).await);
    scene.gateway.get("/proxied", Some(&second.access)).await;
    let seen = scene.gateway.upstream.only();
    assert_eq!(seen.header("X-Forwarded-Email"), Some(EMAIL), "Google vouched for it");
}

#[tokio::test]
async fn facebook_says_nothing_of_addresses_so_upstreams_are_not_told_them() {
    let scene = Scene::start().await;
    let answer = scene.by_facebook(Person::new("f-1").email("fay@Example.TEST").named("Fay Mary Book")).await;
    let user = json!({ "email": "fay@example.test", "first_name": "Fay", "last_name": "Mary Book" });
    assert_eq!(answer.json()["user"], user);
    let pair = Pair::of(&answer);
    let shown = scene.gateway.get(CURRENT_USER, Some(&pair.access)).await.json();
    assert_eq!(shown["username"], "FayMaryBook");
    scene.gateway.get("/proxied", Some(&pair.access)).await;
    assert_eq!(scene.gateway.upstream.only().header("X-Forwarded-Email"), None);
}

#[tokio::test]
async fn json_form_and_multipart_are_alike_and_id_tokens_as_good_as_access_tokens() {
    let scene = Scene::start().await;
    let access = scene.google.user(gina());
    let id = scene.google.id_token(&gina());
    for token in [&access, &id] {
        let fields = [
            ("grant_type", " convert_token "),
            ("backend", "google-oauth2\n"),
            ("token", token.as_str()),
            ("client_id", " web"),
            ("client_secret", "quickstart-secret"),
            ("scope", "nonsense"),
        ];
        for path in [CONVERT, "/api-auth/convert-token/"] {
            Pair::of(&scene.gateway.post_form(path, &fields).await);
            Pair::of(&scene.gateway.post_multipart(path, &fields).await);
        }
        Pair::of(&scene.convert("google-oauth2", token).await);
    }
    assert_eq!(scene.accounts().await, 1);
}

#[tokio::test]
async fn a_nonce_that_is_given_has_to_be_the_tokens_own() {
    let scene = Scene::start().await;
    let token = scene.google.id_token_with(&gina(), |claims| claims["nonce"] = json!("n-1"));
    let with_nonce = |nonce: &str| with(request("google-oauth2", &token), &json!({ "nonce": nonce }));
    let answer = scene.gateway.post_json(CONVERT, with_nonce("n-2")).await;
    assert_refused(&answer, "access_denied", "Your credentials aren't allowed");
    Pair::of(&scene.gateway.post_json(CONVERT, with_nonce("n-1")).await);
}

#[tokio::test]
async fn every_wrong_field_is_told_at_once() {
    let scene = Scene::start().await;
    assert_answer(
        &scene.gateway.post_json(CONVERT, json!({})).await,
        400,
        &json!({
            "grant_type": ["grant_type is required."], "backend": ["backend is required."],
            "client_id": ["client_id is required."], "token": ["token is required."],
        }),
    );
    let long = |length: usize| "x".repeat(length);
    let body = json!({ "grant_type": long(51), "backend": long(201), "client_id": long(201), "token": long(5001) });
    let at_most = |count: usize| json!([format!("Ensure this field has no more than {count} characters.")]);
    assert_answer(
        &scene.gateway.post_json(CONVERT, body).await,
        400,
        &json!({ "grant_type": at_most(50), "backend": at_most(200), "client_id": at_most(200), "token": at_most(5000) }),
    );
    let body = json!({ "grant_type": "", "backend": null, "client_id": true, "token": " " });
    assert_answer(
        &scene.gateway.post_json(CONVERT, body).await,
        400,
        &json!({
            "grant_type": ["grant_type cannot be blank."], "backend": ["This field may not be null."],
            "client_id": ["Not a valid string."], "token": ["token cannot be blank."],
        }),
    );
    let answer = scene.gateway.post_json(CONVERT, json!([])).await;
    assert!(answer.status == 400 && answer.json()["non_field_errors"].is_array());
}

#[tokio::test]
async fn client_grant_and_backend_are_judged_before_anybody_is_asked() {
    let scene = Scene::start_with(|bench| bench.set("clients.plain.grants", "[password]")).await;
    let ask = async |members: Value| {
        scene.gateway.post_json(CONVERT, with(request("google-oauth2", "ya29.token"), &members)).await
    };
    let unknown = json!({ "detail": "The application for this client_id does not exist." });
    assert_answer(&ask(json!({ "client_id": "nobody" })).await, 400, &unknown);
    assert_answer(&ask(json!({ "client_id": "nobody", "grant_type": "x" })).await, 400, &unknown);
    for grant_type in ["password", "Convert_Token", "x"] {
        assert_error(&ask(json!({ "grant_type": grant_type })).await, 400, "unsupported_grant_type");
    }
    for secret in [Value::Null, json!(""), json!("wrong")] {
        assert_error(&ask(json!({ "client_secret": secret })).await, 401, "invalid_client");
    }
    assert_error(&ask(json!({ "client_id": "plain", "client_secret": null })).await, 400, "unauthorized_client");
    for backend in ["Google-oauth2", "google", "Django", "facebook-app", "../facebook", "a/b", "google-oauth2\u{0}x"] {
        let answer = ask(json!({ "backend": backend })).await;
        if backend.contains('\0') {
            assert_answer(&answer, 400, &json!({ "backend": ["Null characters are not allowed."] }));
        } else {
            assert_refused(&answer, "invalid_request", "Invalid backend parameter.");
        }
    }
    assert_eq!((scene.google.calls(google::TOKENINFO), scene.accounts().await), (0, 0));
}

#[tokio::test]
async fn authorization_is_not_looked_at() {
    let scene = Scene::start().await;
    let token = scene.google.user(gina());
    let body = request("google-oauth2", &token).to_string();
    let unproven = with(request("google-oauth2", &token), &json!({ "client_secret": null })).to_string();
    for authorization in ["Bearer dead", "Bearer", "Bearer a b c", "Basic ***", &basic("web", "quickstart-secret")] {
        let headers = [("Content-Type", "application/json"), ("Authorization", authorization)];
        Pair::of(&send(&scene.gateway, "POST", CONVERT, &headers, &body).await);
        // Nor does it prove the client.
        let answer = send(&scene.gateway, "POST", CONVERT, &headers, &unproven).await;
        assert_error(&answer, 401, "invalid_client");
        assert_eq!(answer.header("WWW-Authenticate"), None);
    }
}

#[tokio::test]
async fn a_public_client_needs_no_secret_and_gets_its_own_scopes() {
    let scene = Scene::start_with(|bench| bench.set("clients.spa.scopes", "[read]")).await;
    let token = scene.google.user(gina());
    let body = with(request("google-oauth2", &token), &json!({ "client_id": "spa", "client_secret": null }));
    let answer = scene.gateway.post_json(CONVERT, body).await;
    Pair::of(&answer);
    assert_eq!(answer.json()["scope"], "read");
}

#[tokio::test]
async fn a_token_that_is_not_believed_signs_nobody_in_and_makes_no_account() {
    let scene = Scene::start().await;
    let google = &scene.google;
    let not_ours = google.user_of("another-app", gina());
    let id_not_ours = google.id_token_with(&gina(), |claims| claims["aud"] = json!("another-app"));
    let expired = google.id_token_with(&gina(), |claims| claims["exp"] = json!(1_799_999_000));
    let nameless = google.user(Person::new("").email(EMAIL));
    for token in ["ya29.garbage", "x", "a.b.c", &not_ours, &id_not_ours, &expired, &nameless] {
        let answer = scene.convert("google-oauth2", token).await;
        assert_refused(&answer, "access_denied", "Your credentials aren't allowed");
    }
    let not_ours = scene.facebook.user_of("another-app", gina());
    for token in ["EAAgarbage", &not_ours] {
        let answer = scene.convert("facebook", token).await;
        assert_refused(&answer, "access_denied", "Authentication process canceled");
    }
    assert_eq!(scene.accounts().await, 0);
}

#[tokio::test]
async fn a_new_account_needs_an_address_that_is_not_called_unverified() {
    let scene = Scene::start().await;
    let refusal = "The authentication provider gave no verified email address";
    for person in
        [Person::new("g-1"), Person::new("g-1").email(""), gina().unverified(), Person::new("g-1").email("gina")]
    {
        assert_refused(&scene.by_google(person).await, "access_denied", refusal);
    }
    let unstated = scene.google.id_token_with(&gina(), |claims| claims["email_verified"] = Value::Null);
    assert_refused(&scene.convert("google-oauth2", &unstated).await, "access_denied", refusal);
    for person in [Person::new("f-1"), Person::new("f-1").email("")] {
        assert_refused(&scene.by_facebook(person).await, "access_denied", refusal);
    }
    assert_eq!(scene.accounts().await, 0);
    // Whoever has an account needs none any more.
    Pair::of(&scene.by_google(gina()).await);
    Pair::of(&scene.by_google(gina().unverified()).await);
    let pair = Pair::of(&scene.by_google(Person::new("g-1")).await);
    assert_eq!(scene.gateway.get(CURRENT_USER, Some(&pair.access)).await.json()["email"], EMAIL);
}

#[tokio::test]
async fn an_account_is_known_by_the_providers_id_and_nothing_else() {
    let scene = Scene::start().await;
    Pair::of(&scene.by_google(gina()).await);
    // Another address, another name: the same person, who keeps the address and takes over the name.
    let moved = scene.by_google(Person::new("g-1").email("gina@elsewhere.test").named("Regina Newer")).await;
    assert_eq!(moved.json()["user"], json!({ "email": EMAIL, "first_name": "Regina", "last_name": "Newer" }));
    // The same address under another id, or at another provider: somebody else, who does not get the account.
    for answer in [
        scene.by_google(Person::new("G-1").email(EMAIL)).await,
        scene.by_google(Person::new("g-10").email("GINA@EXAMPLE.test")).await,
        scene.by_facebook(Person::new("g-1").email(EMAIL)).await,
    ] {
        assert_refused(&answer, "access_denied", "This account is already in use.");
    }
    assert_eq!(scene.accounts().await, 1);
    // The same id at another provider is another person.
    Pair::of(&scene.by_facebook(Person::new("g-1").email("other@example.test")).await);
    assert_eq!(scene.accounts().await, 2);
}

#[tokio::test]
async fn an_address_that_signed_up_with_a_password_is_not_linked_by_itself() {
    let scene = Scene::start().await;
    sign_up(&scene.gateway, EMAIL).await;
    assert_refused(&scene.by_google(gina()).await, "access_denied", "This account is already in use.");
    assert_eq!(scene.accounts().await, 1);
}

#[tokio::test]
async fn with_reclaiming_the_owner_gets_the_address_and_the_squatter_is_locked_out() {
    let scene = Scene::start_with(|bench| bench.set("accounts.reclaim_unverified", "true")).await;
    let squatter = sign_up(&scene.gateway, EMAIL).await;
    // Facebook does not vouch for it.
    let answer = scene.by_facebook(Person::new("f-1").email(EMAIL)).await;
    assert_refused(&answer, "access_denied", "This account is already in use.");

    let owner = Pair::of(&scene.by_google(gina()).await);
    assert_eq!(scene.gateway.get(CURRENT_USER, Some(&owner.access)).await.json()["email"], EMAIL);
    for path in [CURRENT_USER, "/proxied"] {
        assert_eq!(scene.gateway.get(path, Some(&squatter.access)).await.status, 401);
    }
    assert_error(&refresh(&scene.gateway, &squatter.refresh).await, 400, "invalid_grant");
    assert_eq!(scene.gateway.post_json(TOKEN, password_request(EMAIL)).await.status, 400);
    assert_eq!(scene.accounts().await, 2, "the squatter's account is kept, without the address");
    // What Google vouched for, nobody takes.
    let answer = scene.by_google(Person::new("g-2").email(EMAIL)).await;
    assert_refused(&answer, "access_denied", "This account is already in use.");
}

#[tokio::test]
async fn the_deactivated_get_no_tokens_and_strangers_none_where_registration_is_closed() {
    let scene = Scene::start().await;
    Pair::of(&scene.by_google(gina()).await);
    scene.gateway.deactivate(EMAIL).await;
    assert_refused(&scene.by_google(gina()).await, "invalid_grant", "User inactive or deleted.");

    let scene = Scene::start_with(|bench| bench.set("accounts.registration", "closed")).await;
    assert_refused(&scene.by_google(gina()).await, "access_denied", "Registration is closed.");
    assert_eq!(scene.accounts().await, 0);
}

#[tokio::test]
async fn first_sign_ins_at_once_make_one_account_and_all_succeed() {
    let scene = Scene::start().await;
    let token = scene.google.user(gina());
    let answers = futures_util::future::join_all((0..6).map(|_| scene.convert("google-oauth2", &token))).await;
    for answer in &answers {
        Pair::of(answer);
    }
    assert_eq!(scene.accounts().await, 1);
}

#[tokio::test]
async fn a_provider_in_trouble_is_a_refusal_in_fixed_words() {
    let scene = Scene::start().await;
    let token = scene.google.user(gina());
    let unreachable = ("access_denied", "The authentication provider could not be reached".to_owned());
    let unusable = ("access_denied", "The authentication provider gave no usable answer".to_owned());
    let responded = |status: u16| ("invalid_request", format!("Backend responded with HTTP {status}."));
    let forbidden = ("access_denied", "Your credentials aren't allowed".to_owned());
    for (fault, (error, description)) in [
        (Fault::Status(401), forbidden.clone()),
        (Fault::Status(403), forbidden),
        (Fault::Status(404), responded(404)),
        (Fault::Status(429), responded(429)),
        (Fault::Status(500), responded(500)),
        (Fault::Status(502), responded(502)),
        (Fault::Status(503), unreachable.clone()),
        (Fault::Redirect(scene.google.user(gina())), responded(302)),
        (Fault::Dropped, unreachable),
        (Fault::Body("<html>".to_owned()), unusable.clone()),
        (Fault::Body("[]".to_owned()), unusable.clone()),
        (Fault::Body(r#"{"error":"quota"}"#.to_owned()), unusable.clone()),
        (Fault::Endless, unusable),
    ] {
        for path in [google::TOKENINFO, google::USERINFO] {
            scene.google.fails(path, fault.clone());
            let answer = scene.convert("google-oauth2", &token).await;
            assert_refused(&answer, error, &description);
            scene.google.recovers();
        }
    }
    assert_eq!(scene.accounts().await, 0);
    Pair::of(&scene.convert("google-oauth2", &token).await);
}

#[tokio::test]
async fn a_silent_provider_holds_nobody_up_who_does_not_ask_it() {
    let scene = Scene::start().await;
    let pair = sign_up(&scene.gateway, "vera@example.test").await;
    scene.facebook.fails(facebook::DEBUG_TOKEN, Fault::Silent);
    let token = scene.facebook.user(gina());
    let asked: Vec<_> = (0..80).map(|_| scene.convert("facebook", &token)).collect();
    let mut silent = std::pin::pin!(futures_util::future::join_all(asked));
    let others = async {
        for _ in 0..20 {
            assert_eq!(scene.gateway.get("/proxied", Some(&pair.access)).await.status, 200);
            Pair::of(&scene.by_google(gina()).await);
        }
    };
    tokio::select! {
        _ = &mut silent => panic!("the others waited for Facebook"),
        () = others => {}
    }
    let answers = silent.await;
    let refused = answers.iter().filter(|answer| answer.status == 503).count();
    assert_eq!(refused, 80 - 64, "more than so many do not wait");
    for answer in answers.iter().filter(|answer| answer.status == 503) {
        assert_eq!(answer.json()["error"], "access_denied");
        assert!(answer.header("Retry-After").is_some());
    }
    for answer in answers.iter().filter(|answer| answer.status != 503) {
        assert_refused(answer, "access_denied", "The authentication provider could not be reached");
    }
}
