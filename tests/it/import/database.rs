//! A live SQLite database, as Django's migrations make it.

use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};

use super::*;

/// The tables that are read, as Django 5.2 declares them; columns that are not read are left out but for some.
const SCHEMA: &str = r#"
CREATE TABLE "auth_group" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "name" varchar(150) NOT NULL UNIQUE);
CREATE TABLE "accounts_account" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "password" varchar(128) NOT NULL,
    "last_login" datetime NULL, "is_superuser" bool NOT NULL, "email" varchar(254) NOT NULL UNIQUE,
    "username" varchar(150) NOT NULL, "first_name" varchar(150) NOT NULL, "last_name" varchar(150) NOT NULL,
    "is_staff" bool NOT NULL, "is_active" bool NOT NULL, "date_joined" datetime NOT NULL);
CREATE TABLE "accounts_account_groups" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
    "account_id" bigint NOT NULL REFERENCES "accounts_account" ("id") DEFERRABLE INITIALLY DEFERRED,
    "group_id" integer NOT NULL REFERENCES "auth_group" ("id") DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE "social_auth_usersocialauth" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
    "provider" varchar(32) NOT NULL, "uid" varchar(255) NOT NULL,
    "user_id" bigint NOT NULL REFERENCES "accounts_account" ("id") DEFERRABLE INITIALLY DEFERRED,
    "created" datetime NOT NULL, "modified" datetime NOT NULL, "extra_data" text NOT NULL);
CREATE TABLE "oauth2_provider_application" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
    "redirect_uris" text NOT NULL, "client_type" varchar(32) NOT NULL, "authorization_grant_type" varchar(44) NOT NULL,
    "client_secret" varchar(255) NOT NULL, "name" varchar(255) NOT NULL, "hash_client_secret" bool NOT NULL,
    "client_id" varchar(255) NOT NULL UNIQUE);
"#;

/// The rows of the fixture that show what is particular to a database.
const ROWS: &str = r"
INSERT INTO auth_group VALUES (1, 'ops'), (2, 'éditeurs');
INSERT INTO accounts_account VALUES
    (1, 'pbkdf2_sha256$1000000$0tteeFI3WIYWZBfU1cmJO6$bYUbDDrxDYqKj1W3zsaK9UbGCUD2t2HiQbb+KnhPaws=',
     '2025-03-01 08:30:15.123456', 0, 'Ada@Example.com', 'ada', 'Ada', 'Lovelace', 1, 1,
     '2025-03-01 08:30:15.123456'),
    (3, '!x', NULL, 0, 'gina@example.com', 'gina', 'Gina', '', 0, 0, '2025-03-03 08:30:15'),
    (5, '!x', '2025-03-05 08:30:15', 0, 'Kim@example.com', 'kim', 'Kim', '', 0, 1, '2025-03-05 08:30:15'),
    (6, '!x', '2025-03-06 08:30:15', 0, 'kim@example.com', 'kim2', 'Kim', '', 0, 1, '2025-03-06 08:30:15');
INSERT INTO accounts_account_groups (account_id, group_id) VALUES (1, 2), (1, 1), (3, 1);
INSERT INTO social_auth_usersocialauth VALUES
    (1, 'google-oauth2', 'gina@example.com', 3, '', '', '{}'), (2, 'facebook', '42', 5, '', '', '{}');
INSERT INTO oauth2_provider_application VALUES
    (1, '', 'confidential', 'password', 'in-clear', 'legacy', 0, 'legacy'),
    (2, '', 'public', 'password', '', 'phone', 1, 'phone');
";

