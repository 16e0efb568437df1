//! Imported beside a running gateway: whom it lets in then, and what upstreams are told.

use serde_json::json;

use super::*;
use crate::support::{
    Answer, Bench, Gateway, PASSWORD, Tokens,
    log::listening,
    provider::{Facebook, Google, Person},
};

struct Scene {
    gateway: Gateway,
    google: Google,
    facebook: Facebook,
}

impl Scene {
    /// A gateway that has taken the fixture in while it ran.
    async fn start() -> Self {
        let (google, facebook) = (Google::start().await, Facebook::start().await);
        let bench = Bench::default()
            .providers(&[google.yaml(), facebook.yaml()])
            .set("clients.web.grants", "[password, refresh_token, convert_token]")
            .set("identity_headers.map", "{ X-User-Id: sub, X-Legacy-Id: external_id, X-Team: groups }");
        let scene = Self { gateway: bench.start().await, google, facebook };
        assert_eq!(counts(&scene.import())[0], FIRST[0]);
        scene
    }

    fn import(&self) -> String {
        done(&self.gateway.passgate().args(["import", "django", DUMP]).output().unwrap())
    }

    async fn convert(&self, backend: &str, token: &str, client: &str) -> Answer {
        let mut body =
            json!({ "grant_type": "convert_token", "backend": backend, "token": token, "client_id": client });
        if client == "web" {
            body["client_secret"] = json!("quickstart-secret");
        }
        self.gateway.post_json("/api-auth/convert-token", body).await
    }

    async fn by_google(&self, person: Person) -> Answer {
        self.convert("google-oauth2", &self.google.user(person), "web").await
    }

    /// A header of what an upstream is told of the caller.
    async fn told(&self, tokens: &Tokens, header: &str) -> Option<String> {
        let before = self.gateway.upstream.requests().len();
        assert_eq!(self.gateway.get("/a", Some(&tokens.access)).await.status, 200);
        self.gateway.upstream.requests()[before].header(header).map(str::to_owned)
    }
}

#[track_caller]
fn refused(answer: &Answer, description: &str) {
    assert_eq!((answer.status, &answer.json()["error_description"]), (400, &json!(description)), "{}", answer.text());
}

const IN_USE: &str = "This account is already in use.";

#[tokio::test]
async fn who_was_known_to_google_by_the_address_signs_in_once_by_it_and_by_its_id_from_then_on() {
    let scene = Scene::start().await;
    let gina = |id: &str| Person::new(id).email("gina@example.com");
    // Neither unverified, nor in other letters, nor by another provider.
    let unverified = scene.by_google(gina("108").unverified()).await;
    refused(&unverified, "The authentication provider gave no verified email address");
    refused(&scene.by_google(Person::new("109").email("Gina@example.com")).await, IN_USE);
    let at_facebook = scene.facebook.user(gina("110"));
    refused(&scene.convert("facebook", &at_facebook, "web").await, IN_USE);

    let (log, listening) = listening();
    let tokens = Tokens::of(&scene.by_google(gina("108")).await);
    let events: Vec<_> = log.audit().iter().map(|line| (line["event"].clone(), line["account"].clone())).collect();
    drop(listening);
    let [(taken_over, whose), (signed_in, who)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((taken_over, signed_in), (&json!("link.taken_over"), &json!("sign_in")));
    assert!(whose.is_string() && whose == who, "{events:?}");
    assert_eq!(scene.told(&tokens, "X-Legacy-Id").await.as_deref(), Some("3"));
    let links = scene.gateway.get("/api-auth/links/", Some(&tokens.access)).await.json();
    let link = &links.as_array().unwrap()[..];
    assert_eq!((link.len(), &link[0]["uid"]), (1, &json!("108")));
    // The address has moved on; the account has not.
    refused(&scene.by_google(gina("111")).await, IN_USE);
    let moved = Tokens::of(&scene.by_google(Person::new("108").email("regina@elsewhere.test")).await);
    assert_eq!(scene.told(&moved, "X-Legacy-Id").await.as_deref(), Some("3"));
    // Nor does another import bring it back.
    assert_eq!(counts(&scene.import())[1], AGAIN[1]);
    refused(&scene.by_google(gina("111")).await, IN_USE);
}

#[tokio::test]
async fn id_tokens_of_google_take_links_over_as_well_and_of_a_race_one_does() {
    let scene = Scene::start().await;
    let tokens: Vec<_> =
        (0..8).map(|id| scene.google.id_token(&Person::new(&format!("20{id}")).email("gina@example.com"))).collect();
    let asked = tokens.iter().map(|token| scene.convert("google-oauth2", token, "web"));
    let answers = futures_util::future::join_all(asked).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        refused(answer, IN_USE);
    }
}

