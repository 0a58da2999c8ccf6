//! Reactions, as they stand under messages.

use std::collections::HashMap;

use kith_domain::{
    ConversationId,
    conversation::Seq,
    message::{Message, Reaction},
    text::Emoji,
};
use kith_ports::StoreError;

use super::{Connection, RunQueryDsl, either};
use crate::{failure::Work, queries::ReactionsTo, types::Key};

/// A message, by its conversation and number.
pub(crate) type MessageKey = (ConversationId, Seq);

/// The reactions to messages, in one statement; none where there are no messages.
///
/// Only a message that was revised can have reactions, and only one that was not deleted.
#[either]
pub(crate) async fn reactions(
    connection: &mut Connection,
    messages: &[MessageKey],
) -> Work<HashMap<MessageKey, Vec<Reaction>>> {
    let mut all: HashMap<MessageKey, Vec<Reaction>> = HashMap::new();
    if messages.is_empty() {
        return Ok(all);
    }
    let named = ReactionsTo::new(messages.iter().map(|(id, seq)| (Key::from(*id), *seq)));
    let rows: Vec<(Key, i64, String, Key, i64)> = named.load(connection).await?;
    for (conversation, seq, emoji, user, count) in rows {
        let emoji = parse((conversation.into(), seq), &emoji)?;
        let of_message = all.entry((conversation.into(), seq)).or_default();
        match of_message.last_mut() {
            Some(last) if last.emoji == emoji => last.users.push(user.into()),
            _ => of_message.push(Reaction {
                emoji,
                count: u32::try_from(count).unwrap_or(u32::MAX),
                users: vec![user.into()],
            }),
        }
    }
    Ok(all)
}

/// A message with the reactions to it.
#[either]
pub(super) async fn with_reactions(connection: &mut Connection, message: Message) -> Work<Message> {
    let place = (message.conversation_id, message.seq);
    let mut all = reactions(connection, &[place]).await?;
    Ok(Message { reactions: all.remove(&place).unwrap_or_default(), ..message })
}

/// An emoji as it is kept under a message.
pub(super) fn parse(message: MessageKey, emoji: &str) -> Result<Emoji, StoreError> {
    Emoji::parse(emoji).map_err(|error| StoreError::Corrupt {
        table: "reactions",
        id: format!("({}, {})", message.0, message.1),
        what: format!("emoji {error}"),
    })
}
