//! Where rows wait until all have been read: an SQLite database without a name, which is gone with its connection and
//! holds more than the memory does. Rows may come in any order; here each finds those that it belongs to.

use serde_json::{Value, json};
use sqlx::{
    ConnectOptions as _, Connection as _, Row as _,
    sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous},
};

use super::Error;

/// Page cache, KiB.
const CACHE: &str = "-65536";

const SCHEMA: &str = "
    CREATE TABLE users (n INTEGER PRIMARY KEY, model TEXT, pk TEXT, email_key TEXT, seen INTEGER, fields TEXT);
    CREATE TABLE links (n INTEGER PRIMARY KEY, pk TEXT, user TEXT, provider TEXT, uid TEXT);
    CREATE TABLE clients (n INTEGER PRIMARY KEY, pk TEXT, fields TEXT);
    CREATE TABLE groups (pk TEXT PRIMARY KEY, name TEXT) WITHOUT ROWID;
";

/// Once everything is there. `variants` are users whose address another one keeps, `strays` links that are nobody's.
const SORTED: &str = "
    CREATE INDEX users_by_pk ON users (pk);
    CREATE INDEX links_by_user ON links (user);
    CREATE TABLE variants AS
        SELECT n, keeper FROM (
            SELECT n, row_number() OVER one AS place, first_value(pk) OVER one AS keeper
            FROM users WHERE email_key IS NOT NULL
            WINDOW one AS (PARTITION BY email_key ORDER BY seen DESC, n)
        ) WHERE place > 1;
    CREATE UNIQUE INDEX variants_by_n ON variants (n);
    CREATE TABLE strays (n INTEGER PRIMARY KEY, twice INTEGER);
    INSERT INTO strays SELECT n, 0 FROM links WHERE user IS NULL OR user NOT IN (SELECT pk FROM users);
    INSERT INTO strays SELECT n, 1 FROM (
            SELECT n, row_number() OVER (PARTITION BY provider, uid ORDER BY n) AS place
            FROM links WHERE n NOT IN (SELECT n FROM strays)
        ) WHERE place > 1;
";

/// A user as it waits.
pub(super) struct Waiting {
    /// Its place in the source.
    pub n: i64,
    pub pk: String,
    pub fields: Value,
    /// The key of the user that keeps its address instead.
    pub keeper: Option<String>,
    pub links: Vec<WaitingLink>,
}

/// A link as it waits.
pub(super) struct WaitingLink {
    pub pk: String,
    pub provider: String,
    pub uid: String,
}

/// The waiting rows.
pub(super) struct Scratch {
    connection: SqliteConnection,
    users: Batch,
    links: Batch,
    clients: Batch,
    groups: Batch,
}

/// Rows on their way in, as the members of one JSON array: a statement for hundreds of them.
struct Batch {
    insert: &'static str,
    rows: Vec<Value>,
}

impl Batch {
    const fn new(insert: &'static str) -> Self {
        Self { insert, rows: Vec::new() }
    }

    async fn add(&mut self, row: Value, connection: &mut SqliteConnection) -> Result<(), Error> {
        self.rows.push(row);
        if self.rows.len() < 500 { Ok(()) } else { self.flush(connection).await }
    }

    async fn flush(&mut self, connection: &mut SqliteConnection) -> Result<(), Error> {
        let rows = Value::Array(std::mem::take(&mut self.rows)).to_string();
        sqlx::query(self.insert).bind(rows).execute(connection).await.map(drop).map_err(Error::Scratch)
    }
}

