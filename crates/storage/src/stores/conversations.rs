//! Reads of conversations and members.

use std::collections::HashMap;

use async_trait::async_trait;
use diesel::{dsl::sql, prelude::*, sql_types::Bool};
use kith_domain::{
    ConversationId, UserId,
    conversation::{Conversation, Head, Version},
};
use kith_ports::{
    Catalog, Changes, ConversationCard, ConversationStore, DirectoryCursor, InboxCursor,
    InboxFilter, Listing, MemberCursor, MemberRow as Member, MemberSnapshot, Page, Snapshot,
    StoreError, StoreResult, SyncBody, SyncFrom, SyncRead, SyncRequest, Topic,
};

use super::{
    Connection, RunQueryDsl, Store,
    cards::{self, Place, card, dress},
    changes::changes,
    directory::{directory, find_listing},
    either,
    store::horizon,
    sync::sync,
    unchanged,
};
use crate::{
    failure::Work,
    queries::{IN_CHARGE, PlaceOf, activity, is_current, is_shown, memberships, one_more, people},
    rows::{ConversationRow, HeadRow, MemberRow, UserRow, kind_number},
    schema::{conversations, heads, members, users},
    types::{Key, Moment},
};

#[async_trait]
impl ConversationStore for Store {
    async fn card(
        &self,
        viewer: UserId,
        id: ConversationId,
    ) -> StoreResult<Option<ConversationCard>> {
        snapshot!(self, card(viewer, id))
    }

    async fn inbox(
        &self,
        viewer: UserId,
        filter: InboxFilter,
        after: Option<InboxCursor>,
        limit: usize,
    ) -> StoreResult<Catalog> {
        snapshot!(self, inbox(viewer, filter, after, limit))
    }

    async fn members(
        &self,
        viewer: UserId,
        id: ConversationId,
        after: Option<MemberCursor>,
        limit: usize,
    ) -> StoreResult<Option<Page<Member, MemberCursor>>> {
        snapshot!(self, members(viewer, id, after, limit))
    }

    async fn directory(
        &self,
        viewer: UserId,
        prefix: Option<String>,
        after: Option<DirectoryCursor>,
        limit: usize,
    ) -> StoreResult<Page<Listing, DirectoryCursor>> {
        query!(self, directory(viewer, prefix.as_deref(), after, limit))
    }

    async fn listing(&self, viewer: UserId, id: ConversationId) -> StoreResult<Option<Listing>> {
        query!(self, find_listing(viewer, id))
    }

    async fn members_named(
        &self,
        id: ConversationId,
        named: &[UserId],
    ) -> StoreResult<Vec<Member>> {
        let named: Vec<Key> = named.iter().copied().map(Key::from).collect();
        query!(self, members_named(id, named))
    }

    async fn snapshot(
        &self,
        id: ConversationId,
        users: &[UserId],
    ) -> StoreResult<Option<Snapshot>> {
        let users = users.to_vec();
        snapshot!(self, snapshot(id, &users))
    }

    async fn topics(&self, members: &[UserId]) -> StoreResult<Vec<Vec<Topic>>> {
        let members = members.to_vec();
        query!(self, topics(&members))
    }

    async fn changes(
        &self,
        viewer: UserId,
        id: ConversationId,
        since: Version,
        limit: usize,
    ) -> StoreResult<Option<Changes>> {
        snapshot!(self, changes(viewer, id, since, limit))
    }

    async fn sync(
        &self,
        viewer: UserId,
        from: Option<SyncFrom>,
        limit: usize,
    ) -> StoreResult<SyncRead> {
        snapshot!(self, sync(viewer, from, limit))
    }

    async fn unchanged(&self, asked: &[SyncRequest]) -> StoreResult<Vec<Option<SyncBody>>> {
        unchanged::of_many(self, asked.to_vec()).await
    }

    fn tells_of_many(&self) -> bool {
        unchanged::IS_TOLD
    }

    async fn horizon(&self) -> StoreResult<SyncFrom> {
        query!(self, horizon())
    }
}

