//! Appending messages.

use std::{collections::HashSet, sync::Arc};

use diesel::{
    prelude::*,
    result::{DatabaseErrorKind, Error as DieselError},
    sql_types::{BigInt, Binary, Nullable, SmallInt, Text},
};
use kith_domain::{
    ConversationId, MessageId, Refusal, Timestamp, UserId,
    conversation::{Conversation, Head, Seq, Version},
    group::{Action, may},
    message::{Message, ReplyRef},
};
use kith_ports::{
    StoreError,
    log::{Applied, Send},
};

use super::{
    Backend,
    stores::{
        log::{
            Outcome, direct, mentions,
            sends::{duplicate, no_such_reply, numbered},
            working_set::WorkingSet,
        },
        messages::first_visible,
    },
};
use crate::{
    failure::{Work, cause},
    rows::{NOTED, mentions_column, message_kind_number},
    schema::messages,
    statement::statement,
    types::{
        Key, Moment,
        sql::{Id, Timestamp as At},
    },
};

statement! {
    /// Appends a message.
    InsertMessage {
        conversation_id: Key,
        seq: i64,
        id: Key,
        sender_id: Key,
        client_message_id: str,
        digest: [u8],
        kind: i16,
        content: str,
        reply_to: Option<i64>,
        version: i64,
        created_at: Moment,
        mentions: Option<Vec<u8>>,
    } {
        "INSERT INTO messages (conversation_id, seq, id, sender_id, client_message_id, digest, \
         kind, content, reply_to, version, created_at, mentions, revised) VALUES (",
        {conversation_id: Id}, ", ",
        {seq: BigInt}, ", ",
        {id: Id}, ", ",
        {sender_id: Id}, ", ",
        {client_message_id: Text}, ", ",
        {digest: Binary}, ", ",
        {kind: SmallInt}, ", ",
        {content: Text}, ", ",
        {reply_to: Nullable<BigInt>}, ", ",
        {version: BigInt}, ", ",
        {created_at: At}, ", ",
        {mentions: Nullable<Binary>}, ", FALSE)",
    }
}

/// Who is known to have something unread. It holds while nothing but messages is added.
pub(super) type Behind = HashSet<(ConversationId, UserId)>;

pub(super) fn send(
    set: &mut WorkingSet<'_>,
    behind: &mut Behind,
    id: ConversationId,
    at: Timestamp,
    send: &Send,
) -> Work<Outcome> {
    let Some(slot) = set.slot(id) else { return first(set, id, at, send) };
    if slot.is_deleted() {
        // With its messages, what was sent to it is forgotten.
        return Ok(Err(Refusal::not_a_member().into()));
    }
    let (conversation, head) = (Arc::clone(&slot.conversation), slot.head);
    let reply_to = match judge(set, &conversation, send)? {
        Ok(reply_to) => reply_to,
        Err(refusal) => {
            let before = duplicate(set.connection, &conversation, send)?;
            return Ok(before.unwrap_or_else(|| Err(refusal.into())));
        }
    };
    let mentions = mentions::members_named(set, id, mentions::names(&send.content))?;
    let message = numbered(&conversation, next(head), at, send, reply_to, mentions);
    let caught_up = has_caught_up(set, behind, id, send.sender_id)?;
    if !insert(set, &message, send)? {
        return match duplicate(set.connection, &conversation, send)? {
            Some(outcome) => Ok(outcome),
            None => Err(id_is_taken(send.id).into()),
        };
    }
    advance(set, &message, caught_up)?;
    Ok(Ok(Applied::Sent { message: Arc::new(message), conversation }))
}

/// The first message of a direct chat, which makes it.
fn first(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    at: Timestamp,
    send: &Send,
) -> Work<Outcome> {
    let Some(peer) = send.peer else { return Ok(Err(Refusal::not_a_member().into())) };
    let (slot, members) = match direct::new(set, id, at, (send.sender_id, peer), "to")? {
        Ok(new) => new,
        Err(refusal) => return Ok(Err(refusal.into())),
    };
    if send.reply_to.is_some() {
        return Ok(Err(no_such_reply().into()));
    }
    let (conversation, head) = (Arc::clone(&slot.conversation), slot.head);
    set.create(slot, members);
    let mentions = mentions::members_named(set, id, mentions::names(&send.content))?;
    let message = numbered(&conversation, next(head), at, send, None, mentions);
    if !insert(set, &message, send)? {
        return Err(id_is_taken(send.id).into());
    }
    advance(set, &message, true)?;
    Ok(Ok(Applied::Sent { message: Arc::new(message), conversation }))
}