impl Scratch {
    pub async fn open() -> Result<Self, Error> {
        let open = async {
            let mut connection = SqliteConnectOptions::new()
                .filename("")
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Off)
                .synchronous(SqliteSynchronous::Off)
                .pragma("cache_size", CACHE)
                .disable_statement_logging()
                .connect()
                .await?;
            sqlx::raw_sql(SCHEMA).execute(&mut connection).await?;
            sqlx::query("BEGIN").execute(&mut connection).await?;
            Ok(connection)
        };
        Ok(Self {
            connection: open.await.map_err(Error::Scratch)?,
            users: Batch::new(
                "INSERT INTO users (model, pk, email_key, seen, fields) \
                 SELECT value->>0, value->>1, value->>2, value->>3, value->>4 FROM json_each(?)",
            ),
            links: Batch::new(
                "INSERT INTO links (pk, user, provider, uid) \
                 SELECT value->>0, value->>1, value->>2, value->>3 FROM json_each(?)",
            ),
            clients: Batch::new("INSERT INTO clients (pk, fields) SELECT value->>0, value->>1 FROM json_each(?)"),
            groups: Batch::new("INSERT OR REPLACE INTO groups SELECT value->>0, value->>1 FROM json_each(?)"),
        })
    }

    pub async fn add_user(
        &mut self,
        model: &str,
        pk: &str,
        email_key: Option<&str>,
        seen: Option<i64>,
        fields: &Value,
    ) -> Result<(), Error> {
        let row = json!([model, pk, email_key, seen, fields.to_string()]);
        self.users.add(row, &mut self.connection).await
    }

    pub async fn add_link(&mut self, pk: &str, user: Option<&str>, provider: &str, uid: &str) -> Result<(), Error> {
        self.links.add(json!([pk, user, provider, uid]), &mut self.connection).await
    }

    pub async fn add_client(&mut self, pk: &str, fields: &Value) -> Result<(), Error> {
        self.clients.add(json!([pk, fields.to_string()]), &mut self.connection).await
    }

    pub async fn add_group(&mut self, pk: &str, name: &str) -> Result<(), Error> {
        self.groups.add(json!([pk, name]), &mut self.connection).await
    }

    /// Ends the adding, and sorts what is there.
    pub async fn sort(&mut self) -> Result<(), Error> {
        for batch in [&mut self.users, &mut self.links, &mut self.clients, &mut self.groups] {
            batch.flush(&mut self.connection).await?;
        }
        sqlx::raw_sql(SORTED).execute(&mut self.connection).await.map(drop).map_err(Error::Scratch)
    }

    /// The models that users came by.
    pub async fn models(&mut self) -> Result<Vec<String>, Error> {
        for batch in [&mut self.users, &mut self.links] {
            batch.flush(&mut self.connection).await?;
        }
        let models = sqlx::query_scalar("SELECT DISTINCT model FROM users ORDER BY model LIMIT 20");
        models.fetch_all(&mut self.connection).await.map_err(Error::Scratch)
    }

    /// How many users there are.
    pub async fn user_count(&mut self) -> Result<u64, Error> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM users")
            .fetch_one(&mut self.connection)
            .await
            .map_err(Error::Scratch)?;
        Ok(count.try_into().unwrap_or(0))
    }

    /// Up to `limit` users with their links, in the order of the source, from the one after `after`.
    pub async fn users(&mut self, after: i64, limit: u32) -> Result<Vec<Waiting>, Error> {
        let rows = sqlx::query(
            "SELECT u.n, u.pk, u.fields, v.keeper, \
                 (SELECT json_group_array(json_array(l.pk, l.provider, l.uid) ORDER BY l.n) FROM links l \
                  WHERE l.user = u.pk AND l.n NOT IN (SELECT n FROM strays)) AS links \
             FROM users u LEFT JOIN variants v ON v.n = u.n WHERE u.n > ? ORDER BY u.n LIMIT ?",
        )
        .bind(after)
        .bind(limit)
        .fetch_all(&mut self.connection)
        .await
        .map_err(Error::Scratch)?;
        let waiting = rows.iter().map(|row| {
            let links: Vec<(String, String, String)> = own_json(row.try_get("links")?)?;
            let links = links.into_iter().map(|(pk, provider, uid)| WaitingLink { pk, provider, uid });
            Ok(Waiting {
                n: row.try_get("n")?,
                pk: row.try_get("pk")?,
                fields: own_json(row.try_get("fields")?)?,
                keeper: row.try_get("keeper")?,
                links: links.collect(),
            })
        });
        waiting.collect::<Result<_, _>>().map_err(Error::Scratch)
    }

    /// Up to `limit` links that are nobody's, or were there before; from the one after `after`. With their places,
    /// and whether they were there before.
    pub async fn strays(&mut self, after: i64, limit: u32) -> Result<Vec<(i64, bool, WaitingLink)>, Error> {
        let rows = sqlx::query(
            "SELECT s.n, s.twice, l.pk, l.provider, l.uid FROM strays s JOIN links l USING (n) \
             WHERE s.n > ? ORDER BY s.n LIMIT ?",
        )
        .bind(after)
        .bind(limit)
        .fetch_all(&mut self.connection)
        .await
        .map_err(Error::Scratch)?;
        let strays = rows.iter().map(|row| {
            let link =
                WaitingLink { pk: row.try_get("pk")?, provider: row.try_get("provider")?, uid: row.try_get("uid")? };
            Ok((row.try_get("n")?, row.try_get("twice")?, link))
        });
        strays.collect::<Result<_, _>>().map_err(Error::Scratch)
    }

    /// The name of a group.
    pub async fn group(&mut self, pk: &str) -> Result<Option<String>, Error> {
        let name = sqlx::query_scalar("SELECT name FROM groups WHERE pk = ?").bind(pk);
        name.fetch_optional(&mut self.connection).await.map_err(Error::Scratch)
    }

    /// The clients, from the one after `after`: its place, its key and its fields.
    pub async fn next_client(&mut self, after: i64) -> Result<Option<(i64, String, Value)>, Error> {
        let row = sqlx::query("SELECT n, pk, fields FROM clients WHERE n > ? ORDER BY n LIMIT 1")
            .bind(after)
            .fetch_optional(&mut self.connection)
            .await
            .map_err(Error::Scratch)?;
        let client = row.map(|row| Ok((row.try_get("n")?, row.try_get("pk")?, own_json(row.try_get("fields")?)?)));
        client.transpose().map_err(Error::Scratch)
    }

    pub async fn close(self) {
        // Nothing in it is to be kept.
        _ = self.connection.close().await;
    }
}

