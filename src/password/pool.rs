//! Threads of their own for hashing, behind a bounded queue.
//!
//! Not the runtime's blocking pool: a flood of sign-ins must neither take its threads from others nor grow
//! memory with their number. A job holds its place from when it is taken in to when its work is done, whether
//! or not anybody still waits for the answer.

use std::{
    collections::VecDeque,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Instant,
};

use tokio::sync::oneshot;

use super::{Busy, hash::Memory};
use crate::telemetry::metrics::Hashing;

/// Runs jobs on a fixed number of threads; they end when it is dropped.
pub(super) struct Pool(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Told when a job was queued, and when the pool closes.
    queued: Condvar,
    /// Jobs waiting and running together, at most.
    places: usize,
    figures: Hashing,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Queued>,
    running: usize,
    closed: bool,
}

/// A job, and since when it waits.
struct Queued {
    job: Box<dyn Job>,
    since: Instant,
}

/// One piece of work and whoever waits for it.
trait Job: Send {
    /// Nobody waits for the answer any more.
    fn abandoned(&self) -> bool;

    /// Does the work.
    fn work(&mut self, memory: &mut Memory);

    /// Hands the answer over.
    fn answer(self: Box<Self>);
}

struct Task<F, T> {
    work: Option<F>,
    outcome: Option<T>,
    waiter: oneshot::Sender<T>,
}

impl<F: FnOnce(&mut Memory) -> T + Send, T: Send> Job for Task<F, T> {
    fn abandoned(&self) -> bool {
        self.waiter.is_closed()
    }

    fn work(&mut self, memory: &mut Memory) {
        self.outcome = self.work.take().map(|work| work(memory));
    }

    fn answer(self: Box<Self>) {
        if let Some(outcome) = self.outcome {
            // An error is a waiter that has gone.
            let _ = self.waiter.send(outcome);
        }
    }
}

impl Pool {
    /// Starts `threads` threads, at least one, with room for `queue` jobs that wait, and counts in `figures`.
    ///
    /// # Errors
    ///
    /// The system gives no more threads.
    pub(super) fn start(threads: usize, queue: usize, figures: Hashing) -> io::Result<Self> {
        let threads = threads.max(1);
        let places = threads.saturating_add(queue);
        let pool = Self(Arc::new(Shared { state: Mutex::default(), queued: Condvar::new(), places, figures }));
        for number in 0..threads {
            let shared = Arc::clone(&pool.0);
            thread::Builder::new().name(format!("hash-{number}")).spawn(move || {
                give_way();
                shared.work();
            })?;
        }
        Ok(pool)
    }

    /// Runs `work` on one of the threads. Dropped before the work began, it is never done; dropped later, it
    /// is done in vain and keeps its place until then.
    ///
    /// # Errors
    ///
    /// [`Busy`] at once when every place is taken. Also when the work panicked: the thread lives on, the
    /// panic is logged.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let (waiter, answer) = oneshot::channel();
        self.0.enqueue(Box::new(Task { work: Some(work), outcome: None, waiter }))?;
        answer.await.map_err(|_| Busy)
    }

    /// Jobs that no thread has taken yet.
    pub(super) fn waiting(&self) -> usize {
        self.0.lock().queue.len()
    }

    /// Jobs being worked at.
    pub(super) fn running(&self) -> usize {
        self.0.lock().running
    }
}

