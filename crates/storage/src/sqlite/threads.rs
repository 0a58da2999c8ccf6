//! The threads that own the connections: one writes, a few read, one copies the log.
//!
//! Whoever asks hands over a job and waits for its answer. A job that has begun runs to its end
//! whether anybody still waits or not, so that no transaction is left half done.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver as TickReceiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use async_channel::{Receiver, Sender, TryRecvError};
use diesel::{prelude::*, result::Error as DieselError, sqlite::SqliteConnection};
use kith_domain::ConversationId;
use kith_ports::{StoreError, StoreResult};
use tokio::{sync::oneshot, time::timeout};

use super::{
    checkpoint,
    connection::{self, Purpose},
    error::{Stage, meaning},
    stores::purge,
};
use crate::failure::{Failure, Work, cause};

/// How long a job may wait for a place in the queue, and a read for its answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a write that was taken may go unanswered until its outcome is called unknown.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);
/// How many jobs may wait.
const QUEUE: usize = 1_024;
/// After this many jobs in a row, a waiting slice of background work gets its turn.
const JOBS_BETWEEN_SLICES: u32 = 32;
/// After this many jobs, the log is copied without waiting for the interval.
const JOBS_BETWEEN_CHECKPOINTS: u32 = 64;
/// How often the log is copied while something is written.
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(500);

type Job = Box<dyn FnOnce(StoreResult<&mut SqliteConnection>) + Send>;

/// Conversations whose messages have to go, in slices between other writes.
pub(super) type PurgeList = Arc<Mutex<VecDeque<ConversationId>>>;

/// The threads of one database.
pub(super) struct Threads {
    writes: Sender<Job>,
    reads: Sender<Job>,
    /// In the order in which they end.
    handles: Mutex<Vec<JoinHandle<()>>>,
}

impl Threads {
    /// Opens the connections and starts a thread for each.
    pub(super) fn start(path: &str, readers: usize, purges: PurgeList) -> Result<Self, StartError> {
        let (writes, write_jobs) = async_channel::bounded(QUEUE);
        let (reads, read_jobs) = async_channel::bounded(QUEUE);
        let (tick, ticks) = sync_channel(1);
        let mut handles = Vec::with_capacity(readers + 2);

        let writing = Worker::open(path, Purpose::Write)?;
        handles.push(spawn("kith-sqlite-write", move || {
            write_loop(writing, &write_jobs, &purges, &tick);
        })?);
        for _ in 0..readers.max(1) {
            let reading = Worker::open(path, Purpose::Read)?;
            let jobs = read_jobs.clone();
            handles.push(spawn("kith-sqlite-read", move || read_loop(reading, &jobs))?);
        }
        let copier = Worker::open(path, Purpose::Checkpoint)?;
        handles.push(spawn("kith-sqlite-log", move || checkpoint_loop(copier, &ticks))?);

        Ok(Self { writes, reads, handles: Mutex::new(handles) })
    }

    /// Runs `work` as one transaction on the writing thread.
    pub(super) async fn transact<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut SqliteConnection) -> Work<T> + Send + 'static,
    ) -> StoreResult<T> {
        let (answer, outcome) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Nobody may be waiting any more.
            let _ = answer.send(connection.and_then(|connection| transact(connection, work)));
        });
        queue(&self.writes, job).await?;
        match timeout(WRITE_PATIENCE, outcome).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(panicked()),
            Err(late) => Err(StoreError::OutcomeUnknown(Box::new(late))),
        }
    }

    /// Runs `work` in one snapshot on a reading thread.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut SqliteConnection) -> Work<T> + Send + 'static,
    ) -> StoreResult<T> {
        let (answer, outcome) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Nothing is owed to one who has gone.
            if !answer.is_closed() {
                let _ = answer.send(connection.and_then(|connection| snapshot(connection, work)));
            }
        });
        queue(&self.reads, job).await?;
        match timeout(PATIENCE, outcome).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(panicked()),
            Err(_) => Err(StoreError::Busy),
        }
    }

    /// Takes no more jobs, finishes those that wait, and ends the threads. Blocks until then.
    pub(super) fn close(&self) {
        self.writes.close();
        self.reads.close();
        let handles =
            std::mem::take(&mut *self.handles.lock().unwrap_or_else(PoisonError::into_inner));
        for handle in handles {
            // Jobs cannot take a thread down; what could is told by the panic hook.
            let _ = handle.join();
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.close();
    }
}

/// Why the threads could not be started.
#[derive(Debug)]
pub(super) enum StartError {
    /// A connection could not be opened.
    Connection(ConnectionError),
    /// A thread could not be started.
    Thread(std::io::Error),
}

impl From<ConnectionError> for StartError {
    fn from(error: ConnectionError) -> Self {
        Self::Connection(error)
    }
}

impl From<std::io::Error> for StartError {
    fn from(error: std::io::Error) -> Self {
        Self::Thread(error)
    }
}

