//! The one writer: drains its queue into one transaction, a savepoint per operation, and answers after the commit.

use std::{
    mem,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwapOption;
use sqlx::{Connection as _, sqlite::SqliteConnection};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::Instant,
};

use super::{
    PATIENCE,
    open::{self, Connected},
};
use crate::{
    change_log::{Change, View},
    clock::{Clock, Timestamp},
    store::StoreError,
};

/// Most operations waiting; one more is refused.
pub(super) const QUEUE: usize = 1024;

/// Most operations in one transaction, so that the first of them does not wait long for the last.
pub(super) const BATCH: usize = 128;

/// How often the writer lets everybody else go first before a transaction: microseconds each, when nobody has anything to
/// do.
const TURNS: usize = 3;

/// A boxed future that borrows for `'c`.
pub(super) type Running<'c, T> = Pin<Box<dyn Future<Output = T> + Send + 'c>>;

/// What was written since the store was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Transactions committed.
    pub commits: u64,
    /// Operations committed in them.
    pub operations: u64,
}

/// What an operation writes with.
pub(super) struct Step {
    /// The connection, within the operation's savepoint.
    pub connection: SqliteConnection,
    clock: Clock,
    logged: Vec<Change>,
}

impl Step {
    /// The store's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Remembers an appended entry of the change log for this node's own view.
    pub fn logged(&mut self, change: Change) {
        self.logged.push(change);
    }

    async fn execute(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        sqlx::query(statement).execute(&mut self.connection).await.map(drop)
    }
}

/// The way to the writer's task. The task ends when this is closed or dropped and the queue is drained.
pub(super) struct Writer {
    /// Absent when closed.
    queue: ArcSwapOption<mpsc::Sender<Box<dyn Operation>>>,
    task: Mutex<Option<JoinHandle<()>>>,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Counters {
    commits: AtomicU64,
    operations: AtomicU64,
}

impl Writer {
    /// Starts the task; `path` is for connecting again after a failure.
    pub fn start(connected: Connected, path: PathBuf, clock: Clock, changes: Arc<View>) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let counters = Arc::<Counters>::default();
        let task = Task { path, clock, changes, counters: Arc::clone(&counters) };
        let task = tokio::spawn(task.run(connected, jobs));
        Self { queue: ArcSwapOption::from_pointee(queue), task: Mutex::new(Some(task)), counters }
    }

    /// Takes nothing more, and waits for the end of what is queued and of the connection.
    pub async fn close(&self) {
        self.queue.store(None);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            _ = task.await;
        }
    }

    /// Runs `operation` and answers when it is committed. It is kept when it answers `Ok` and undone when it
    /// answers `Err`, without harm to the operations beside it. Once queued it runs to its end, whether or not
    /// anybody waits for the answer; only one that was not begun within [`PATIENCE`] is dropped.
    pub async fn write<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Step) -> Running<'c, Result<T, StoreError>> + Send + 'static,
    {
        let deadline = Instant::now() + PATIENCE;
        let (reply, answer) = oneshot::channel();
        let pending = Pending { deadline, operation: Some(operation), result: None, reply };
        {
            let queue = self.queue.load();
            let queue = queue.as_ref().ok_or_else(|| unavailable("it is closed"))?;
            queue.try_send(Box::new(pending)).map_err(|_| unavailable("too many writes are waiting"))?;
        }
        match tokio::time::timeout_at(deadline, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(unavailable("the write failed midway")),
            Err(_) => Err(unavailable("the write took too long")),
        }
    }

    pub fn stats(&self) -> Stats {
        Stats {
            commits: self.counters.commits.load(Ordering::Relaxed),
            operations: self.counters.operations.load(Ordering::Relaxed),
        }
    }
}

fn unavailable(reason: &str) -> StoreError {
    StoreError::Unavailable(reason.into())
}

/// A queued operation, its answer's type forgotten.
trait Operation: Send {
    /// Whether whoever asked has been told that it took too long.
    fn is_late(&self) -> bool;

    /// Runs it; whether what it did is to be kept.
    fn run<'c>(&'c mut self, step: &'c mut Step) -> Running<'c, bool>;

    /// Answers: with its own result when the transaction was committed, else with the reason.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Pending<T, F> {
    deadline: Instant,
    operation: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Operation for Pending<T, F>
where
    T: Send,
    F: for<'c> FnOnce(&'c mut Step) -> Running<'c, Result<T, StoreError>> + Send,
{
    fn is_late(&self) -> bool {
        Instant::now() >= self.deadline
    }

    fn run<'c>(&'c mut self, step: &'c mut Step) -> Running<'c, bool> {
        Box::pin(async move {
            if let Some(operation) = self.operation.take() {
                self.result = Some(operation(step).await);
            }
            matches!(self.result, Some(Ok(_)))
        })
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let result = match (committed, self.result) {
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => Err(unavailable("the write was not begun in time")),
            (Err(error), _) => Err(error),
        };
        // Nobody may be waiting any more.
        _ = self.reply.send(result);
    }
}