#[tokio::test]
async fn other_identities_sign_in_as_they_did_also_without_an_address() {
    let scene = Scene::start().await;
    for (id, pk) in [("10150000000000001", "4"), ("10150000000000002", "5")] {
        let token = scene.facebook.user(Person::new(id).email("fay@elsewhere.test"));
        let tokens = Tokens::of(&scene.convert("facebook", &token, "web").await);
        assert_eq!(scene.told(&tokens, "X-Legacy-Id").await.as_deref(), Some(pk));
    }
    let stranger = scene.facebook.user(Person::new("10150000000000003").email("fay@example.com"));
    refused(&scene.convert("facebook", &stranger, "web").await, IN_USE);
}

#[tokio::test]
async fn passwords_of_before_sign_in_and_are_hashed_anew() {
    let scene = Scene::start().await;
    let sign_in = async |email: &str, password: &str| {
        let body = json!({ "grant_type": "password", "username": email, "password": password,
                           "client_id": "web", "client_secret": "quickstart-secret" });
        scene.gateway.post_json("/api-auth/token", body).await
    };
    for (email, password, pk) in [
        ("ADA@example.com", "weave-numbers-1843", "1"),
        ("kim@example.com", "another-horse-8", "6"),
        ("nan@example.com", "correct-horse-7", "9"),
    ] {
        assert_eq!(sign_in(email, "weave-numbers-1844").await.status, 400, "{email}");
        for _ in 0..2 {
            let tokens = Tokens::of(&sign_in(email, password).await);
            assert_eq!(scene.told(&tokens, "X-Legacy-Id").await.as_deref(), Some(pk));
        }
    }
    let tokens = Tokens::of(&sign_in("ada@example.com", "weave-numbers-1843").await);
    assert_eq!(scene.told(&tokens, "X-Team").await.as_deref(), Some("ops,%C3%A9diteurs"));
    // The inactive, the unverifiable, and the one whose address another keeps.
    for (email, password) in [
        ("bob@example.com", "correct-horse-7"),
        ("lee@example.com", "correct-horse-7"),
        ("Kim@example.com", "correct-horse-7"),
        ("gina@example.com", "!O0HnCj5rtBrZw3GIEfP8j996JU2XnajEv3QcsGjm"),
    ] {
        assert_eq!(sign_in(email, password).await.status, 400, "{email}");
    }
    // Another import leaves the new hashes alone.
    assert_eq!(counts(&scene.import())[0], AGAIN[0]);
    Tokens::of(&sign_in("nan@example.com", "correct-horse-7").await);
}

#[tokio::test]
async fn imported_clients_are_known_at_once_and_prove_themselves_as_before() {
    let scene = Scene::start().await;
    scene.gateway.sign_up("vera@example.com").await;
    let sign_in = async |client: &str, secret: Option<&str>| {
        let mut body = json!({ "grant_type": "password", "username": "vera@example.com", "password": PASSWORD,
                               "client_id": client });
        if let Some(secret) = secret {
            body["client_secret"] = json!(secret);
        }
        scene.gateway.post_json("/api-auth/token", body).await
    };
    let start = std::time::Instant::now();
    while sign_in("phone", None).await.status != 200 {
        let answer = sign_in("phone", None).await;
        assert!(start.elapsed() < std::time::Duration::from_secs(5), "the client is not known yet: {}", answer.text());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(sign_in("legacy", Some("legacy-secret-in-clear")).await.status, 200);
    assert_eq!(sign_in("hashed", Some("hashed-secret")).await.status, 200);
    for (client, secret) in
        [("hashed", Some("other")), ("legacy", Some("other")), ("legacy", None), ("site", Some("site-secret"))]
    {
        assert_eq!(sign_in(client, secret).await.status, 401, "{client}");
    }
    // They may convert, too.
    let token = scene.facebook.user(Person::new("10150000000000001"));
    Tokens::of(&scene.convert("facebook", &token, "phone").await);
    // The configuration's client stays the configuration's.
    assert_eq!(sign_in("web", Some("quickstart-secret")).await.status, 200);
}

#[tokio::test]
async fn the_address_of_an_imported_account_is_taken_at_sign_up() {
    let scene = Scene::start().await;
    let body = json!({ "email": "ADA@example.com", "username": "ada", "first_name": "Ada", "password": PASSWORD });
    let answer = scene.gateway.post_json("/api-auth/create/", body).await;
    assert_eq!((answer.status, answer.json()["email"].is_array()), (400, true));
}
