//! What processes ask of the system, counted from outside.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::server::signal;

/// Counts every call of some processes, all of their threads, from now on. They run slowly meanwhile.
pub struct Strace {
    child: Child,
    counts: PathBuf,
}

impl Strace {
    pub async fn attach(processes: &[u32], directory: &Path) -> Self {
        let (counts, told) = (directory.join("strace.counts"), directory.join("strace.told"));
        let mut command = Command::new("strace");
        command.args(["-f", "-c", "-U", "calls,name", "-o"]).arg(&counts);
        for process in processes {
            command.args(["-p", &process.to_string()]);
        }
        let child = command
            .stdin(Stdio::null())
            .stderr(File::create(&told).unwrap())
            .spawn()
            .expect("strace is installed: `make bench-tools`");
        let mut strace = Self { child, counts };
        let deadline = Instant::now() + Duration::from_secs(10);
        // It tells of each process once.
        while fs::read_to_string(&told).unwrap().matches(" attached").count() < processes.len() {
            let attaching = strace.child.try_wait().unwrap().is_none() && Instant::now() < deadline;
            assert!(attaching, "strace does not attach: {}", fs::read_to_string(&told).unwrap());
            sleep(Duration::from_millis(5)).await;
        }
        strace
    }

    /// Lets go of them: how often each call was made, by its name.
    pub fn detach(mut self) -> BTreeMap<String, usize> {
        signal("INT", self.child.id());
        self.child.wait().unwrap();
        let text = fs::read_to_string(&self.counts).unwrap();
        let counted = text.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let calls = words.next()?.parse().ok()?;
            Some((words.next()?.to_owned(), calls))
        });
        counted.filter(|(name, _)| name != "total").collect()
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
