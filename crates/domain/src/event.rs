//! What happened, and whom it concerns.

use std::sync::Arc;

use crate::{
    conversation::{Conversation, Head, Seq, Version},
    group::Role,
    id::{ConversationId, MessageId, UserId},
    message::Message,
    receipt::Mark,
    text::{Emoji, Username},
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
    /// A message's text was changed, or it was pinned or is not any more.
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
    /// Somebody has reacted to a message.
    ReactionAdded(ReactionEvent),
    /// Somebody has taken a reaction back.
    ReactionRemoved(ReactionEvent),
    /// Somebody has received or read messages.
    ReceiptUpdated(ReceiptEvent),
    /// Somebody has begun to type.
    TypingStarted(TypingEvent),
    /// Somebody types no more.
    TypingStopped(TypingEvent),
    /// One's own settings of a conversation were changed on one of one's devices.
    SettingsUpdated(ConversationId),
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
        /// When; `None`: that is not for others to know.
        last_seen: Option<Timestamp>,
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

/// A reaction given or taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReactionEvent {
    /// Where.
    pub conversation_id: ConversationId,
    /// To which message.
    pub message_id: MessageId,
    /// Its number.
    pub seq: Seq,
    /// Who.
    pub user_id: UserId,
    /// The emoji.
    pub emoji: Emoji,
    /// The number of this change.
    pub version: Version,
}

/// A watermark that moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptEvent {
    /// Where.
    pub conversation_id: ConversationId,
    /// Whose.
    pub user_id: UserId,
    /// Which.
    pub mark: Mark,
    /// Everything up to this number.
    pub seq: Seq,
    /// The message of this number.
    pub message_id: Option<MessageId>,
    /// When.
    pub at: Timestamp,
}

/// Somebody who types, or does no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypingEvent {
    /// Where.
    pub conversation_id: ConversationId,
    /// Who.
    pub user_id: UserId,
    /// The name he is found by.
    pub username: Username,
}

/// Whom an event concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// All members of a group or channel, as they are when the event is told.
    Members(ConversationId),
    /// The same without one of them.
    Others(ConversationId, UserId),
    /// These people. A direct chat's events go to its two.
    Users(Vec<UserId>),
}

impl Event {
    /// The conversation it happened in; `None` for what concerns a person.
    pub fn conversation_id(&self) -> Option<ConversationId> {
        match self {
            Self::MessageSent(message) | Self::MessageUpdated(message) => {
                Some(message.conversation_id)
            }
            Self::MessageDeleted { conversation_id, .. } => Some(*conversation_id),
            Self::ReactionAdded(it) | Self::ReactionRemoved(it) => Some(it.conversation_id),
            Self::ReceiptUpdated(it) => Some(it.conversation_id),
            Self::TypingStarted(it) | Self::TypingStopped(it) => Some(it.conversation_id),
            Self::ConversationCreated(conversation, _)
            | Self::ConversationUpdated(conversation, _) => Some(conversation.id),
            Self::SettingsUpdated(id) | Self::ConversationRemoved(id) => Some(*id),
            Self::MemberAdded(it) | Self::MemberUpdated(it) | Self::MemberRemoved(it) => {
                Some(it.conversation_id)
            }
            Self::UserOnline(_) | Self::UserOffline { .. } | Self::UserUpdated(_) => None,
        }
    }

    /// Whether it may be left out for a socket that cannot keep up: it tells of something that passes
    /// by itself, or that every sync tells whole. A receipt is neither: a sync brings it only where the
    /// token is older than it.
    pub const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::TypingStarted(_)
                | Self::TypingStopped(_)
                | Self::UserOnline(_)
                | Self::UserOffline { .. }
        )
    }
}

impl Conversation {
    /// Whom the events of this conversation concern.
    pub fn audience(&self) -> Audience {
        match self.pair {
            Some((a, b)) => Audience::Users(vec![a, b]),
            None => Audience::Members(self.id),
        }
    }

    /// The same without one of its members.
    pub fn audience_but(&self, one: UserId) -> Audience {
        match self.peer_of(one) {
            Some(peer) => Audience::Users(vec![peer]),
            None => Audience::Others(self.id, one),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn presence_may_be_left_out_and_a_receipt_may_not() {
        let user_id = UserId::from_uuid(Uuid::from_u128(1));
        assert!(Event::UserOnline(user_id).is_passing());
        assert!(Event::UserOffline { user_id, last_seen: None }.is_passing());
        let receipt = ReceiptEvent {
            conversation_id: ConversationId::from_uuid(Uuid::from_u128(2)),
            user_id,
            mark: Mark::Read,
            seq: 1,
            message_id: None,
            at: Timestamp::from_micros(0),
        };
        assert!(!Event::ReceiptUpdated(receipt).is_passing());
    }
}
