//! Builders of valid values, told apart by a number.
//!
//! The same number gives the same value: `user(1)` is `user_1`, whose id is [`user_id`]`(1)`.

use std::time::Duration;

use kith_domain::{
    ConversationId, MessageId, SessionId, Timestamp, UserId,
    conversation::{Conversation, Kind, Posting, Seq},
    group::{MemberChange, Role},
    message::{Body, Digest, Message, MessageKind},
    session::{Device, Session},
    text::{ClientMessageId, Content, Email, Emoji, Name, Username},
    user::{Privacy, User},
};
use kith_ports::{
    NewAccount, TokenHash,
    log::{Change, Command, Open, React, Send},
};
use uuid::Uuid;

/// The `n`th second after 2026-01-01T00:00:00Z.
pub const fn at(n: u64) -> Timestamp {
    Timestamp::from_micros(1_767_225_600_000_000 + n.cast_signed() * 1_000_000)
}

/// An id of version 7, so that it is taken for what ids in use are.
fn uuid(space: u8, n: u64) -> Uuid {
    let mut bytes = [0; 10];
    bytes[0] = space;
    bytes[2..].copy_from_slice(&n.to_be_bytes());
    uuid::Builder::from_unix_timestamp_millis(1_767_225_600_000 + n, &bytes).into_uuid()
}

/// The id of the `n`th account.
pub fn user_id(n: u64) -> UserId {
    UserId::from_uuid(uuid(1, n))
}

/// The id of the `n`th session.
pub fn session_id(n: u64) -> SessionId {
    SessionId::from_uuid(uuid(2, n))
}

/// The id of the `n`th group or channel.
pub fn conversation_id(n: u64) -> ConversationId {
    ConversationId::from_uuid(uuid(3, n))
}

/// The id of the `n`th message.
pub fn message_id(n: u64) -> MessageId {
    MessageId::from_uuid(uuid(4, n))
}

/// The id of the `n`th note of what happened in a group.
pub fn note_id(n: u64) -> MessageId {
    MessageId::from_uuid(uuid(5, n))
}

/// A name.
///
/// # Panics
/// If it is not valid.
pub fn name(text: &str) -> Name {
    Name::parse(text).expect("a valid name")
}

/// The text of a message.
///
/// # Panics
/// If it is not valid.
pub fn content(text: &str) -> Content {
    Content::parse(text).expect("valid content")
}

/// A client's own id of a message.
///
/// # Panics
/// If it is not valid.
pub fn client_message_id(text: &str) -> ClientMessageId {
    ClientMessageId::parse(text).expect("a valid client message id")
}

/// The account `user_<n>`, whose display name is `User <n>`.
///
/// # Panics
/// Never: names made of a number are valid.
pub fn user(n: u64) -> User {
    User {
        id: user_id(n),
        username: Some(Username::parse(&format!("user_{n}")).expect("a valid name")),
        email: Some(Email::parse(&format!("user_{n}@example.org")).expect("a valid address")),
        display_name: name(&format!("User {n}")),
        about: None,
        privacy: Privacy::default(),
        created_at: at(0),
        deleted_at: None,
        last_seen: None,
    }
}

/// A session of `user`, made at `at(0)`.
pub fn session(n: u64, user: UserId) -> Session {
    Session {
        id: session_id(n),
        user_id: user,
        device: Device {
            name: Some(name("Phone")),
            address: Some(String::from("192.0.2.1")),
            user_agent: Some(String::from("kith-testkit")),
        },
        generation: 1,
        created_at: at(0),
        last_used_at: at(0),
        expires_at: Session::expiry(at(0), at(0)),
        revoked_at: None,
    }
}

/// The hash of some refresh token.
pub const fn token_hash(byte: u8) -> TokenHash {
    TokenHash([byte; 32])
}

/// The hash of the password of `user(n)`.
pub fn password_hash(n: u64) -> String {
    format!("hash of user_{n}")
}

