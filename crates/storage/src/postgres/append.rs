//! Appending messages: a batch in one call of `kith_append`, one message in one of `kith_append_one`
//! (see migrations/postgres), which judge each of them under the lock of its conversation.

use std::{collections::HashMap, sync::Arc};

use diesel::sql_types::{Array, BigInt, Binary, Integer, Nullable, SmallInt, Text};
use diesel_async::RunQueryDsl;
use kith_domain::{
    ConversationId, Refusal,
    conversation::{Conversation, Kind, Posting},
    group::{Action, Role, may},
    message::ReplyRef,
};
use kith_ports::{
    StoreError,
    log::{Applied, Command, Send},
};

use super::{
    Backend, Connection,
    stores::{
        conversations,
        log::{
            Outcome, direct, mentions,
            sends::{duplicate, no_such_reply, numbered},
            working_set::Standing,
        },
    },
};
use crate::{
    failure::{Failure, Work, cause},
    rows::{ConversationRow, mentioned, message_kind_number},
    statement::statement,
    types::{
        Key, Moment,
        sql::{Id, Timestamp},
    },
};

/// The columns of an answer, as SQL has them.
type AnswerSql = (
    SmallInt,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<Id>,
    Nullable<Binary>,
    Nullable<SmallInt>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<SmallInt>,
    Nullable<Id>,
    Nullable<Id>,
    Nullable<Id>,
    Nullable<Timestamp>,
    Nullable<Timestamp>,
    Nullable<Integer>,
    Nullable<BigInt>,
);

/// The same columns by name.
const ANSWER_FROM: &str = "SELECT verdict, seq, version, reply_seq, reply_sender, mentions, kind, \
    name, description, posting, user_a, user_b, created_by, created_at, updated_at, member_count, \
    settings_epoch FROM ";

statement! {
    /// Appends a batch.
    Append {
        conversations: Vec<Key>,
        senders: Vec<Key>,
        peers: Vec<Option<Key>>,
        ids: Vec<Key>,
        client_ids: Vec<&'a str>,
        digests: Vec<&'a [u8]>,
        kinds: Vec<i16>,
        contents: Vec<&'a str>,
        replies: Vec<Option<Key>>,
        times: Vec<Moment>,
        names: Vec<Option<String>>,
    } -> AnswerSql {
        ANSWER_FROM,
        "kith_append(",
        {conversations: Array<Id>}, ", ",
        {senders: Array<Id>}, ", ",
        {peers: Array<Nullable<Id>>}, ", ",
        {ids: Array<Id>}, ", ",
        {client_ids: Array<Text>}, ", ",
        {digests: Array<Binary>}, ", ",
        {kinds: Array<SmallInt>}, ", ",
        {contents: Array<Text>}, ", ",
        {replies: Array<Nullable<Id>>}, ", ",
        {times: Array<Timestamp>}, ", ",
        {names: Array<Nullable<Text>>}, ")",
    }
}

statement! {
    /// Appends one message.
    AppendOne {
        conversation: Key,
        sender: Key,
        peer: Option<Key>,
        id: Key,
        client_id: str,
        digest: [u8],
        kind: i16,
        content: str,
        reply: Option<Key>,
        at: Moment,
        names: Option<String>,
    } -> AnswerSql {
        ANSWER_FROM,
        "kith_append_one(",
        {conversation: Id}, ", ",
        {sender: Id}, ", ",
        {peer: Nullable<Id>}, ", ",
        {id: Id}, ", ",
        {client_id: Text}, ", ",
        {digest: Binary}, ", ",
        {kind: SmallInt}, ", ",
        {content: Text}, ", ",
        {reply: Nullable<Id>}, ", ",
        {at: Timestamp}, ", ",
        {names: Nullable<Text>}, ")",
    }
}

/// What the functions answer for one item.
type Answer = (
    i16,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<Key>,
    Option<Vec<u8>>,
    Option<i16>,
    Option<String>,
    Option<String>,
    Option<i16>,
    Option<Key>,
    Option<Key>,
    Option<Key>,
    Option<Moment>,
    Option<Moment>,
    Option<i32>,
    Option<i64>,
);

/// Appends sends of which none depends on another, in order.
pub(super) async fn append(
    connection: &mut Connection,
    items: &[(&Command, &Send)],
) -> Work<Vec<Outcome>> {
    let answers = call(connection, items).await?;
    if answers.len() != items.len() {
        let (asked, answered) = (items.len(), answers.len());
        return Err(fault(format!("{answered} answers to {asked} sends")));
    }
    let mut known = HashMap::new();
    let mut outcomes = Vec::with_capacity(items.len());
    for ((command, send), answer) in items.iter().zip(answers) {
        outcomes.push(outcome(connection, &mut known, command, send, answer).await?);
    }
    Ok(outcomes)
}

