//! One of each thing on the wire, for the documents: made of the wire's own types, so that an
//! example cannot have another form than what it is an example of.
//!
//! They tell one story. Ann and Bob have a direct chat and are in the group "Family".

mod frames;

use uuid::Uuid;

pub use self::frames::{client_frames, server_frames};
use crate::{Time, rest};

/// Ann's account.
pub const ANN: Uuid = id(1);
/// Bob's account.
pub const BOB: Uuid = id(2);
/// The group "Family".
pub const FAMILY: Uuid = id(3);
/// The channel "Announcements".
pub const ANNOUNCEMENTS: Uuid = id(4);
/// A message that Bob sent to the group.
pub const MESSAGE: Uuid = id(5);
/// Ann's laptop.
pub const SESSION: Uuid = id(6);
/// The emoji of the example reactions.
pub const EMOJI: &str = "👍";
/// The code of the example invite.
pub const CODE: &str = "q8Vd0cJxk3mW2fTn5sRb7A";

const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsxIn0.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl";
const SEALED: &str = "AZxH0n3mT5k2vQyJrB8cLw";

/// The chat between Ann and Bob: the id of a direct chat is derived from its two.
const DIRECT: Uuid = Uuid::from_u128(0x6b1f_9a3e_52c4_8d07_9e11_70a4_c8d2_35fb);

const fn id(n: u128) -> Uuid {
    Uuid::from_u128(0x0199_6c1e_8a40_7b00_8000_0000_0000_0000 + n)
}

/// Some seconds into the story.
fn at(seconds: i64) -> Time {
    Time::from_micros((1_790_000_000 + seconds) * 1_000_000)
}

/// The answer to a registration, a login, or a renewal.
pub fn login() -> rest::LoginAnswer {
    rest::LoginAnswer {
        token: TOKEN.to_owned(),
        token_type: "Bearer".to_owned(),
        expires_in: 900,
        refresh_token: SEALED.to_owned(),
        user: me(),
    }
}

/// Ann, as she sees herself.
pub fn me() -> rest::Me {
    rest::Me {
        id: ANN,
        username: "ann".to_owned(),
        email: "ann@example.org".to_owned(),
        display_name: "Ann".to_owned(),
        about: Some("Gone fishing".to_owned()),
        avatar_url: None,
        last_seen_visibility: rest::Visibility::Contacts,
        read_receipts: true,
        created_at: at(0),
    }
}

/// Bob, as Ann sees him.
pub fn profile() -> rest::Profile {
    rest::Profile {
        id: BOB,
        username: Some("bob".to_owned()),
        display_name: "Bob".to_owned(),
        about: None,
        avatar_url: None,
        online: Some(false),
        last_seen: Some(at(300)),
        created_at: at(10),
        deleted: false,
    }
}

/// A signed-in device.
pub fn session() -> rest::SessionInfo {
    rest::SessionInfo {
        id: SESSION,
        device_name: Some("Laptop".to_owned()),
        address: Some("203.0.113.7".to_owned()),
        user_agent: Some("Mozilla/5.0".to_owned()),
        created_at: at(0),
        last_used_at: at(600),
        current: true,
    }
}

/// A ticket for a WebSocket.
pub fn ticket() -> rest::Ticket {
    rest::Ticket { ticket: SEALED.to_owned(), expires_in: 30 }
}

/// Bob's message in the group, as frames carry it.
pub fn message() -> rest::Message {
    rest::Message {
        id: MESSAGE,
        conversation_id: FAMILY,
        seq: 42,
        version: 58,
        sender_id: BOB,
        client_message_id: "7d0c1a52-3f1e".to_owned(),
        message_type: rest::MessageType::Text,
        content: Some("Dinner at eight, @ann?".to_owned()),
        attachments: Vec::new(),
        reply_to: Some(rest::ReplyRef { id: id(7), seq: 41, sender_id: ANN, excerpt: None }),
        mentions: vec![ANN],
        reactions: vec![rest::Reaction { emoji: EMOJI.to_owned(), count: 1, user_ids: vec![ANN] }],
        system: None,
        created_at: at(400),
        edited_at: None,
        deleted_at: None,
        pinned_at: None,
        status: None,
    }
}

/// A message as its sender sees it by REST.
pub fn own_message() -> rest::Message {
    let message = message();
    rest::Message {
        status: Some(Some(rest::MessageStatus::Delivered)),
        reply_to: message.reply_to.clone().map(|reply| rest::ReplyRef {
            excerpt: Some("What shall we do tonight?".to_owned()),
            ..reply
        }),
        ..message
    }
}

/// The group, as Ann sees it.
pub fn group() -> rest::Conversation {
    rest::Conversation {
        id: FAMILY,
        kind: rest::Kind::Group,
        name: Some("Family".to_owned()),
        description: None,
        avatar_url: None,
        created_by: ANN,
        created_at: at(20),
        updated_at: at(20),
        member_count: 2,
        posting: rest::Posting::Everyone,
        last_seq: 42,
        version: 58,
        last_message_at: Some(at(400)),
        last_message: Some(message()),
        peer: None,
        my: Some(my()),
        members: None,
        receipts: None,
    }
}

/// Ann's place in the group.
pub fn my() -> rest::My {
    rest::My {
        role: rest::Role::Owner,
        first_seq: 1,
        read_seq: 41,
        delivered_seq: 42,
        unread_count: 1,
        unread_mentions: 1,
        muted_until: None,
        pinned: true,
        archived: false,
        hidden: false,
    }
}

