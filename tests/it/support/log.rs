//! What is logged while a test runs.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tracing_subscriber::fmt;

/// The lines of this test, which grow.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// What came since, of our own at any level and of dependencies from WARN on, as `serve` logs it.
    pub fn take(&self) -> Vec<Value> {
        let ours = |line: &Value| line["target"].as_str().unwrap().starts_with("passgate");
        let logged = |line: &Value| ours(line) || line["level"] == "WARN" || line["level"] == "ERROR";
        self.all().filter(logged).collect()
    }

    /// The security events that came since.
    pub fn audit(&self) -> Vec<Value> {
        self.all().filter(|line| line["target"] == "audit").collect()
    }

    fn all(&self) -> impl Iterator<Item = Value> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>().into_iter()
    }
}

/// Listens to all that this thread logs, which with tokio's tests is all that the test does.
pub fn listening() -> (Lines, tracing::subscriber::DefaultGuard) {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = fmt()
        .json()
        .flatten_event(true)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    (lines, tracing::subscriber::set_default(subscriber))
}
