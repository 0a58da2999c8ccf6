//! Editing and deleting messages.

use std::sync::Arc;

use diesel::prelude::*;
use kith_domain::{
    ConversationId, MessageId, Refusal, Timestamp, conversation::Version, message::Message,
    text::Content,
};
use kith_ports::log::{Applied, Rejected};

use super::{Outcome, guarded, statements::ReviseMessage, working_set::WorkingSet};
use crate::{
    queries::{answered, messages_with_answered},
    rows::{MessageRow, StoredMessage, message},
    schema::messages,
    sqlite::error::Work,
    types::Key,
};

/// An edit, and the version of the message that it was decided on.
pub(super) struct Edit<'a> {
    pub(super) id: MessageId,
    pub(super) version: Version,
    pub(super) content: &'a Content,
}

pub(super) fn edit(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    at: Timestamp,
    edit: &Edit<'_>,
    member_epoch: i64,
) -> Work<Outcome> {
    if let Err(rejected) = guarded(set.slot(id), member_epoch) {
        return Ok(Err(rejected));
    }
    let Some(before) = find(set, id, edit.id)? else {
        return Ok(Err(Refusal::not_found().into()));
    };
    if before.version != edit.version {
        return Ok(Err(Rejected::Stale));
    }
    let after = Message { content: Some(edit.content.clone()), edited_at: Some(at), ..before };
    revise(set, after, Applied::Edited)
}

pub(super) fn delete(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    at: Timestamp,
    message_id: MessageId,
    member_epoch: i64,
) -> Work<Outcome> {
    let conversation = match guarded(set.slot(id), member_epoch) {
        Ok(slot) => Arc::clone(&slot.conversation),
        Err(rejected) => return Ok(Err(rejected)),
    };
    let Some(before) = find(set, id, message_id)? else {
        return Ok(Err(Refusal::not_found().into()));
    };
    if before.deleted_at.is_some() {
        return Ok(Ok(Applied::Deleted(Arc::new(before), conversation, false)));
    }
    let after = Message { content: None, deleted_at: Some(at), ..before };
    set.forget_who_is_behind(id);
    revise(set, after, |message, conversation| Applied::Deleted(message, conversation, true))
}

fn find(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    message_id: MessageId,
) -> Work<Option<Message>> {
    let row: Option<StoredMessage> = messages_with_answered()
        .filter(messages::id.eq(Key::from(message_id)))
        .filter(messages::conversation_id.eq(Key::from(id)))
        .select((MessageRow::as_select(), answered()))
        .get_result(set.connection)
        .optional()?;
    Ok(row.map(message).transpose()?)
}

/// Writes a message that was changed, under the next version.
fn revise(
    set: &mut WorkingSet<'_>,
    message: Message,
    applied: impl FnOnce(Arc<Message>, Arc<kith_domain::conversation::Conversation>) -> Applied,
) -> Work<Outcome> {
    let Some(slot) = set.slot(message.conversation_id) else {
        return Ok(Err(Refusal::not_found().into()));
    };
    let message = Message { version: slot.next_version(), ..message };
    let conversation = Arc::clone(&slot.conversation);
    ReviseMessage {
        conversation_id: &message.conversation_id.into(),
        seq: &message.seq,
        content: &message.content.as_ref().map(Content::as_str),
        edited_at: &message.edited_at.map(Into::into),
        deleted_at: &message.deleted_at.map(Into::into),
        version: &message.version,
    }
    .execute(set.connection)?;
    Ok(Ok(applied(Arc::new(message), conversation)))
}