/// The group, as the answer to making it shows it.
pub fn new_group() -> rest::Conversation {
    let members = vec![
        rest::Member { role: rest::Role::Owner, ..ann_as_member() },
        rest::Member {
            user_id: BOB,
            username: Some("bob".to_owned()),
            display_name: "Bob".to_owned(),
            role: rest::Role::Member,
            joined_at: at(20),
        },
    ];
    let my = rest::My {
        read_seq: 0,
        delivered_seq: 0,
        unread_count: 0,
        unread_mentions: 0,
        pinned: false,
        ..my()
    };
    rest::Conversation {
        last_seq: 0,
        version: 1,
        last_message_at: None,
        last_message: None,
        my: Some(my),
        members: Some(members),
        ..group()
    }
}

/// The direct chat with Bob, as Ann sees it.
pub fn direct() -> rest::Conversation {
    rest::Conversation {
        id: DIRECT,
        kind: rest::Kind::Direct,
        name: None,
        last_seq: 0,
        version: 1,
        last_message_at: None,
        last_message: None,
        peer: Some(profile()),
        my: Some(rest::My { role: rest::Role::Member, ..new_place() }),
        ..group()
    }
}

/// The channel, as a visitor sees it.
pub fn channel() -> rest::Conversation {
    rest::Conversation {
        id: ANNOUNCEMENTS,
        kind: rest::Kind::Channel,
        name: Some("Announcements".to_owned()),
        description: Some("What is new, from those who know".to_owned()),
        member_count: 1_204,
        posting: rest::Posting::Admins,
        last_seq: 0,
        version: 0,
        last_message_at: None,
        last_message: None,
        my: None,
        ..group()
    }
}

/// The channel, as the answer to making it shows it.
pub fn new_channel() -> rest::Conversation {
    let owner = rest::Member { role: rest::Role::Owner, ..ann_as_member() };
    rest::Conversation {
        members: Some(vec![owner]),
        member_count: 1,
        version: 1,
        my: Some(rest::My { role: rest::Role::Owner, ..new_place() }),
        ..channel()
    }
}

fn new_place() -> rest::My {
    rest::My {
        role: rest::Role::Member,
        first_seq: 1,
        read_seq: 0,
        delivered_seq: 0,
        unread_count: 0,
        unread_mentions: 0,
        muted_until: None,
        pinned: false,
        archived: false,
        hidden: false,
    }
}

/// One who has come into a channel, and what he sees of it.
pub fn joined_channel() -> rest::Conversation {
    let rest::Conversation { last_seq, version, last_message_at, .. } = group();
    let my = rest::My { read_seq: last_seq, ..new_place() };
    rest::Conversation { last_seq, version, last_message_at, my: Some(my), ..channel() }
}

/// A member.
pub fn member() -> rest::Member {
    rest::Member { role: rest::Role::Admin, ..ann_as_member() }
}

fn ann_as_member() -> rest::Member {
    rest::Member {
        user_id: ANN,
        username: Some("ann".to_owned()),
        display_name: "Ann".to_owned(),
        role: rest::Role::Member,
        joined_at: at(20),
    }
}

/// An invite into the group.
pub fn invite() -> rest::Invite {
    rest::Invite {
        code: CODE.to_owned(),
        url: format!("https://chat.example.org/invite/{CODE}"),
        expires_at: Some(at(86_420)),
        max_uses: Some(10),
        uses: 1,
    }
}

/// How far a message has come with one member.
pub fn receipt() -> rest::Receipt {
    rest::Receipt {
        user_id: ANN,
        status: rest::MessageStatus::Read,
        delivered_at: Some(at(401)),
        read_at: Some(at(460)),
    }
}

/// A message that has been read.
pub fn message_read() -> rest::MessageRead {
    rest::MessageRead { message_id: MESSAGE, status: rest::MessageStatus::Read, read_at: at(460) }
}

/// A page of a history.
pub fn history() -> rest::History {
    rest::History {
        items: vec![message()],
        has_before: true,
        has_after: false,
        has_more: true,
        version: 58,
    }
}

/// What changed in a conversation.
pub fn changes() -> rest::Changes {
    rest::Changes {
        version: 58,
        has_more: false,
        reset: false,
        conversation: group(),
        messages: vec![message()],
        members: vec![rest::MemberChanged { member: member(), version: 57, left: false }],
    }
}

/// What changed for Ann.
pub fn sync() -> rest::Sync {
    let receipts = vec![rest::MemberMarks { user_id: BOB, delivered_seq: 42, read_seq: 42 }];
    rest::Sync {
        token: SEALED.to_owned(),
        has_more: false,
        conversations: vec![rest::Conversation { receipts: Some(receipts), ..group() }],
        removed: vec![ANNOUNCEMENTS],
        users: vec![profile()],
        presence: vec![rest::PresenceEntry {
            user_id: BOB,
            online: Some(false),
            last_seen: Some(at(300)),
        }],
        blocks: Vec::new(),
        me: me(),
    }
}

/// A page that is the only one.
pub fn page<T>(item: T) -> rest::Items<T> {
    rest::Items { items: vec![item], next_cursor: None }
}

/// What is wrong, when nothing is there.
pub fn problem() -> rest::Problem {
    rest::Problem {
        kind: "urn:kith:problem:not_found".to_owned(),
        title: "Not Found".to_owned(),
        status: 404,
        detail: "it does not exist, or is none of your business".to_owned(),
        code: "not_found".to_owned(),
        request_id: "0199754f-11c0-7a11-8000-4f8a2f5c9d01".to_owned(),
        errors: Vec::new(),
    }
}
