//! Reads of messages.

use async_trait::async_trait;
use diesel::{dsl::case_when, prelude::*, sql_types::BigInt};
use kith_domain::{
    ConversationId, MessageId, UserId,
    conversation::{Kind, Seq, Version},
    message::Message,
};
use kith_ports::{
    HistoryPage, HistorySelector, MessageCard, MessageContext, MessageStore, StoreResult,
};

use super::{
    Connection, QUERIES_SEE_ONE_STATE, RunQueryDsl, Store,
    cards::{self, Place},
    either,
    reactions::with_reactions,
    shown::{Sight, may_have_reactions, show},
    span::Span,
};
use crate::{
    failure::Work,
    queries::{IsSaid, at_most, is_current, memberships},
    rows::{MemberRow, MessageRow, is_small, kind_number},
    schema::{conversations, heads, members, messages},
    types::Key,
};

#[async_trait]
impl MessageStore for Store {
    async fn history(
        &self,
        viewer: UserId,
        id: ConversationId,
        selector: HistorySelector,
        limit: usize,
    ) -> StoreResult<Option<HistoryPage>> {
        match query!(self, plain_history(viewer, id, selector, limit))? {
            Some(page) => Ok(page),
            None => snapshot!(self, history(viewer, id, selector, limit)),
        }
    }

    async fn card(&self, viewer: UserId, id: MessageId) -> StoreResult<Option<MessageCard>> {
        snapshot!(self, card(viewer, id))
    }

    async fn locate(
        &self,
        viewer: UserId,
        id: MessageId,
    ) -> StoreResult<Option<(ConversationId, Seq)>> {
        query!(self, locate(viewer, id))
    }

    async fn message(&self, viewer: UserId, id: MessageId) -> StoreResult<Option<MessageContext>> {
        snapshot!(self, context(viewer, id))
    }

    async fn sent_by(
        &self,
        sender: UserId,
        after: Option<MessageId>,
        limit: usize,
    ) -> StoreResult<Vec<(ConversationId, MessageId)>> {
        query!(self, sent_by(sender, after, limit))
    }
}

#[either]
async fn sent_by(
    connection: &mut Connection,
    sender: UserId,
    after: Option<MessageId>,
    limit: usize,
) -> Work<Vec<(ConversationId, MessageId)>> {
    let after = after.map_or(Key::LEAST, Key::from);
    let query = messages::table
        .inner_join(conversations::table.on(conversations::id.eq(messages::conversation_id)))
        .filter(messages::sender_id.eq(Key::from(sender)))
        .filter(messages::id.gt(after))
        .filter(messages::deleted_at.is_null())
        .filter(IsSaid)
        .filter(conversations::deleted_at.is_null())
        .order(messages::id.asc())
        .select((messages::conversation_id, messages::id));
    let rows: Vec<(Key, Key)> = at_most(limit, query).load(connection).await?;
    Ok(rows.into_iter().map(|(chat, id)| (chat.into(), id.into())).collect())
}

/// The place of a viewer and the messages of a page.
macro_rules! page_of {
    ($conversation:ident, $viewer:ident, $page:ident) => {
        memberships()
            .left_join(messages::table.on($page))
            .filter(members::conversation_id.eq($conversation))
            .filter(members::user_id.eq($viewer))
            .filter(is_current())
            .select((
                conversations::kind,
                conversations::member_count,
                members::first_seq,
                heads::last_seq,
                heads::version,
                Option::<MessageRow>::as_select(),
            ))
    };
}

/// The messages of a page, not yet as the viewer sees them.
struct Found {
    rows: Vec<(Sight, MessageRow)>,
    span: Span,
    version: Version,
}

impl Found {
    #[either]
    async fn show(self, connection: &mut Connection, viewer: UserId) -> Work<HistoryPage> {
        let Span { has_before, has_after, .. } = self.span;
        let items = show(connection, viewer, self.rows).await?;
        Ok(HistoryPage { items, has_before, has_after, version: self.version })
    }
}

/// A page; `None` if it has to be read again by [`history`].
///
/// Most pages are read in one statement, or need no more than statements that may see a later state.
/// Not so the reactions: with those of a later state, a message would not be what its version says.
#[either]
async fn plain_history(
    connection: &mut Connection,
    viewer: UserId,
    id: ConversationId,
    selector: HistorySelector,
    limit: usize,
) -> Work<Option<Option<HistoryPage>>> {
    let Some(found) = find_page(connection, viewer, id, selector, limit).await? else {
        return Ok(Some(None));
    };
    if !QUERIES_SEE_ONE_STATE && found.rows.iter().any(|(_, row)| may_have_reactions(row)) {
        return Ok(None);
    }
    found.show(connection, viewer).await.map(|page| Some(Some(page)))
}

/// A page whose parts are all of one state, if the statements here are.
#[either]
async fn history(
    connection: &mut Connection,
    viewer: UserId,
    id: ConversationId,
    selector: HistorySelector,
    limit: usize,
) -> Work<Option<HistoryPage>> {
    match find_page(connection, viewer, id, selector, limit).await? {
        Some(found) => found.show(connection, viewer).await.map(Some),
        None => Ok(None),
    }
}

