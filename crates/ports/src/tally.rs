//! Counts that pass, and that all nodes share.

use std::time::Duration;

use async_trait::async_trait;

/// Counts by name: what must hold across nodes, and for a short while only.
///
/// A node that cannot reach the others counts alone for that time.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Tally: Send + Sync {
    /// Adds to a count, and tells what it is then. One that is not there begins at 0, and is forgotten
    /// `lifetime` after that.
    async fn add(&self, name: &str, by: i64, lifetime: Duration) -> i64;
    /// What a count is; 0 if it is not there.
    async fn get(&self, name: &str) -> i64;
}
