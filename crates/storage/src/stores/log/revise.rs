//! Editing, deleting and pinning messages.

use std::sync::Arc;

use diesel::prelude::*;
use kith_domain::{
    ConversationId, MessageId, Refusal, Timestamp,
    conversation::Seq,
    event::Audience,
    message::{Body, Message, may_mark},
    text::Content,
};
use kith_ports::{
    StoreError,
    log::{Applied, Rejected},
};

use super::{
    Outcome, RunQueryDsl, audience, either, mentions, reactions, statements::ReviseMessage,
    working_set::WorkingSet,
};
use crate::{
    failure::{Work, cause},
    rows::{MessageRow, mentions_column},
    schema::{messages, reactions as given},
    types::Key,
};

#[either]
pub(super) async fn edit(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    at: Timestamp,
    message_id: MessageId,
    content: &Content,
) -> Work<Outcome> {
    let message = match marked(set, id, message_id).await? {
        Ok(message) => message,
        Err(rejected) => return Ok(Err(rejected)),
    };
    // What can be edited was said.
    let Body::Said { kind, .. } = message.body else {
        return Ok(Err(Refusal::not_found().into()));
    };
    let mentions = mentions::members_named(set, id, mentions::names(content)).await?;
    let body = Body::Said { kind, content: Some(content.clone()) };
    let after = Message { body, mentions, edited_at: Some(at), ..message };
    let (message, audience) = revise(set, after).await?;
    Ok(Ok(Applied::Revised(message, Some(audience))))
}

#[either]
pub(super) async fn pin(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    at: Timestamp,
    message_id: MessageId,
    pinned: bool,
) -> Work<Outcome> {
    let message = match marked(set, id, message_id).await? {
        Ok(message) => message,
        Err(rejected) => return Ok(Err(rejected)),
    };
    if message.pinned_at.is_some() == pinned {
        return Ok(Ok(Applied::Revised(Arc::new(message), None)));
    }
    let after = Message { pinned_at: pinned.then_some(at), ..message };
    let (message, audience) = revise(set, after).await?;
    Ok(Ok(Applied::Revised(message, Some(audience))))
}

#[either]
pub(super) async fn delete(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    at: Timestamp,
    message_id: MessageId,
) -> Work<Outcome> {
    let Some(Found { message, revised }) = find(set, id, message_id).await? else {
        return Ok(Err(Refusal::not_found().into()));
    };
    if message.deleted_at.is_some() {
        return Ok(Ok(Applied::Deleted(Arc::new(message), None)));
    }
    if let Err(refusal) = may_mark(&message) {
        return Ok(Err(refusal.into()));
    }
    if revised {
        forget_reactions(set, id, message.seq).await?;
    }
    let (message, audience) = revise(set, message.deleted(at)).await?;
    Ok(Ok(Applied::Deleted(message, Some(audience))))
}

/// A message as the database has it.
pub(super) struct Found {
    /// The message, without the reactions to it.
    pub(super) message: Message,
    /// Whether there may be reactions to it.
    pub(super) revised: bool,
}

#[either]
pub(super) async fn find(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    message_id: MessageId,
) -> Work<Option<Found>> {
    let row: Option<MessageRow> = messages::table
        .filter(messages::id.eq(Key::from(message_id)))
        .filter(messages::conversation_id.eq(Key::from(id)))
        .select(MessageRow::as_select())
        .get_result(set.connection)
        .await
        .optional()?;
    let Some(row) = row else { return Ok(None) };
    let revised = row.revised;
    Ok(Some(Found { message: row.try_into()?, revised }))
}

/// A message that is to be edited or pinned, with the reactions to it.
#[either]
async fn marked(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    message_id: MessageId,
) -> Work<Result<Message, Rejected>> {
    let Some(Found { message, revised }) = find(set, id, message_id).await? else {
        return Ok(Err(Refusal::not_found().into()));
    };
    if set.is_blocked(id).await? {
        return Ok(Err(Refusal::blocked().into()));
    }
    if let Err(refusal) = may_mark(&message) {
        return Ok(Err(refusal.into()));
    }
    Ok(Ok(if revised {
        reactions::with_reactions(set.connection, message).await?
    } else {
        message
    }))
}

/// Writes a message that was changed, under the next version, and tells who sees it.
#[either]
async fn revise(set: &mut WorkingSet<'_>, message: Message) -> Work<(Arc<Message>, Audience)> {
    let Some(slot) = set.slot(message.conversation_id) else {
        return Err(
            StoreError::Other(cause("a message of a conversation that was not read")).into()
        );
    };
    let message = Message { version: slot.next_version(), ..message };
    let conversation = Arc::clone(&slot.conversation);
    ReviseMessage {
        conversation_id: &message.conversation_id.into(),
        seq: &message.seq,
        content: &message.content().map(Content::as_str),
        mentions: &mentions_column(&message.mentions),
        edited_at: &message.edited_at.map(Into::into),
        deleted_at: &message.deleted_at.map(Into::into),
        pinned_at: &message.pinned_at.map(Into::into),
        version: &message.version,
    }
    .execute(set.connection)
    .await?;
    let audience = audience::seen_by(set, &conversation, message.seq).await?;
    Ok((Arc::new(message), audience))
}

/// Removes the reactions to a message that is being deleted.
#[either]
async fn forget_reactions(set: &mut WorkingSet<'_>, id: ConversationId, seq: Seq) -> Work<()> {
    let under =
        given::table.filter(given::conversation_id.eq(Key::from(id))).filter(given::seq.eq(seq));
    diesel::delete(under).execute(set.connection).await?;
    Ok(())
}
