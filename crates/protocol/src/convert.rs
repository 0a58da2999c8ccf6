//! From the domain's types to the wire's.

use kith_domain::{
    Timestamp, UserId, conversation as domain_conversation,
    conversation::{Conversation, Head},
    error::FieldError,
    event::{MemberEvent, ReactionEvent, TypingEvent},
    group, message as domain_message,
    message::SystemEvent,
    presence::Presence,
    receipt,
    user::{self, User},
};

use crate::{Time, frame, rest};

impl From<Timestamp> for Time {
    fn from(time: Timestamp) -> Self {
        Self::from_micros(time.as_micros())
    }
}

impl From<group::Role> for rest::Role {
    fn from(role: group::Role) -> Self {
        match role {
            group::Role::Member => Self::Member,
            group::Role::Admin => Self::Admin,
            group::Role::Owner => Self::Owner,
        }
    }
}

impl From<rest::Role> for group::Role {
    fn from(role: rest::Role) -> Self {
        match role {
            rest::Role::Member => Self::Member,
            rest::Role::Admin => Self::Admin,
            rest::Role::Owner => Self::Owner,
        }
    }
}

impl From<domain_conversation::Kind> for rest::Kind {
    fn from(kind: domain_conversation::Kind) -> Self {
        match kind {
            domain_conversation::Kind::Direct => Self::Direct,
            domain_conversation::Kind::Group => Self::Group,
            domain_conversation::Kind::Channel => Self::Channel,
        }
    }
}

impl From<rest::Kind> for domain_conversation::Kind {
    fn from(kind: rest::Kind) -> Self {
        match kind {
            rest::Kind::Direct => Self::Direct,
            rest::Kind::Group => Self::Group,
            rest::Kind::Channel => Self::Channel,
        }
    }
}

impl From<domain_conversation::Posting> for rest::Posting {
    fn from(posting: domain_conversation::Posting) -> Self {
        match posting {
            domain_conversation::Posting::Everyone => Self::Everyone,
            domain_conversation::Posting::Admins => Self::Admins,
        }
    }
}

impl From<rest::Posting> for domain_conversation::Posting {
    fn from(posting: rest::Posting) -> Self {
        match posting {
            rest::Posting::Everyone => Self::Everyone,
            rest::Posting::Admins => Self::Admins,
        }
    }
}

impl From<user::Visibility> for rest::Visibility {
    fn from(visibility: user::Visibility) -> Self {
        match visibility {
            user::Visibility::Everyone => Self::Everyone,
            user::Visibility::Contacts => Self::Contacts,
            user::Visibility::Nobody => Self::Nobody,
        }
    }
}

impl From<rest::Visibility> for user::Visibility {
    fn from(visibility: rest::Visibility) -> Self {
        match visibility {
            rest::Visibility::Everyone => Self::Everyone,
            rest::Visibility::Contacts => Self::Contacts,
            rest::Visibility::Nobody => Self::Nobody,
        }
    }
}

impl From<domain_message::MessageKind> for rest::MessageType {
    fn from(kind: domain_message::MessageKind) -> Self {
        match kind {
            domain_message::MessageKind::Text => Self::Text,
            domain_message::MessageKind::Image => Self::Image,
            domain_message::MessageKind::File => Self::File,
        }
    }
}

impl From<&domain_message::Message> for rest::Message {
    fn from(message: &domain_message::Message) -> Self {
        Self {
            id: *message.id.as_uuid(),
            conversation_id: *message.conversation_id.as_uuid(),
            seq: message.seq,
            version: message.version,
            sender_id: *message.sender_id.as_uuid(),
            client_message_id: message.client_message_id.as_str().to_owned(),
            message_type: match &message.body {
                domain_message::Body::Said { kind, .. } => (*kind).into(),
                domain_message::Body::Noted(_) => rest::MessageType::System,
            },
            content: message.content().map(|content| content.as_str().to_owned()),
            attachments: Vec::new(),
            reply_to: message.reply_to.map(|reply| rest::ReplyRef {
                id: *reply.id.as_uuid(),
                seq: reply.seq,
                sender_id: *reply.sender_id.as_uuid(),
                excerpt: None,
            }),
            mentions: message.mentions.iter().map(|user| *user.as_uuid()).collect(),
            reactions: message.reactions.iter().map(Into::into).collect(),
            system: match &message.body {
                domain_message::Body::Said { .. } => None,
                domain_message::Body::Noted(event) => Some((message.sender_id, event).into()),
            },
            created_at: message.created_at.into(),
            edited_at: message.edited_at.map(Into::into),
            deleted_at: message.deleted_at.map(Into::into),
            pinned_at: message.pinned_at.map(Into::into),
            status: None,
        }
    }
}

impl From<&domain_message::Reaction> for rest::Reaction {
    fn from(reaction: &domain_message::Reaction) -> Self {
        Self {
            emoji: reaction.emoji.to_string(),
            count: reaction.count,
            user_ids: reaction.users.iter().map(|user| *user.as_uuid()).collect(),
        }
    }
}

