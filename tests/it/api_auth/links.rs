//! `links/`, `disconnect-backend`, and a password by a provider's word.

use super::{
    convert_token::{Scene, gina, request},
    *,
};
use crate::support::provider::Person;

const LINKS: &str = "/api-auth/links/";
const DISCONNECT: &str = "/api-auth/disconnect-backend";
const NEW: &str = "another tractor under 8 moons";

async fn link(scene: &Scene, pair: &Pair, backend: &str, token: &str) -> Answer {
    scene.gateway.post_json_as(LINKS, &pair.access, json!({ "backend": backend, "token": token })).await
}

async fn listed(scene: &Scene, pair: &Pair) -> Vec<(i64, String, String)> {
    let answer = scene.gateway.get(LINKS, Some(&pair.access)).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let member = |link: &Value, name: &str| link[name].as_str().unwrap().to_owned();
    let links = answer.json();
    let links = links.as_array().unwrap().iter();
    links.map(|link| (link["association_id"].as_i64().unwrap(), member(link, "backend"), member(link, "uid"))).collect()
}

async fn disconnect(scene: &Scene, pair: &Pair, backend: &str, id: impl Into<Value>) -> Answer {
    let body = json!({ "backend": backend, "association_id": id.into() });
    scene.gateway.post_json_as(DISCONNECT, &pair.access, body).await
}

#[tokio::test]
async fn a_linked_identity_signs_its_account_in() {
    let scene = Scene::start().await;
    let vera = sign_up(&scene.gateway, "vera@example.test").await;
    assert_eq!(listed(&scene, &vera).await, []);
    let answer = link(&scene, &vera, "google-oauth2", &scene.google.user(gina())).await;
    assert_eq!((answer.status, answer.json()["uid"].as_str()), (201, Some("g-1")));
    // Once more is no other link; that Facebook gives no address does not matter here.
    assert_eq!(link(&scene, &vera, "google-oauth2", &scene.google.id_token(&gina())).await.status, 200);
    assert_eq!(link(&scene, &vera, "facebook", &scene.facebook.user(Person::new("f-1"))).await.status, 201);
    let links = listed(&scene, &vera).await;
    assert_eq!(
        links.iter().map(|(_, backend, uid)| (backend.as_str(), uid.as_str())).collect::<Vec<_>>(),
        [("google-oauth2", "g-1"), ("facebook", "f-1")]
    );

    let answer = scene.by_google(gina()).await;
    assert_eq!(answer.json()["user"]["email"], "vera@example.test");
    assert_eq!(listed(&scene, &Pair::of(&answer)).await, links);
    assert_eq!(scene.accounts().await, 1);
}

#[tokio::test]
async fn an_identity_belongs_to_one_account() {
    let scene = Scene::start().await;
    Pair::of(&scene.by_google(gina()).await);
    let vera = sign_up(&scene.gateway, "vera@example.test").await;
    let answer = link(&scene, &vera, "google-oauth2", &scene.google.user(gina())).await;
    assert_answer(&answer, 409, &json!({ "detail": "This account is already in use." }));
    assert_eq!(listed(&scene, &vera).await, []);
}

#[tokio::test]
async fn linking_needs_a_bearer_and_a_token_that_is_believed() {
    let scene = Scene::start().await;
    let vera = sign_up(&scene.gateway, "vera@example.test").await;
    let body = json!({ "backend": "google-oauth2", "token": scene.google.user(gina()) });
    assert_eq!(scene.gateway.post_json(LINKS, body).await.status, 401);
    assert_eq!(scene.google.calls(crate::support::provider::google::TOKENINFO), 0);
    let answer = link(&scene, &vera, "google-oauth2", "ya29.garbage").await;
    assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("access_denied")));
    let answer = link(&scene, &vera, "google", "x").await;
    assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_request")));
    assert_answer(
        &scene.gateway.post_json_as(LINKS, &vera.access, json!({})).await,
        400,
        &json!({ "backend": ["backend is required."], "token": ["token is required."] }),
    );
    assert_eq!(listed(&scene, &vera).await, []);
}

#[tokio::test]
async fn a_disconnected_identity_signs_in_no_more() {
    let scene = Scene::start().await;
    let vera = sign_up(&scene.gateway, "vera@example.test").await;
    link(&scene, &vera, "google-oauth2", &scene.google.user(gina())).await;
    let id = listed(&scene, &vera).await[0].0;
    let signed_in = Pair::of(&scene.by_google(gina()).await);
    let answer = disconnect(&scene, &vera, "google-oauth2", id.to_string()).await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert_eq!((answer.header("Content-Type"), answer.header("Content-Length")), (None, None));
    assert_eq!(listed(&scene, &vera).await, []);
    // Tokens live on; the identity is a stranger's again, and its own address makes its own account.
    assert_eq!(scene.gateway.get(CURRENT_USER, Some(&signed_in.access)).await.status, 200);
    let answer = scene.by_google(Person::new("g-1").email("vera@example.test")).await;
    assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("access_denied")));
}