/// A page in one statement: who may read it, what he sees, and the messages.
///
/// Which messages those are follows from the head and the viewer's place, which the statement reads
/// itself, so it says in SQL what [`Span`] says afterwards: up to the newest of those asked for, or
/// from the first of them.
#[either]
async fn find_page(
    connection: &mut Connection,
    viewer: UserId,
    id: ConversationId,
    selector: HistorySelector,
    limit: usize,
) -> Work<Option<Found>> {
    type Row = (i16, i32, i64, i64, i64, Option<MessageRow>);

    let (key, viewer) = (Key::from(id), Key::from(viewer));
    let size = i64::try_from(limit).unwrap_or(i64::MAX);
    let half = size / 2;
    let (backwards, end) = match selector {
        HistorySelector::Newest => (true, i64::MAX),
        HistorySelector::Before(seq) => (true, seq.saturating_sub(1)),
        HistorySelector::After(seq) => (false, seq.saturating_add(1).max(1)),
        HistorySelector::Around(seq) => (false, seq.saturating_sub(half).max(1)),
    };
    let of_the_conversation = messages::conversation_id.eq(members::conversation_id);
    let rows: Vec<Row> = if backwards {
        let (to, before) =
            (end.into_sql::<BigInt>(), end.saturating_sub(size).into_sql::<BigInt>());
        let to = case_when(heads::last_seq.lt(end), heads::last_seq).otherwise(to);
        let before = case_when(heads::last_seq.lt(end), heads::last_seq - size).otherwise(before);
        let page = of_the_conversation.and(messages::seq.gt(before).and(messages::seq.le(to)));
        page_of!(key, viewer, page).load(connection).await?
    } else {
        let all_seen =
            conversations::kind.eq(kind_number(Kind::Channel)).or(members::first_seq.lt(end));
        let (from, after) =
            (end.into_sql::<BigInt>(), end.saturating_add(size).into_sql::<BigInt>());
        let from = case_when(all_seen, from).otherwise(members::first_seq);
        let after = case_when(all_seen, after).otherwise(members::first_seq + size);
        let page = of_the_conversation.and(messages::seq.ge(from).and(messages::seq.lt(after)));
        page_of!(key, viewer, page).load(connection).await?
    };
    let Some((kind, members, first_seq, last_seq, version, _)) = rows.as_slice().first() else {
        return Ok(None);
    };
    let sight = Sight {
        from: if *kind == kind_number(Kind::Channel) { 1 } else { *first_seq },
        is_small: is_small(*members),
    };
    let (span, version) = (Span::of(selector, limit, sight.from, *last_seq), *version);
    let mut rows: Vec<_> = rows
        .into_iter()
        .filter_map(|(.., row)| row)
        .filter(|row| (span.from..=span.to).contains(&row.seq))
        .map(|row| (sight, row))
        .collect();
    rows.sort_unstable_by_key(|(_, row)| row.seq);
    Ok(Some(Found { rows, span, version }))
}

/// A message of one who may see it, with his place.
#[either]
async fn find(
    connection: &mut Connection,
    viewer: UserId,
    id: MessageId,
) -> Work<Option<(MessageRow, Place)>> {
    let row: Option<MessageRow> = messages::table
        .filter(messages::id.eq(Key::from(id)))
        .select(MessageRow::as_select())
        .get_result(connection)
        .await
        .optional()?;
    let Some(row) = row else { return Ok(None) };
    let place = cards::place(connection, viewer, row.conversation_id.into()).await?;
    Ok(place.filter(|place| row.seq >= place.first_visible()).map(|place| (row, place)))
}

#[either]
async fn card(
    connection: &mut Connection,
    viewer: UserId,
    id: MessageId,
) -> Work<Option<MessageCard>> {
    let Some((row, place)) = find(connection, viewer, id).await? else { return Ok(None) };
    Ok(show(connection, viewer, vec![(place.sight(), row)]).await?.pop())
}

#[either]
async fn locate(
    connection: &mut Connection,
    viewer: UserId,
    id: MessageId,
) -> Work<Option<(ConversationId, Seq)>> {
    let all_seen = conversations::kind.eq(kind_number(Kind::Channel));
    let found: Option<(Key, Seq)> = memberships()
        .inner_join(messages::table.on(messages::conversation_id.eq(members::conversation_id)))
        .filter(messages::id.eq(Key::from(id)))
        .filter(members::user_id.eq(Key::from(viewer)))
        .filter(is_current())
        .filter(all_seen.or(messages::seq.ge(members::first_seq)))
        .select((messages::conversation_id, messages::seq))
        .get_result(connection)
        .await
        .optional()?;
    Ok(found.map(|(id, seq)| (id.into(), seq)))
}

#[either]
async fn context(
    connection: &mut Connection,
    viewer: UserId,
    id: MessageId,
) -> Work<Option<MessageContext>> {
    let Some((row, place)) = find(connection, viewer, id).await? else { return Ok(None) };
    let may_have_reactions = may_have_reactions(&row);
    let mut message: Message = row.try_into()?;
    if may_have_reactions {
        message = with_reactions(connection, message).await?;
    }
    let sender: Option<MemberRow> = members::table
        .filter(members::conversation_id.eq(Key::from(message.conversation_id)))
        .filter(members::user_id.eq(Key::from(message.sender_id)))
        .filter(members::left_seq.is_null())
        .select(MemberRow::as_select())
        .get_result(connection)
        .await
        .optional()?;
    Ok(Some(MessageContext {
        my_role: place.member.role()?,
        sender_role: sender.map(|sender| sender.role()).transpose()?,
        member_epoch: place.head.member_epoch,
        conversation: place.conversation,
        message,
    }))
}

/// The first message that a member sees: all of a channel, else what came after he joined.
pub(crate) const fn first_visible(kind: Kind, first_seq: Seq) -> Seq {
    match kind {
        Kind::Channel => 1,
        Kind::Direct | Kind::Group => first_seq,
    }
}