#[either]
async fn members(
    connection: &mut Connection,
    viewer: UserId,
    id: ConversationId,
    after: Option<MemberCursor>,
    limit: usize,
) -> Work<Option<Page<Member, MemberCursor>>> {
    let Some(place) = cards::place(connection, viewer, id).await? else { return Ok(None) };
    let all = place.lists_members()?;
    list_members(connection, id, all, after, limit).await.map(Some)
}

#[either]
async fn members_named(
    connection: &mut Connection,
    id: ConversationId,
    named: Vec<Key>,
) -> Work<Vec<Member>> {
    let rows: Vec<(MemberRow, UserRow)> = people()
        .inner_join(members::table.on(members::user_id.eq(users::id)))
        .inner_join(conversations::table.on(conversations::id.eq(members::conversation_id)))
        .filter(PlaceOf { conversation: id.into(), users: named })
        .filter(is_current())
        .order((members::joined_at.asc(), members::user_id.asc()))
        .select((MemberRow::as_select(), UserRow::as_select()))
        .load(connection)
        .await?;
    Ok(rows.into_iter().map(listed).collect::<Result<_, StoreError>>()?)
}

#[either]
async fn topics(connection: &mut Connection, of: &[UserId]) -> Work<Vec<Vec<Topic>>> {
    let keys: Vec<Key> = of.iter().copied().map(Key::from).collect();
    let rows: Vec<(Key, Key, i64, i64, i64)> = memberships()
        .filter(members::user_id.eq_any(keys))
        .filter(is_current())
        .filter(conversations::user_a.is_null())
        .select((
            members::user_id,
            members::conversation_id,
            heads::member_epoch,
            heads::version,
            heads::last_seq,
        ))
        .load(connection)
        .await?;
    let mut topics: HashMap<UserId, Vec<Topic>> = HashMap::new();
    for (member, id, member_epoch, version, last_seq) in rows {
        let topic = Topic { conversation_id: id.into(), member_epoch, version, last_seq };
        topics.entry(member.into()).or_default().push(topic);
    }
    // One with several devices may be asked for more than once.
    Ok(of.iter().map(|member| topics.get(member).cloned().unwrap_or_default()).collect())
}

/// A conversation with its head and when it was deleted; deleted ones too.
#[either]
pub(crate) async fn find(
    connection: &mut Connection,
    id: ConversationId,
) -> Work<Option<(Conversation, Head, Option<Moment>)>> {
    let row: Option<(ConversationRow, HeadRow)> = conversations::table
        .inner_join(heads::table.on(heads::conversation_id.eq(conversations::id)))
        .filter(conversations::id.eq(Key::from(id)))
        .select((ConversationRow::as_select(), HeadRow::as_select()))
        .get_result(connection)
        .await
        .optional()?;
    let Some((conversation, head)) = row else { return Ok(None) };
    let deleted_at = conversation.deleted_at;
    Ok(Some((conversation.try_into()?, head.into(), deleted_at)))
}

#[either]
async fn inbox(
    connection: &mut Connection,
    viewer: UserId,
    filter: InboxFilter,
    after: Option<InboxCursor>,
    limit: usize,
) -> Work<Catalog> {
    let mut query = memberships()
        .filter(members::user_id.eq(Key::from(viewer)))
        .filter(is_current())
        .filter(is_shown())
        .order((members::pinned.desc(), activity().desc(), conversations::id.desc()))
        .select((MemberRow::as_select(), ConversationRow::as_select(), HeadRow::as_select()))
        .into_boxed();
    if let Some(archived) = filter.archived {
        query = query.filter(members::archived.eq(archived));
    }
    if let Some(kind) = filter.kind {
        query = query.filter(conversations::kind.eq(kind_number(kind)));
    }
    if let Some(InboxCursor { pinned, active_at, id }) = after {
        let (active_at, id) = (Moment::from(active_at), Key::from(id));
        let same_time = activity().eq(active_at).and(conversations::id.lt(id));
        let same_pin = members::pinned.eq(pinned).and(activity().lt(active_at).or(same_time));
        query = query.filter(members::pinned.lt(pinned).or(same_pin));
    }
    let rows: Vec<(MemberRow, ConversationRow, HeadRow)> =
        one_more(limit, query).load(connection).await?;
    let has_more = rows.len() > limit;
    let places =
        rows.into_iter().take(limit).map(Place::new).collect::<Result<Vec<_>, StoreError>>()?;
    let items = dress(connection, viewer, places).await?;
    let next = items.last().filter(|_| has_more).map(|last| InboxCursor {
        pinned: last.my.pinned,
        active_at: last.head.last_message_at.unwrap_or(last.conversation.created_at),
        id: last.conversation.id,
    });
    Ok(Page { items, next })
}