/// What we wrote ourselves.
fn own_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, sqlx::Error> {
    serde_json::from_str(text).map_err(|error| sqlx::Error::Decode(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn scratch() -> Scratch {
        Scratch::open().await.unwrap()
    }

    async fn user(scratch: &mut Scratch, pk: &str, email_key: Option<&str>, seen: Option<i64>) {
        scratch.add_user("auth.user", pk, email_key, seen, &json!({ "email": email_key })).await.unwrap();
    }

    #[tokio::test]
    async fn of_one_address_in_many_spellings_the_latest_seen_keeps_it() {
        let mut scratch = scratch().await;
        for (pk, email_key, seen) in [
            ("1", Some("a"), Some(10)),
            ("2", Some("a"), Some(30)),
            ("3", Some("a"), None),
            ("4", None, Some(99)),
            ("5", Some("a"), Some(30)),
            ("6", Some("b"), None),
            ("7", Some("b"), None),
            ("8", None, None),
        ] {
            user(&mut scratch, pk, email_key, seen).await;
        }
        scratch.sort().await.unwrap();
        let all = scratch.users(0, 100).await.unwrap();
        let keepers: Vec<_> = all.iter().map(|user| user.keeper.as_deref()).collect();
        assert_eq!(keepers, [Some("2"), None, Some("2"), None, Some("2"), None, Some("6"), None]);
        assert_eq!(all[1].fields, json!({ "email": "a" }));
    }

    #[tokio::test]
    async fn links_find_their_users_whichever_came_first_and_strays_are_told() {
        let mut scratch = scratch().await;
        scratch.add_link("10", Some("2"), "facebook", "b").await.unwrap();
        scratch.add_link("11", Some("2"), "facebook", "a").await.unwrap();
        scratch.add_link("12", Some("9"), "facebook", "c").await.unwrap();
        scratch.add_link("13", None, "facebook", "d").await.unwrap();
        user(&mut scratch, "1", None, None).await;
        user(&mut scratch, "2", None, None).await;
        scratch.add_link("14", Some("1"), "facebook", "a").await.unwrap();
        scratch.add_link("15", Some("1"), "google", "c").await.unwrap();
        scratch.sort().await.unwrap();
        let all = scratch.users(0, 100).await.unwrap();
        let links: Vec<Vec<_>> =
            all.iter().map(|user| user.links.iter().map(|link| link.pk.as_str()).collect()).collect();
        assert_eq!(links, [vec!["15"], vec!["10", "11"]]);
        let strays = scratch.strays(0, 100).await.unwrap();
        let strays: Vec<_> = strays.iter().map(|(_, twice, link)| (link.pk.as_str(), *twice)).collect();
        assert_eq!(strays, [("12", false), ("13", false), ("14", true)]);
    }

    #[tokio::test]
    async fn what_waits_comes_back_page_by_page_as_it_was() {
        let mut scratch = scratch().await;
        let odd = "'\"; -- \u{0}\u{1f98a}\\";
        for i in 0..1234 {
            scratch.add_user("auth.user", &format!("{odd}{i}"), None, None, &json!({ "name": odd })).await.unwrap();
        }
        scratch.add_group("1", odd).await.unwrap();
        scratch.add_client("1", &json!({ "client_id": odd })).await.unwrap();
        scratch.sort().await.unwrap();
        assert_eq!(scratch.user_count().await.unwrap(), 1234);
        let (mut after, mut seen) = (0, 0);
        loop {
            let page = scratch.users(after, 100).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.n;
            for user in page {
                assert_eq!((user.pk, user.fields), (format!("{odd}{seen}"), json!({ "name": odd })));
                seen += 1;
            }
        }
        assert_eq!(seen, 1234);
        assert_eq!(scratch.group("1").await.unwrap().as_deref(), Some(odd));
        assert_eq!(scratch.group("2").await.unwrap(), None);
        let (n, _, fields) = scratch.next_client(0).await.unwrap().unwrap();
        assert_eq!(fields, json!({ "client_id": odd }));
        assert!(scratch.next_client(n).await.unwrap().is_none());
    }
}
