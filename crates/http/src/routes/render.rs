//! From what use cases return to what the wire says.

use std::collections::HashMap;

use kith_app::{
    people::{People, Seen},
    sessions::TokenPair,
};
use kith_domain::{UserId, user::User};
use kith_ports::{ConversationCard, Listing, MemberRow, MessageCard, SyncedConversation};
use kith_protocol::rest;

/// The answer to a login.
pub(crate) fn login(user: &User, tokens: TokenPair) -> rest::LoginAnswer {
    rest::LoginAnswer {
        token: tokens.access,
        token_type: "Bearer".to_owned(),
        expires_in: tokens.expires_in,
        refresh_token: tokens.refresh,
        user: user.into(),
    }
}

pub(crate) fn profile(seen: &Seen) -> rest::Profile {
    (&seen.user, seen.presence).into()
}

/// Conversations as `viewer` sees them, with the presence of the others of direct chats, which is
/// read for all of them at once.
pub(crate) async fn conversations(
    people: &People,
    viewer: UserId,
    mut cards: Vec<ConversationCard>,
) -> kith_app::Result<Vec<rest::Conversation>> {
    let peers: Vec<User> = cards.iter_mut().filter_map(|card| card.peer.take()).collect();
    let seen = people.seen_by(viewer, peers).await?;
    let peers: HashMap<UserId, rest::Profile> =
        seen.iter().map(|seen| (seen.user.id, profile(seen))).collect();
    let render = |card: &ConversationCard| {
        let peer = card.conversation.peer_of(viewer).and_then(|id| peers.get(&id).cloned());
        conversation(viewer, card, peer)
    };
    Ok(cards.iter().map(render).collect())
}

/// One conversation.
pub(crate) async fn one_conversation(
    people: &People,
    viewer: UserId,
    card: ConversationCard,
) -> kith_app::Result<rest::Conversation> {
    let mut rendered = conversations(people, viewer, vec![card]).await?;
    rendered.pop().ok_or(kith_app::Error::Internal(None))
}

fn conversation(
    viewer: UserId,
    card: &ConversationCard,
    peer: Option<rest::Profile>,
) -> rest::Conversation {
    rest::Conversation {
        last_message: card.last_message.as_ref().map(|card| message(viewer, card)),
        peer,
        my: Some(my(card)),
        ..(&card.conversation, &card.head).into()
    }
}

/// The conversations of a sync: with the marks of their other members, where those are known.
pub(crate) async fn synced(
    people: &People,
    viewer: UserId,
    synced: Vec<SyncedConversation>,
) -> kith_app::Result<Vec<rest::Conversation>> {
    let (cards, marks): (Vec<_>, Vec<_>) =
        synced.into_iter().map(|synced| (synced.card, synced.marks)).unzip();
    let mut rendered = conversations(people, viewer, cards).await?;
    for (conversation, marks) in rendered.iter_mut().zip(marks) {
        conversation.receipts = marks.map(|marks| {
            let marks = marks.iter().map(|member| rest::MemberMarks {
                user_id: *member.user_id.as_uuid(),
                delivered_seq: member.marks.delivered,
                read_seq: member.marks.read,
            });
            marks.collect()
        });
    }
    Ok(rendered)
}

/// A channel as anyone may see it: how much is said in it is for its members to know.
pub(crate) fn listing(listing: &Listing) -> rest::Conversation {
    let face = rest::Conversation::from((&listing.conversation, &listing.head));
    if listing.joined {
        return face;
    }
    rest::Conversation { last_seq: 0, version: 0, last_message_at: None, ..face }
}

/// A member's own place in a conversation.
pub(crate) fn my(card: &ConversationCard) -> rest::My {
    let my = &card.my;
    rest::My {
        role: my.role.into(),
        first_seq: my.first_seq,
        read_seq: my.marks.read,
        delivered_seq: my.marks.delivered,
        unread_count: card.unread.count,
        unread_mentions: card.unread.mentions,
        muted_until: my.muted_until.map(Into::into),
        pinned: my.pinned,
        archived: my.archived,
        hidden: my.hidden,
    }
}

