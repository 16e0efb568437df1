//! What a dump can be like: any order, any form, cut short, large.

use std::{
    io::Write,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::*;

fn fixture() -> Vec<Value> {
    serde_json::from_str(&std::fs::read_to_string(DUMP).unwrap()).unwrap()
}

#[test]
fn rows_may_come_in_any_order_and_one_a_line() {
    let mut rows = fixture();
    rows.reverse();
    let place = Place::new();
    std::fs::write(place.path("reversed.json"), json!(rows).to_string()).unwrap();
    let told = place.told(&["reversed.json"]);
    assert_eq!(counts(&told), FIRST);
    assert!(told.contains("5         Kim@example.com (kept by 6)"), "{told}");
    let lines: Vec<_> = rows.iter().map(Value::to_string).collect();
    std::fs::write(place.path("lines.jsonl"), lines.join("\n")).unwrap();
    assert_eq!(counts(&place.told(&["lines.jsonl"])), AGAIN);
}

#[test]
fn a_dump_may_come_by_standard_input() {
    let place = Place::new();
    let mut child = passgate()
        .current_dir(place.0.path())
        .args(["import", "django", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&std::fs::read(DUMP).unwrap()).unwrap();
    assert_eq!(counts(&done(&child.wait_with_output().unwrap())), FIRST);
}

#[test]
fn links_that_are_nobodys_or_two_persons_are_left_out_and_told() {
    let mut rows = fixture();
    let link = |pk: i64, user: Value, provider: &str, uid: &str| {
        json!({ "model": "social_django.usersocialauth", "pk": pk,
                "fields": { "user": user, "provider": provider, "uid": uid, "extra_data": {} } })
    };
    rows.extend([
        link(10, json!(404), "facebook", "404"),
        link(11, json!(1), "facebook", "10150000000000001"),
        link(12, json!(1), "facebook", "None"),
        link(13, Value::Null, "facebook", "405"),
        link(14, json!(2), "google-oauth2", "gina@example.com"),
        link(15, json!(2), "google-oauth2", "108204268033311374519"),
    ]);
    let place = Place::new();
    std::fs::write(place.path("dump.json"), json!(rows).to_string()).unwrap();
    let told = place.told(&["--report", "report.jsonl", "dump.json"]);
    assert_eq!(counts(&told)[1], "links 9 4 0 5");
    let links: Vec<_> = report(&place.path("report.jsonl"))
        .into_iter()
        .filter(|line| line.starts_with("link ") && !line.contains("provider_unknown"))
        .collect();
    assert_eq!(
        links,
        [
            "link 12 link_invalid facebook None of 1",
            "link 10 link_without_user facebook 404",
            "link 11 link_twice facebook 10150000000000001",
            "link 13 link_without_user facebook 405",
            "link 14 link_twice google-oauth2 gina@example.com",
        ]
    );
}

#[test]
fn what_the_source_says_otherwise_by_now_is_told_and_not_done() {
    let place = Place::new();
    place.told(&[DUMP]);
    let mut rows = fixture();
    for row in &mut rows {
        if row["model"] == "accounts.account" && row["pk"] == 1 {
            row["fields"]["is_staff"] = json!(false);
            row["fields"]["groups"] = json!([1]);
        }
        if row["model"] == "accounts.account" && row["pk"] == 6 {
            row["fields"]["is_active"] = json!(false);
        }
    }
    std::fs::write(place.path("later.json"), json!(rows).to_string()).unwrap();
    let told = place.told(&["--report", "report.jsonl", "later.json"]);
    assert_eq!(counts(&told), AGAIN);
    let changed: Vec<_> =
        report(&place.path("report.jsonl")).into_iter().filter(|line| line.contains("since")).collect();
    assert_eq!(
        changed,
        ["account 1 changed_since staff here, other groups here", "account 6 changed_since active here"]
    );
}

/// A dump of many users, every other one with a link.
fn many(count: u32) -> String {
    let rows = (1..=count).flat_map(|pk| {
        let user = json!({ "model": "auth.user", "pk": pk, "fields": {
            "email": format!("user{pk}@example.com"), "password": "!", "last_login": null, "username": format!("u{pk}"),
        } });
        let link = json!({ "model": "social_django.usersocialauth", "pk": pk,
                           "fields": { "user": pk, "provider": "facebook", "uid": pk.to_string() } });
        [Some(user), pk.is_multiple_of(2).then_some(link)]
    });
    let rows: Vec<_> = rows.flatten().map(|row| row.to_string()).collect();
    format!("[{}]", rows.join(","))
}

#[tokio::test]
async fn an_import_that_was_killed_is_completed_by_the_next() {
    use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};

    const USERS: u32 = 8_000;
    let place = Place::new();
    std::fs::write(place.path("many.json"), many(USERS)).unwrap();
    let made = passgate().current_dir(place.0.path()).args(["client", "list"]).output().unwrap();
    assert_eq!(made.status.code(), Some(0));
    let store = place.path("data/passgate.db");
    let mut reading = SqliteConnectOptions::new().filename(&store).read_only(true).connect().await.unwrap();
    let mut child = passgate()
        .current_dir(place.0.path())
        .args(["import", "django", "many.json"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    let kept = loop {
        let kept: u32 = sqlx::query_scalar("SELECT count(*) FROM accounts").fetch_one(&mut reading).await.unwrap();
        if kept > 0 {
            break kept;
        }
        assert!(start.elapsed() < Duration::from_mins(1), "nothing is kept");
        assert!(child.try_wait().unwrap().is_none(), "it has ended");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(kept < USERS, "it was killed midway");
    // Each account has its links.
    let torn: u32 = sqlx::query_scalar(
        "SELECT count(*) FROM accounts WHERE external_id % 2 = 0 AND id NOT IN (SELECT account FROM links)",
    )
    .fetch_one(&mut reading)
    .await
    .unwrap();
    assert_eq!(torn, 0);

    let told = place.told(&["many.json"]);
    let [accounts, links, _] = counts(&told);
    let numbers: Vec<u32> = accounts.split(' ').skip(1).map(|number| number.parse().unwrap()).collect();
    assert_eq!((numbers[0], numbers[1] + numbers[2], numbers[3]), (USERS, USERS, 0), "{told}");
    assert!(numbers[1] > 0 && numbers[2] >= kept, "{told}");
    assert!(links.ends_with(" 0"), "{told}");
    assert_eq!(counts(&place.told(&["many.json"]))[0], format!("accounts {USERS} 0 {USERS} 0"));
}
