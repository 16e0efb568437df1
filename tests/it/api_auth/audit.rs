//! The audit log: what happens over HTTP is there once, with who, what, from where and in which request.

use passgate::telemetry::audit::{self, Origin};
use serde_json::Map;
use tracing::subscriber::DefaultGuard;

use super::{
    convert_token::{Scene, gina},
    *,
};
use crate::support::{
    Bench,
    log::{Lines, listening},
    provider::Person,
};

/// Listens, and takes what each request left.
struct Auditor {
    lines: Lines,
    _guard: DefaultGuard,
}

impl Auditor {
    fn start() -> Self {
        let (lines, guard) = listening();
        Self { lines, _guard: guard }
    }

    /// These events, and no others, are of the request that got `answer`.
    #[track_caller]
    fn told(&self, answer: &Answer, expected: &[Value]) {
        let told = self.lines.audit();
        let told: Vec<Value> = told
            .into_iter()
            .map(|mut line| {
                let event = audit::ALL.iter().find(|event| line["event"] == event.name).expect("a known event");
                assert_eq!(line["level"], if event.alarming { "WARN" } else { "INFO" }, "{line}");
                assert!(event.by.contains(&Origin::Request), "{line}");
                let fields = line.as_object_mut().unwrap();
                assert!(event.always.iter().all(|name| fields.contains_key(*name)), "{fields:?}");
                assert_eq!(take(fields, "source"), "127.0.0.1");
                assert_eq!(Some(take(fields, "request_id").as_str().unwrap()), answer.header("X-Request-Id"));
                for name in ["timestamp", "level", "target"] {
                    take(fields, name);
                }
                line
            })
            .collect();
        assert_eq!(told, expected);
    }

    fn forget(&self) {
        self.lines.audit();
    }
}

#[track_caller]
fn take(fields: &mut Map<String, Value>, name: &str) -> Value {
    fields.remove(name).unwrap_or_else(|| panic!("no {name} in {fields:?}"))
}

/// Account and session of an access token.
fn whose(access: &str) -> (Value, Value) {
    let claims = access.split('.').nth(1).unwrap();
    let claims = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    (claims["sub"].clone(), claims["sid"].clone())
}

fn signed_in(access: &str) -> Value {
    let (account, session) = whose(access);
    json!({ "event": "sign_in", "outcome": "ok", "account": account, "client": "web", "session": session })
}

fn refused(reason: &str) -> Value {
    json!({ "event": "sign_in", "outcome": "failed", "reason": reason, "client": "web" })
}

#[tokio::test]
async fn signing_up_and_in_and_each_reason_why_not() {
    let auditor = Auditor::start();
    let gateway = Gateway::start_with(&[("limits.sign_in.per_account", "3/1h")]).await;
    let [made] = &auditor.lines.audit()[..] else { panic!("one key") };
    assert_eq!(
        (&made["event"], &made["by"], &made["algorithm"]),
        (&json!("key.made"), &json!("gateway"), &json!("EdDSA"))
    );
    assert!(made["key"].is_string() && made.get("source").is_none(), "{made}");

    let answer = gateway.post_json(CREATE, person("vera@example.test")).await;
    let access = Pair::of(&answer).access;
    let (account, _) = whose(&access);
    auditor.told(&answer, &[json!({ "event": "sign_up", "account": account }), signed_in(&access)]);

    let answer = gateway.post_json(TOKEN, password_request("vera@example.test")).await;
    auditor.told(&answer, &[signed_in(&Pair::of(&answer).access)]);

    let ask =
        async |members: Value| gateway.post_json(TOKEN, with(password_request("vera@example.test"), &members)).await;
    auditor.told(&ask(json!({ "password": "wrong" })).await, &[refused("wrong_password")]);
    auditor.told(&ask(json!({ "username": "nobody@example.test" })).await, &[refused("unknown_account")]);
    let refused_client = |fields| with(json!({ "event": "client.refused" }), &fields);
    auditor.told(
        &ask(json!({ "client_secret": "wrong" })).await,
        &[refused_client(json!({ "reason": "wrong_secret", "client": "web" }))],
    );
    auditor
        .told(&ask(json!({ "client_id": "nobody" })).await, &[refused_client(json!({ "reason": "unknown_client" }))]);

    gateway.deactivate("vera@example.test").await;
    auditor.forget();
    auditor.told(&ask(json!({})).await, &[refused("inactive_account")]);
    auditor.told(&ask(json!({})).await, &[refused("inactive_account")]);
    let answer = ask(json!({})).await;
    assert_eq!(answer.status, 429, "{}", text(&answer));
    let limit = json!({ "event": "throttled", "what": "sign_in", "limit": "per_account", "client": "web" });
    auditor.told(&answer, &[limit]);
}