/// A message as one member sees it: what he said himself with how far it has come, which in a large
/// conversation is not known.
pub(crate) fn message(viewer: UserId, card: &MessageCard) -> rest::Message {
    let is_own = card.message.sender_id == viewer && !card.message.is_system();
    let message = rest::Message::from(&card.message);
    let excerpt = card.excerpt.as_ref().map(ToString::to_string);
    rest::Message {
        status: is_own.then(|| card.status.map(Into::into)),
        reply_to: message.reply_to.map(|reply| rest::ReplyRef { excerpt, ..reply }),
        ..message
    }
}

pub(crate) fn member(row: &MemberRow) -> rest::Member {
    rest::Member {
        user_id: *row.user.id.as_uuid(),
        username: row.user.username.as_ref().map(ToString::to_string),
        display_name: row.user.display_name.to_string(),
        role: row.role.into(),
        joined_at: row.joined_at.into(),
    }
}

#[cfg(test)]
mod tests {
    use kith_domain::{
        ConversationId, MessageId, Timestamp,
        conversation::{Conversation, Head, Kind, Posting},
        message::{Body, Message, MessageKind, SystemEvent},
        receipt::Status,
        text::{ClientMessageId, Content},
    };
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    fn user(n: u128) -> UserId {
        UserId::from_uuid(Uuid::from_u128(n))
    }

    fn channel(joined: bool) -> Listing {
        let at = Timestamp::from_micros(1);
        Listing {
            conversation: Conversation {
                id: ConversationId::from_uuid(Uuid::from_u128(1)),
                kind: Kind::Channel,
                pair: None,
                name: None,
                description: None,
                posting: Posting::Everyone,
                created_by: user(1),
                created_at: at,
                updated_at: at,
                member_count: 7,
                settings_epoch: 1,
            },
            head: Head { last_seq: 41, version: 58, member_epoch: 1, last_message_at: Some(at) },
            joined,
        }
    }

    #[test]
    fn a_visitor_is_not_told_how_much_is_said_in_a_channel() {
        let seen = listing(&channel(false));
        assert_eq!((seen.last_seq, seen.version, seen.last_message_at), (0, 0, None));
        assert_eq!(seen.member_count, 7);
        let seen = listing(&channel(true));
        assert_eq!((seen.last_seq, seen.version), (41, 58));
        assert!(seen.last_message_at.is_some());
    }

    fn card(body: Body, status: Option<Status>) -> MessageCard {
        let message = Message {
            id: MessageId::from_uuid(Uuid::from_u128(3)),
            conversation_id: ConversationId::from_uuid(Uuid::from_u128(1)),
            seq: 1,
            version: 2,
            sender_id: user(1),
            client_message_id: ClientMessageId::parse("c").unwrap(),
            body,
            reply_to: None,
            mentions: Vec::new(),
            reactions: Vec::new(),
            created_at: Timestamp::from_micros(1),
            edited_at: None,
            deleted_at: None,
            pinned_at: None,
        };
        MessageCard { message, status, excerpt: None }
    }

    /// `status` as it stands on the wire for a viewer.
    fn status(viewer: UserId, card: &MessageCard) -> Option<Value> {
        serde_json::to_value(message(viewer, card)).unwrap().get("status").cloned()
    }

    #[test]
    fn ones_own_messages_always_have_a_status_and_those_of_others_never() {
        let said = |status| {
            let content = Some(Content::parse("hi").unwrap());
            card(Body::Said { kind: MessageKind::Text, content }, status)
        };
        assert_eq!(status(user(1), &said(Some(Status::Read))), Some(json!("read")));
        assert_eq!(status(user(1), &said(None)), Some(Value::Null));
        assert_eq!(status(user(2), &said(None)), None);
        let noted = card(Body::Noted(SystemEvent::MemberLeft), None);
        assert_eq!(status(user(1), &noted), None);
    }
}
