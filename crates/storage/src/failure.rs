//! How the work inside a store fails, before it is known what that means to the caller.

use std::error::Error;

use diesel::result::Error as DieselError;
use kith_ports::StoreError;

/// What a piece of work inside a store returns.
pub(crate) type Work<T> = Result<T, Failure>;

/// How a piece of work fails.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The database's word. What it means, each executor says of its own.
    Database(DieselError),
    /// The store's own.
    Store(StoreError),
}

impl From<DieselError> for Failure {
    fn from(error: DieselError) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A cause that has no type of its own.
pub(crate) fn cause(what: impl Into<String>) -> Box<dyn Error + Send + Sync> {
    what.into().into()
}