#[tokio::test]
async fn what_ends_sessions_and_their_refresh_tokens() {
    let auditor = Auditor::start();
    let gateway = Gateway::start().await;
    let vera = sign_up(&gateway, "vera@example.test").await;
    let (account, _) = whose(&vera.access);
    let ended = |pair: &Pair| json!({ "event": "session.ended", "account": account, "session": whose(&pair.access).1 });
    let fresh = async || {
        let pair = sign_in(&gateway, "vera@example.test").await;
        auditor.forget();
        pair
    };

    // RFC 7009, by a client.
    let pair = fresh().await;
    let body = json!({ "token": pair.refresh, "client_id": "web", "client_secret": "quickstart-secret" });
    auditor.told(&gateway.post_json("/api-auth/revoke", &body).await, &[ended(&pair)]);
    auditor.told(&gateway.post_json("/api-auth/revoke", &body).await, &[]);

    // One's own.
    let pair = fresh().await;
    let body = json!({ "client_id": "web", "client_secret": "quickstart-secret" });
    auditor.told(&gateway.post_json_as(REVOKE, &pair.access, body).await, &[ended(&pair)]);

    // By its id.
    let pair = fresh().await;
    let path = format!("/api-auth/sessions/{}", whose(&pair.access).1.as_str().unwrap());
    let authorization = format!("Bearer {}", vera.access);
    let answer = send(&gateway, "DELETE", &path, &[("Authorization", &authorization)], "").await;
    auditor.told(&answer, &[ended(&pair)]);

    // The refresh tokens with a client, then the sessions.
    let pair = fresh().await;
    let web = json!({ "client_id": "web" });
    let answer = gateway.post_json_as("/api-auth/invalidate-refresh-tokens", &vera.access, &web).await;
    auditor.told(&answer, &[json!({ "event": "refresh.ended", "account": account, "client": "web", "sessions": 2 })]);
    let answer = gateway.post_json_as("/api-auth/invalidate-sessions", &vera.access, &web).await;
    let mut both = [ended(&vera), ended(&pair)];
    let told = auditor.lines.audit();
    both.sort_by_key(|event| told.iter().position(|line| line["session"] == event["session"]));
    assert_eq!(told.len(), 2);
    for (line, expected) in told.iter().zip(both) {
        assert_eq!((&line["event"], &line["session"]), (&expected["event"], &expected["session"]));
        assert_eq!(line["request_id"].as_str(), answer.header("X-Request-Id"));
    }

    // The password, and everywhere.
    let pair = fresh().await;
    let (_, session) = whose(&pair.access);
    let change =
        |current: &str| json!({ "current_password": current, "new_password": "another tractor under 8 moons" });
    let event = |outcome: &str| json!({ "event": "password.change", "outcome": outcome, "account": account, "session": session });
    let wrong = gateway.post_json_as("/api-auth/password/", &pair.access, change("wrong")).await;
    auditor.told(&wrong, &[event("failed")]);
    let changed = gateway.post_json_as("/api-auth/password/", &pair.access, change(PASSWORD)).await;
    auditor.told(&changed, &[event("ok")]);
    let answer = gateway.post_json_as("/api-auth/sign-out-everywhere/", &pair.access, json!({})).await;
    auditor.told(&answer, &[json!({ "event": "sign_out_everywhere", "account": account })]);
}