struct Task {
    path: PathBuf,
    clock: Clock,
    changes: Arc<View>,
    counters: Arc<Counters>,
}

impl Task {
    async fn run(self, connected: Connected, mut jobs: mpsc::Receiver<Box<dyn Operation>>) {
        let task = Arc::new(self);
        let mut connected = Some(connected);
        let mut batch = Vec::with_capacity(BATCH);
        while jobs.recv_many(&mut batch, BATCH).await > 0 {
            gather(&mut jobs, &mut batch).await;
            let batch = mem::replace(&mut batch, Vec::with_capacity(BATCH));
            // A task of its own, so that a panic ends one batch and not the writer.
            let commit = tokio::spawn(Arc::clone(&task).commit(connected.take(), batch));
            connected = commit.await.unwrap_or_else(|error| {
                tracing::error!(%error, "a write panicked");
                None
            });
        }
        if let Some(connected) = connected {
            _ = connected.connection.close().await;
        }
    }

    /// Commits a batch and answers its waiters. The connection comes back if it is still good.
    async fn commit(
        self: Arc<Self>,
        connected: Option<Connected>,
        mut batch: Vec<Box<dyn Operation>>,
    ) -> Option<Connected> {
        let connected = match connected {
            Some(connected) if connected.file.is_at(&self.path) => Ok(connected),
            _ => open::connect(&self.path).await,
        };
        let Connected { connection, file } = match connected {
            Ok(connected) => connected,
            Err(error) => {
                answer_all(batch, &error.into());
                return None;
            }
        };
        let mut step = Step { connection, clock: self.clock.clone(), logged: Vec::new() };
        let committed = match transact(&mut step, &mut batch).await {
            // Kept where nobody will find it.
            Ok(_) if !file.is_at(&self.path) => Err(unavailable("its file was moved away or deleted")),
            Ok(kept) => Ok(kept),
            Err(error) => Err(error.into()),
        };
        match committed {
            Ok(kept) => {
                // Before the answers: whoever hears that something ended finds it ended here.
                for change in &step.logged {
                    self.changes.apply(change);
                }
                self.counters.commits.fetch_add(1, Ordering::Relaxed);
                self.counters.operations.fetch_add(kept, Ordering::Relaxed);
                for operation in batch {
                    operation.answer(Ok(()));
                }
                Some(Connected { connection: step.connection, file })
            }
            Err(error) => {
                // How far SQLite has undone the transaction depends on the error. Closing undoes the rest, and
                // before the answers, so that nobody meets its lock.
                _ = step.connection.close().await;
                answer_all(batch, &error);
                None
            }
        }
    }
}

/// Adds to a batch what comes in while others have their turn. Those who were answered at the last commit ask again as
/// soon as they get to it: whoever begins without them makes the disk work for one or two, and them wait for it.
async fn gather(jobs: &mut mpsc::Receiver<Box<dyn Operation>>, batch: &mut Vec<Box<dyn Operation>>) {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
        while batch.len() < BATCH
            && let Ok(job) = jobs.try_recv()
        {
            batch.push(job);
        }
    }
}

/// Runs a batch as one transaction; how many operations it keeps. After an error nothing of it is kept.
///
/// Each statement costs two switches between threads, so that what can go together does.
async fn transact(step: &mut Step, batch: &mut [Box<dyn Operation>]) -> Result<u64, sqlx::Error> {
    let mut kept = 0;
    step.execute("BEGIN IMMEDIATE; SAVEPOINT operation").await?;
    let mut untouched = true;
    for operation in batch {
        if operation.is_late() {
            continue;
        }
        if !mem::take(&mut untouched) {
            step.execute("RELEASE operation; SAVEPOINT operation").await?;
        }
        let logged = step.logged.len();
        if operation.run(step).await {
            kept += 1;
        } else {
            // The savepoint itself stays.
            step.execute("ROLLBACK TO operation").await?;
            step.logged.truncate(logged);
            untouched = true;
        }
    }
    // Releases the savepoint, too.
    step.execute("COMMIT").await?;
    Ok(kept)
}

/// Answers every waiter of a batch that came to nothing.
fn answer_all(batch: Vec<Box<dyn Operation>>, error: &StoreError) {
    tracing::error!(%error, operations = batch.len(), "writes could not be committed");
    for operation in batch {
        operation.answer(Err(again(error)));
    }
}

/// The same verdict for one more waiter.
fn again(error: &StoreError) -> StoreError {
    match error {
        StoreError::Corrupt(text) => StoreError::Corrupt(text.clone()),
        StoreError::Unavailable(source) => StoreError::Unavailable(source.to_string().into()),
    }
}
