//! A PostgreSQL server of the test's own, from Debian's package, in a directory that goes with it.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use sqlx::{Connection as _, postgres::PgConnection};
use tempfile::TempDir;

use super::process::free_port;

/// A running server with the database `shop`, owned by `django`, who needs a password.
pub struct Postgres {
    child: Child,
    port: u16,
    _directory: TempDir,
}

pub const PASSWORD: &str = "canary-7f3a";

impl Postgres {
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let user = unprivileged();
        let (data, password) = (directory.path().join("data"), directory.path().join("password"));
        fs::write(&password, PASSWORD).unwrap();
        if let Some((uid, gid)) = user {
            for path in [directory.path(), &password] {
                std::os::unix::fs::chown(path, Some(uid), Some(gid)).unwrap();
            }
        }
        let made = program("initdb", directory.path(), user)
            .args(["--no-sync", "--auth=scram-sha-256", "--username=django", "--encoding=UTF8", "--locale=C"])
            .arg(format!("--pwfile={}", password.display()))
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = free_port();
        let child = program("postgres", directory.path(), user)
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"])
            .arg("-c")
            .arg(format!("unix_socket_directories={}", directory.path().display()))
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, port, _directory: directory };
        let deadline = Instant::now() + Duration::from_mins(1);
        let mut connection = loop {
            match PgConnection::connect(&server.url("postgres")).await {
                Ok(connection) => break connection,
                Err(error) => assert!(Instant::now() < deadline, "no answer after 60 s: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        sqlx::query("CREATE DATABASE shop").execute(&mut connection).await.unwrap();
        server
    }

    /// Where `django` finds this database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://django:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// The same without the password.
    pub fn url_without_password(&self, database: &str) -> String {
        self.url(database).replace(&format!(":{PASSWORD}"), "")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Immediate shutdown: its children end with it, which a kill would leave.
        let _ = Command::new("kill").args(["-QUIT", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

/// A program of the server's, to be run as somebody who may.
fn program(name: &str, directory: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(binaries().join(name));
    command.env_clear().env("LC_ALL", "C").current_dir(directory).stdin(Stdio::null());
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

/// Where Debian has the newest version.
fn binaries() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> =
        versions.map(|version| version.path().join("bin")).filter(|bin| bin.join("postgres").is_file()).collect();
    found.sort();
    found.pop().expect("PostgreSQL: `make test` installs it, or `apt-get install postgresql`")
}

/// Whom to run as: the server refuses to be root.
fn unprivileged() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse::<u32>().unwrap()
    };
    (id(&["-u"]) == 0).then(|| (id(&["-u", "nobody"]), id(&["-g", "nobody"])))
}