#[tokio::test]
async fn a_stolen_refresh_token_and_a_store_that_lost_writes() {
    let auditor = Auditor::start();
    let gateway = Gateway::start().await;
    let pair = sign_up(&gateway, "vera@example.test").await;
    let (account, session) = whose(&pair.access);
    auditor.forget();
    let (directory, upstream, clock) = gateway.stop().await;
    let (database, copy) = (directory.path().join("passgate.db"), directory.path().join("copy"));
    std::fs::copy(&database, &copy).unwrap();
    let gateway = Bench::default().start_in(directory, upstream, clock).await;
    let second = Pair::of(&refresh(&gateway, &pair.refresh).await);
    let answer = refresh(&gateway, &second.refresh).await;
    auditor.told(&answer, &[]);
    let third = Pair::of(&answer);

    let (directory, upstream, clock) = gateway.stop().await;
    std::fs::rename(&copy, &database).unwrap();
    let gateway = Bench::default().start_in(directory, upstream, clock).await;
    auditor.forget();
    let answer = refresh(&gateway, &third.refresh).await;
    let of = |event: &str| json!({ "event": event, "account": account, "client": "web", "session": session });
    auditor.told(&answer, &[with(of("refresh.fast_forward"), &json!({ "gap": 2 }))]);

    gateway.advance(std::time::Duration::from_hours(1));
    let answer = refresh(&gateway, &third.refresh).await;
    assert_error(&answer, 400, "invalid_grant");
    auditor.told(&answer, &[of("refresh.theft")]);
    auditor.told(&refresh(&gateway, &third.refresh).await, &[]);
}

#[tokio::test]
async fn who_comes_by_a_provider_and_whose_identities_change() {
    let auditor = Auditor::start();
    let scene = Scene::start_with(|bench| bench.set("accounts.reclaim_unverified", "true")).await;
    let squatter = sign_up(&scene.gateway, "gina@example.test").await;
    auditor.forget();
    let by_google = |event: Value| with(event, &json!({ "provider": "google-oauth2" }));
    let answer = scene.by_google(gina()).await;
    let access = Pair::of(&answer).access;
    let (account, _) = whose(&access);
    let (loser, _) = whose(&squatter.access);
    auditor.told(
        &answer,
        &[
            by_google(json!({ "event": "sign_up", "account": account })),
            by_google(json!({ "event": "account.reclaimed", "account": loser, "taken_by": account })),
            by_google(signed_in(&access)),
        ],
    );
    let answer = scene.by_google(gina()).await;
    auditor.told(&answer, &[by_google(signed_in(&Pair::of(&answer).access))]);
    let answer = scene.convert("google-oauth2", "ya29.garbage").await;
    let [event] = &auditor.lines.audit()[..] else { panic!("one event") };
    assert_eq!((&event["event"], &event["outcome"]), (&json!("sign_in"), &json!("failed")));
    assert!(event["reason"].is_string() && event.get("account").is_none() && answer.status == 400, "{event}");

    let links = "/api-auth/links/";
    let link = async |backend: &str, token: &str| {
        scene.gateway.post_json_as(links, &access, json!({ "backend": backend, "token": token })).await
    };
    let by_facebook = |event: Value| with(event, &json!({ "provider": "facebook", "account": account }));
    let answer = link("facebook", &scene.facebook.user(Person::new("f-1"))).await;
    let id = answer.json()["association_id"].clone();
    auditor.told(&answer, &[by_facebook(json!({ "event": "link", "outcome": "ok", "link": id }))]);
    let failed = |reason: &str| by_facebook(json!({ "event": "link", "outcome": "failed", "reason": reason }));
    auditor.told(&link("facebook", "garbage").await, &[failed("refused")]);
    let another = Pair::of(&scene.by_facebook(Person::new("f-2").email("f@example.test")).await);
    auditor.forget();
    auditor.told(&link("facebook", &scene.facebook.user(Person::new("f-2"))).await, &[failed("taken")]);
    assert_ne!(whose(&another.access).0, account);

    let body = json!({ "backend": "facebook", "association_id": id });
    let answer = scene.gateway.post_json_as("/api-auth/disconnect-backend", &access, body).await;
    auditor.told(&answer, &[by_facebook(json!({ "event": "unlink", "link": id }))]);
}
