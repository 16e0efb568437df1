//! `passgate import django`, as an operator runs it.
//!
//! `fixtures/django-dump.json` was written by `manage.py dumpdata auth.group accounts social_django
//! oauth2_provider.application` of a Django 5.2 site with drf-social-oauth2 3.5 (django-oauth-toolkit 3.4,
//! social-auth-app-django 6.1) and a user model of its own, `accounts.Account` (AbstractBaseUser, PermissionsMixin,
//! USERNAME_FIELD email). Its users:
//!
//! | pk | who |
//! |---|---|
//! | 1 | Ada@Example.com, staff, of the groups ops and éditeurs; password `weave-numbers-1843` |
//! | 2 | bob@example.com, inactive |
//! | 3 | gina@example.com, no password, Google by that address |
//! | 4 | fay@example.com, no password, Facebook 10150000000000001 |
//! | 5, 6 | Kim@example.com and kim@example.com, who signed in later; 5 has Facebook 10150000000000002 |
//! | 7 | lee@example.com, whose password is an MD5 hash |
//! | 8 | moe, whose address is none |
//! | 9 | nan@example.com, whose password `correct-horse-7` is an scrypt hash |
//!
//! Its applications: `web` and `hashed` (secrets hashed), `legacy` (secret in clear), `phone` (public), `site` (of
//! another grant).

mod beside;
mod database;
mod postgres;
mod sources;

use std::{
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    RedisServer,
    process::{configuration, free_port, passgate, stderr, stdout},
};

const DUMP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures/django-dump.json");

/// What comes of the fixture, the lines with numbers.
const FIRST: [&str; 3] = ["accounts 9 9 0 0", "links 3 3 0 0", "clients 5 3 0 2"];
const AGAIN: [&str; 3] = ["accounts 9 0 9 0", "links 3 0 3 0", "clients 5 0 3 2"];

/// Ada's.
const HASH: &str = "pbkdf2_sha256$1000000$0tteeFI3WIYWZBfU1cmJO6$bYUbDDrxDYqKj1W3zsaK9UbGCUD2t2HiQbb+KnhPaws=";

/// A place with a configuration, and no store yet.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::write(place.path("passgate.yaml"), configuration(free_port())).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn import(&self, arguments: &[&str]) -> Output {
        passgate().current_dir(self.0.path()).args(["import", "django"]).args(arguments).output().unwrap()
    }

    /// Imports, and answers what was told of it.
    #[track_caller]
    fn told(&self, arguments: &[&str]) -> String {
        done(&self.import(arguments))
    }

    /// What an import that cannot be says.
    #[track_caller]
    fn refused(&self, arguments: &[&str], code: i32) -> String {
        let output = self.import(arguments);
        assert_eq!(output.status.code(), Some(code), "{}{}", stdout(&output), stderr(&output));
        assert!(output.stdout.is_empty(), "{}", stdout(&output));
        stderr(&output)
    }
}