/// How much lower the priority of the threads is than that of those that answer requests: ten steps, at which a core
/// that could do nothing but forward requests still gives a tenth of its time to hashing.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Lets requests go before hashes, on this thread. Linux alone has a niceness of threads; elsewhere it would be the
/// whole process's.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::warn!(%error, "hashes are computed at the priority of requests");
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        // Whoever waited held a reference to the pool, so nobody does.
        state.queue.clear();
        self.0.queued.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(&self, job: Box<dyn Job>) -> Result<(), Busy> {
        let mut state = self.lock();
        if state.queue.len() + state.running >= self.places {
            // Connections that come and go must not keep others out.
            state.queue.retain(|queued| !queued.job.abandoned());
        }
        if state.queue.len() + state.running >= self.places {
            self.figures.refused.inc();
            return Err(Busy);
        }
        state.queue.push_back(Queued { job, since: Instant::now() });
        drop(state);
        self.queued.notify_one();
        Ok(())
    }

    /// The life of a thread.
    fn work(&self) {
        let mut memory = Memory::default();
        while let Some(mut job) = self.next() {
            // The memory holds nothing that a panic could leave half done: every hash writes it afresh.
            let done = catch_unwind(AssertUnwindSafe(|| job.work(&mut memory)));
            // The place is free before the waiter hears of it, so that its next job finds room.
            self.lock().running -= 1;
            if done.is_ok() {
                job.answer();
            } else {
                tracing::error!("hashing a password panicked; its request was answered as busy");
            }
        }
    }

    /// Waits for a job that somebody still waits for; `None` when the pool has closed.
    fn next(&self) -> Option<Box<dyn Job>> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            match state.queue.pop_front() {
                Some(Queued { job, .. }) if job.abandoned() => {}
                Some(Queued { job, since }) => {
                    state.running += 1;
                    drop(state);
                    self.figures.waits.observe(since.elapsed());
                    return Some(job);
                }
                None => state = self.queued.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            atomic::{AtomicUsize, Ordering},
            mpsc,
        },
        time::{Duration, Instant},
    };

    use futures_util::FutureExt;

    use super::*;

    /// A job that tells when it began and goes on when told to.
    struct Gate {
        began: mpsc::Receiver<()>,
        go_on: mpsc::Sender<()>,
    }

    fn gate() -> (Gate, impl FnOnce(&mut Memory) + Send + 'static) {
        let (tell, began) = mpsc::channel();
        let (go_on, told) = mpsc::channel();
        (Gate { began, go_on }, move |_: &mut Memory| {
            tell.send(()).ok();
            told.recv().ok();
        })
    }

    #[tokio::test]
    async fn one_job_more_than_threads_and_queue_hold_is_refused_at_once() {
        let pool = Pool::start(1, 2, Hashing::default()).unwrap();
        let (gate, job) = gate();
        let mut running = Box::pin(pool.run(job));
        assert!(running.as_mut().now_or_never().is_none());
        gate.began.recv().unwrap();
        let mut waiting: Vec<_> = (0..2).map(|n| Box::pin(pool.run(move |_| n))).collect();
        for job in &mut waiting {
            assert!(job.as_mut().now_or_never().is_none());
        }
        assert_eq!((pool.running(), pool.waiting()), (1, 2));
        assert_eq!(pool.run(|_| ()).now_or_never(), Some(Err(Busy)));

        gate.go_on.send(()).unwrap();
        assert_eq!(running.await, Ok(()));
        for (n, job) in waiting.into_iter().enumerate() {
            assert_eq!(job.await, Ok(n));
        }
        assert_eq!(pool.waiting(), 0);
    }

    #[tokio::test]
    async fn without_a_queue_jobs_in_turn_are_never_refused() {
        let pool = Pool::start(1, 0, Hashing::default()).unwrap();
        for n in 0..200 {
            assert_eq!(pool.run(move |_| n).await, Ok(n));
        }
    }

    #[tokio::test]
    async fn a_client_that_goes_away_frees_nothing_while_its_job_runs() {
        let pool = Pool::start(1, 0, Hashing::default()).unwrap();
        let (gate, job) = gate();
        let mut abandoned = Box::pin(pool.run(job));
        assert!(abandoned.as_mut().now_or_never().is_none());
        gate.began.recv().unwrap();
        drop(abandoned);
        assert_eq!(pool.running(), 1);
        assert_eq!(pool.run(|_| ()).await, Err(Busy));
        gate.go_on.send(()).unwrap();
    }

    #[tokio::test]
    async fn a_job_whose_client_went_away_before_it_began_is_skipped_and_keeps_nobody_out() {
        let pool = Pool::start(1, 1, Hashing::default()).unwrap();
        let (gate, job) = gate();
        let mut running = Box::pin(pool.run(job));
        assert!(running.as_mut().now_or_never().is_none());
        gate.began.recv().unwrap();

        let worked = Arc::new(AtomicUsize::new(0));
        let counted = |by: usize| {
            let worked = Arc::clone(&worked);
            pool.run(move |_| worked.fetch_add(by, Ordering::Relaxed))
        };
        let mut abandoned = Box::pin(counted(1));
        assert!(abandoned.as_mut().now_or_never().is_none());
        drop(abandoned);
        let mut patient = Box::pin(counted(10));
        assert!(patient.as_mut().now_or_never().is_none(), "the abandoned job made room");

        gate.go_on.send(()).unwrap();
        running.await.unwrap();
        patient.await.unwrap();
        assert_eq!(worked.load(Ordering::Relaxed), 10);
    }

    #[tokio::test]
    async fn a_panic_costs_one_answer_and_no_thread() {
        let pool = Pool::start(1, 1, Hashing::default()).unwrap();
        assert_eq!(pool.run(|_| panic!("on purpose")).await, Err::<(), _>(Busy));
        assert_eq!(pool.run(|_| 7).await, Ok(7));
        assert_eq!(pool.running(), 0);
    }

    #[tokio::test]
    async fn threads_end_with_the_pool() {
        let pool = Pool::start(3, 1, Hashing::default()).unwrap();
        assert_eq!(pool.run(|_| 7).await, Ok(7));
        let threads = Arc::downgrade(&pool.0);
        drop(pool);
        let patience = Instant::now() + Duration::from_secs(20);
        while threads.strong_count() > 0 {
            assert!(Instant::now() < patience, "a thread goes on without its pool");
            thread::yield_now();
        }
    }
}
