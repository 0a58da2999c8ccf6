use std::{error::Error as StdError, time::Duration};

use kith_protocol::rest::{FieldProblem, Problem};

/// The result of most calls here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something did not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address of the server, or a path, cannot be one.
    #[error("not an address: {0}")]
    Url(String),
    /// The server refused, and said why.
    #[error("{}: {}", .0.code, .0.detail)]
    Problem(Box<Problem>),
    /// The server refused a frame; the socket stays.
    #[error("{}: {}", .0.code, .0.message)]
    Refused(Box<FrameError>),
    /// The server refused to open a socket.
    #[error("the server refused the socket with status {status}")]
    Upgrade {
        /// The status.
        status: u16,
        /// What it said.
        problem: Option<Box<Problem>>,
        /// When to try again.
        retry_after: Option<Duration>,
    },
    /// The server closed the socket.
    #[error("the server closed the socket: {code} {reason}")]
    Closed {
        /// The close code; 1005 if there was none, 1006 if the connection just ended.
        code: u16,
        /// The reason.
        reason: String,
    },
    /// The server could not be reached, or the connection broke.
    #[error("the connection failed: {0}")]
    Transport(#[source] Box<dyn StdError + Send + Sync>),
    /// Nothing came in time.
    #[error("nothing came within {0:?}")]
    TimedOut(Duration),
    /// The server answered something else than it should.
    #[error("unexpected answer: {0}")]
    Unexpected(String),
    /// Nobody is signed in, or not any more.
    #[error("nobody is signed in")]
    SignedOut,
    /// The connection broke before the answer to something that must not be repeated blindly.
    #[error("the connection broke before the answer came")]
    Interrupted,
    /// The [`Socket`](crate::Socket) is gone.
    #[error("the socket has ended")]
    Ended,
}

/// A refusal that came over a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameError {
    /// The stable code, as in REST.
    pub code: String,
    /// For a person.
    pub message: String,
    /// The fields at fault.
    pub errors: Vec<FieldProblem>,
    /// When trying again makes sense.
    pub retry_after: Option<Duration>,
}

impl Error {
    /// The server's stable code, if it is the server who refused.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) | Self::Upgrade { problem: Some(problem), .. } => {
                Some(&problem.code)
            }
            Self::Refused(refused) => Some(&refused.code),
            _ => None,
        }
    }

    /// The HTTP status, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Problem(problem) => Some(problem.status),
            Self::Upgrade { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The fields at fault, if the server named some.
    pub fn fields(&self) -> &[FieldProblem] {
        match self {
            Self::Problem(problem) | Self::Upgrade { problem: Some(problem), .. } => {
                &problem.errors
            }
            Self::Refused(refused) => &refused.errors,
            _ => &[],
        }
    }

    pub(crate) fn transport(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Transport(error.into())
    }

    pub(crate) fn unexpected(what: impl Into<String>) -> Self {
        Self::Unexpected(what.into())
    }
}