#[track_caller]
fn done(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    // Nobody is at a terminal: there is an audit event once accounts have come, and nothing else.
    let (told, audited) = (stdout(output), stderr(output));
    let imported = |line: &str| line.contains(r#""event":"accounts.imported","by":"cli""#);
    assert!(audited.lines().all(imported), "{audited}");
    assert_eq!(audited.lines().count(), usize::from(told.ends_with("\nDone.\n")), "{told}{audited}");
    told
}

/// The lines of the table of counts, with single spaces.
fn counts(told: &str) -> [String; 3] {
    ["accounts", "links", "clients"].map(|kind| {
        let line = told.lines().find(|line| line.split(' ').next() == Some(kind) && !line.contains("that"));
        line.unwrap_or_else(|| panic!("{told}")).split_whitespace().collect::<Vec<_>>().join(" ")
    })
}

/// A report, each line as kind, pk, reason and detail.
fn report(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let line = |line: &str| {
        let note: Value = serde_json::from_str(line).unwrap();
        ["kind", "pk", "reason", "detail"].map(|key| note[key].as_str().unwrap()).join(" ")
    };
    text.lines().map(line).collect()
}

#[test]
fn a_dump_is_imported_once_and_what_was_left_out_is_told() {
    let place = Place::new();
    let told = place.told(&["--report", "first.jsonl", DUMP]);
    assert!(told.starts_with("Users are accounts.account.\n"), "{told}");
    assert_eq!(counts(&told), FIRST);
    assert!(
        told.contains("in other letters who signed in later: 1\n  5         Kim@example.com (kept by 6)\n"),
        "{told}"
    );
    assert!(told.ends_with("\nDone.\n"), "{told}");
    assert_eq!(
        report(&place.path("first.jsonl")),
        [
            "account 5 address_variant Kim@example.com (kept by 6)",
            "account 7 password_unusable md5: its algorithm is unknown",
            "account 8 address_invalid moe at home",
            "link facebook provider_unknown 2 links",
            "link google-oauth2 provider_unknown 1 link",
            "client 1 client_configured web",
            "client 5 grant_unsupported site: authorization-code",
        ]
    );
    for secret in ["pbkdf2", "md5$", "scrypt", "ya29", "legacy-secret"] {
        assert!(!told.contains(secret), "{secret}: {told}");
    }

    for _ in 0..2 {
        let told = place.told(&[DUMP]);
        assert_eq!(counts(&told), AGAIN);
        assert!(told.ends_with("Nothing was written: what can be imported is here already.\n"), "{told}");
        assert!(!told.contains("kept by"), "what was told stays told: {told}");
    }
}

#[test]
fn a_trial_tells_the_same_and_makes_nothing() {
    let place = Place::new();
    let told = place.told(&["--dry-run", DUMP]);
    assert_eq!(counts(&told), FIRST);
    assert!(told.ends_with("Nothing was written: this was a trial.\n"), "{told}");
    assert!(!place.path("data").exists(), "neither a store nor a secret");

    // The same over a store that is there, before and after.
    place.told(&["--model", "accounts.Account", DUMP]);
    assert_eq!(counts(&place.told(&["--dry-run", DUMP])), AGAIN);
    let other = Place::new();
    let made = passgate().current_dir(other.0.path()).args(["client", "list"]).output().unwrap();
    assert_eq!(made.status.code(), Some(0));
    for _ in 0..2 {
        assert_eq!(counts(&other.told(&["--dry-run", DUMP])), FIRST);
    }
}

#[test]
fn a_redis_is_imported_into_as_well() {
    let redis = RedisServer::start();
    let place = Place::new();
    let store = format!("store: {{ redis: {{ url: \"{}\" }} }}\n", redis.url());
    std::fs::write(place.path("passgate.yaml"), store + &configuration(free_port())).unwrap();
    // That such a Redis may lose everything is warned of each time.
    for counted in [FIRST, AGAIN] {
        let output = place.import(&[DUMP]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(counts(&stdout(&output)), counted);
    }
    let promoted = passgate().current_dir(place.0.path()).args(["account", "promote", "fay@example.com"]).output();
    assert_eq!(promoted.unwrap().status.code(), Some(0), "it is there");
}

#[test]
fn a_source_that_is_none_is_64_and_says_what_to_do() {
    let place = Place::new();
    let write = |name: &str, text: &str| std::fs::write(place.path(name), text).unwrap();
    write("empty.json", "");
    write("list.json", "[1, 2]");
    write("torn.json", &std::fs::read_to_string(DUMP).unwrap()[..5000]);
    write("nobody.json", r#"[{"model": "a.b", "pk": 1, "fields": {}}]"#);
    let user = |model: &str| {
        format!(r#"{{"model": "{model}", "pk": 1, "fields": {{"email": "", "password": "", "last_login": null}}}}"#)
    };
    write("two.json", &format!("[{}, {}]", user("auth.user"), user("shop.customer")));
    write("natural.json", &format!("[{}]", user("auth.user").replace("\"pk\": 1, ", "")));
    for (arguments, told) in [
        (&["nowhere.json"][..], "nowhere.json cannot be read"),
        (&["mysql://host/db"], "mysql is no database that can be read"),
        (&["empty.json"], "there is nothing in the dump"),
        (&["list.json"], "not what `manage.py dumpdata` writes"),
        (&["torn.json"], "it ends too early"),
        (&["nobody.json"], "no model has the fields email, password and last_login"),
        (&["two.json"], "choose one with --model: auth.user, shop.customer"),
        (&["two.json", "--model", "auth.group"], "there are no users of auth.group"),
        (&["natural.json"], "--natural-primary"),
        (&[DUMP, "--staff", "is_stff"], "accounts.account has no field is_stff"),
        (&[DUMP, "--email-verified", "confirmed"], "accounts.account has no field confirmed"),
        (&[DUMP, "--report", "empty.json"], "empty.json is there already"),
        (&[DUMP, "--email", "e-mail"], "letters, digits and _"),
        (&[], "Usage:"),
    ] {
        let text = place.refused(arguments, 64);
        assert!(text.contains(told), "{arguments:?}: {text}");
    }
    // Of all this, nothing was kept.
    assert_eq!(counts(&place.told(&["--dry-run", DUMP])), FIRST);
    // The one that is chosen is imported.
    assert_eq!(counts(&place.told(&["two.json", "--model", "Shop.Customer"]))[0], "accounts 1 1 0 0");
}

#[test]
fn a_database_out_of_reach_is_69_and_its_password_stays_out_of_sight() {
    let place = Place::new();
    let url = format!("postgres://django:canary-7f3a@127.0.0.1:{}/shop", free_port());
    let text = place.refused(&[&url], 69);
    assert!(text.contains("PostgreSQL cannot be read") && !text.contains("canary"), "{text}");
    let text = place.refused(&["postgres://django:canary-7f3a@127.0.0.1:port/shop"], 64);
    assert!(text.contains("no URL of a PostgreSQL database") && !text.contains("canary"), "{text}");
}
