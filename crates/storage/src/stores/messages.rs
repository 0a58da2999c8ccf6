//! Reads of messages.

use async_trait::async_trait;
use diesel::{dsl::case_when, prelude::*, sql_types::BigInt};
use kith_domain::{
    ConversationId, MessageId, UserId,
    conversation::{Kind, Seq},
    message::Message,
};
use kith_ports::{
    HistoryPage, HistorySelector, MessageContext, MessageStore, StoreError, StoreResult,
};

use super::{Connection, RunQueryDsl, Store, cards, either};
use crate::{
    failure::Work,
    queries::{at_most, is_current, memberships},
    rows::{MemberRow, MessageRow, kind_number},
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
        query!(self, history(viewer, id, selector, limit))
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
    let after = after.map_or(Key(uuid::Uuid::nil()), Key::from);
    let query = messages::table
        .inner_join(conversations::table.on(conversations::id.eq(messages::conversation_id)))
        .filter(messages::sender_id.eq(Key::from(sender)))
        .filter(messages::id.gt(after))
        .filter(messages::deleted_at.is_null())
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
                members::first_seq,
                heads::last_seq,
                heads::version,
                Option::<MessageRow>::as_select(),
            ))
    };
}

/// A page, as the numbers of its first and last message, and what lies beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: Seq,
    to: Seq,
    has_before: bool,
    has_after: bool,
}

impl Span {
    /// Which page it is when the viewer sees the messages from `first` to `last`.
    ///
    /// Numbers are dense, so this is arithmetic and not a search.
    fn of(selector: HistorySelector, limit: usize, first: Seq, last: Seq) -> Self {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let up_to = |to: Seq| (first.max(to.saturating_sub(limit - 1)), to);
        let starting = |from: Seq| (from, last.min(from.saturating_add(limit - 1)));
        let (from, to) = match selector {
            HistorySelector::Newest => up_to(last),
            HistorySelector::Before(seq) => up_to(last.min(seq.saturating_sub(1))),
            HistorySelector::After(seq) => starting(first.max(seq.saturating_add(1))),
            HistorySelector::Around(seq) => starting(first.max(seq.saturating_sub(limit / 2))),
        };
        Self {
            from,
            to,
            has_before: first <= last.min(from.saturating_sub(1)),
            has_after: first.max(to.saturating_add(1)) <= last,
        }
    }
}

/// A page in one statement: who may read it, what he sees, and the messages.
///
/// Which messages those are follows from the head and the viewer's place, which the statement reads
/// itself, so it says in SQL what [`Span`] says afterwards: up to the newest of those asked for, or
/// from the first of them.
#[either]
async fn history(
    connection: &mut Connection,
    viewer: UserId,
    id: ConversationId,
    selector: HistorySelector,
    limit: usize,
) -> Work<Option<HistoryPage>> {
    type Row = (i16, i64, i64, i64, Option<MessageRow>);

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
    let Some((kind, first_seq, last_seq, version, _)) = rows.as_slice().first() else {
        return Ok(None);
    };
    let first = if *kind == kind_number(Kind::Channel) { 1 } else { *first_seq };
    let (span, version) = (Span::of(selector, limit, first, *last_seq), *version);
    let mut items = rows
        .into_iter()
        .filter_map(|(.., row)| row)
        .filter(|row| (span.from..=span.to).contains(&row.seq))
        .map(TryInto::try_into)
        .collect::<Result<Vec<Message>, StoreError>>()?;
    items.sort_unstable_by_key(|message| message.seq);
    Ok(Some(HistoryPage { items, has_before: span.has_before, has_after: span.has_after, version }))
}

#[either]
async fn context(
    connection: &mut Connection,
    viewer: UserId,
    id: MessageId,
) -> Work<Option<MessageContext>> {
    let row: Option<MessageRow> = messages::table
        .filter(messages::id.eq(Key::from(id)))
        .select(MessageRow::as_select())
        .get_result(connection)
        .await
        .optional()?;
    let Some(row) = row else { return Ok(None) };
    let message: Message = row.try_into()?;
    let Some(place) = cards::place(connection, viewer, message.conversation_id).await? else {
        return Ok(None);
    };
    if message.seq < place.first_visible() {
        return Ok(None);
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

#[cfg(test)]
mod tests {
    use HistorySelector::{After, Around, Before, Newest};
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Newest, 4, (7, 10, true, false))]
    #[case(Newest, 50, (3, 10, false, false))]
    #[case(Before(7), 2, (5, 6, true, true))]
    #[case(Before(5), 50, (3, 4, false, true))]
    #[case(Before(99), 2, (9, 10, true, false))]
    #[case(After(7), 2, (8, 9, true, true))]
    #[case(After(0), 2, (3, 4, false, true))]
    #[case(After(8), 2, (9, 10, true, false))]
    #[case(Around(6), 4, (4, 7, true, true))]
    #[case(Around(3), 4, (3, 6, false, true))]
    #[case(Around(10), 4, (8, 10, true, false))]
    fn pages(
        #[case] selector: HistorySelector,
        #[case] limit: usize,
        #[case] (from, to, has_before, has_after): (Seq, Seq, bool, bool),
    ) {
        let page = Span { from, to, has_before, has_after };
        assert_eq!(Span::of(selector, limit, 3, 10), page);
    }

    #[rstest]
    #[case(Before(3), false, true)]
    #[case(Before(i64::MIN), false, true)]
    #[case(After(10), true, false)]
    #[case(After(i64::MAX), true, false)]
    #[case(Around(i64::MAX), true, false)]
    fn empty_pages(#[case] selector: HistorySelector, #[case] before: bool, #[case] after: bool) {
        let page = Span::of(selector, 5, 3, 10);
        assert!(page.from > page.to, "{page:?}");
        assert_eq!((page.has_before, page.has_after), (before, after));
    }

    #[test]
    fn an_empty_history_has_nothing_beside_it() {
        for selector in [Newest, Before(5), After(0), Around(1)] {
            let page = Span::of(selector, 5, 1, 0);
            assert!(page.from > page.to && !page.has_before && !page.has_after, "{page:?}");
        }
    }

    proptest! {
        #[test]
        fn pages_back_to_back_show_everything_once(
            first in 1i64..5, count in 0i64..40, limit in 1usize..9,
        ) {
            let last = first + count - 1;
            let mut seen = Vec::new();
            let mut page = Span::of(Newest, limit, first, last);
            loop {
                seen.extend((page.from..=page.to).rev());
                if !page.has_before { break }
                page = Span::of(Before(page.from), limit, first, last);
            }
            let all: Vec<Seq> = (first..=last).rev().collect();
            prop_assert_eq!(seen, all);
        }
    }
}
