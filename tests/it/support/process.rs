//! The binary as a child process.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The binary under test.
pub fn passgate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_passgate"));
    command.env_clear().stdin(Stdio::null());
    command
}

/// Runs `command` to its end, with `input` on its standard input.
pub fn fed(command: &mut Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One that reads nothing may be gone already.
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes());
    child.wait_with_output().unwrap()
}

/// A port that was free a moment ago, for tests where port 0 cannot be told back.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A gateway in a process of its own, killed with the test.
pub struct Serving {
    pub child: Child,
    pub address: SocketAddr,
}

impl Serving {
    /// Starts in `directory` with its `passgate.yaml`, and waits until it answers.
    pub async fn start(directory: &Path, port: u16) -> Self {
        Self::start_as(passgate().args(["--config", "passgate.yaml"]), directory, port).await
    }

    /// As [`Serving::start`], with arguments and an environment of its own.
    pub async fn start_as(passgate: &mut Command, directory: &Path, port: u16) -> Self {
        let child = passgate
            .current_dir(directory)
            .arg("serve")
            .stdout(std::fs::File::create(directory.join("log")).unwrap())
            .stderr(std::fs::File::create(directory.join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut serving = Self { child, address };
        let deadline = Instant::now() + Duration::from_secs(30);
        // The port is bound before anything else is made: only an answer tells that it serves.
        while !answers(address).await {
            if let Some(status) = serving.child.try_wait().unwrap() {
                panic!("ended with {status}: {}", std::fs::read_to_string(directory.join("stderr")).unwrap());
            }
            assert!(Instant::now() < deadline, "not serving after 30 s");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        serving
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server of somebody else's that a gateway stands in front of, killed with the test.
pub struct App {
    child: Child,
    pub address: SocketAddr,
}

impl App {
    /// Starts it, and waits until it answers at `address`. What it says goes into files of `directory`.
    pub async fn start(command: &mut Command, directory: &Path, address: SocketAddr) -> Self {
        let log = |name| std::fs::File::create(directory.join(name)).unwrap();
        let child = command.stdin(Stdio::null()).stdout(log("app.out")).stderr(log("app.err")).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}; `make test` installs it"));
        let mut app = Self { child, address };
        let start = Instant::now();
        while !answers(address).await {
            let ended = app.child.try_wait().unwrap();
            let told = || std::fs::read_to_string(directory.join("app.err")).unwrap();
            assert!(ended.is_none() && start.elapsed() < Duration::from_mins(1), "it does not serve: {}", told());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        app
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a server answers there.
pub async fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address).await else { return false };
    let asked = stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    asked.is_ok() && stream.read_u8().await.is_ok()
}

/// The smallest configuration on `port`, with cheap hashing.
pub fn configuration(port: u16) -> String {
    format!(
        "server: {{ listen: \"127.0.0.1:{port}\", drain: 5s }}\n\
         admin: {{ listen: \"127.0.0.1:{}\" }}\n\
         hashing: {{ memory: 8MiB, iterations: 1 }}\n\
         clients:\n  web: {{ secret: quickstart-secret, grants: [password, refresh_token], scopes: [read, write] }}\n\
         upstreams: {{ app: whoami }}\n\
         routes:\n  - {{ match: {{ path: / }}, upstream: app }}\n",
        free_port()
    )
}

/// Standard error as text.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Standard output as text.
pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
