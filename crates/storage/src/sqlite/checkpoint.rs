//! Copying the write-ahead log into the database file, on a connection of its own.

use diesel::{
    prelude::*,
    sql_types::{BigInt, Integer},
    sqlite::SqliteConnection,
};
use kith_ports::StoreResult;

/// Above this many pages (128 MiB) the log is made to begin anew, for which writers wait a moment:
/// under a load that never pauses, copying alone never catches up.
const TOO_LONG_PAGES: i64 = 32 * 1024;

#[derive(Debug, QueryableByName)]
struct Checkpoint {
    #[diesel(sql_type = Integer)]
    busy: i32,
    #[diesel(sql_type = BigInt)]
    log: i64,
    #[diesel(sql_type = BigInt)]
    checkpointed: i64,
}

/// Copies what can be copied without holding anybody up.
pub(super) fn copy_log(connection: StoreResult<&mut SqliteConnection>) {
    let result = connection.map_err(|error| error.to_string()).and_then(|connection| {
        let done = run(connection, "PRAGMA wal_checkpoint(PASSIVE)")?;
        if done.log < TOO_LONG_PAGES {
            return Ok(done);
        }
        run(connection, "PRAGMA wal_checkpoint(RESTART)")
    });
    match result {
        // A log that was copied whole begins anew with the next write.
        Ok(done) if done.log >= TOO_LONG_PAGES && done.checkpointed < done.log => tracing::warn!(
            pages = done.log,
            copied = done.checkpointed,
            busy = done.busy,
            "the database's log is long"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "cannot copy the log into the database"),
    }
}

fn run(connection: &mut SqliteConnection, sql: &str) -> Result<Checkpoint, String> {
    diesel::sql_query(sql).get_result(connection).map_err(|error| error.to_string())
}
