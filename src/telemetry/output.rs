//! Standard output, written by a thread of its own: no request waits for a disk or for whoever reads a pipe.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// Most bytes that wait. What comes while they do is lost, and counted.
const MOST: usize = 4 * 1024 * 1024;

/// How long lines are gathered, so that a busy gateway writes many at once.
const GATHERED_FOR: Duration = Duration::from_millis(20);

/// How long the end of the process waits for the last lines.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// Where lines go. Clones lead to the same place.
#[derive(Clone)]
pub(super) struct Output(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    lost: u64,
    /// No more lines are to come.
    ended: bool,
    /// All of them are written.
    written: bool,
}

/// Waits a while for what is not written yet when it is dropped.
#[must_use = "lines are written for as long as it is held"]
pub struct Written(Output);

/// Lines handed to the answer are written to `destination`.
pub(super) fn start(destination: impl Write + Send + 'static) -> io::Result<(Output, Written)> {
    let output = Output(Arc::default());
    let own = output.clone();
    thread::Builder::new().name("log".to_owned()).spawn(move || {
        own.write_on(destination);
        own.waiting().written = true;
        own.0.changed.notify_all();
    })?;
    Ok((output.clone(), Written(output)))
}

impl Output {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one line, or counts it as lost.
    pub(super) fn push(&self, line: &[u8]) {
        let mut waiting = self.waiting();
        if waiting.bytes.len() + line.len() > MOST {
            waiting.lost += 1;
            return;
        }
        let first = waiting.bytes.is_empty();
        waiting.bytes.extend_from_slice(line);
        drop(waiting);
        if first {
            self.0.changed.notify_one();
        }
    }

    fn write_on(&self, mut destination: impl Write) {
        let mut bytes = Vec::new();
        loop {
            let waiting = self.waiting();
            let idle = |waiting: &mut Waiting| waiting.bytes.is_empty() && !waiting.ended;
            let waiting = self.0.changed.wait_while(waiting, idle).unwrap_or_else(PoisonError::into_inner);
            let more = |waiting: &mut Waiting| waiting.bytes.len() < MOST / 2 && !waiting.ended;
            let gathered = self.0.changed.wait_timeout_while(waiting, GATHERED_FOR, more);
            let (mut waiting, _) = gathered.unwrap_or_else(PoisonError::into_inner);
            mem::swap(&mut waiting.bytes, &mut bytes);
            let (lost, ended) = (mem::take(&mut waiting.lost), waiting.ended);
            drop(waiting);
            if ended && bytes.is_empty() {
                return;
            }
            // Where nobody reads on there is nobody to tell.
            let _ = destination.write_all(&bytes).and_then(|()| destination.flush());
            bytes.clear();
            bytes.shrink_to(MOST / 8);
            if lost > 0 {
                tracing::warn!(lost, "lines of this log were lost: they came faster than they could be written");
            }
        }
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting();
        waiting.ended = true;
        self.0.0.changed.notify_all();
        drop(self.0.0.changed.wait_timeout_while(waiting, LAST_WAIT, |waiting| !waiting.written));
    }
}

impl<'a> MakeWriter<'a> for Output {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

/// One line, which comes as a whole.
pub(super) struct Line<'a>(&'a Output);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Sends what is written, as it is written, to whoever takes it.
    struct Sent(mpsc::SyncSender<Vec<u8>>);

    impl Write for Sent {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_come_in_order_and_the_last_ones_before_the_end() {
        let (sent, received) = mpsc::sync_channel(1000);
        let (output, written) = start(Sent(sent)).unwrap();
        let lines: Vec<_> = (0..1000).map(|n| format!("{n}\n")).collect();
        for line in &lines {
            output.make_writer().write_all(line.as_bytes()).unwrap();
        }
        drop(written);
        drop(output);
        let all = received.iter().flatten().collect::<Vec<_>>();
        assert_eq!(String::from_utf8(all).unwrap(), lines.concat());
    }

    #[test]
    fn whoever_does_not_read_on_holds_nobody_up() {
        let (sent, received) = mpsc::sync_channel(0);
        let (output, written) = start(Sent(sent)).unwrap();
        let line = vec![b'x'; MOST / 4];
        for _ in 0..20 {
            output.make_writer().write_all(&line).unwrap();
        }
        assert!(output.waiting().lost > 0);
        // Not even at the end.
        drop(written);
        drop(received);
    }
}
