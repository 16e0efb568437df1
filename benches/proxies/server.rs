//! A proxy in a process of its own, which ends with the bench whatever becomes of it.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tokio::{net::TcpStream, time::sleep};

use super::machine;

/// Time for a server to begin or to end.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Server {
    child: Child,
    /// Which of its processes is to be asked to end.
    lead: u32,
    /// What it wrote to standard error.
    errors: PathBuf,
    pub address: SocketAddr,
    /// All of its processes.
    pub processes: Vec<u32>,
}

impl Server {
    /// Starts it on the proxy's core, and waits until it accepts connections. Its standard output goes to a file in
    /// `directory`.
    pub async fn start(program: &str, arguments: &[&str], port: u16, directory: &Path) -> Self {
        Self::spawn(program, arguments, port, directory).accepting().await
    }

    /// The same with its calls of these names written to `calls`, at which nothing else of it stops: one a line, and
    /// a second one if another came between its begin and its end.
    pub async fn start_traced(
        program: &str,
        arguments: &[&str],
        port: u16,
        directory: &Path,
        (names, calls): (&str, &Path),
    ) -> Self {
        let mut strace = Command::new("strace");
        strace.args(["-qq", "-f", "--seccomp-bpf", "-e", &format!("trace={names}"), "-e", "signal=none", "-o"]);
        strace.arg(calls).args(["taskset", "-c", machine::PROXY_CORE, program]).args(arguments);
        let mut server = Self::run(&mut strace, port, directory).accepting().await;
        // strace ends with what it watches.
        server.processes.remove(0);
        server.lead = server.processes[0];
        server
    }

    /// Starts it, and waits for nothing.
    pub fn spawn(program: &str, arguments: &[&str], port: u16, directory: &Path) -> Self {
        Self::run(machine::on_proxy_core(program).args(arguments), port, directory)
    }

    fn run(command: &mut Command, port: u16, directory: &Path) -> Self {
        let errors = directory.join(format!("{port}.err"));
        let child = command
            .current_dir(directory)
            .env_clear()
            .env("PATH", path())
            .stdin(Stdio::null())
            .stdout(File::create(directory.join(format!("{port}.out"))).unwrap())
            .stderr(File::create(&errors).unwrap())
            .spawn()
            .expect("taskset and strace are installed: `make bench-tools`");
        let lead = child.id();
        Self { child, lead, errors, address: SocketAddr::from(([127, 0, 0, 1], port)), processes: vec![lead] }
    }

    async fn accepting(mut self) -> Self {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).await.is_err() {
            let starting = self.child.try_wait().unwrap().is_none() && Instant::now() < deadline;
            assert!(starting, "it does not start: {}", fs::read_to_string(&self.errors).unwrap());
            sleep(Duration::from_millis(5)).await;
        }
        // nginx binds before it has its worker.
        sleep(Duration::from_millis(200)).await;
        self.processes = machine::tree(self.child.id());
        self
    }
}

/// Where programs are. Debian has servers where only root looks for them.
pub fn path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

impl Drop for Server {
    /// Asks first: the master process of nginx takes its worker along, which a killed one would not.
    fn drop(&mut self) {
        let processes = machine::tree(self.child.id());
        signal("TERM", self.lead);
        let deadline = Instant::now() + Duration::from_secs(2);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::park_timeout(Duration::from_millis(20));
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            for process in processes {
                signal("KILL", process);
            }
        }
        let _ = self.child.wait();
    }
}

/// Whether it is still there to get it does not matter.
pub fn signal(name: &str, process: u32) {
    let sent = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).stderr(Stdio::null()).status();
    drop(sent);
}
