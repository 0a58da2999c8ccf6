use std::time::Duration;

use kith_domain::{Code, Refusal};
use kith_ports::{PasswordsBusy, StoreError, live::Failure};

/// How a use case ends when it does not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The answer is no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// More was asked than one may ask.
    #[error("too many requests")]
    RateLimited {
        /// When asking again makes sense.
        retry_after: Duration,
    },
    /// More is waiting than the server takes. Nothing happened.
    #[error("the server is overloaded")]
    Overloaded,
    /// The database cannot be reached. Nothing happened.
    #[error("the database cannot be reached")]
    Unavailable(#[source] Option<StoreError>),
    /// It may have happened or not: the same request again tells, a send under the same id.
    #[error("it is unknown whether the change took place")]
    OutcomeUnknown,
    /// The server is at fault.
    #[error("the server failed")]
    Internal(#[source] Option<StoreError>),
}

impl Error {
    /// The code of the refusal, if it is one.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused(refusal) => Some(refusal.code),
            _ => None,
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::Overloaded,
            StoreError::Unavailable(_) => Self::Unavailable(Some(error)),
            StoreError::OutcomeUnknown(_) => Self::OutcomeUnknown,
            StoreError::Conflict(_)
            | StoreError::Stale
            | StoreError::Corrupt { .. }
            | StoreError::Other(_) => Self::Internal(Some(error)),
        }
    }
}

impl From<PasswordsBusy> for Error {
    fn from(_: PasswordsBusy) -> Self {
        Self::Overloaded
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Overloaded => Self::Overloaded,
            Failure::Unavailable => Self::Unavailable(None),
            Failure::OutcomeUnknown => Self::OutcomeUnknown,
            Failure::Internal => Self::Internal(None),
        }
    }
}
