//! How long to wait before the next attempt.

use std::time::Duration;

/// Exponential, with full jitter: a random part of a bound that doubles. Clients that lost the same
/// server so spread over the whole bound.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    attempt: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, attempt: 0 }
    }

    /// The server was reached: begin anew.
    pub(crate) fn reset(&mut self) {
        self.attempt = 0;
    }

    /// The next wait, at least `floor`.
    pub(crate) fn next(&mut self, floor: Duration) -> Duration {
        let bound = self.bound();
        self.attempt = self.attempt.saturating_add(1);
        floor + bound.mul_f64(rand::random())
    }

    fn bound(&self) -> Duration {
        let factor = 1_u32.checked_shl(self.attempt.min(31)).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.most)
    }
}

/// Reads `retry_after_ms=N` out of the reason of a close.
pub(crate) fn retry_after(reason: &str) -> Option<Duration> {
    const MOST: Duration = Duration::from_secs(60);
    let digits = reason.split("retry_after_ms=").nth(1)?;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok().map(|ms| Duration::from_millis(ms).min(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_most() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        let mut bounds = Vec::new();
        for _ in 0..9 {
            bounds.push(backoff.bound().as_millis());
            let wait = backoff.next(Duration::ZERO);
            assert!(wait.as_millis() <= *bounds.last().unwrap());
        }
        assert_eq!(bounds, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        for _ in 0..100 {
            backoff.next(Duration::ZERO);
        }
        assert_eq!(backoff.bound(), Duration::from_secs(10));
        backoff.reset();
        assert_eq!(backoff.bound(), Duration::from_millis(100));
        assert!(backoff.next(Duration::from_secs(1)) >= Duration::from_secs(1));
    }

    #[test]
    fn the_server_says_when() {
        assert_eq!(retry_after("retry_after_ms=1500"), Some(Duration::from_millis(1500)));
        assert_eq!(retry_after("restart; retry_after_ms=20; bye"), Some(Duration::from_millis(20)));
        assert_eq!(retry_after("retry_after_ms=99999999"), Some(Duration::from_secs(60)));
        assert_eq!(retry_after("retry_after_ms="), None);
        assert_eq!(retry_after("going away"), None);
    }
}
