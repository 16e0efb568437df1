//! A proxy in a process of its own, which ends with the bench whatever becomes of it.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tokio::{net::TcpStream, time::sleep};

use super::machine;

/// Time for a server to begin or to end.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// All of its processes.
    pub processes: Vec<u32>,
}

impl Server {
    /// Starts it on the proxy's core, and waits until it accepts connections. Its standard output goes to a file in
    /// `directory`.
    pub async fn start(program: &str, arguments: &[&str], port: u16, directory: &Path) -> Self {
        let mut server = Self::spawn(program, arguments, port, directory);
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(server.address).await.is_err() {
            let ended = server.child.try_wait().unwrap();
            if ended.is_some() || Instant::now() > deadline {
                let told = fs::read_to_string(directory.join(format!("{port}.err"))).unwrap();
                panic!("{program} does not start: {told}");
            }
            sleep(Duration::from_millis(5)).await;
        }
        // nginx binds before it has its worker.
        sleep(Duration::from_millis(200)).await;
        server.processes = machine::tree(server.child.id());
        server
    }

    /// Starts it, and waits for nothing.
    pub fn spawn(program: &str, arguments: &[&str], port: u16, directory: &Path) -> Self {
        let output = |kind| File::create(directory.join(format!("{port}.{kind}"))).unwrap();
        let child = Command::new("taskset")
            .args(["-c", machine::PROXY_CORE, program])
            .args(arguments)
            .current_dir(directory)
            .env_clear()
            .env("PATH", path())
            .stdin(Stdio::null())
            .stdout(output("out"))
            .stderr(output("err"))
            .spawn()
            .expect("taskset is installed: `make bench-tools`");
        let processes = vec![child.id()];
        Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)), processes }
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
        signal("TERM", self.child.id());
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
