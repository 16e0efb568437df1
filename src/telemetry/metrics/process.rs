//! The process as Linux accounts for it; elsewhere its figures stay at zero.

use std::fs;

use prometheus::{Counter, IntGauge};

/// `USER_HZ`, ticks a second in which Linux tells processor time: 100 on all that Passgate is built for.
const TICKS: f64 = 100.0;

/// The figures of the process, by the names that Prometheus' own libraries have for them.
pub(super) struct Process {
    pub(super) memory: IntGauge,
    pub(super) cpu: Counter,
    pub(super) fds: IntGauge,
    pub(super) most_fds: IntGauge,
}

impl Process {
    /// Reads them anew, out of proc(5).
    pub(super) fn read(&self) {
        let text = |file: &str| fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
        if let Some(kib) = number_after(&text("status"), "VmRSS:") {
            self.memory.set(kib.saturating_mul(1024));
        }
        if let Some(spent) = processor_time(&text("stat")) {
            // A counter is only ever moved on.
            self.cpu.inc_by((spent - self.cpu.get()).max(0.0));
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            // One of them is the directory's own.
            self.fds.set(i64::try_from(open.count().saturating_sub(1)).unwrap_or(i64::MAX));
        }
        if let Some(most) = number_after(&text("limits"), "Max open files") {
            self.most_fds.set(most);
        }
    }
}

/// The number after `name`, which begins its line.
fn number_after(text: &str, name: &str) -> Option<i64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// `utime` and `stime`, seconds. The second field, a name in brackets, may have blanks and brackets in it.
fn processor_time(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks: Vec<f64> = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    (ticks.len() == 2).then(|| ticks.iter().sum::<f64>() / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 250 50 6 7 20 0 1 0 5 6 7";
        assert_eq!(processor_time(stat), Some(3.0));
        assert_eq!(processor_time("7 (a) S 1"), None);
    }

    #[test]
    fn memory_and_limits_are_read_by_their_names() {
        assert_eq!(number_after("VmHWM:\t 9 kB\nVmRSS:\t   1234 kB\n", "VmRSS:"), Some(1234));
        assert_eq!(number_after("Max open files   1024   4096   files\n", "Max open files"), Some(1024));
        assert_eq!(number_after("Max open files   unlimited\n", "Max open files"), None);
    }
}
