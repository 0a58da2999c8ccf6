//! What happened, and whom it concerns.

use std::sync::Arc;

use crate::{
    conversation::{Conversation, Head, Seq, Version},
    group::Role,
    id::{ConversationId, MessageId, UserId},
    message::Message,
    time::Timestamp,
    user::User,
};

/// Something that others should hear of.
///
/// Events of one conversation are told in the order of their `version`.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A message was sent.
    MessageSent(Arc<Message>),
    /// A message's text was changed.
    MessageUpdated(Arc<Message>),
    /// A message was deleted for everyone.
    MessageDeleted {
        /// Where.
        conversation_id: ConversationId,
        /// Which.
        message_id: MessageId,
        /// Its number.
        seq: Seq,
        /// The number of this change.
        version: Version,
    },
    /// A conversation is there: it was made, or one has just come into it.
    ConversationCreated(Arc<Conversation>, Head),
    /// Its name, description or rules were changed.
    ConversationUpdated(Arc<Conversation>, Head),
    /// It is gone: deleted for all, left, or hidden.
    ConversationRemoved(ConversationId),
    /// Somebody came in.
    MemberAdded(MemberEvent),
    /// Somebody has another role.
    MemberUpdated(MemberEvent),
    /// Somebody went.
    MemberRemoved(MemberEvent),
    /// The first device of a person has come.
    UserOnline(UserId),
    /// The last device of a person has gone.
    UserOffline {
        /// Who.
        user_id: UserId,
        /// When.
        last_seen: Timestamp,
    },
    /// A profile was changed.
    UserUpdated(Arc<User>),
}

/// A change of one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberEvent {
    /// Where.
    pub conversation_id: ConversationId,
    /// Who.
    pub user_id: UserId,
    /// His role, the last one if he went.
    pub role: Role,
    /// The number of this change.
    pub version: Version,
}

/// Whom an event concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// All members of a group or channel, as they are when the event is told.
    Members(ConversationId),
    /// These people. A direct chat's events go to its two.
    Users(Vec<UserId>),
}

impl Conversation {
    /// Whom the events of this conversation concern.
    pub fn audience(&self) -> Audience {
        match self.pair {
            Some((a, b)) => Audience::Users(vec![a, b]),
            None => Audience::Members(self.id),
        }
    }
}
