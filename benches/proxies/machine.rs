//! What the system tells of processes, and on which core they run.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs,
    net::TcpListener,
    process::{self, Command, Stdio},
};

use super::server::path;

/// The core of the proxy that is measured; everything else runs on the others.
pub const PROXY_CORE: &str = "0";

/// Ticks of `/proc/PID/stat` in a second: USER_HZ, which Linux shows as 100 on every architecture that Rust has.
const TICKS: f64 = 100.0;

/// Moves this process, and what it will start without a word about cores, off the proxy's core.
pub fn leave_proxy_core() {
    let cores = std::thread::available_parallelism().unwrap().get();
    assert!(cores > 1, "one core is the proxy's, so that this needs two");
    let moved = Command::new("taskset")
        .args(["-a", "-c", "-p", &format!("1-{}", cores - 1), &process::id().to_string()])
        .stdout(Stdio::null())
        .status();
    assert!(moved.expect("taskset is installed: `make bench-tools`").success());
}

/// A command that runs on the proxy's core.
pub fn on_proxy_core(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", PROXY_CORE]).arg(program);
    command
}

/// One that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A process and all that descend from it.
pub fn tree(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let name = entry.unwrap().file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        let Some(fields) = stat(process) else { continue };
        children.entry(fields[1].parse().unwrap()).or_default().push(process);
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(process) = found.get(next) {
        found.extend(children.remove(process).unwrap_or_default());
        next += 1;
    }
    found
}

/// Seconds of CPU, user and system, that these processes have used. Good to 10 ms a process.
pub fn cpu_seconds(processes: &[u32]) -> f64 {
    let ticks = |process: &u32| -> f64 {
        let fields = stat(*process).expect("the proxy lives");
        fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()
    };
    processes.iter().map(ticks).sum::<f64>() / TICKS
}

/// MiB that these processes have in memory. What they share, such as a program's code, counts once for each.
pub fn resident_mib(processes: &[u32]) -> f64 {
    let kib = |process: &u32| -> f64 {
        let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the proxy lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim_end_matches(" kB").trim().parse().unwrap()
    };
    processes.iter().map(kib).sum::<f64>() / 1024.0
}

/// The fields of `/proc/PID/stat` from the third on: the name before them may contain anything.
fn stat(process: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    Some(fields.split(' ').map(str::to_owned).collect())
}

/// The processor and what is compared, for whoever reads the figures elsewhere.
pub fn describe() -> String {
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap();
    let processor = processor.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let version = |program: &str| {
        let output = Command::new(program).arg("-v").env("PATH", path()).output();
        let output = output.unwrap_or_else(|_| panic!("{program} is installed: `make bench-tools`"));
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        text.split_whitespace().find(|word| word.contains('.')).unwrap_or("?").trim_start_matches("nginx/").to_owned()
    };
    format!(
        "{}; nginx {}, HAProxy {}, Passgate {}",
        processor.trim_start_matches([' ', '\t', ':']),
        version("nginx"),
        version("haproxy"),
        env!("CARGO_PKG_VERSION")
    )
}
