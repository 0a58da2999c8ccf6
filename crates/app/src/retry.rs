//! Patience with a store that is away for a moment.

use std::{error::Error, future::Future, time::Duration};

use kith_ports::{StoreError, StoreResult, live::Failure};
use tokio::time::Instant;
use tracing::{error, warn};

/// How long one waits before a failed step is tried again: at first, and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// Attempts a step again and again while the store is away, `until` patience ends. Sets `unknown` when
/// an attempt may have been stored without saying so: the step must be one that can be repeated.
pub(crate) async fn patiently<T, F>(
    until: Option<Instant>,
    unknown: &mut bool,
    attempt: impl Fn() -> F,
) -> Result<T, Failure>
where
    F: Future<Output = StoreResult<T>>,
{
    let mut pause = BACKOFF.0;
    loop {
        let failure = match attempt().await {
            Ok(done) => return Ok(done),
            Err(StoreError::Busy) => Failure::Overloaded,
            Err(StoreError::Unavailable(cause)) => {
                warn!(%cause, "the store cannot be reached");
                Failure::Unavailable
            }
            Err(StoreError::OutcomeUnknown(cause)) => {
                warn!(%cause, "the outcome of a batch is unknown; it is tried again");
                *unknown = true;
                Failure::OutcomeUnknown
            }
            Err(cause) => {
                error!(error = &cause as &dyn Error, "a batch was not stored");
                return Err(Failure::Internal);
            }
        };
        if until.is_none_or(|until| Instant::now() + pause >= until) {
            return Err(if *unknown { Failure::OutcomeUnknown } else { failure });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(BACKOFF.1);
    }
}
