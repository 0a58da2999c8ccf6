//! The time of day, and new ids.
//!
//! The only place that asks the operating system for either; everyone else asks the ports, so that
//! tests decide.

use std::time::{SystemTime, UNIX_EPOCH};

use kith_domain::{ConnectionId, ConversationId, MessageId, SessionId, Timestamp, UserId};
use kith_ports::{Clock, Ids};
use rand::{TryRng, rngs::SysRng};
use uuid::Uuid;

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the Clock that all others ask")]
    fn now(&self) -> Timestamp {
        let now = SystemTime::now();
        let micros = match now.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            // A clock that was never set.
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |m| -m),
        };
        Timestamp::from_micros(micros)
    }
}

/// Ids that grow with time (UUID version 7, RFC 9562), and secrets from the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomIds;

impl RandomIds {
    #[expect(clippy::disallowed_methods, reason = "this is the Ids that all others ask")]
    fn next() -> Uuid {
        Uuid::now_v7()
    }
}

impl Ids for RandomIds {
    fn user(&self) -> UserId {
        UserId::from_uuid(Self::next())
    }

    fn session(&self) -> SessionId {
        SessionId::from_uuid(Self::next())
    }

    fn conversation(&self) -> ConversationId {
        ConversationId::from_uuid(Self::next())
    }

    fn message(&self) -> MessageId {
        MessageId::from_uuid(Self::next())
    }

    fn connection(&self) -> ConnectionId {
        ConnectionId::from_uuid(Self::next())
    }

    fn secret(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        // Linux blocks until it has randomness and never fails later: without it, nothing that
        // this server promises could be kept, so it must not go on.
        SysRng.try_fill_bytes(&mut bytes).expect("the operating system gives randomness");
        bytes
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_clock_tells_a_time_of_this_century() {
        let now = SystemClock.now().as_secs();
        assert!((1_700_000_000..4_102_444_800).contains(&now), "{now}");
        assert!(SystemClock.now() >= SystemClock.now().before(std::time::Duration::from_secs(1)));
    }

    #[test]
    fn ids_grow_with_time_and_never_repeat() {
        let ids: Vec<_> = (0..10_000).map(|_| RandomIds.message()).collect();
        assert!(ids.is_sorted());
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        assert_eq!(ids[0].as_uuid().get_version_num(), 7);
    }

    #[test]
    fn ids_made_on_several_threads_never_repeat() {
        let made: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..2_000).map(|_| RandomIds.user()).collect::<Vec<_>>()))
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(made.iter().collect::<HashSet<_>>().len(), 8_000);
    }

    #[test]
    fn secrets_differ() {
        assert_ne!(RandomIds.secret(), RandomIds.secret());
    }
}
