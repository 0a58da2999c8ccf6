//! A signed-in device, and what a presented refresh token means.
//!
//! A session has generations of refresh tokens, one alive at a time. Presenting the living one
//! makes the next. Presenting an older one means that somebody has a copy: the session ends. One
//! case is innocent: the answer that carried the successor was lost, and the client asks again.

use std::time::Duration;

use crate::{
    id::{SessionId, UserId},
    text::Name,
    time::Timestamp,
};

/// How long a session lives without being used.
pub const IDLE_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long a session lives at most.
pub const TOTAL_LIFETIME: Duration = Duration::from_secs(180 * 24 * 3600);
/// How long the token before the living one is answered with the living one.
pub const RETRY_WINDOW: Duration = Duration::from_secs(10);

/// A signed-in device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// Where it was made, and when it was last used.
    pub device: Device,
    /// The generation of the refresh token that is alive, from 1.
    pub generation: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last renewed.
    pub last_used_at: Timestamp,
    /// When it ends if it is not renewed.
    pub expires_at: Timestamp,
    /// When it was ended, if it was.
    pub revoked_at: Option<Timestamp>,
}

/// What is known of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// The name its owner gave it.
    pub name: Option<Name>,
    /// The address it signed in from.
    pub address: Option<String>,
    /// The program it signed in with.
    pub user_agent: Option<String>,
}

/// What a presented refresh token means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// The living one: make generation `next`, alive until `expires_at`.
    Renew {
        /// The generation to make.
        next: u32,
        /// When the session ends from then on, if not renewed.
        expires_at: Timestamp,
    },
    /// The one before, a moment later: answer with the living one again.
    Repeat {
        /// The living generation.
        current: u32,
    },
    /// A dead one: somebody has a copy, the session must end.
    Reused,
    /// The session is over, or never made this token.
    Ended,
}

impl Session {
    /// When a session made or renewed at `now` ends, if nobody renews it.
    pub fn expiry(created_at: Timestamp, now: Timestamp) -> Timestamp {
        now.after(IDLE_LIFETIME).min(created_at.after(TOTAL_LIFETIME))
    }

    /// Whether the session is over.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.revoked_at.is_some() || now >= self.expires_at
    }

    /// Judges a refresh token of `generation`.
    pub fn present(&self, generation: u32, now: Timestamp) -> Presented {
        if self.has_ended(now) || generation == 0 || generation > self.generation {
            return Presented::Ended;
        }
        match self.generation - generation {
            0 => Presented::Renew {
                next: self.generation + 1,
                expires_at: Self::expiry(self.created_at, now),
            },
            1 if now.since(self.last_used_at) <= RETRY_WINDOW => {
                Presented::Repeat { current: self.generation }
            }
            _ => Presented::Reused,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const START: Timestamp = Timestamp::from_micros(1_000_000_000_000);

    fn session(generation: u32, last_used_at: Timestamp) -> Session {
        Session {
            id: SessionId::from_uuid(Uuid::from_u128(1)),
            user_id: UserId::from_uuid(Uuid::from_u128(2)),
            device: Device::default(),
            generation,
            created_at: START,
            last_used_at,
            expires_at: Session::expiry(START, last_used_at),
            revoked_at: None,
        }
    }

    fn later(seconds: u64) -> Timestamp {
        START.after(Duration::from_secs(seconds))
    }

    #[test]
    fn the_living_token_renews() {
        let renewed = session(3, START).present(3, later(60));
        assert_eq!(
            renewed,
            Presented::Renew { next: 4, expires_at: later(60).after(IDLE_LIFETIME) }
        );
    }

    #[test]
    fn the_token_before_is_repeated_for_ten_seconds_then_ends_the_session() {
        let session = session(4, later(100));
        assert_eq!(session.present(3, later(110)), Presented::Repeat { current: 4 });
        assert_eq!(session.present(3, later(111)), Presented::Reused);
    }

    #[test]
    fn older_tokens_end_the_session_at_once() {
        assert_eq!(session(4, later(100)).present(2, later(100)), Presented::Reused);
    }

    #[test]
    fn an_ended_session_answers_nothing() {
        let mut ended = session(4, later(100));
        assert_eq!(ended.present(4, ended.expires_at), Presented::Ended);
        ended.revoked_at = Some(later(101));
        assert_eq!(ended.present(4, later(102)), Presented::Ended);
        assert_eq!(ended.present(3, later(102)), Presented::Ended);
    }

    #[test]
    fn a_token_from_the_future_was_never_made() {
        assert_eq!(session(4, START).present(5, later(1)), Presented::Ended);
        assert_eq!(session(4, START).present(0, later(1)), Presented::Ended);
    }

    proptest! {
        #[test]
        fn no_renewal_outlives_the_total(days in 0u64..400) {
            let now = later(days * 24 * 3600);
            prop_assert!(Session::expiry(START, now) <= START.after(TOTAL_LIFETIME));
        }
    }
}
