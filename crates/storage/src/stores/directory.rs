//! The directory of channels, which anyone may see and search.

use diesel::prelude::*;
use kith_domain::{ConversationId, UserId, conversation::Kind};
use kith_ports::{DirectoryCursor, Listing, Page, StoreError};

use super::{Connection, RunQueryDsl, either};
use crate::{
    failure::Work,
    queries::{ConversationAmong, IsMember, one_more},
    rows::{ConversationRow, HeadRow, kind_number},
    schema::{channel_words, conversations, heads},
    types::Key,
    words,
};

/// A channel, its head, whether the viewer is a member, and what it is ordered by.
type Row = (ConversationRow, HeadRow, bool, Option<String>);

fn listing(row: (ConversationRow, HeadRow, bool)) -> Result<Listing, StoreError> {
    let (conversation, head, joined) = row;
    Ok(Listing { conversation: conversation.try_into()?, head: head.into(), joined })
}

#[either]
pub(super) async fn directory(
    connection: &mut Connection,
    viewer: UserId,
    prefix: Option<&str>,
    after: Option<DirectoryCursor>,
    limit: usize,
) -> Work<Page<Listing, DirectoryCursor>> {
    let mut query = conversations::table
        .inner_join(heads::table.on(heads::conversation_id.eq(conversations::id)))
        // As it stands in the index of those that are listed: with a parameter it would not be used.
        .filter(diesel::dsl::sql::<diesel::sql_types::Bool>("conversations.kind = 2"))
        .filter(conversations::deleted_at.is_null())
        .order((conversations::name_key.asc(), conversations::id.asc()))
        .select((
            ConversationRow::as_select(),
            HeadRow::as_select(),
            IsMember(viewer.into()),
            conversations::name_key,
        ))
        .into_boxed();
    if let Some(prefix) = prefix {
        let (from, to) = words::range(prefix);
        let mut found = channel_words::table
            .filter(channel_words::word.ge(from))
            .select(channel_words::conversation_id)
            .into_boxed();
        if let Some(to) = to {
            found = found.filter(channel_words::word.lt(to));
        }
        query = query.filter(ConversationAmong(found));
    }
    if let Some(DirectoryCursor { name, id }) = after {
        let same_name =
            conversations::name_key.eq(name.clone()).and(conversations::id.gt(Key::from(id)));
        // The first condition says nothing new, but where in the index to begin.
        query = query
            .filter(conversations::name_key.ge(name.clone()))
            .filter(conversations::name_key.gt(name).or(same_name));
    }
    let rows: Vec<Row> = one_more(limit, query).load(connection).await?;
    let has_more = rows.len() > limit;
    let mut next = None;
    let mut items = Vec::with_capacity(rows.len().min(limit));
    for (conversation, head, joined, name) in rows.into_iter().take(limit) {
        let item = listing((conversation, head, joined))?;
        next = Some(DirectoryCursor { name: name.unwrap_or_default(), id: item.conversation.id });
        items.push(item);
    }
    Ok(Page { items, next: next.filter(|_| has_more) })
}

#[either]
pub(super) async fn find_listing(
    connection: &mut Connection,
    viewer: UserId,
    id: ConversationId,
) -> Work<Option<Listing>> {
    let row: Option<(ConversationRow, HeadRow, bool)> = conversations::table
        .inner_join(heads::table.on(heads::conversation_id.eq(conversations::id)))
        .filter(conversations::id.eq(Key::from(id)))
        .filter(conversations::kind.eq(kind_number(Kind::Channel)))
        .filter(conversations::deleted_at.is_null())
        .select((ConversationRow::as_select(), HeadRow::as_select(), IsMember(viewer.into())))
        .get_result(connection)
        .await
        .optional()?;
    Ok(row.map(listing).transpose()?)
}
