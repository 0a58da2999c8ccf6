//! What a history tells of who came, went, and of names: system messages.

use std::sync::Arc;

use kith_domain::{
    ConversationId, MessageId, Timestamp, UserId,
    message::{Body, Message, SystemEvent},
    text::ClientMessageId,
};
use kith_ports::StoreError;

use super::{RunQueryDsl, either, statements::InsertNote, working_set::WorkingSet};
use crate::{
    failure::{Work, cause},
    rows::{NOTED, noted},
};

/// The fingerprint of what no client sends: no text is known that has it.
const NOBODYS: [u8; 32] = [0; 32];

/// A note to be made: its id, who did what it tells of, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Note {
    pub(super) id: MessageId,
    pub(super) by: UserId,
    pub(super) at: Timestamp,
}

/// Appends a note to the history. It is a message with the next number of its own.
#[either]
pub(super) async fn append(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    note: Note,
    event: SystemEvent,
) -> Work<Option<Arc<Message>>> {
    let Some(slot) = set.slot(id) else { return Ok(None) };
    let version = slot.next_version();
    let head = slot.edit_head();
    head.last_seq += 1;
    head.last_message_at = Some(note.at);
    let message = Message {
        id: note.id,
        conversation_id: id,
        seq: head.last_seq,
        version,
        sender_id: note.by,
        client_message_id: ClientMessageId::parse(&note.id.to_string())
            .map_err(|error| StoreError::Other(cause(format!("the id of a note {error}"))))?,
        body: Body::Noted(event),
        reply_to: None,
        mentions: Vec::new(),
        reactions: Vec::new(),
        created_at: note.at,
        edited_at: None,
        deleted_at: None,
        pinned_at: None,
    };
    insert(set, &message).await?;
    Ok(Some(Arc::new(message)))
}

#[either]
async fn insert(set: &mut WorkingSet<'_>, message: &Message) -> Work<()> {
    let Body::Noted(event) = &message.body else { return Ok(()) };
    let (event, subject, content) = noted(event);
    InsertNote {
        conversation_id: &message.conversation_id.into(),
        seq: &message.seq,
        id: &message.id.into(),
        sender_id: &message.sender_id.into(),
        client_message_id: message.client_message_id.as_str(),
        digest: &NOBODYS,
        kind: &NOTED,
        content: &content,
        version: &message.version,
        created_at: &message.created_at.into(),
        event: &event,
        subject: &subject,
    }
    .execute(set.connection)
    .await?;
    Ok(())
}
