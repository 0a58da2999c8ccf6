use diesel::prelude::*;
use kith_domain::{
    UserId,
    message::{Body, Message, MessageKind, ReplyRef, SystemEvent},
    text::{ClientMessageId, Content, Name},
};
use kith_ports::StoreError;

use super::{corrupt, text, unknown};
use crate::{
    queries::{AnsweredId, AnsweredSender},
    schema::messages,
    types::{Key, Moment},
};

/// A message, without what only the store needs, with the id and the sender of the one it answers.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = messages, check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
pub(crate) struct MessageRow {
    pub(crate) conversation_id: Key,
    pub(crate) seq: i64,
    pub(crate) id: Key,
    pub(crate) sender_id: Key,
    pub(crate) client_message_id: String,
    pub(crate) kind: i16,
    pub(crate) content: Option<String>,
    pub(crate) reply_to: Option<i64>,
    pub(crate) version: i64,
    pub(crate) created_at: Moment,
    pub(crate) edited_at: Option<Moment>,
    pub(crate) deleted_at: Option<Moment>,
    pub(crate) pinned_at: Option<Moment>,
    pub(crate) event: Option<i16>,
    pub(crate) subject: Option<Key>,
    pub(crate) mentions: Option<Vec<u8>>,
    /// It was edited, deleted, pinned or reacted to after it was sent.
    pub(crate) revised: bool,
    #[diesel(select_expression = AnsweredId, select_expression_type = AnsweredId)]
    pub(crate) answered_id: Option<Key>,
    #[diesel(select_expression = AnsweredSender, select_expression_type = AnsweredSender)]
    pub(crate) answered_sender: Option<Key>,
}

impl TryFrom<MessageRow> for Message {
    type Error = StoreError;

    fn try_from(row: MessageRow) -> Result<Self, StoreError> {
        const TABLE: &str = "messages";
        let id = row.id.0;
        let reply_to = match (row.reply_to, row.answered_id.zip(row.answered_sender)) {
            (None, _) => None,
            (Some(seq), Some((id, sender_id))) => {
                Some(ReplyRef { id: id.into(), seq, sender_id: sender_id.into() })
            }
            (Some(seq), None) => {
                return Err(corrupt(
                    TABLE,
                    id,
                    "reply_to",
                    format_args!("is {seq}, which is not there"),
                ));
            }
        };
        let body = body(&row)?;
        Ok(Self {
            id: row.id.into(),
            conversation_id: row.conversation_id.into(),
            seq: row.seq,
            version: row.version,
            sender_id: row.sender_id.into(),
            client_message_id: ClientMessageId::parse(&row.client_message_id)
                .map_err(|error| corrupt(TABLE, id, "client_message_id", error))?,
            body,
            reply_to,
            mentions: mentioned(row.mentions.as_deref().unwrap_or_default())
                .ok_or_else(|| corrupt(TABLE, id, "mentions", "does not hold ids"))?,
            // They stand in a table of their own; see `stores::reactions`.
            reactions: Vec::new(),
            created_at: row.created_at.into(),
            edited_at: row.edited_at.map(Into::into),
            deleted_at: row.deleted_at.map(Into::into),
            pinned_at: row.pinned_at.map(Into::into),
        })
    }
}

/// What a row says.
fn body(row: &MessageRow) -> Result<Body, StoreError> {
    const TABLE: &str = "messages";
    let id = row.id.0;
    if row.kind != NOTED {
        return Ok(Body::Said {
            kind: kind(row.kind).ok_or_else(|| unknown(TABLE, id, "kind", row.kind))?,
            content: text(row.content.as_deref(), Content::parse, |error| {
                corrupt(TABLE, id, "content", error)
            })?,
        });
    }
    let name =
        text(row.content.as_deref(), Name::parse, |error| corrupt(TABLE, id, "content", error))?;
    match (row.event, row.subject, name) {
        (Some(0), Some(user), None) => Ok(Body::Noted(SystemEvent::MemberAdded(user.into()))),
        (Some(1), Some(user), None) => Ok(Body::Noted(SystemEvent::MemberRemoved(user.into()))),
        (Some(2), None, None) => Ok(Body::Noted(SystemEvent::MemberLeft)),
        (Some(3), None, Some(name)) => Ok(Body::Noted(SystemEvent::Renamed(name))),
        _ => Err(corrupt(TABLE, id, "event, subject, content", "tell nothing that happens")),
    }
}

/// The columns of a system message: event, subject, content.
pub(crate) fn noted(event: &SystemEvent) -> (i16, Option<Key>, Option<&str>) {
    match event {
        SystemEvent::MemberAdded(user) => (0, Some((*user).into()), None),
        SystemEvent::MemberRemoved(user) => (1, Some((*user).into()), None),
        SystemEvent::MemberLeft => (2, None, None),
        SystemEvent::Renamed(name) => (3, None, Some(name.as_str())),
    }
}

/// The ids in a column of mentions; `None` if it holds something else.
pub(crate) fn mentioned(bytes: &[u8]) -> Option<Vec<UserId>> {
    let (ids, rest) = bytes.as_chunks::<16>();
    let ids = ids.iter().map(|id| UserId::from_uuid(uuid::Uuid::from_bytes(*id)));
    rest.is_empty().then(|| ids.collect())
}

/// A column of mentions; null where there are none.
pub(crate) fn mentions_column(users: &[UserId]) -> Option<Vec<u8>> {
    let bytes = || users.iter().flat_map(|user| *user.as_uuid().as_bytes()).collect();
    (!users.is_empty()).then(bytes)
}

/// The kind of system messages.
pub(crate) const NOTED: i16 = 3;

/// The number that stands for a kind of message.
pub(crate) const fn message_kind_number(kind: MessageKind) -> i16 {
    match kind {
        MessageKind::Text => 0,
        MessageKind::Image => 1,
        MessageKind::File => 2,
    }
}

const fn kind(number: i16) -> Option<MessageKind> {
    match number {
        0 => Some(MessageKind::Text),
        1 => Some(MessageKind::Image),
        2 => Some(MessageKind::File),
        _ => None,
    }
}
