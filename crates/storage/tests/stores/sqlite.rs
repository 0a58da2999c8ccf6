//! The contract of the stores, on SQLite.

use std::sync::Arc;

use kith_storage::sqlite::{Options, Sqlite};
use kith_testkit::contract::Stores;
use tempfile::TempDir;

/// A database of its own, in a directory that goes with it.
pub(crate) fn make() -> (Stores, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kith.db");
    let sqlite = Arc::new(Sqlite::open(&path, Options { readers: 2 }).unwrap());
    let stores = Stores {
        users: sqlite.clone(),
        sessions: sqlite.clone(),
        conversations: sqlite.clone(),
        messages: sqlite.clone(),
        receipts: sqlite.clone(),
        blocks: sqlite.clone(),
        invites: sqlite.clone(),
        log: sqlite,
        settled: Arc::new(|| Box::pin(std::future::ready(()))),
    };
    (stores, directory)
}

kith_testkit::contract_tests!(make());
