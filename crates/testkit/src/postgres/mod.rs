//! PostgreSQL for tests, started from the installed binaries and gone without a trace afterwards.
//!
//! [`database`] gives a test a database of its own, in milliseconds, on a cluster that all test
//! processes share. [`Server`] is a cluster of one's own, to be stopped, paused and measured.
//!
//! The binaries are those of `KITH_POSTGRES_BIN`, of `pg_config --bindir`, the newest under
//! `/usr/lib/postgresql`, or those in `PATH`, in this order. Without any, what needs them fails.
//! PostgreSQL refuses to run as root: for root it runs as `postgres`, else as `nobody`.
//!
//! Made for Linux: it reads `/proc` and needs util-linux's `flock`.

use std::{
    error::Error,
    fmt::{self, Display},
    hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState},
    thread,
    time::Duration,
};

mod cluster;
mod database;
mod processes;
mod reaper;
mod server;
mod session;
mod shared;

pub use database::{Database, database};
pub use server::{Mode, Options, Server};

/// Why PostgreSQL did not do what a test needs: a sentence for whoever runs the test.
#[derive(Debug)]
pub struct Failure(String);

impl Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Error for Failure {}

/// Says what was attempted when it fails.
trait Attempt<T> {
    /// `what` reads well after "cannot".
    fn attempt(self, what: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: Error> Attempt<T> for Result<T, E> {
    fn attempt(self, what: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| {
            let mut text = format!("cannot {}: {error}", what());
            // The errors of tokio-postgres tell what happened in their sources alone.
            let mut source = error.source();
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            Failure(text)
        })
    }
}

/// The same for the same value in every process, as long as the compiler is the same.
fn fingerprint(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A number nobody else has.
fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// Waits a moment before a process or a file is looked at again.
fn nap(span: Duration) {
    #[expect(clippy::disallowed_methods, reason = "only called where blocking is expected")]
    thread::sleep(span);
}