/// A row of the list of members.
pub(super) fn listed((member, user): (MemberRow, UserRow)) -> Result<Member, StoreError> {
    Ok(Member {
        role: member.role()?,
        user: user.try_into()?,
        joined_at: member.joined_at.into(),
        version: member.version,
        left: member.left_seq.is_some(),
    })
}

/// A page of all members, or of those in charge alone.
#[either]
async fn list_members(
    connection: &mut Connection,
    id: ConversationId,
    all: bool,
    after: Option<MemberCursor>,
    limit: usize,
) -> Work<Page<Member, MemberCursor>> {
    let mut query = people()
        .inner_join(members::table.on(members::user_id.eq(users::id)))
        .filter(members::conversation_id.eq(Key::from(id)))
        .filter(members::left_seq.is_null())
        .order((members::joined_at.asc(), members::user_id.asc()))
        .select((MemberRow::as_select(), UserRow::as_select()))
        .into_boxed();
    if !all {
        query = query.filter(sql::<Bool>(IN_CHARGE));
    }
    if let Some(MemberCursor { joined_at, user_id }) = after {
        let joined_at = Moment::from(joined_at);
        let same_time =
            members::joined_at.eq(joined_at).and(members::user_id.gt(Key::from(user_id)));
        // The first condition says nothing new, but where in the index to begin.
        query = query
            .filter(members::joined_at.ge(joined_at))
            .filter(members::joined_at.gt(joined_at).or(same_time));
    }
    let rows: Vec<(MemberRow, UserRow)> = one_more(limit, query).load(connection).await?;
    let has_more = rows.len() > limit;
    let items = rows.into_iter().take(limit).map(listed).collect::<Result<Vec<_>, StoreError>>()?;
    let next = items
        .last()
        .filter(|_| has_more)
        .map(|last| MemberCursor { joined_at: last.joined_at, user_id: last.user.id });
    Ok(Page { items, next })
}

#[either]
async fn snapshot(
    connection: &mut Connection,
    id: ConversationId,
    users: &[UserId],
) -> Work<Option<Snapshot>> {
    let Some((conversation, head, None)) = find(connection, id).await? else { return Ok(None) };
    let key = Key::from(id);
    let owners: i64 = members::table
        .filter(members::conversation_id.eq(key))
        // As it stands in the index on owners: with a parameter it would not be used.
        .filter(sql::<Bool>("members.role = 2"))
        .filter(members::left_seq.is_null())
        .count()
        .get_result(connection)
        .await?;
    let rows: Vec<MemberRow> = members::table
        .filter(PlaceOf {
            conversation: key,
            users: users.iter().copied().map(Key::from).collect(),
        })
        .filter(members::left_seq.is_null())
        .select(MemberRow::as_select())
        .load(connection)
        .await?;
    let members = rows
        .into_iter()
        .map(|row| Ok(MemberSnapshot { user_id: row.user_id.into(), role: row.role()? }))
        .collect::<Result<_, StoreError>>()?;
    Ok(Some(Snapshot {
        conversation,
        head,
        owners: u32::try_from(owners).unwrap_or(u32::MAX),
        members,
    }))
}
