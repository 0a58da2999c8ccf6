//! Messages as one member sees them: with their reactions, with the beginning of what they answer,
//! and with how far his own have come.
//!
//! Cards are made many at a time, each of the three in one statement for all of them; and in none
//! where nothing on the page was revised, answers something, or is his own.

use std::collections::HashMap;

use diesel::prelude::*;
use kith_domain::{
    ConversationId, MessageId, UserId,
    conversation::{Conversation, Seq},
    message::Message,
    receipt::Watermarks,
    text::{Content, Excerpt},
};
use kith_ports::{MessageCard, StoreError};

use super::{
    Connection, RunQueryDsl, either, marks,
    messages::first_visible,
    reactions::{MessageKey, reactions},
};
use crate::{
    failure::Work,
    queries::IsSaid,
    rows::{MessageRow, NOTED},
    schema::messages,
    types::Key,
};

/// What decides how a member sees the messages of a conversation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    /// The first message that he sees.
    pub(super) from: Seq,
    /// Whether he is told how far his own have come.
    pub(super) is_small: bool,
}

impl Sight {
    /// That of a member whose first message is `first_seq`.
    pub(super) const fn new(conversation: &Conversation, first_seq: Seq) -> Self {
        Self {
            from: first_visible(conversation.kind, first_seq),
            is_small: conversation.is_small(),
        }
    }
}

/// Whether there may be reactions to a message.
pub(crate) const fn may_have_reactions(row: &MessageRow) -> bool {
    row.revised && row.deleted_at.is_none() && row.kind != NOTED
}

/// Makes cards of messages that `viewer` sees, in their order.
#[either]
pub(super) async fn show(
    connection: &mut Connection,
    viewer: UserId,
    rows: Vec<(Sight, MessageRow)>,
) -> Work<Vec<MessageCard>> {
    let reacted: Vec<MessageKey> = rows
        .iter()
        .filter(|(_, row)| may_have_reactions(row))
        .map(|(_, row)| (row.conversation_id.into(), row.seq))
        .collect();
    let answered: Vec<Key> = rows
        .iter()
        .filter(|(sight, row)| row.reply_to.is_some_and(|seq| seq >= sight.from))
        .filter_map(|(_, row)| row.answered_id)
        .collect();
    let mut own: Vec<Key> = rows
        .iter()
        .filter(|(sight, row)| tells_status(viewer, *sight, row))
        .map(|(_, row)| row.conversation_id)
        .collect();
    own.sort_unstable();
    own.dedup();
    let mut reactions = reactions(connection, &reacted).await?;
    let excerpts = excerpts(connection, &answered).await?;
    let reached: HashMap<ConversationId, Watermarks> = marks::of_others(connection, viewer, &own)
        .await?
        .into_iter()
        .map(|(id, others)| (id, marks::reached_by_all(&others)))
        .collect();
    rows.into_iter()
        .map(|(sight, row)| {
            let told = tells_status(viewer, sight, &row);
            let mut message: Message = row.try_into()?;
            let place = (message.conversation_id, message.seq);
            message.reactions = reactions.remove(&place).unwrap_or_default();
            let marks = reached.get(&message.conversation_id).filter(|_| told);
            let answered = message.reply_to.filter(|reply| reply.seq >= sight.from);
            Ok(MessageCard {
                status: marks.map(|marks| marks.status_of(message.seq)),
                excerpt: answered.and_then(|reply| excerpts.get(&reply.id).cloned()),
                message,
            })
        })
        .collect::<Result<_, StoreError>>()
        .map_err(Into::into)
}

fn tells_status(viewer: UserId, sight: Sight, row: &MessageRow) -> bool {
    sight.is_small && row.sender_id == viewer.into() && row.kind != NOTED
}

/// The beginnings of the messages that are answered, but of those that were deleted and of those that
/// nobody wrote.
#[either]
async fn excerpts(
    connection: &mut Connection,
    answered: &[Key],
) -> Work<HashMap<MessageId, Excerpt>> {
    let query = messages::table
        .filter(messages::deleted_at.is_null())
        .filter(IsSaid)
        .select((messages::id, messages::content));
    let rows: Vec<(Key, Option<String>)> = match answered {
        [] => Vec::new(),
        [id] => query.filter(messages::id.eq(id)).load(connection).await?,
        ids => query.filter(messages::id.eq_any(ids)).load(connection).await?,
    };
    let mut excerpts = HashMap::new();
    for (id, content) in rows {
        let Some(content) = content else { continue };
        let content = Content::parse(&content).map_err(|error| StoreError::Corrupt {
            table: "messages",
            id: id.0.to_string(),
            what: format!("content {error}"),
        })?;
        excerpts.insert(id.into(), Excerpt::of(&content));
    }
    Ok(excerpts)
}
