//! How connections are opened.

use std::path::Path;

use diesel::{
    connection::{SimpleConnection, TransactionManager},
    prelude::*,
    sqlite::SqliteConnection,
};

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The one that writes.
    Write,
    /// One of those that read.
    Read,
    /// The one that copies the log into the database file.
    Checkpoint,
}

/// How long SQLite waits for a lock before it says that it is busy.
const BUSY_TIMEOUT_MS: u32 = 5_000;
/// What the log file shrinks to when it begins anew.
const LOG_LIMIT_BYTES: u32 = 64 * 1024 * 1024;
/// How much of the file may be mapped: reads of those pages copy nothing.
const MAPPED_BYTES: u32 = 128 * 1024 * 1024;

/// Opens a connection and sets it up.
pub(super) fn open(path: &str, purpose: Purpose) -> Result<SqliteConnection, ConnectionError> {
    let mut connection = SqliteConnection::establish(path)?;
    connection
        .batch_execute(&settings(purpose))
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

fn settings(purpose: Purpose) -> String {
    let (cache_kib, query_only) = match purpose {
        Purpose::Write => (16 * 1024, "OFF"),
        Purpose::Read => (4 * 1024, "ON"),
        Purpose::Checkpoint => (256, "OFF"),
    };
    // The timeout comes first: the next line may wait already.
    format!(
        "PRAGMA busy_timeout = {BUSY_TIMEOUT_MS};
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA journal_size_limit = {LOG_LIMIT_BYTES};
         PRAGMA mmap_size = {MAPPED_BYTES};
         PRAGMA cache_size = -{cache_kib};
         PRAGMA temp_store = MEMORY;
         PRAGMA trusted_schema = OFF;
         PRAGMA query_only = {query_only};"
    )
}

/// Whether a connection is stuck in a transaction that it can neither commit nor roll back.
pub(super) fn is_broken(connection: &mut SqliteConnection) -> bool {
    <SqliteConnection as Connection>::TransactionManager::is_broken_transaction_manager(connection)
}

/// The path as SQLite takes it.
pub(super) fn as_text(path: &Path) -> std::io::Result<String> {
    // Absolute, so that no name can be taken for an address (`file:`) or a database in memory.
    let absolute = std::path::absolute(path)?;
    absolute.into_os_string().into_string().map_err(|path| {
        std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            format!("{} is not UTF-8", path.display()),
        )
    })
}
