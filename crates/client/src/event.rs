use std::time::Duration;

use kith_protocol::{
    Time,
    frame::{MemberFrame, ServerFrame},
    rest::{Conversation, Message, Profile},
};
use uuid::Uuid;

/// What a [`Socket`](crate::Socket) shows.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SocketEvent {
    /// Connected; what was missed is being fetched.
    Connected {
        /// The connection, as the server names it.
        connection_id: Uuid,
        /// The session.
        session_id: Uuid,
        /// The account.
        user_id: Uuid,
    },
    /// Everything that was missed has been shown. Comes once after each `Connected`.
    CaughtUp,
    /// Not connected. It goes on by itself.
    Disconnected {
        /// Why.
        reason: String,
        /// When it tries again.
        retry_in: Duration,
    },
    /// Not connected, and not to be without a new login. The last event.
    SignedOut {
        /// Why.
        reason: String,
    },
    /// A message: each exactly once, in the order of `seq` within its conversation, your own
    /// included. If it was edited or deleted before it was shown, this is its newest form.
    Message(Box<Message>),
    /// A message that was shown has another form: edited, pinned, reacted to.
    Updated(Box<Message>),
    /// A message that was shown was deleted for everyone.
    Deleted {
        /// Where.
        conversation_id: Uuid,
        /// Which.
        message_id: Uuid,
        /// Its number.
        seq: i64,
        /// The number of the change.
        version: i64,
    },
    /// So much changed while away that older messages may look different: load them again. New
    /// messages are still shown one by one.
    Reset {
        /// Where.
        conversation_id: Uuid,
    },
    /// A conversation is new or has changed. Only what came by catching up has `my` and `peer`.
    ConversationChanged(Box<Conversation>),
    /// A conversation is not yours any more, was deleted, or you hid it.
    ConversationRemoved {
        /// Which.
        conversation_id: Uuid,
    },
    /// A member came, went, or has another role. May be told twice.
    Member(MemberChange, MemberFrame),
    /// Somebody came online or went.
    Presence {
        /// Who.
        user_id: Uuid,
        /// Whether a device is connected; `None` where that is hidden.
        online: Option<bool>,
        /// When the last device went.
        last_seen: Option<Time>,
    },
    /// Somebody's profile changed.
    UserChanged(Box<Profile>),
    /// Any other frame, as it came.
    Frame(Box<ServerFrame>),
}

/// What happened to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// Came in.
    Added,
    /// Has another role; or, after having been away, came in or has another role.
    Updated,
    /// Went.
    Removed,
}
