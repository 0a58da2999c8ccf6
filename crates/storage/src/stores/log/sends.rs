//! What every executor says of a send, however it appends it.

use std::sync::Arc;

use diesel::prelude::*;
use kith_domain::{
    Code, Refusal, Timestamp, UserId,
    conversation::{Conversation, Seq, Version},
    message::{Body, Digest, Message, ReplyRef, is_retry},
};
use kith_ports::{
    StoreError,
    log::{Applied, Rejected, Send},
};

use super::{Connection, Outcome, RunQueryDsl, either, reactions};
use crate::{failure::Work, rows::MessageRow, schema::messages, types::Key};

/// The message that a send becomes under its numbers.
pub(crate) fn numbered(
    conversation: &Conversation,
    (seq, version): (Seq, Version),
    at: Timestamp,
    send: &Send,
    reply_to: Option<ReplyRef>,
    mentions: Vec<UserId>,
) -> Message {
    Message {
        id: send.id,
        conversation_id: conversation.id,
        seq,
        version,
        sender_id: send.sender_id,
        client_message_id: send.client_message_id.clone(),
        body: Body::Said { kind: send.kind, content: Some(send.content.clone()) },
        reply_to,
        mentions,
        reactions: Vec::new(),
        created_at: at,
        edited_at: None,
        deleted_at: None,
        pinned_at: None,
    }
}

/// What a send that came before is answered with; `None` if it never came.
#[either]
pub(crate) async fn duplicate(
    connection: &mut Connection,
    conversation: &Arc<Conversation>,
    send: &Send,
) -> Work<Option<Outcome>> {
    let row: Option<(MessageRow, Vec<u8>)> = messages::table
        .filter(messages::conversation_id.eq(Key::from(conversation.id)))
        .filter(messages::sender_id.eq(Key::from(send.sender_id)))
        .filter(messages::client_message_id.eq(send.client_message_id.as_str()))
        .select((MessageRow::as_select(), messages::digest))
        .get_result(connection)
        .await
        .optional()?;
    let Some((row, digest)) = row else { return Ok(None) };
    let digest = <[u8; 32]>::try_from(digest.as_slice()).map_err(|error| StoreError::Corrupt {
        table: "messages",
        id: row.id.0.to_string(),
        what: format!("digest {error}"),
    })?;
    if let Err(refusal) = is_retry(Digest(digest), send.digest) {
        return Ok(Some(Err(Rejected::Refused(refusal))));
    }
    let (revised, first) = (row.revised, row.try_into()?);
    let first = if revised { reactions::with_reactions(connection, first).await? } else { first };
    Ok(Some(Ok(Applied::Duplicate(Arc::new(first), Arc::clone(conversation)))))
}

/// The refusal of an answer to nothing.
pub(crate) fn no_such_reply() -> Refusal {
    Refusal::wrong_field(
        "reply_to",
        Code::InvalidValue,
        "is not the id of a message in this conversation that you can see",
    )
}