#[tokio::test]
async fn the_only_way_in_stays() {
    let scene = Scene::start().await;
    let gina = Pair::of(&scene.by_google(gina()).await);
    let google = listed(&scene, &gina).await[0].0;
    let refusal =
        json!({ "detail": "This social account cannot be disconnected because it is your only way to log in." });
    assert_answer(&disconnect(&scene, &gina, "google-oauth2", google).await, 400, &refusal);
    // Another link is another way in, and then the other one is the only one.
    link(&scene, &gina, "facebook", &scene.facebook.user(Person::new("f-1"))).await;
    assert_eq!(disconnect(&scene, &gina, "google-oauth2", google).await.status, 204);
    let facebook = listed(&scene, &gina).await[0].0;
    assert_answer(&disconnect(&scene, &gina, "facebook", facebook).await, 400, &refusal);
    // A password is one, too.
    let proof = json!({ "new_password": NEW, "backend": "facebook", "token": scene.facebook.user(Person::new("f-1")) });
    assert_eq!(scene.gateway.post_json_as("/api-auth/password/", &gina.access, proof).await.status, 204);
    assert_eq!(disconnect(&scene, &gina, "facebook", facebook).await.status, 204);
}

#[tokio::test]
async fn what_is_not_ones_own_is_left_alone_without_a_word() {
    let scene = Scene::start().await;
    let gina = Pair::of(&scene.by_google(gina()).await);
    let id = listed(&scene, &gina).await[0].0;
    let vera = sign_up(&scene.gateway, "vera@example.test").await;
    for (backend, id) in [("google-oauth2", id), ("google-oauth2", 0), ("facebook", id), ("facebook", i64::MIN)] {
        assert_eq!(disconnect(&scene, &vera, backend, id).await.status, 204);
    }
    assert_eq!(disconnect(&scene, &gina, "facebook", id).await.status, 204, "not a link of this backend");
    assert_eq!(listed(&scene, &gina).await[0].0, id);

    assert_answer(&disconnect(&scene, &vera, "google", id).await, 400, &json!({ "backend": ["Invalid backend."] }));
    for odd in [json!("x"), json!(1.5), json!([]), json!("9223372036854775808")] {
        let expected = json!({ "association_id": ["association_id must be a valid integer."] });
        assert_answer(&disconnect(&scene, &vera, "facebook", odd).await, 400, &expected);
    }
    assert_eq!(scene.gateway.post_json(DISCONNECT, json!({})).await.status, 401);
}

#[tokio::test]
async fn a_linked_identity_proves_who_asks_for_a_password() {
    let scene = Scene::start().await;
    let change = async |pair: &Pair, backend: &str, token: &str| {
        let body = json!({ "new_password": NEW, "backend": backend, "token": token });
        scene.gateway.post_json_as("/api-auth/password/", &pair.access, body).await
    };
    let other = Pair::of(&scene.by_google(gina()).await);
    let this = Pair::of(&scene.by_google(gina()).await);
    // There is no current one.
    let body = json!({ "new_password": NEW, "current_password": "" });
    assert_eq!(scene.gateway.post_json_as("/api-auth/password/", &this.access, body).await.status, 400);
    // Somebody else's identity, and one that nobody has.
    Pair::of(&scene.by_facebook(Person::new("f-1").email("fay@example.test")).await);
    for person in [Person::new("f-1"), Person::new("f-2")] {
        let answer = change(&this, "facebook", &scene.facebook.user(person)).await;
        assert_answer(&answer, 400, &json!({ "token": ["This account is not linked to that identity."] }));
    }
    assert_eq!(change(&this, "google-oauth2", "ya29.garbage").await.status, 400);

    assert_eq!(change(&this, "google-oauth2", &scene.google.user(gina())).await.status, 204);
    assert_eq!(scene.gateway.get(CURRENT_USER, Some(&this.access)).await.status, 200);
    assert_eq!(scene.gateway.get(CURRENT_USER, Some(&other.access)).await.status, 401);
    let request = with(password_request("gina@example.test"), &json!({ "password": NEW }));
    Pair::of(&scene.gateway.post_json(TOKEN, request).await);
    assert_eq!(request_is_refused(&scene).await, 400);
}

/// The password that every other account of the bench has is not this one's.
async fn request_is_refused(scene: &Scene) -> u16 {
    scene.gateway.post_json(TOKEN, password_request("gina@example.test")).await.status
}

#[tokio::test]
async fn a_stolen_bearer_links_an_identity_and_gets_no_password_by_it() {
    let scene = Scene::start().await;
    let vera = sign_up(&scene.gateway, "vera@example.test").await;
    let thief = scene.google.user(gina());
    assert_eq!(link(&scene, &vera, "google-oauth2", &thief).await.status, 201);
    let body = json!({ "new_password": NEW, "backend": "google-oauth2", "token": thief });
    let answer = scene.gateway.post_json_as("/api-auth/password/", &vera.access, body).await;
    assert_answer(&answer, 400, &json!({ "current_password": ["current_password is required."] }));
    sign_in(&scene.gateway, "vera@example.test").await;
}

#[tokio::test]
async fn links_and_sessions_survive_a_restart() {
    let scene = Scene::start().await;
    let gina_pair = Pair::of(&scene.by_google(gina()).await);
    let before = listed(&scene, &gina_pair).await;
    let Scene { gateway, google, facebook } = scene;
    let (directory, upstream, clock) = gateway.stop().await;
    let bench = crate::support::Bench::default()
        .providers(&[google.yaml(), facebook.yaml()])
        .set("clients.web.grants", "[password, refresh_token, convert_token]")
        .set("accounts.list", "public");
    let scene = Scene { gateway: bench.start_in(directory, upstream, clock).await, google, facebook };
    assert_eq!(listed(&scene, &gina_pair).await, before);
    let again =
        scene.gateway.post_json("/api-auth/convert-token", request("google-oauth2", &scene.google.user(gina())));
    assert_eq!(listed(&scene, &Pair::of(&again.await)).await, before);
    assert_eq!(scene.accounts().await, 1);
}
