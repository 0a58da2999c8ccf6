//! What is to be sent, and where to.

use kith_domain::{
    ConversationId, MessageId, Refusal, UserId,
    conversation::pair,
    message::MessageKind,
    text::{ClientMessageId, Content},
};

/// Where a message is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To a conversation of any kind.
    Conversation(ConversationId),
    /// To a group or channel.
    Group(ConversationId),
    /// To a person: the direct chat, made if it is missing.
    Person(UserId),
}

impl Target {
    /// The conversation that `me` means by it, whether it exists or not.
    ///
    /// Refused where there can be none: a direct chat is no group, and nobody writes to himself.
    pub fn conversation(self, me: UserId) -> Result<ConversationId, Refusal> {
        match self {
            Self::Group(id) if id.is_direct() => Err(Refusal::not_a_member()),
            Self::Conversation(id) | Self::Group(id) => Ok(id),
            Self::Person(peer) => {
                pair(me, peer, "to")?;
                Ok(ConversationId::direct(me, peer))
            }
        }
    }
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Where to.
    pub target: Target,
    /// Its text.
    pub content: Content,
    /// The sender's own id for it; one is made if there is none.
    pub client_message_id: Option<ClientMessageId>,
    /// Its kind.
    pub kind: MessageKind,
    /// The message it answers.
    pub reply_to: Option<MessageId>,
}

#[cfg(test)]
mod tests {
    use kith_domain::Code;

    use super::*;
    use crate::fixtures::{group_id, user};

    #[test]
    fn a_target_means_one_conversation_or_none() {
        let meant = |target: Target| target.conversation(user(1)).map_err(|refusal| refusal.code);
        let direct = ConversationId::direct(user(1), user(2));
        for target in [Target::Conversation(group_id()), Target::Group(group_id())] {
            assert_eq!(meant(target), Ok(group_id()));
        }
        assert_eq!(meant(Target::Conversation(direct)), Ok(direct));
        assert_eq!(meant(Target::Person(user(2))), Ok(direct));
        assert_eq!(meant(Target::Group(direct)), Err(Code::NotAMember));
        assert_eq!(meant(Target::Person(user(1))), Err(Code::OneSelf));
    }
}