async fn database(place: &Place, sql: &[&'static str]) {
    let options = SqliteConnectOptions::new().filename(place.path("db.sqlite3")).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    for sql in sql {
        sqlx::raw_sql(*sql).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}

/// What the store has of the accounts.
pub(super) async fn accounts(place: &Place) -> Vec<String> {
    let options = SqliteConnectOptions::new().filename(place.path("data/passgate.db")).read_only(true);
    sqlx::query_scalar(
        "SELECT concat_ws(' ', external_id, ifnull(email, '-'), username, first_name, groups, staff, active, \
             created_at, ifnull(password_hash, '-')) FROM accounts ORDER BY id",
    )
    .fetch_all(&mut options.connect().await.unwrap())
    .await
    .unwrap()
}

#[tokio::test]
async fn a_database_is_read_in_place_and_stays_as_it_is() {
    let place = Place::new();
    database(&place, &[SCHEMA, ROWS]).await;
    let before = std::fs::read(place.path("db.sqlite3")).unwrap();
    for source in ["db.sqlite3", "sqlite:db.sqlite3"] {
        let told = place.told(&["--report", &format!("{}.jsonl", source.len()), source]);
        let again = source != "db.sqlite3";
        let expected = if again {
            ["accounts 4 0 4 0", "links 2 0 2 0", "clients 2 0 2 0"]
        } else {
            ["accounts 4 4 0 0", "links 2 2 0 0", "clients 2 2 0 0"]
        };
        assert_eq!(counts(&told), expected);
    }
    assert_eq!(std::fs::read(place.path("db.sqlite3")).unwrap(), before);
    assert_eq!(
        accounts(&place).await,
        [
            &format!("1 Ada@Example.com ada Ada [\"ops\",\"éditeurs\"] 1 1 1740817815000 {HASH}"),
            "3 gina@example.com gina Gina [\"ops\"] 0 0 1740990615000 -",
            "5 - kim Kim [] 0 1 1741163415000 -",
            "6 kim@example.com kim2 Kim [] 0 1 1741249815000 -",
        ]
    );
    assert_eq!(report(&place.path("10.jsonl"))[0], "account 5 address_variant Kim@example.com (kept by 6)");
}

#[tokio::test]
async fn a_users_table_of_other_names_and_uuid_keys_is_read_by_flags() {
    let place = Place::new();
    let sql = r#"
        CREATE TABLE "shop_customer" ("uid" char(32) NOT NULL PRIMARY KEY, "password" varchar(128) NOT NULL,
            "last_login" datetime NULL, "mail" varchar(254) NOT NULL, "nick" text NOT NULL, "boss" bool NOT NULL,
            "confirmed" bool NOT NULL);
        INSERT INTO shop_customer VALUES ('6f9619ff8b86d011b42d00cf4fc964ff', '!', NULL, 'ada@example.com', 'ada', 1, 1);
        CREATE TABLE "links" ("id" integer PRIMARY KEY, "provider" text, "uid" text, "user_id" char(32));
        INSERT INTO links VALUES (1, 'facebook', '42', '6f9619ff8b86d011b42d00cf4fc964ff');
    "#;
    database(&place, &[sql]).await;
    let fields = ["--email", "mail", "--username", "nick", "--staff", "boss", "--email-verified", "confirmed"];
    let told =
        place.told(&[&fields[..], &["--model", "shop.Customer", "--links-table", "links", "db.sqlite3"]].concat());
    assert_eq!(counts(&told), ["accounts 1 1 0 0", "links 1 1 0 0", "clients 0 0 0 0"]);
    let kept = accounts(&place).await.remove(0);
    assert!(kept.starts_with("6f9619ff-8b86-d011-b42d-00cf4fc964ff ada@example.com ada  [] 1 1 "), "{kept}");

    for (arguments, told) in [
        (&["db.sqlite3"][..], "no table of users in it: none has the columns email, password and last_login"),
        (&["--email", "mail", "--username", "nickname", "db.sqlite3"], "shop_customer has no field nickname"),
        (&["--email", "mail", "--groups", "teams", "db.sqlite3"], "shop_customer has no field teams"),
        (&["--email", "mail", "--links-table", "nowhere", "db.sqlite3"], "there is no table nowhere"),
        (&["--table", "nowhere", "db.sqlite3"], "there is no table nowhere"),
        (&["sqlite:nowhere.sqlite3"], "there is no file nowhere.sqlite3"),
    ] {
        let text = place.refused(arguments, 64);
        assert!(text.contains(told), "{arguments:?}: {text}");
    }
}