/// Whether the sender may send this here, and what it answers.
fn judge(
    set: &mut WorkingSet<'_>,
    conversation: &Conversation,
    send: &Send,
) -> Work<Result<Option<ReplyRef>, Refusal>> {
    let id = conversation.id;
    let sender = set.person(id, send.sender_id)?;
    let Some(place) = sender.present() else { return Ok(Err(Refusal::not_a_member())) };
    let (role, first_seq) = (place.role()?, place.first_seq);
    if let Err(refusal) = may(conversation.kind, conversation.posting, role, Action::Send) {
        return Ok(Err(refusal));
    }
    if let Some(peer) = conversation.peer_of(send.sender_id) {
        let standing = set.person(id, peer)?.standing;
        if let Err(refusal) = direct::reachable(standing, "to") {
            return Ok(Err(refusal));
        }
        if set.have_blocked(send.sender_id, peer)? {
            return Ok(Err(Refusal::blocked()));
        }
    }
    let Some(answered) = send.reply_to else { return Ok(Ok(None)) };
    let visible_from = first_visible(conversation.kind, first_seq);
    let reply = find_reply(set, id, answered)?.filter(|reply| reply.seq >= visible_from);
    Ok(reply.map(Some).ok_or_else(no_such_reply))
}

fn find_reply(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    answered: MessageId,
) -> Work<Option<ReplyRef>> {
    let row: Option<(i64, Key)> = messages::table
        .filter(messages::id.eq(Key::from(answered)))
        .filter(messages::conversation_id.eq(Key::from(id)))
        .select((messages::seq, messages::sender_id))
        .get_result(set.connection)
        .optional()?;
    Ok(row.map(|(seq, sender)| ReplyRef { id: answered, seq, sender_id: sender.into() }))
}

/// Whether a member has read all there was for him to read.
fn has_caught_up(
    set: &mut WorkingSet<'_>,
    behind: &mut Behind,
    id: ConversationId,
    user: UserId,
) -> Work<bool> {
    let last_seq = set.slot(id).map_or(0, |slot| slot.head.last_seq);
    let person = set.person(id, user)?;
    let Some(place) = person.current() else { return Ok(false) };
    // What came before he joined, or was hidden by him, is not his to read.
    let read_seq = place.read_seq.max(place.first_seq - 1);
    if read_seq >= last_seq {
        return Ok(true);
    }
    if behind.contains(&(id, user)) {
        return Ok(false);
    }
    let unread: Option<i64> = messages::table
        .filter(messages::conversation_id.eq(Key::from(id)))
        .filter(messages::seq.gt(read_seq))
        .filter(messages::sender_id.ne(Key::from(user)))
        .filter(messages::deleted_at.is_null())
        .filter(messages::kind.ne(NOTED))
        .select(messages::seq)
        .get_result(set.connection)
        .optional()?;
    if unread.is_some() {
        behind.insert((id, user));
    }
    Ok(unread.is_none())
}

/// The numbers of the message that comes next.
const fn next(head: Head) -> (Seq, Version) {
    (head.last_seq + 1, head.version + 1)
}

/// Stores a message. `false`, with nothing written, if one of its keys is there already.
///
/// Trying is cheaper than looking first: almost every send is the first with its id.
fn insert(set: &mut WorkingSet<'_>, message: &Message, send: &Send) -> Work<bool> {
    let inserted = InsertMessage {
        conversation_id: &message.conversation_id.into(),
        seq: &message.seq,
        id: &message.id.into(),
        sender_id: &message.sender_id.into(),
        client_message_id: message.client_message_id.as_str(),
        digest: &send.digest.0,
        kind: &message_kind_number(send.kind),
        content: send.content.as_str(),
        reply_to: &message.reply_to.map(|reply| reply.seq),
        version: &message.version,
        created_at: &message.created_at.into(),
        mentions: &mentions_column(&message.mentions),
    }
    .execute(set.connection);
    match inserted {
        Ok(_) => Ok(true),
        Err(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Moves the head to a message that was stored, and its sender's marks.
fn advance(set: &mut WorkingSet<'_>, message: &Message, caught_up: bool) -> Work<()> {
    let id = message.conversation_id;
    if let Some(slot) = set.slot(id) {
        let head = slot.edit_head();
        head.last_seq = message.seq;
        head.version = message.version;
        head.last_message_at = Some(message.created_at);
    }
    let sender = set.person(id, message.sender_id)?;
    let marks = sender.current().map(|place| place.marks().after_sending(message.seq, caught_up));
    if let Some(marks) = marks {
        sender.mark(marks, message.created_at);
    }
    Ok(())
}

/// The server makes ids; one that is taken by another message is a fault of its own.
fn id_is_taken(id: MessageId) -> StoreError {
    StoreError::Other(cause(format!("the message id {id} is taken by another message")))
}
