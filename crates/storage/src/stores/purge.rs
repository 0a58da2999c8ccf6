//! The reactions in deleted conversations, then the messages, and then the advances of watermarks
//! there, taken away in small slices behind other writes.
//!
//! Advances in conversations that live are kept: they are few, since they come merged, and they say
//! when a message was read for as long as it is there.

use diesel::{
    prelude::*,
    sql_types::{BigInt, SmallInt, Text},
};
use kith_domain::ConversationId;

use super::{Backend, Connection, RunQueryDsl, either};
use crate::{
    failure::Work,
    queries::at_most,
    schema::{conversations, messages, reactions, receipts},
    statement::statement,
    types::{Key, sql::Id},
};

/// How many reactions, messages, or advances go at once.
const SLICE: usize = 500;

statement! {
    /// Deletes the reactions in a conversation up to one of them, in the order of their key.
    ForgetReactions { conversation_id: Key, seq: i64, emoji: String, user_id: Key } {
        "DELETE FROM reactions WHERE conversation_id = ", {conversation_id: Id},
        " AND (seq, emoji, user_id) <= (", {seq: BigInt},
        ", ", {emoji: Text},
        ", ", {user_id: Id}, ")",
    }
}

statement! {
    /// Deletes the advances of a conversation up to one of them, in the order of their key.
    ForgetAdvances { conversation_id: Key, user_id: Key, status: i16, seq: i64 } {
        "DELETE FROM receipts WHERE conversation_id = ", {conversation_id: Id},
        " AND (user_id, status, seq) <= (", {user_id: Id},
        ", ", {status: SmallInt},
        ", ", {seq: BigInt}, ")",
    }
}

/// The deleted conversations of which something is left.
#[either]
pub(crate) async fn left_over(connection: &mut Connection) -> Work<Vec<ConversationId>> {
    let messages = messages::table.filter(messages::conversation_id.eq(conversations::id));
    let advances = receipts::table.filter(receipts::conversation_id.eq(conversations::id));
    let ids: Vec<Key> = conversations::table
        .filter(conversations::deleted_at.is_not_null())
        .filter(diesel::dsl::exists(messages).or(diesel::dsl::exists(advances)))
        .select(conversations::id)
        .load(connection)
        .await?;
    Ok(ids.into_iter().map(Into::into).collect())
}

/// Deletes the first reactions in a deleted conversation; when there are none the oldest messages, and
/// when there are none of these the first advances. `true` if there may be more.
#[either]
pub(crate) async fn slice(connection: &mut Connection, id: ConversationId) -> Work<bool> {
    let id = Key::from(id);
    let deleted = conversations::table
        .filter(conversations::id.eq(id))
        .filter(conversations::deleted_at.is_not_null())
        .select(conversations::id);
    if deleted.get_result::<Key>(connection).await.optional()?.is_none() {
        // The transaction that was to delete it was rolled back.
        return Ok(false);
    }
    // They go first: what has reactions left has messages left, by which it is found.
    if forget_reactions(connection, id).await? {
        return Ok(true);
    }
    let of_conversation = messages::conversation_id.eq(id);
    let oldest =
        messages::table.filter(of_conversation).select(messages::seq).order(messages::seq.asc());
    let first: Option<i64> = at_most(1, oldest).get_result(connection).await.optional()?;
    let Some(first) = first else { return forget_advances(connection, id).await };
    let end = first.saturating_add_unsigned(SLICE as u64);
    diesel::delete(messages::table.filter(of_conversation).filter(messages::seq.lt(end)))
        .execute(connection)
        .await?;
    Ok(true)
}

/// Deletes the first reactions. `true` if there were any.
#[either]
async fn forget_reactions(connection: &mut Connection, conversation_id: Key) -> Work<bool> {
    let first = reactions::table
        .filter(reactions::conversation_id.eq(conversation_id))
        .order((reactions::seq.asc(), reactions::emoji.asc(), reactions::user_id.asc()))
        .select((reactions::seq, reactions::emoji, reactions::user_id));
    let keys: Vec<(i64, String, Key)> = at_most(SLICE, first).load(connection).await?;
    let Some((seq, emoji, user_id)) = keys.last() else { return Ok(false) };
    ForgetReactions { conversation_id: &conversation_id, seq, emoji, user_id }
        .execute(connection)
        .await?;
    Ok(true)
}

#[either]
async fn forget_advances(connection: &mut Connection, conversation_id: Key) -> Work<bool> {
    let first = receipts::table
        .filter(receipts::conversation_id.eq(conversation_id))
        .order((receipts::user_id.asc(), receipts::status.asc(), receipts::seq.asc()))
        .select((receipts::user_id, receipts::status, receipts::seq));
    let keys: Vec<(Key, i16, i64)> = at_most(SLICE, first).load(connection).await?;
    let Some((user_id, status, seq)) = keys.last() else { return Ok(false) };
    ForgetAdvances { conversation_id: &conversation_id, user_id, status, seq }
        .execute(connection)
        .await?;
    Ok(keys.len() == SLICE)
}