/// Puts a job into a queue, waiting for a place as long as is reasonable.
async fn queue(jobs: &Sender<Job>, job: Job) -> StoreResult<()> {
    match timeout(PATIENCE, jobs.send(job)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(StoreError::Unavailable(cause("the database was closed"))),
        Err(_) => Err(StoreError::Busy),
    }
}

fn panicked() -> StoreError {
    StoreError::Other(cause("a job on the database panicked; nothing was written"))
}

fn transact<T>(
    connection: &mut SqliteConnection,
    work: impl FnOnce(&mut SqliteConnection) -> Work<T>,
) -> StoreResult<T> {
    let mut stage = Stage::Before;
    let mut failure = None;
    let result = connection.immediate_transaction(|connection| match work(connection) {
        Ok(value) => {
            stage = Stage::Commit;
            Ok(value)
        }
        Err(error) => {
            // Kept apart: where SQLite has rolled back by itself, Diesel's own rollback fails and
            // its error would hide this one.
            failure = Some(error);
            Err(DieselError::RollbackTransaction)
        }
    });
    match (result, failure) {
        (Ok(value), _) => Ok(value),
        (Err(_), Some(failure)) => Err(meaning(failure, Stage::Before)),
        (Err(error), None) => Err(meaning(Failure::Database(error), stage)),
    }
}

fn snapshot<T>(
    connection: &mut SqliteConnection,
    work: impl FnOnce(&mut SqliteConnection) -> Work<T>,
) -> StoreResult<T> {
    connection.transaction(work).map_err(|failure| meaning(failure, Stage::Before))
}

/// A thread's connection, opened anew when it breaks.
struct Worker {
    path: String,
    purpose: Purpose,
    connection: Option<SqliteConnection>,
}

impl Worker {
    fn open(path: &str, purpose: Purpose) -> Result<Self, ConnectionError> {
        let connection = Some(connection::open(path, purpose)?);
        Ok(Self { path: path.to_owned(), purpose, connection })
    }

    fn connection(&mut self) -> StoreResult<&mut SqliteConnection> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => connection::open(&self.path, self.purpose)
                .map_err(|error| StoreError::Unavailable(Box::new(error)))?,
        };
        Ok(self.connection.insert(connection))
    }

    /// Runs `job`. A panic ends the job, not the thread, and takes the connection with it, and
    /// whatever transaction was open on it.
    fn run(&mut self, job: impl FnOnce(StoreResult<&mut SqliteConnection>)) {
        let ended = catch_unwind(AssertUnwindSafe(|| job(self.connection())));
        if ended.is_err() {
            tracing::error!("a job on the database panicked; its connection is opened anew");
            self.connection = None;
        } else if self.connection.as_mut().is_some_and(connection::is_broken) {
            tracing::warn!("a connection to the database broke; it is opened anew");
            self.connection = None;
        }
    }
}

fn write_loop(mut worker: Worker, jobs: &Receiver<Job>, purges: &PurgeList, tick: &SyncSender<()>) {
    worker.run(|connection| match connection.and_then(|it| transact(it, purge::left_over)) {
        Ok(left) => purges.lock().unwrap_or_else(PoisonError::into_inner).extend(left),
        Err(error) => tracing::warn!(%error, "cannot tell which deleted messages have to go"),
    });
    let mut since_slice = 0;
    let mut since_tick = 0;
    loop {
        let purging = !purges.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        let job = if purging {
            match jobs.try_recv() {
                Ok(job) => Some(job),
                Err(TryRecvError::Empty) => None,
                // What is left has its turn at the next start.
                Err(TryRecvError::Closed) => return,
            }
        } else {
            match jobs.recv_blocking() {
                Ok(job) => Some(job),
                Err(_) => return,
            }
        };
        since_slice += 1;
        since_tick += 1;
        let idle = job.is_none();
        if let Some(job) = job {
            worker.run(job);
        }
        if purging && (idle || since_slice >= JOBS_BETWEEN_SLICES) {
            since_slice = 0;
            worker.run(|connection| purge_slice(connection, purges));
        }
        if since_tick >= JOBS_BETWEEN_CHECKPOINTS {
            since_tick = 0;
            // Full: it is being told already.
            let _ = tick.try_send(());
        }
    }
}

fn purge_slice(connection: StoreResult<&mut SqliteConnection>, purges: &PurgeList) {
    let first = purges.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let Some(id) = first else { return };
    match connection.and_then(|connection| transact(connection, |it| purge::slice(it, id))) {
        Ok(true) => purges.lock().unwrap_or_else(PoisonError::into_inner).push_back(id),
        Ok(false) => {}
        // The next start tries again.
        Err(error) => tracing::warn!(%error, %id, "cannot delete the messages of a conversation"),
    }
}

fn read_loop(mut worker: Worker, jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv_blocking() {
        worker.run(job);
    }
}

fn checkpoint_loop(mut worker: Worker, ticks: &TickReceiver<()>) {
    while let Ok(()) | Err(RecvTimeoutError::Timeout) = ticks.recv_timeout(CHECKPOINT_INTERVAL) {
        worker.run(checkpoint::copy_log);
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}
