//! The statements of the hot path, each prepared once.

use diesel::sql_types::{BigInt, Binary, Integer, Nullable, SmallInt, Text};

use super::Backend;
use crate::{
    statement::statement,
    types::{
        Key, Moment,
        sql::{Id, Timestamp},
    },
};

/// What becomes of a member's row that is there already: all of it is as in the new one.
pub(crate) const REPLACE_MEMBER: &str = "ON CONFLICT (conversation_id, user_id) DO UPDATE SET role = excluded.role, \
         joined_at = excluded.joined_at, first_seq = excluded.first_seq, \
         left_seq = excluded.left_seq, version = excluded.version, \
         delivered_seq = excluded.delivered_seq, delivered_at = excluded.delivered_at, \
         read_seq = excluded.read_seq, read_at = excluded.read_at, \
         muted_until = excluded.muted_until, pinned = excluded.pinned, \
         archived = excluded.archived, hidden = excluded.hidden, \
         joined_seq = excluded.joined_seq, joined_version = excluded.joined_version, \
         changed = excluded.changed";

statement! {
    /// Appends a note of what happened.
    InsertNote {
        conversation_id: Key,
        seq: i64,
        id: Key,
        sender_id: Key,
        client_message_id: str,
        digest: [u8],
        kind: i16,
        content: Option<&'a str>,
        version: i64,
        created_at: Moment,
        event: i16,
        subject: Option<Key>,
    } {
        "INSERT INTO messages (conversation_id, seq, id, sender_id, client_message_id, digest, \
         kind, content, version, created_at, event, subject, revised) VALUES (",
        {conversation_id: Id}, ", ",
        {seq: BigInt}, ", ",
        {id: Id}, ", ",
        {sender_id: Id}, ", ",
        {client_message_id: Text}, ", ",
        {digest: Binary}, ", ",
        {kind: SmallInt}, ", ",
        {content: Nullable<Text>}, ", ",
        {version: BigInt}, ", ",
        {created_at: Timestamp}, ", ",
        {event: SmallInt}, ", ",
        {subject: Nullable<Id>}, ", FALSE)",
    }
}

statement! {
    /// Writes what may change of a message.
    ReviseMessage {
        conversation_id: Key,
        seq: i64,
        content: Option<&'a str>,
        mentions: Option<Vec<u8>>,
        edited_at: Option<Moment>,
        deleted_at: Option<Moment>,
        pinned_at: Option<Moment>,
        version: i64,
    } {
        "UPDATE messages SET content = ", {content: Nullable<Text>},
        ", mentions = ", {mentions: Nullable<Binary>},
        ", edited_at = ", {edited_at: Nullable<Timestamp>},
        ", deleted_at = ", {deleted_at: Nullable<Timestamp>},
        ", pinned_at = ", {pinned_at: Nullable<Timestamp>},
        ", version = ", {version: BigInt},
        ", revised = TRUE WHERE conversation_id = ", {conversation_id: Id},
        " AND seq = ", {seq: BigInt},
    }
}

statement! {
    /// Gives a message the number of a change that its own row does not hold.
    TouchMessage { conversation_id: Key, seq: i64, version: i64 } {
        "UPDATE messages SET version = ", {version: BigInt},
        ", revised = TRUE WHERE conversation_id = ", {conversation_id: Id},
        " AND seq = ", {seq: BigInt},
    }
}

statement! {
    /// Writes a reaction.
    InsertReaction {
        conversation_id: Key,
        seq: i64,
        emoji: str,
        user_id: Key,
        version: i64,
    } {
        "INSERT INTO reactions (conversation_id, seq, emoji, user_id, version) VALUES (",
        {conversation_id: Id}, ", ",
        {seq: BigInt}, ", ",
        {emoji: Text}, ", ",
        {user_id: Id}, ", ",
        {version: BigInt}, ")",
    }
}

