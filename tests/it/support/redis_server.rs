//! A redis-server of the test's own, for the tests of the store and those of the gateways on it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

/// What a server says when it is there.
const READY: &str = "Ready to accept connections";

/// A server in a process of its own, killed with the test.
pub struct RedisServer {
    process: Child,
    pub address: SocketAddr,
    directory: TempDir,
    arguments: Vec<String>,
}

impl RedisServer {
    /// A server that answers, with nothing in it.
    pub fn start() -> Self {
        Self::start_with(|_| Vec::new())
    }

    /// The same with further arguments, which may need to know its directory.
    pub fn start_with(arguments: impl Fn(&Path) -> Vec<String>) -> Self {
        let directory = TempDir::new().unwrap();
        // The port was free a moment ago; when somebody else has it by now, another one is tried.
        for _ in 0..10 {
            let address = free_address();
            let arguments = arguments(directory.path());
            if let Some(process) = spawn(address, &directory, &arguments) {
                return Self { process, address, directory, arguments };
            }
        }
        panic!("no redis-server starts");
    }

    /// How gateways are told of it.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Ends it as the kernel would.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Another one in its place, with what was saved.
    pub fn restart(&mut self) {
        self.process = spawn(self.address, &self.directory, &self.arguments).expect("its port is free again");
    }

    /// Sends it a signal by name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.process.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// The lines of a command's answer that is one long text.
    pub fn info(&self, command: &str) -> Vec<String> {
        let mut connection = TcpStream::connect(self.address).unwrap();
        connection.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).unwrap();
        BufReader::new(connection).lines().map_while(Result::ok).collect()
    }

    /// Gives it a command, a word an argument; the lines of its answer, as redis-cli shows them to programs.
    pub fn tell(&self, command: &str) -> Vec<String> {
        let mut connection = BufReader::new(TcpStream::connect(self.address).unwrap());
        connection.get_mut().write_all(format!("{command}\r\n").as_bytes()).unwrap();
        let mut answer = Vec::new();
        let mut expected = 1;
        while expected > 0 {
            let mut line = String::new();
            connection.read_line(&mut line).unwrap();
            let line = line.trim_end();
            expected -= 1;
            match line.split_at(1) {
                ("*", count) => expected += count.parse::<usize>().unwrap(),
                ("$", "-1") => answer.push(String::new()),
                ("$", _) => {
                    let mut text = String::new();
                    connection.read_line(&mut text).unwrap();
                    answer.push(text.trim_end().to_owned());
                }
                ("-", error) => panic!("{command}: {error}"),
                (_, text) => answer.push(text.to_owned()),
            }
        }
        answer
    }
}

/// One that was free a moment ago.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn spawn(address: SocketAddr, directory: &TempDir, arguments: &[String]) -> Option<Child> {
    let mut process = Command::new("redis-server")
        .args(arguments)
        .args(["--bind", "127.0.0.1", "--port", &address.port().to_string(), "--save", ""])
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("redis-server is installed: `make test-tools`");
    let mut output = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    if output.any(|line| line.contains(READY) || line.contains("+monitor master")) {
        // It must not wait for somebody to read what else it has to say.
        std::thread::spawn(move || output.for_each(drop));
        return Some(process);
    }
    // Its output has ended, and so has it.
    process.wait().unwrap();
    None
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
