//! How a store fails.

use std::error::Error;

/// What a store's methods return.
pub type StoreResult<T> = Result<T, StoreError>;

/// How a store fails.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Something else has what must be unique. Nothing was written.
    #[error("conflict on {0:?}")]
    Conflict(Constraint),
    /// What the decision was made from has changed since. Nothing was written: read and decide anew.
    #[error("the state changed since it was read")]
    Stale,
    /// The store has more work than it takes. Nothing was written: try later.
    #[error("the store is busy")]
    Busy,
    /// The store cannot be reached. Nothing was written.
    #[error("the store cannot be reached")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// The commit was sent and its answer lost: it may be written or not. The same request tells.
    #[error("it is unknown whether the write took place")]
    OutcomeUnknown(#[source] Box<dyn Error + Send + Sync>),
    /// A stored row does not hold what it must.
    #[error("corrupt row {id} in {table}: {what}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The key of the row.
        id: String,
        /// Which column, and what is wrong with it.
        what: String,
    },
    /// Anything else.
    #[error("the store failed")]
    Other(#[source] Box<dyn Error + Send + Sync>),
}

impl StoreError {
    /// Whether the same request may succeed in a moment.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Busy | Self::Unavailable(_) | Self::OutcomeUnknown(_))
    }
}

/// What must be unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// One account per user name.
    Username,
    /// One account per mailbox.
    Email,
}
