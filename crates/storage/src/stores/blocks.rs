//! Blocks between people.

use std::collections::HashSet;

use async_trait::async_trait;
use diesel::prelude::*;
use kith_domain::{ConversationId, Timestamp, UserId};
use kith_ports::{BlockStore, Page, StoreResult};

use super::{
    Backend, Connection, RunQueryDsl, Store, either, log::blocks::between, marks::TouchHead, store,
};
use crate::{
    failure::Work,
    queries::{kept_account, locked, one_more},
    schema::{blocks, heads, users},
    statement::statement,
    types::{
        Key, Moment,
        sql::{Id, Timestamp as At},
    },
};

statement! {
    /// Keeps a block that is not there yet.
    InsertBlock { user_id: Key, blocked_id: Key, at: Moment } {
        "INSERT INTO blocks (user_id, blocked_id, at) VALUES (",
        {user_id: Id}, ", ",
        {blocked_id: Id}, ", ",
        {at: At},
        ") ON CONFLICT DO NOTHING",
    }
}

#[async_trait]
impl BlockStore for Store {
    async fn block(&self, by: UserId, whom: UserId, at: Timestamp) -> StoreResult<bool> {
        insist!(self, [] block(by, whom, at))
    }

    async fn unblock(&self, by: UserId, whom: UserId) -> StoreResult<()> {
        insist!(self, [] unblock(by, whom))
    }

    async fn blocked_by(
        &self,
        by: UserId,
        after: Option<UserId>,
        limit: usize,
    ) -> StoreResult<Page<UserId, UserId>> {
        query!(self, blocked_by(by, after, limit))
    }

    async fn blocked_among(&self, me: UserId, others: &[UserId]) -> StoreResult<Vec<UserId>> {
        let others: Vec<Key> = others.iter().copied().map(Key::from).collect();
        query!(self, blocked_among(me, &others))
    }
}

#[either]
async fn block(connection: &mut Connection, by: UserId, whom: UserId, at: Timestamp) -> Work<bool> {
    // What is being sent there was judged before, and is waited for; what comes later is judged after.
    hold_chat(connection, by, whom).await?;
    let living = users::table
        .filter(users::id.eq(Key::from(whom)))
        .filter(users::deleted_at.is_null())
        .select(users::id);
    if kept_account(living).get_result::<Key>(connection).await.optional()?.is_none() {
        return Ok(false);
    }
    let had_parted = between(connection, by, whom).await?;
    InsertBlock { user_id: &by.into(), blocked_id: &whom.into(), at: &at.into() }
        .execute(connection)
        .await?;
    if !had_parted {
        touch_chat(connection, by, whom).await?;
    }
    Ok(true)
}

#[either]
async fn unblock(connection: &mut Connection, by: UserId, whom: UserId) -> Work<()> {
    hold_chat(connection, by, whom).await?;
    let block = blocks::table.find((Key::from(by), Key::from(whom)));
    let taken_back = diesel::delete(block).execute(connection).await? > 0;
    if taken_back && !between(connection, by, whom).await? {
        touch_chat(connection, by, whom).await?;
    }
    Ok(())
}

/// Holds the head of the direct chat of two, if they have one.
#[either]
async fn hold_chat(connection: &mut Connection, a: UserId, b: UserId) -> Work<()> {
    let head = heads::table
        .filter(heads::conversation_id.eq(Key::from(ConversationId::direct(a, b))))
        .select(heads::conversation_id);
    locked(head).get_result::<Key>(connection).await.optional()?;
    Ok(())
}

/// Lets the next sync of both tell what they may know now of each other's marks.
#[either]
async fn touch_chat(connection: &mut Connection, a: UserId, b: UserId) -> Work<()> {
    let changed = &store::next_number(connection).await?;
    let conversation_id = &ConversationId::direct(a, b).into();
    TouchHead { conversation_id, changed }.execute(connection).await?;
    Ok(())
}

#[either]
async fn blocked_by(
    connection: &mut Connection,
    by: UserId,
    after: Option<UserId>,
    limit: usize,
) -> Work<Page<UserId, UserId>> {
    let mut items = next(connection, by, after, limit).await?;
    let has_more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().copied().filter(|_| has_more);
    Ok(Page { items, next })
}

/// Those whom `by` has blocked, after one of them, in the order of their ids: one more than `limit`.
#[either]
pub(super) async fn next(
    connection: &mut Connection,
    by: UserId,
    after: Option<UserId>,
    limit: usize,
) -> Work<Vec<UserId>> {
    let query = blocks::table
        .filter(blocks::user_id.eq(Key::from(by)))
        .filter(blocks::blocked_id.gt(after.map_or(Key::LEAST, Key::from)))
        .order(blocks::blocked_id.asc())
        .select(blocks::blocked_id);
    let ids: Vec<Key> = one_more(limit, query).load(connection).await?;
    Ok(ids.into_iter().map(Into::into).collect())
}

/// Those of `others` whom `me` has blocked, or who have blocked him, in the order of their ids.
#[either]
pub(super) async fn blocked_among(
    connection: &mut Connection,
    me: UserId,
    others: &[Key],
) -> Work<Vec<UserId>> {
    let me = Key::from(me);
    let mut found: Vec<Key> = blocks::table
        .filter(blocks::user_id.eq(me))
        .filter(blocks::blocked_id.eq_any(others))
        .select(blocks::blocked_id)
        .load(connection)
        .await?;
    let by_them: Vec<Key> = blocks::table
        .filter(blocks::blocked_id.eq(me))
        .filter(blocks::user_id.eq_any(others))
        .select(blocks::user_id)
        .load(connection)
        .await?;
    found.extend(by_them);
    found.sort_unstable();
    found.dedup();
    Ok(found.into_iter().map(Into::into).collect())
}

/// Each of `people` with each of those whom he has blocked, or who have blocked him.
#[either]
pub(super) async fn partings(
    connection: &mut Connection,
    people: &[UserId],
) -> Work<HashSet<(UserId, UserId)>> {
    let people: Vec<Key> = people.iter().copied().map(Key::from).collect();
    let by_them = blocks::table
        .filter(blocks::user_id.eq_any(&people))
        .select((blocks::user_id, blocks::blocked_id));
    let of_them = blocks::table
        .filter(blocks::blocked_id.eq_any(&people))
        .select((blocks::blocked_id, blocks::user_id));
    let mut all: Vec<(Key, Key)> = by_them.load(connection).await?;
    all.extend(of_them.load::<(Key, Key)>(connection).await?);
    Ok(all.into_iter().map(|(one, other)| (one.into(), other.into())).collect())
}
