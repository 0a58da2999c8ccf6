//! Time and chance.

use kith_domain::{ConnectionId, ConversationId, MessageId, SessionId, Timestamp, UserId};

/// The time of day.
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait Clock: Send + Sync {
    /// Now. It may step back; nothing but what people read depends on it.
    fn now(&self) -> Timestamp;
}

/// Makes ids.
///
/// # Contract
/// Ids MUST be unique across processes and hard to guess; they SHOULD grow with time (`UUIDv7`).
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait Ids: Send + Sync {
    /// An id for a new account.
    fn user(&self) -> UserId;
    /// An id for a new device.
    fn session(&self) -> SessionId;
    /// An id for a new group or channel.
    fn conversation(&self) -> ConversationId;
    /// An id for a new message.
    fn message(&self) -> MessageId;
    /// An id for a socket that has just been opened.
    fn connection(&self) -> ConnectionId;
    /// 32 unpredictable bytes.
    fn secret(&self) -> [u8; 32];
}
