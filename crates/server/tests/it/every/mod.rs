//! What holds whatever the database: `main.rs` takes these modules in once for each of them.

mod accounts;
mod blocks;
mod channels;
mod crash;
mod devices;
mod extras;
mod groups;
mod history;
mod lifecycle;
mod matrix;
mod membership;
mod presence;
mod receipts;
mod removal;
mod retry;
mod settings;
mod sockets;
mod sync;
mod typing;
mod validation;

use std::{future::Future, time::Duration};

use crate::support::{PATIENCE, Store, run_on};

/// The database of this copy of the tests: the one it is named after.
fn store() -> Store {
    match module_path!().rsplit("::").next() {
        Some("sqlite") => Store::Sqlite,
        Some("postgres") => Store::Postgres,
        name => panic!("no database is called {name:?}"),
    }
}

/// Runs a test on this database; see [`run_on`].
fn run<F: Future>(test: F) -> F::Output {
    run_within(PATIENCE, test)
}

/// The same, for one that may take longer.
fn run_within<F: Future>(patience: Duration, test: F) -> F::Output {
    run_on(store(), patience, test)
}
