//! The executor for SQLite: one file, one writing thread, a few reading ones.
//!
//! Every write is one `BEGIN IMMEDIATE` transaction on the writing thread, durable when it is
//! answered (`synchronous = FULL`). Every read is one snapshot (write-ahead log). Nothing here
//! keeps a second process away from the file: the server holds a lock on its data directory.

/// Runs one statement.
macro_rules! query {
    ($store:ident, $work:ident($($argument:expr),*)) => {
        $store.read(move |connection| $work(connection, $($argument),*)).await
    };
}

/// Runs statements that all see the same state.
macro_rules! snapshot {
    ($store:ident, $work:ident($($argument:expr),*)) => {
        $store.read(move |connection| $work(connection, $($argument),*)).await
    };
}

/// Runs statements as one that is durable when it is answered.
macro_rules! transact {
    ($store:ident, $work:ident($($argument:expr),*)) => {
        $store.transact(move |connection| $work(connection, $($argument),*)).await
    };
}

/// Runs statements as `transact!` does. There is one writer, who meets nobody in a circle.
macro_rules! insist {
    ($store:ident, [$($owned:ident),*] $work:ident($($argument:expr),*)) => {
        transact!($store, $work($($argument),*))
    };
}

mod advances;
mod checkpoint;
mod connection;
mod error;
mod log;
mod migrate;
mod send;
mod store;
#[path = "../stores/mod.rs"]
mod stores;
#[cfg(test)]
mod tests;
mod threads;
mod unchanged;

use std::{path::Path, sync::Arc};

use diesel::{
    ConnectionError, RunQueryDsl, sqlite::Sqlite as Backend, sqlite::SqliteConnection as Connection,
};
use kith_ports::StoreResult;
use maybe_async::must_be_sync as either;

pub use self::migrate::OpenError;
use self::{
    Sqlite as Store,
    threads::{PurgeList, StartError, Threads},
};
use crate::{MigrationState, failure::Work};

/// Whether the statements that `query!` runs all see the same state, should they be several.
const QUERIES_SEE_ONE_STATE: bool = true;

/// How a database is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many threads read.
    pub readers: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { readers: 4 }
    }
}

/// A SQLite database that holds everything: all stores in one.
///
/// Clones share it. When the last one is dropped, or on [`close`](Self::close), the writes that
/// wait are finished and the threads end.
#[derive(Clone)]
pub struct Sqlite {
    threads: Arc<Threads>,
    purges: PurgeList,
}

impl std::fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sqlite(..)")
    }
}

impl Sqlite {
    /// Opens the database at `path`, making it or bringing it up to date first. Blocks.
    ///
    /// # Errors
    /// [`OpenError`] says in one line what is wrong and what helps.
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        let path = connection::as_text(path)?;
        migrate::prepare(&path)?;
        migrate::probe(&path)?;
        let purges = PurgeList::default();
        let threads = Threads::start(&path, options.readers, Arc::clone(&purges)).map_err(
            |error| match error {
                StartError::Connection(ConnectionError::CouldntSetupConfiguration(error)) => {
                    migrate::database(&path, &error)
                }
                StartError::Connection(error) => migrate::unreadable(&path, error),
                StartError::Thread(error) => OpenError::Io(error),
            },
        )?;
        Ok(Self { threads: Arc::new(threads), purges })
    }

    /// The migrations that the database at `path` has, and those it lacks. Changes nothing. Blocks.
    ///
    /// # Errors
    /// As [`open`](Self::open), but a newer database is listed rather than refused.
    pub fn migration_status(path: &Path) -> Result<Vec<MigrationState>, OpenError> {
        migrate::status(&connection::as_text(path)?)
    }

    /// Takes nothing more, finishes the writes that wait, and ends the threads. Blocks until then.
    pub fn close(&self) {
        self.threads.close();
    }

    async fn transact<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Work<T> + Send + 'static,
    ) -> StoreResult<T> {
        self.threads.transact(work).await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Work<T> + Send + 'static,
    ) -> StoreResult<T> {
        self.threads.read(work).await
    }
}