async fn call(connection: &mut Connection, items: &[(&Command, &Send)]) -> Work<Vec<Answer>> {
    if let [(command, send)] = items {
        let one = AppendOne {
            conversation: &command.conversation_id.into(),
            sender: &send.sender_id.into(),
            peer: &send.peer.map(Key::from),
            id: &send.id.into(),
            client_id: send.client_message_id.as_str(),
            digest: &send.digest.0,
            kind: &message_kind_number(send.kind),
            content: send.content.as_str(),
            reply: &send.reply_to.map(Key::from),
            at: &command.at.into(),
            names: &names(send),
        };
        return Ok(one.load(connection).await?);
    }
    let append = Append {
        conversations: &items.iter().map(|(command, _)| command.conversation_id.into()).collect(),
        senders: &each(items, |send| send.sender_id.into()),
        peers: &each(items, |send| send.peer.map(Key::from)),
        ids: &each(items, |send| send.id.into()),
        client_ids: &each(items, |send| send.client_message_id.as_str()),
        digests: &each(items, |send| &send.digest.0[..]),
        kinds: &each(items, |send| message_kind_number(send.kind)),
        contents: &each(items, |send| send.content.as_str()),
        replies: &each(items, |send| send.reply_to.map(Key::from)),
        times: &items.iter().map(|(command, _)| command.at.into()).collect(),
        names: &each(items, names),
    };
    Ok(append.load(connection).await?)
}

/// The names that a text may mention, as the functions take them.
fn names(send: &Send) -> Option<String> {
    let names = mentions::names(&send.content);
    (!names.is_empty()).then(|| names.join(" "))
}

/// Something of each send.
fn each<'i, T>(items: &'i [(&Command, &'i Send)], get: impl Fn(&'i Send) -> T) -> Vec<T> {
    items.iter().map(|(_, send)| get(send)).collect()
}

/// What a verdict means.
async fn outcome(
    connection: &mut Connection,
    known: &mut HashMap<ConversationId, Arc<Conversation>>,
    command: &Command,
    send: &Send,
    answer: Answer,
) -> Work<Outcome> {
    let id = command.conversation_id;
    Ok(match answer.0 {
        0 => {
            let (Some(seq), Some(version)) = (answer.1, answer.2) else {
                return Err(fault("a message that was sent has no number"));
            };
            let reply_to = match (send.reply_to, answer.3, answer.4) {
                (Some(id), Some(seq), Some(sender)) => {
                    Some(ReplyRef { id, seq, sender_id: sender.into() })
                }
                _ => None,
            };
            let mentions = mentioned(answer.5.as_deref().unwrap_or_default())
                .ok_or_else(|| fault("mentions are not ids"))?;
            if let Some(conversation) = conversation(id, answer)? {
                known.insert(id, Arc::new(conversation));
            }
            let Some(conversation) = known.get(&id) else {
                return Err(fault("a message was sent to an unnamed conversation"));
            };
            let message =
                numbered(conversation, (seq, version), command.at, send, reply_to, mentions);
            Ok(Applied::Sent { message: Arc::new(message), conversation: Arc::clone(conversation) })
        }
        1 | 2 => sent_before(connection, id, send).await.map_err(in_doubt)?,
        3 => Err(Refusal::not_a_member().into()),
        4 => match may(Kind::Group, Posting::Admins, Role::Member, Action::Send) {
            Err(refusal) => Err(refusal.into()),
            Ok(()) => return Err(fault("a member may post after all")),
        },
        5 | 6 => {
            let standing = if answer.0 == 5 { Standing::Erased } else { Standing::Unknown };
            match direct::reachable(standing, "to") {
                Err(refusal) => Err(refusal.into()),
                Ok(()) => return Err(fault("the other one can be reached after all")),
            }
        }
        7 => Err(no_such_reply().into()),
        8 => Err(Refusal::blocked().into()),
        other => return Err(fault(format!("verdict {other}, which means nothing"))),
    })
}

/// What a message that was sent before is answered with.
async fn sent_before(
    connection: &mut Connection,
    id: ConversationId,
    send: &Send,
) -> Work<Outcome> {
    let Some((conversation, _, None)) = conversations::find(connection, id).await? else {
        // It was deleted since, and what was sent to it is forgotten.
        return Ok(Err(Refusal::not_a_member().into()));
    };
    let before = duplicate(connection, &Arc::new(conversation), send).await?;
    Ok(before.unwrap_or_else(|| Err(Refusal::not_a_member().into())))
}

/// Its neighbours may be durable by now: whoever asks again is told.
fn in_doubt(failure: Failure) -> Failure {
    match failure {
        Failure::Database(error) => StoreError::OutcomeUnknown(Box::new(error)).into(),
        failure @ Failure::Store(_) => failure,
    }
}

/// The conversation that an answer brings; the first to each does.
fn conversation(id: ConversationId, answer: Answer) -> Work<Option<Conversation>> {
    let (.., kind, name, description, posting, user_a, user_b, by, made, updated, count, epoch) =
        answer;
    let (Some(kind), Some(posting), Some(by), Some(made), Some(updated), Some(count), Some(epoch)) =
        (kind, posting, by, made, updated, count, epoch)
    else {
        return Ok(None);
    };
    let row = ConversationRow {
        id: id.into(),
        kind,
        name,
        description,
        posting,
        user_a,
        user_b,
        created_by: by,
        created_at: made,
        updated_at: updated,
        member_count: count,
        settings_epoch: epoch,
        deleted_at: None,
    };
    Ok(Some(row.try_into()?))
}

/// The function and this file do not agree.
fn fault(what: impl Into<String>) -> Failure {
    StoreError::Other(cause(format!("kith_append: {}", what.into()))).into()
}
