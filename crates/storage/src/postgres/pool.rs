//! Connections, and running work on one of them: for a bounded time, and to a known end.

use std::{pin::Pin, sync::Arc, time::Duration};

use deadpool::{Runtime, managed::TimeoutType};
use diesel_async::{
    AnsiTransactionManager, AsyncPgConnection as Connection, RunQueryDsl as _, TransactionManager,
    pooled_connection::{
        AsyncDieselConnectionManager, ManagerConfig, PoolError as ConnectError, PoolableConnection,
        RecyclingMethod,
        deadpool::{Object, Pool as Connections, PoolError},
    },
};
use kith_ports::StoreError;
use scopeguard::{ScopeGuard, guard};
use tokio::time::{Instant, timeout};

use super::{
    connection,
    error::{Signs, Stage, Trouble, meaning},
    target::Target,
};
use crate::failure::{Failure, Work, cause};

/// How long one waits for a free connection.
const WAIT: Duration = Duration::from_secs(2);
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a connection that was used before may take to be found good.
const RECYCLE: Duration = Duration::from_secs(1);
/// How long a piece of work may take on its connection. The server gives up a little earlier
/// ([`connection::STATEMENT_TIMEOUT`]); this is for one that does not answer at all.
const PATIENCE: Duration = Duration::from_secs(4);

/// A piece of work under way.
pub(super) type Step<'c, T> = Pin<Box<dyn Future<Output = Work<T>> + Send + 'c>>;

/// How a piece of work is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// One statement that reads.
    Query,
    /// Statements that read, and all see the same state.
    Snapshot,
    /// One statement that writes, and commits when it is done.
    Statement,
    /// Statements that write, together or not at all.
    Transaction,
}

/// Some connections to one database.
pub(super) struct Pool {
    connections: Connections<Connection>,
}

impl Pool {
    /// A pool of at most `size` connections, which are made when they are needed.
    pub(super) fn new(target: &Arc<Target>, size: usize) -> Self {
        let target = Arc::clone(target);
        let mut config = ManagerConfig::default();
        config.recycling_method = RecyclingMethod::Fast;
        config.custom_setup = Box::new(move |_| {
            let target = Arc::clone(&target);
            Box::pin(async move { connection::open_as_diesel(&target).await })
        });
        let manager = AsyncDieselConnectionManager::new_with_config(String::new(), config);
        let connections = Connections::builder(manager)
            .max_size(size)
            .wait_timeout(Some(WAIT))
            .create_timeout(Some(CONNECT))
            .recycle_timeout(Some(RECYCLE))
            .runtime(Runtime::Tokio1)
            .build();
        match connections {
            Ok(connections) => Self { connections },
            Err(deadpool::managed::BuildError::NoRuntimeSpecified) => {
                unreachable!("it is given above")
            }
        }
    }

    /// Hands out no more connections.
    pub(super) fn close(&self) {
        self.connections.close();
    }

    /// Runs a piece of work.
    pub(super) async fn run<T: Send>(
        &self,
        manner: Manner,
        work: impl for<'c> FnOnce(&'c mut Connection) -> Step<'c, T> + Send,
    ) -> Result<T, Trouble> {
        let taken = self.connections.get().await.map_err(no_connection)?;
        // Unless it is given back, it is given up: on one whose work was not waited for, an answer may
        // still be under way.
        let mut connection = guard(taken, |taken| drop(Object::take(taken)));
        let mut stage = if manner == Manner::Statement { Stage::Commit } else { Stage::Before };
        let begun = Instant::now();
        match timeout(PATIENCE, perform(&mut connection, manner, work, &mut stage)).await {
            Ok(Ok(value)) => {
                drop(ScopeGuard::into_inner(connection));
                Ok(value)
            }
            Ok(Err(failure)) => {
                let lost = is_lost(&mut connection, &failure).await;
                if !lost {
                    drop(ScopeGuard::into_inner(connection));
                }
                // By then the server has given it up, in whatever language it says so.
                let slow = begun.elapsed() >= connection::STATEMENT_TIMEOUT;
                Err(meaning(failure, stage, Signs { lost, slow }))
            }
            Err(late) => Err(match stage {
                Stage::Before => StoreError::Busy.into(),
                Stage::Commit => StoreError::OutcomeUnknown(Box::new(late)).into(),
            }),
        }
    }
}

async fn perform<T: Send>(
    connection: &mut Connection,
    manner: Manner,
    work: impl for<'c> FnOnce(&'c mut Connection) -> Step<'c, T> + Send,
    stage: &mut Stage,
) -> Work<T> {
    match manner {
        Manner::Query | Manner::Statement => return work(connection).await,
        Manner::Snapshot => {
            let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
            AnsiTransactionManager::begin_transaction_sql(connection, begin).await?;
        }
        Manner::Transaction => {
            let begin = "BEGIN ISOLATION LEVEL READ COMMITTED";
            AnsiTransactionManager::begin_transaction_sql(connection, begin).await?;
        }
    }
    match work(connection).await {
        Ok(value) => {
            if manner == Manner::Transaction {
                *stage = Stage::Commit;
            }
            AnsiTransactionManager::commit_transaction(connection).await?;
            Ok(value)
        }
        Err(failure) => {
            // If this fails too, the connection is found broken and given up.
            let _ = AnsiTransactionManager::rollback_transaction(connection).await;
            Err(failure)
        }
    }
}

/// Whether the connection is gone, or the server is going away.
async fn is_lost(connection: &mut Connection, failure: &Failure) -> bool {
    let Failure::Database(_) = failure else { return false };
    if connection.is_broken() {
        return true;
    }
    let ping = diesel::select(diesel::dsl::sql::<diesel::sql_types::Integer>("1"));
    let answer = timeout(RECYCLE, ping.get_result::<i32>(connection)).await;
    !matches!(answer, Ok(Ok(_)))
}

fn no_connection(error: PoolError) -> StoreError {
    match error {
        PoolError::Timeout(TimeoutType::Wait) => StoreError::Busy,
        PoolError::Timeout(_) => {
            StoreError::Unavailable(cause("the connection took too long to be made"))
        }
        PoolError::Backend(ConnectError::ConnectionError(error)) => {
            StoreError::Unavailable(Box::new(error))
        }
        PoolError::Backend(ConnectError::QueryError(error)) => {
            StoreError::Unavailable(Box::new(error))
        }
        PoolError::Closed => StoreError::Unavailable(cause("the store is closed")),
        other => StoreError::Other(Box::new(other)),
    }
}
