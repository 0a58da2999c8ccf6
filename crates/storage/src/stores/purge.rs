//! The messages of deleted conversations, taken away in small slices behind other writes.

use diesel::prelude::*;
use kith_domain::ConversationId;

use super::{Connection, RunQueryDsl, either};
use crate::{
    failure::Work,
    queries::at_most,
    schema::{conversations, messages},
    types::Key,
};

/// How many messages go at once.
const SLICE: i64 = 500;

/// The deleted conversations that still have messages.
#[either]
pub(crate) async fn left_over(connection: &mut Connection) -> Work<Vec<ConversationId>> {
    let messages = messages::table.filter(messages::conversation_id.eq(conversations::id));
    let ids: Vec<Key> = conversations::table
        .filter(conversations::deleted_at.is_not_null())
        .filter(diesel::dsl::exists(messages))
        .select(conversations::id)
        .load(connection)
        .await?;
    Ok(ids.into_iter().map(Into::into).collect())
}

/// Deletes the oldest messages of a deleted conversation. `true` if there may be more.
#[either]
pub(crate) async fn slice(connection: &mut Connection, id: ConversationId) -> Work<bool> {
    let deleted = conversations::table
        .filter(conversations::id.eq(Key::from(id)))
        .filter(conversations::deleted_at.is_not_null())
        .select(conversations::id);
    if deleted.get_result::<Key>(connection).await.optional()?.is_none() {
        // The transaction that was to delete it was rolled back.
        return Ok(false);
    }
    let of_conversation = messages::conversation_id.eq(Key::from(id));
    let oldest =
        messages::table.filter(of_conversation).select(messages::seq).order(messages::seq.asc());
    let first: Option<i64> = at_most(1, oldest).get_result(connection).await.optional()?;
    let Some(first) = first else { return Ok(false) };
    diesel::delete(messages::table.filter(of_conversation).filter(messages::seq.lt(first + SLICE)))
        .execute(connection)
        .await?;
    Ok(true)
}
