//! What is measured by itself: on the proxy's core, in a process of its own that this bench starts of itself. It prints
//! figures, one a line.

use std::{fs::OpenOptions, os::unix::fs::FileExt as _, path::Path, process, time::Instant};

use passgate::{
    config,
    password::{Hasher, Verified},
    secret::Secret,
};

use super::{machine, people::PASSWORD, rounds::as_f64};

/// The first argument of such a process.
pub const MARK: &str = "--alone";

/// How many of its 4 KiB a file's disk takes a second, each one made durable before the next.
pub fn syncs_per_second(file: &Path, count: usize) -> f64 {
    run(&["syncs", file.to_str().unwrap(), &count.to_string()])[0]
}

/// Seconds that verifying a password takes: by the clock, and of CPU.
pub fn hash_seconds(configuration: &Path, hash: &str, count: usize) -> (f64, f64) {
    let figures = run(&["hashes", configuration.to_str().unwrap(), hash, &count.to_string()]);
    (figures[0], figures[1])
}

fn run(arguments: &[&str]) -> Vec<f64> {
    let mut command = machine::on_proxy_core(std::env::current_exe().unwrap());
    let output = command.arg(MARK).args(arguments).stderr(process::Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", output.status);
    String::from_utf8(output.stdout).unwrap().lines().map(|line| line.parse().unwrap()).collect()
}

/// The life of such a process.
pub fn main(arguments: &[String]) {
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["syncs", file, count] => syncs(Path::new(file), count.parse().unwrap()),
        ["hashes", configuration, hash, count] => hashes(Path::new(configuration), hash, count.parse().unwrap()),
        _ => panic!("unknown: {arguments:?}"),
    }
}

/// Overwrites in place, so that the file keeps its length and its blocks.
fn syncs(file: &Path, count: usize) {
    let block = [0x5a; 4096];
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(file).unwrap();
    file.write_all_at(&block, 0).unwrap();
    file.sync_all().unwrap();
    let begun = Instant::now();
    for _ in 0..count {
        file.write_all_at(&block, 0).unwrap();
        file.sync_data().unwrap();
    }
    println!("{}", as_f64(count) / begun.elapsed().as_secs_f64());
}

fn hashes(configuration: &Path, hash: &str, count: usize) {
    let settings = config::load(configuration, std::iter::empty()).map_err(|report| report.to_string()).unwrap();
    let hasher = Hasher::new(settings.hashing).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let verify = async || hasher.verify(Secret::from(PASSWORD), Some(hash.to_owned())).await.unwrap();
        // The thread makes its memory at the first one.
        assert_eq!(verify().await, Verified::Yes);
        let own = [process::id()];
        let (begun, before) = (Instant::now(), machine::cpu_seconds(&own));
        for _ in 0..count {
            assert_eq!(verify().await, Verified::Yes);
        }
        let (took, used) = (begun.elapsed().as_secs_f64(), machine::cpu_seconds(&own) - before);
        println!("{}\n{}", took / as_f64(count), used / as_f64(count));
    });
}
