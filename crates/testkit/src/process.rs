use std::{
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::Duration,
};

use kith_domain::{ConnectionId, ConversationId, MessageId, SessionId, Timestamp, UserId};
use kith_ports::{Clock, Ids};
use uuid::Uuid;

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct FixedClock(AtomicI64);

impl FixedClock {
    /// Stands at 2026-01-01T00:00:00Z.
    pub const fn new() -> Self {
        Self(AtomicI64::new(1_767_225_600_000_000))
    }

    /// Moves it forward.
    pub fn advance(&self, span: Duration) {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Default for FixedClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// Ids that count up from 1, so that a test can name them.
#[derive(Debug, Default)]
pub struct SequentialIds(AtomicU64);

impl SequentialIds {
    fn next(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::SeqCst) + 1))
    }
}

impl Ids for SequentialIds {
    fn user(&self) -> UserId {
        UserId::from_uuid(self.next())
    }

    fn session(&self) -> SessionId {
        SessionId::from_uuid(self.next())
    }

    fn conversation(&self) -> ConversationId {
        ConversationId::from_uuid(self.next())
    }

    fn message(&self) -> MessageId {
        MessageId::from_uuid(self.next())
    }

    fn connection(&self) -> ConnectionId {
        ConnectionId::from_uuid(self.next())
    }

    fn secret(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(self.next().as_bytes());
        bytes
    }
}
