//! What the end of a connection means.

use std::time::Duration;

use kith_protocol::{frame::close, rest::Problem};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::{backoff::retry_after, error::Error};

/// The least wait when the server said that there are too many of us.
const BUSY: Duration = Duration::from_secs(1);

/// How a connection, or the attempt to make one, ended.
pub(super) enum Fate {
    /// Try again, after this long at least.
    Again {
        reason: String,
        wait: Option<Duration>,
        floor: Duration,
    },
    /// The server does not take the token.
    Rejected {
        reason: String,
    },
    SignedOut {
        reason: String,
    },
}

impl Fate {
    pub(super) fn again(reason: impl Into<String>) -> Self {
        Self::Again { reason: reason.into(), wait: None, floor: Duration::ZERO }
    }
}

/// What it means that the server did not open a socket.
pub(super) fn refused(error: &Error) -> Fate {
    let reason = match error {
        Error::Upgrade { problem: Some(problem), .. } => describe(problem),
        other => other.to_string(),
    };
    match error {
        Error::Upgrade { status: 401, .. } => Fate::Rejected { reason },
        Error::Upgrade { retry_after: Some(wait), .. } => {
            Fate::Again { reason, wait: None, floor: *wait }
        }
        Error::Upgrade { status: 403 | 404 | 429 | 503, .. } => {
            Fate::Again { reason, wait: None, floor: BUSY }
        }
        _ => Fate::again(reason),
    }
}

fn describe(problem: &Problem) -> String {
    format!("{}: {}", problem.code, problem.detail)
}

/// What it means that the server closed.
pub(super) fn closed(frame: Option<&CloseFrame>) -> Fate {
    let Some(frame) = frame else { return Fate::again("the server closed the connection") };
    let code = u16::from(frame.code);
    let reason = format!("{code} {}", frame.reason);
    match code {
        close::SIGNED_OUT => Fate::Rejected { reason },
        close::RESTART => Fate::Again {
            reason,
            // The server has spread its clients over time already.
            wait: retry_after(&frame.reason),
            floor: Duration::ZERO,
        },
        close::OVERLOADED | close::RATE_LIMITED => Fate::Again { reason, wait: None, floor: BUSY },
        _ => Fate::again(reason),
    }
}
