//! The executor for PostgreSQL: pools of connections, a function for the hot path.
//!
//! Connections are opened and used on the runtime that the store was opened on. Reads and rare
//! writes share one pool; the lanes, through [`kith_ports::log`], have one of their own, so that
//! nothing that is read can keep a message waiting. Everything waits for a bounded time: for a
//! connection, for one to be made, for an answer.
//!
//! The number of a transaction is PostgreSQL's own, so several nodes may work on one database.

/// Runs one statement that reads.
macro_rules! query {
    ($store:ident, $work:ident($($argument:expr),*)) => {
        $store
            .run($crate::postgres::Manner::Query, move |connection| {
                Box::pin(async move { $work(connection, $($argument),*).await })
            })
            .await
    };
}

/// Runs statements that all see the same state.
macro_rules! snapshot {
    ($store:ident, $work:ident($($argument:expr),*)) => {
        $store
            .run($crate::postgres::Manner::Snapshot, move |connection| {
                Box::pin(async move { $work(connection, $($argument),*).await })
            })
            .await
    };
}

/// Runs statements as one that is durable when it is answered.
macro_rules! transact {
    ($store:ident, $work:ident($($argument:expr),*)) => {
        $store
            .run($crate::postgres::Manner::Transaction, move |connection| {
                Box::pin(async move { $work(connection, $($argument),*).await })
            })
            .await
    };
}

/// Runs statements as `transact!` does, and again where they met others' work in a circle. What is
/// named first is cloned for each attempt.
macro_rules! insist {
    ($store:ident, [$($owned:ident),*] $work:ident($($argument:expr),*)) => {{
        let mut attempt = 1;
        loop {
            $(let $owned = $owned.clone();)*
            let work = $store.shared.run($crate::postgres::Manner::Transaction, move |connection| {
                Box::pin(async move { $work(connection, $($argument),*).await })
            });
            match work.await {
                Err($crate::postgres::error::Trouble::Contended)
                    if attempt < $crate::postgres::ATTEMPTS =>
                {
                    $crate::postgres::step_back(&mut attempt).await;
                }
                outcome => break outcome.map_err(kith_ports::StoreError::from),
            }
        }
    }};
}

mod advances;
mod append;
mod connection;
mod error;
mod log;
mod migrate;
mod pool;
mod store;
#[path = "../stores/mod.rs"]
mod stores;
mod tail;
mod target;
#[cfg(test)]
mod tests;
mod tls;
mod unchanged;
mod upkeep;

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use diesel::pg::Pg as Backend;
use diesel_async::{AsyncPgConnection as Connection, RunQueryDsl};
use kith_ports::{StoreError, StoreResult};
use maybe_async::must_be_async as either;
use tokio::sync::Notify;

pub use self::migrate::OpenError;
use self::{
    Postgres as Store,
    pool::{Manner, Pool, Step},
    target::Target,
};
use crate::MigrationState;

/// Whether the statements that `query!` runs all see the same state, should they be several.
const QUERIES_SEE_ONE_STATE: bool = false;

/// How often work that met others' in a circle is tried.
const ATTEMPTS: u32 = 3;
/// How long it waits before it is tried again, longer each time.
const STEP_BACK: Duration = Duration::from_millis(20);

/// Lets those go on for whom the work was undone. Tried again at once, it would take what they wait for
/// before they have woken up, and close the circle anew.
async fn step_back(attempt: &mut u32) {
    tokio::time::sleep(STEP_BACK * *attempt).await;
    *attempt += 1;
}

/// How a database is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The most connections for everything but the lanes.
    pub connections: NonZeroUsize,
    /// The most connections for the lanes: as many as there are lanes.
    pub lanes: NonZeroUsize,
}

/// A PostgreSQL database that holds everything: all stores in one.
///
/// Clones share it.
#[derive(Clone)]
pub struct Postgres {
    shared: Arc<Pool>,
    lanes: Arc<Pool>,
    /// Told when a conversation was deleted, whose messages have to go.
    deleted: Arc<Notify>,
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Postgres(..)")
    }
}

impl Postgres {
    /// Opens the database that `url` names, bringing it up to date first. Several nodes may do so at
    /// once. Needs a runtime of several threads.
    ///
    /// # Errors
    /// [`OpenError`] says in one line what is wrong and what helps.
    pub async fn open(url: &str, options: Options) -> Result<Self, OpenError> {
        let target = Arc::new(Target::parse(url)?);
        migrate::prepare(&target).await?;
        Ok(Self {
            shared: Arc::new(Pool::new(&target, options.connections.get())),
            lanes: Arc::new(Pool::new(&target, options.lanes.get())),
            deleted: Arc::default(),
        })
    }

    /// The migrations that the database has, and those it lacks. Changes nothing.
    ///
    /// # Errors
    /// As [`open`](Self::open), but a newer database is listed rather than refused.
    pub async fn migration_status(url: &str) -> Result<Vec<MigrationState>, OpenError> {
        migrate::status(&Target::parse(url)?).await
    }

    /// Checks that `url` can name a database. Connects to nothing.
    ///
    /// # Errors
    /// [`OpenError::Url`] and [`OpenError::Certificates`].
    pub fn check(url: &str) -> Result<(), OpenError> {
        Target::parse(url).map(drop)
    }

    /// Where `url` leads, without what must be kept secret.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn address(url: &str) -> Result<String, OpenError> {
        Target::parse(url).map(|target| target.shown)
    }

    /// Hands out no more connections. What is under way on one goes on to its end.
    pub fn close(&self) {
        self.shared.close();
        self.lanes.close();
    }

    async fn run<T: Send>(
        &self,
        manner: Manner,
        work: impl for<'c> FnOnce(&'c mut Connection) -> Step<'c, T> + Send,
    ) -> StoreResult<T> {
        self.shared.run(manner, work).await.map_err(StoreError::from)
    }
}