statement! {
    /// Tells which emoji stand under a message: from one to the next, however many gave each.
    EmojiUnder { conversation_id: Key, seq: i64 } -> Text {
        "WITH RECURSIVE there (emoji) AS (\
         SELECT min(emoji) FROM reactions WHERE conversation_id = ", {conversation_id: Id},
        " AND seq = ", {seq: BigInt},
        " UNION ALL SELECT (SELECT min(reactions.emoji) FROM reactions \
         WHERE conversation_id = ", {conversation_id: Id},
        " AND seq = ", {seq: BigInt},
        " AND reactions.emoji > there.emoji) FROM there WHERE there.emoji IS NOT NULL) \
         SELECT emoji FROM there WHERE emoji IS NOT NULL",
    }
}

statement! {
    /// Writes the head of a new conversation.
    InsertHead {
        conversation_id: Key,
        last_seq: i64,
        version: i64,
        member_epoch: i64,
        last_message_at: Option<Moment>,
        changed: i64,
    } {
        "INSERT INTO heads (conversation_id, last_seq, version, member_epoch, last_message_at, \
         changed) VALUES (",
        {conversation_id: Id}, ", ",
        {last_seq: BigInt}, ", ",
        {version: BigInt}, ", ",
        {member_epoch: BigInt}, ", ",
        {last_message_at: Nullable<Timestamp>}, ", ",
        {changed: BigInt}, ")",
    }
}

statement! {
    /// Writes a head that is there.
    UpdateHead {
        conversation_id: Key,
        last_seq: i64,
        version: i64,
        member_epoch: i64,
        last_message_at: Option<Moment>,
        changed: i64,
    } {
        "UPDATE heads SET last_seq = ", {last_seq: BigInt},
        ", version = ", {version: BigInt},
        ", member_epoch = ", {member_epoch: BigInt},
        ", last_message_at = ", {last_message_at: Nullable<Timestamp>},
        ", changed = ", {changed: BigInt},
        " WHERE conversation_id = ", {conversation_id: Id},
    }
}

statement! {
    /// Moves a member's marks.
    UpdateMarks {
        conversation_id: Key,
        user_id: Key,
        delivered_seq: i64,
        delivered_at: Option<Moment>,
        read_seq: i64,
        read_at: Option<Moment>,
        changed: i64,
    } {
        "UPDATE members SET delivered_seq = ", {delivered_seq: BigInt},
        ", delivered_at = ", {delivered_at: Nullable<Timestamp>},
        ", read_seq = ", {read_seq: BigInt},
        ", read_at = ", {read_at: Nullable<Timestamp>},
        ", changed = ", {changed: BigInt},
        " WHERE conversation_id = ", {conversation_id: Id},
        " AND user_id = ", {user_id: Id},
    }
}

statement! {
    /// Writes a conversation, new or not.
    PutConversation {
        id: Key,
        kind: i16,
        name: Option<&'a str>,
        description: Option<&'a str>,
        posting: i16,
        user_a: Option<Key>,
        user_b: Option<Key>,
        created_by: Key,
        created_at: Moment,
        updated_at: Moment,
        member_count: i32,
        settings_epoch: i64,
        changed: i64,
        deleted_at: Option<Moment>,
        name_key: Option<&'a str>,
    } {
        "INSERT INTO conversations (id, kind, name, description, posting, user_a, user_b, \
         created_by, created_at, updated_at, member_count, settings_epoch, changed, deleted_at, \
         name_key) VALUES (",
        {id: Id}, ", ",
        {kind: SmallInt}, ", ",
        {name: Nullable<Text>}, ", ",
        {description: Nullable<Text>}, ", ",
        {posting: SmallInt}, ", ",
        {user_a: Nullable<Id>}, ", ",
        {user_b: Nullable<Id>}, ", ",
        {created_by: Id}, ", ",
        {created_at: Timestamp}, ", ",
        {updated_at: Timestamp}, ", ",
        {member_count: Integer}, ", ",
        {settings_epoch: BigInt}, ", ",
        {changed: BigInt}, ", ",
        {deleted_at: Nullable<Timestamp>}, ", ",
        {name_key: Nullable<Text>},
        ") ON CONFLICT (id) DO UPDATE SET name = excluded.name, \
         description = excluded.description, posting = excluded.posting, \
         updated_at = excluded.updated_at, member_count = excluded.member_count, \
         settings_epoch = excluded.settings_epoch, changed = excluded.changed, \
         deleted_at = excluded.deleted_at, name_key = excluded.name_key",
    }
}