/// `user(n)` with its first session, `session(n)`.
pub fn account(n: u64) -> NewAccount {
    NewAccount {
        user: user(n),
        password_hash: password_hash(n),
        session: session(n, user_id(n)),
        token_hash: token_hash(1),
    }
}

/// The group or channel `Room <n>`.
pub fn room(n: u64, kind: Kind, created_by: UserId) -> Conversation {
    Conversation {
        id: conversation_id(n),
        kind,
        pair: None,
        name: Some(name(&format!("Room {n}"))),
        description: None,
        posting: Posting::Everyone,
        created_by,
        created_at: at(0),
        updated_at: at(0),
        member_count: 1,
        settings_epoch: 1,
    }
}

/// The group `Room <n>`.
pub fn group(n: u64, created_by: UserId) -> Conversation {
    room(n, Kind::Group, created_by)
}

/// The command that makes `conversation`: its creator is the owner, the others are members.
pub fn create(conversation: Conversation, others: &[UserId]) -> Command {
    let owner = (conversation.created_by, Role::Owner);
    let members =
        std::iter::once(owner).chain(others.iter().map(|id| (*id, Role::Member))).collect();
    Command {
        conversation_id: conversation.id,
        at: conversation.created_at,
        change: Change::Create { conversation, members },
    }
}

/// The change of members by `by`, decided under `member_epoch`. The notes of it have the ids
/// [`note_id`]`(n)` and on.
pub fn members(by: UserId, changes: &[MemberChange], n: u64, member_epoch: i64) -> Change {
    let changes = changes.iter().copied().zip((n..).map(note_id)).collect();
    Change::Members { by, changes, member_epoch }
}

/// The `seq`th message of a conversation, which says `hi`, as it was stored: its change has the same
/// number.
pub fn message(conversation_id: ConversationId, seq: Seq, sender_id: UserId) -> Message {
    Message {
        id: message_id(seq.unsigned_abs()),
        conversation_id,
        seq,
        version: seq,
        sender_id,
        client_message_id: client_message_id("c"),
        body: Body::Said { kind: MessageKind::Text, content: Some(content("hi")) },
        reply_to: None,
        mentions: Vec::new(),
        reactions: Vec::new(),
        created_at: at(0),
        edited_at: None,
        deleted_at: None,
        pinned_at: None,
    }
}

/// The command that opens the direct chat of two, at `at(1)`.
pub fn open(by: UserId, peer: UserId) -> Command {
    Command {
        conversation_id: ConversationId::direct(by, peer),
        at: at(1),
        change: Change::Open(Open { by, peer }),
    }
}

/// A reaction to a message.
///
/// # Panics
/// If it is no emoji.
pub fn reaction(message_id: MessageId, by: UserId, emoji: &str) -> Change {
    let emoji = Emoji::parse(emoji).expect("an emoji");
    Change::React(React { message_id, by, emoji, given: true })
}

/// The `n`th message: its id and the client's own id come from the number.
pub fn send(n: u64, sender_id: UserId, text: &str) -> Send {
    let content = content(text);
    Send {
        id: message_id(n),
        sender_id,
        peer: None,
        client_message_id: client_message_id(&format!("c-{n}")),
        digest: Digest::of(MessageKind::Text, &content, None),
        kind: MessageKind::Text,
        content,
        reply_to: None,
    }
}

/// The command that sends `send(n)` to a conversation, at `at(n)`.
pub fn send_to(conversation_id: ConversationId, n: u64, sender: UserId, text: &str) -> Command {
    Command { conversation_id, at: at(n), change: Change::Send(send(n, sender, text)) }
}

/// The command that sends `send(n)` to a person, at `at(n)`.
pub fn write_to(peer: UserId, n: u64, sender: UserId, text: &str) -> Command {
    let send = Send { peer: Some(peer), ..send(n, sender, text) };
    Command {
        conversation_id: ConversationId::direct(sender, peer),
        at: at(n),
        change: Change::Send(send),
    }
}

/// `seconds` as a span.
pub const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
