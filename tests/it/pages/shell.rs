//! Lines of a page, run beside the quick start as they stand.

use std::{fs, process::Command};

use tempfile::TempDir;

use super::root;
use crate::support::process::{Serving, free_port, passgate};

/// The quick start, in a copy of what it needs of the repository.
pub struct QuickStart {
    directory: TempDir,
    port: u16,
    admin: u16,
    _serving: Serving,
}

impl QuickStart {
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = |path: &str| directory.path().join(path);
        fs::create_dir_all(file("config")).unwrap();
        fs::create_dir_all(file("target/debug")).unwrap();
        fs::copy(root().join("config/quickstart.yaml"), file("config/quickstart.yaml")).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_passgate"), file("target/debug/passgate")).unwrap();
        let (port, admin) = (free_port(), free_port());
        let mut serve = passgate();
        serve.args(["--config", "config/quickstart.yaml"]);
        serve.env("PASSGATE__SERVER__LISTEN", address(port)).env("PASSGATE__ADMIN__LISTEN", address(admin));
        let serving = Serving::start_as(&mut serve, directory.path(), port).await;
        Self { directory, port, admin, _serving: serving }
    }

    /// Runs lines in a shell, with other ports and these options for `curl`, to the first that fails; what they said.
    pub fn run(&self, lines: &str, curl: &str) -> String {
        let lines =
            lines.replace("127.0.0.1:8080", &address(self.port)).replace("127.0.0.1:9090", &address(self.admin));
        assert_eq!(lines.matches("8080").count() + lines.matches("9090").count(), 0, "{lines}");
        let script = format!("set -eu\ncurl() {{ command curl --max-time 30 {curl} \"$@\"; }}\n{lines}");
        let output = Command::new("bash").args(["-x", "-c", &script]).current_dir(self.directory.path()).output();
        let output = output.expect("bash and curl are there");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (told, steps) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{told}\n{steps}");
        told
    }
}

/// What stands in blocks of `sh`.
pub fn blocks(page: &str) -> Vec<&str> {
    page.split("```sh\n").skip(1).filter_map(|block| block.split("```").next()).collect()
}

fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}
