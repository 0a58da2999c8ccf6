//! Editing and deleting messages.

use std::sync::Arc;

use diesel::prelude::*;
use kith_domain::{
    ConversationId, MessageId, Refusal, Timestamp,
    conversation::{Conversation, Kind, Seq, Version},
    event::Audience,
    message::Message,
    text::Content,
};
use kith_ports::log::{Applied, Rejected};

use super::{
    Connection, Outcome, RunQueryDsl, either, guarded, statements::ReviseMessage,
    working_set::WorkingSet,
};
use crate::{
    failure::Work,
    rows::MessageRow,
    schema::{members, messages},
    types::Key,
};

/// An edit, and the version of the message that it was decided on.
pub(super) struct Edit<'a> {
    pub(super) id: MessageId,
    pub(super) version: Version,
    pub(super) content: &'a Content,
}

#[either]
pub(super) async fn edit(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    at: Timestamp,
    edit: &Edit<'_>,
    member_epoch: i64,
) -> Work<Outcome> {
    if let Err(rejected) = guarded(set.slot(id), member_epoch) {
        return Ok(Err(rejected));
    }
    let Some(before) = find(set, id, edit.id).await? else {
        return Ok(Err(Refusal::not_found().into()));
    };
    if before.version != edit.version {
        return Ok(Err(Rejected::Stale));
    }
    let after = Message { content: Some(edit.content.clone()), edited_at: Some(at), ..before };
    revise(set, after, Applied::Edited).await
}

#[either]
pub(super) async fn delete(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    at: Timestamp,
    message_id: MessageId,
    member_epoch: i64,
) -> Work<Outcome> {
    if let Err(rejected) = guarded(set.slot(id), member_epoch) {
        return Ok(Err(rejected));
    }
    let Some(before) = find(set, id, message_id).await? else {
        return Ok(Err(Refusal::not_found().into()));
    };
    if before.deleted_at.is_some() {
        return Ok(Ok(Applied::Deleted(Arc::new(before), None)));
    }
    let after = Message { content: None, deleted_at: Some(at), ..before };
    revise(set, after, |message, audience| Applied::Deleted(message, Some(audience))).await
}

#[either]
async fn find(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    message_id: MessageId,
) -> Work<Option<Message>> {
    let row: Option<MessageRow> = messages::table
        .filter(messages::id.eq(Key::from(message_id)))
        .filter(messages::conversation_id.eq(Key::from(id)))
        .select(MessageRow::as_select())
        .get_result(set.connection)
        .await
        .optional()?;
    Ok(row.map(TryInto::try_into).transpose()?)
}

/// Writes a message that was changed, under the next version.
#[either]
async fn revise(
    set: &mut WorkingSet<'_>,
    message: Message,
    applied: impl FnOnce(Arc<Message>, Audience) -> Applied,
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
    .execute(set.connection)
    .await?;
    let audience = seen_by(set.connection, &conversation, message.seq).await?;
    Ok(Ok(applied(Arc::new(message), audience)))
}

/// Those to whom a message is visible: who came later, or hid what came before, hears nothing of it.
#[either]
async fn seen_by(
    connection: &mut Connection,
    conversation: &Conversation,
    seq: Seq,
) -> Work<Audience> {
    if conversation.kind == Kind::Channel {
        return Ok(conversation.audience());
    }
    let members: Vec<Key> = members::table
        .filter(members::conversation_id.eq(Key::from(conversation.id)))
        .filter(members::left_seq.is_null())
        .filter(members::first_seq.le(seq))
        .select(members::user_id)
        .get_results(connection)
        .await?;
    Ok(Audience::Users(members.into_iter().map(Into::into).collect()))
}
