//! Where the rows come from: a dump, or a live database.

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
};

use tokio::sync::mpsc;

use super::{
    Error, database, dump,
    mapping::Mapping,
    record::{Record, is_name},
};
use crate::secret::Secret;

/// Rows handed over at once.
pub(super) const BATCH: usize = 500;

/// Batches on their way, before whoever reads has to wait.
pub(super) const AHEAD: usize = 4;

/// Some rows, and how many bytes of the source were read so far.
pub(super) struct Rows {
    pub records: Vec<Record>,
    pub bytes: u64,
}

/// What to read.
pub enum Source {
    /// `manage.py dumpdata`, at standard input.
    Stdin,
    /// The same in a file.
    Dump(PathBuf),
    /// A live SQLite database.
    Sqlite(PathBuf, Tables),
    /// A live PostgreSQL database. The URL may have a password in it.
    Postgres(Secret, Tables),
}

/// Names of tables, where they are not those that Django gives.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// Of the user model.
    pub users: Option<String>,
    /// Of `social_django`'s links.
    pub links: Option<String>,
    /// Of `oauth2_provider`'s applications.
    pub clients: Option<String>,
}

impl Tables {
    /// The first that can be no table.
    pub fn wrong(&self) -> Option<&str> {
        [&self.users, &self.links, &self.clients].into_iter().flatten().map(String::as_str).find(|name| !is_name(name))
    }
}

/// SQLite's file format, section 1.3.
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";

impl Source {
    /// The source that an operator names: `-`, a file of either kind, `sqlite:…`, `postgres://…`.
    pub fn named(text: &str, tables: Tables) -> Result<Self, Error> {
        if text == "-" {
            return Ok(Self::Stdin);
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(Secret::from(text), tables));
        }
        if let Some(path) = text.strip_prefix("sqlite:") {
            // An absolute path has a third slash, and `sqlite:` alone may stand before any.
            let path = path.strip_prefix("//").unwrap_or(path);
            return Ok(Self::Sqlite(path.into(), tables));
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(Error::Input(format!(
                "{scheme} is no database that can be read: take postgres://…, sqlite:…, or a file that \
                 `manage.py dumpdata` has written"
            )));
        }
        let mut begin = Vec::new();
        let read = File::open(text).and_then(|file| file.take(16).read_to_end(&mut begin));
        read.map_err(|error| unopened(text, &error))?;
        Ok(if begin == SQLITE_MAGIC { Self::Sqlite(text.into(), tables) } else { Self::Dump(text.into()) })
    }

    /// How many bytes there are to read, where that is known.
    pub fn size(&self) -> Option<u64> {
        match self {
            Self::Dump(path) => path.metadata().ok().map(|found| found.len()),
            _ => None,
        }
    }

    /// Hands every row that may be wanted to `rows`. Ends early, without an error, when nobody takes them any more.
    pub(super) async fn read(self, mapping: &Mapping, rows: mpsc::Sender<Rows>) -> Result<(), Error> {
        match self {
            Self::Stdin => read_dump(io::stdin(), mapping, rows).await,
            Self::Dump(path) => {
                let file = File::open(&path).map_err(|error| unopened(&path.display().to_string(), &error))?;
                read_dump(file, mapping, rows).await
            }
            Self::Sqlite(path, tables) => database::sqlite::read(&path, &tables, mapping, rows).await,
            Self::Postgres(url, tables) => database::postgres::read(&url, &tables, mapping, rows).await,
        }
    }
}

fn unopened(path: &str, error: &io::Error) -> Error {
    let text = format!("{path} cannot be read: {error}");
    // A slip of the pen is not worth another try.
    if error.kind() == io::ErrorKind::NotFound { Error::Input(text) } else { Error::Unavailable(text) }
}

/// On a thread of its own: parsing is work, and files are waited for.
async fn read_dump(
    input: impl Read + Send + 'static,
    mapping: &Mapping,
    rows: mpsc::Sender<Rows>,
) -> Result<(), Error> {
    let mapping = mapping.clone();
    let read = tokio::task::spawn_blocking(move || {
        let mut records = Vec::with_capacity(BATCH);
        let mut last = 0;
        let mut gone = false;
        let read = dump::read(
            input,
            |field| mapping.wants(field),
            |record, bytes| {
                records.push(record);
                last = bytes;
                if records.len() == BATCH {
                    let records = std::mem::replace(&mut records, Vec::with_capacity(BATCH));
                    gone = rows.blocking_send(Rows { records, bytes }).is_err();
                }
                if gone { Err(Error::Input("nobody takes the rows".to_owned())) } else { Ok(()) }
            },
        );
        if !gone {
            read?;
            _ = rows.blocking_send(Rows { records, bytes: last });
        }
        Ok(())
    });
    read.await.unwrap_or_else(|_| Err(Error::Unavailable("reading the dump was cut short".to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> String {
        match Source::named(text, Tables::default()) {
            Ok(Source::Stdin) => "stdin".to_owned(),
            Ok(Source::Dump(path)) => format!("dump {}", path.display()),
            Ok(Source::Sqlite(path, _)) => format!("sqlite {}", path.display()),
            Ok(Source::Postgres(url, _)) => format!("postgres {}", url.expose()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_source_is_told_by_its_name_and_a_file_by_its_beginning() {
        assert_eq!(named("-"), "stdin");
        assert_eq!(named("sqlite:///srv/db.sqlite3"), "sqlite /srv/db.sqlite3");
        assert_eq!(named("sqlite:db.sqlite3"), "sqlite db.sqlite3");
        for url in ["postgres://a:b@c/d", "postgresql:///d"] {
            assert_eq!(named(url), format!("postgres {url}"));
        }
        assert!(named("mysql://a/b").starts_with("mysql is no database that can be read"));

        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        std::fs::write(at("db"), b"SQLite format 3\0 and more").unwrap();
        std::fs::write(at("dump.json"), b"[]").unwrap();
        assert_eq!(named(&at("db")), format!("sqlite {}", at("db")));
        assert_eq!(named(&at("dump.json")), format!("dump {}", at("dump.json")));
        assert!(named(&at("nowhere")).contains("nowhere cannot be read"));
    }

    #[test]
    fn the_name_of_a_table_is_a_name() {
        let tables = |users: &str| Tables { users: Some(users.to_owned()), ..Tables::default() };
        assert_eq!(tables("auth_user").wrong(), None);
        assert_eq!(tables("auth_user\" --").wrong(), Some("auth_user\" --"));
    }
}