impl From<(UserId, &SystemEvent)> for rest::SystemEvent {
    fn from((actor, event): (UserId, &SystemEvent)) -> Self {
        let (event, user, name) = match event {
            SystemEvent::MemberAdded(user) => {
                (rest::SystemEventKind::MemberAdded, Some(*user), None)
            }
            SystemEvent::MemberRemoved(user) => {
                (rest::SystemEventKind::MemberRemoved, Some(*user), None)
            }
            SystemEvent::MemberLeft => (rest::SystemEventKind::MemberLeft, Some(actor), None),
            SystemEvent::Renamed(name) => {
                (rest::SystemEventKind::Renamed, None, Some(name.to_string()))
            }
        };
        Self { event, actor_id: *actor.as_uuid(), user_id: user.map(|user| *user.as_uuid()), name }
    }
}

impl From<receipt::Status> for rest::MessageStatus {
    fn from(status: receipt::Status) -> Self {
        match status {
            receipt::Status::Sent => Self::Sent,
            receipt::Status::Delivered => Self::Delivered,
            receipt::Status::Read => Self::Read,
        }
    }
}

impl From<receipt::Mark> for rest::MessageStatus {
    fn from(mark: receipt::Mark) -> Self {
        match mark {
            receipt::Mark::Delivered => Self::Delivered,
            receipt::Mark::Read => Self::Read,
        }
    }
}

impl From<(&Conversation, &Head)> for rest::Conversation {
    fn from((conversation, head): (&Conversation, &Head)) -> Self {
        Self {
            id: *conversation.id.as_uuid(),
            kind: conversation.kind.into(),
            name: conversation.name.as_ref().map(ToString::to_string),
            description: conversation.description.as_ref().map(ToString::to_string),
            avatar_url: None,
            created_by: *conversation.created_by.as_uuid(),
            created_at: conversation.created_at.into(),
            updated_at: conversation.updated_at.into(),
            member_count: conversation.member_count,
            posting: conversation.posting.into(),
            last_seq: head.last_seq,
            version: head.version,
            last_message_at: head.last_message_at.map(Into::into),
            last_message: None,
            peer: None,
            my: None,
            members: None,
            receipts: None,
        }
    }
}

/// `online` and `last_seen`, as far as they may be known.
fn shown(presence: Presence) -> (Option<bool>, Option<Time>) {
    match presence {
        Presence::Hidden => (None, None),
        Presence::Online => (Some(true), None),
        Presence::Offline { last_seen } => (Some(false), last_seen.map(Into::into)),
    }
}

impl From<(&User, Presence)> for rest::PresenceEntry {
    fn from((user, presence): (&User, Presence)) -> Self {
        let (online, last_seen) = shown(presence);
        Self { user_id: *user.id.as_uuid(), online, last_seen }
    }
}

impl From<(&User, Presence)> for rest::Profile {
    fn from((user, presence): (&User, Presence)) -> Self {
        let (online, last_seen) = shown(presence);
        Self {
            id: *user.id.as_uuid(),
            username: user.username.as_ref().map(ToString::to_string),
            display_name: user.display_name.to_string(),
            about: user.about.as_ref().map(ToString::to_string),
            avatar_url: None,
            online,
            last_seen,
            created_at: user.created_at.into(),
            deleted: user.is_deleted(),
        }
    }
}

impl From<&User> for rest::Me {
    fn from(user: &User) -> Self {
        Self {
            id: *user.id.as_uuid(),
            username: user.username.as_ref().map(ToString::to_string).unwrap_or_default(),
            email: user.email.as_ref().map(ToString::to_string).unwrap_or_default(),
            display_name: user.display_name.to_string(),
            about: user.about.as_ref().map(ToString::to_string),
            avatar_url: None,
            last_seen_visibility: user.privacy.last_seen.into(),
            read_receipts: user.privacy.read_receipts,
            created_at: user.created_at.into(),
        }
    }
}

impl From<&FieldError> for rest::FieldProblem {
    fn from(error: &FieldError) -> Self {
        Self {
            field: error.field.to_string(),
            code: error.code.to_string(),
            message: error.message.to_string(),
        }
    }
}

impl From<&MemberEvent> for frame::MemberFrame {
    fn from(event: &MemberEvent) -> Self {
        Self {
            conversation_id: *event.conversation_id.as_uuid(),
            user_id: *event.user_id.as_uuid(),
            role: event.role.into(),
            version: event.version,
        }
    }
}

impl From<&ReactionEvent> for frame::ReactionFrame {
    fn from(event: &ReactionEvent) -> Self {
        Self {
            conversation_id: *event.conversation_id.as_uuid(),
            message_id: *event.message_id.as_uuid(),
            seq: event.seq,
            user_id: *event.user_id.as_uuid(),
            emoji: event.emoji.to_string(),
            version: event.version,
        }
    }
}

impl From<&TypingEvent> for frame::TypingFrame {
    fn from(event: &TypingEvent) -> Self {
        Self {
            conversation_id: *event.conversation_id.as_uuid(),
            user_id: *event.user_id.as_uuid(),
            username: event.username.to_string(),
        }
    }
}
