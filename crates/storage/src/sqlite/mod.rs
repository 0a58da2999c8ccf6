//! The executor for SQLite: one file, one writing thread, a few reading ones.
//!
//! Every write is one `BEGIN IMMEDIATE` transaction on the writing thread, durable when it is
//! answered (`synchronous = FULL`). Every read is one snapshot (write-ahead log). Nothing here
//! keeps a second process away from the file: the server holds a lock on its data directory.

mod cards;
mod changes;
mod checkpoint;
mod connection;
mod conversations;
mod error;
mod log;
mod messages;
mod migrate;
mod purge;
mod sessions;
mod statement;
mod store;
mod sync;
#[cfg(test)]
mod tests;
mod threads;
mod users;

use std::{path::Path, sync::Arc};

use diesel::{ConnectionError, sqlite::SqliteConnection};
use kith_ports::StoreResult;

pub use self::migrate::{MigrationState, OpenError};
use self::{
    error::Work,
    threads::{PurgeList, StartError, Threads},
};

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

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut SqliteConnection) -> Work<T> + Send + 'static,
    ) -> StoreResult<T> {
        self.threads.write(work).await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut SqliteConnection) -> Work<T> + Send + 'static,
    ) -> StoreResult<T> {
        self.threads.read(work).await
    }
}
