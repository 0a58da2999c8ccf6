use diesel::{
    expression::{
        AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate::Never,
    },
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, QueryFragment, QueryId},
    sql_types::BigInt,
    sqlite::Sqlite,
};

/// What the member of the row has not read, as one number ([`unpack`](Unread::unpack)), so that one
/// walk along the messages counts both: all of them, up to 999, and a thousand for each that
/// mentions him.
///
/// System messages (kind 3) are nothing to read, and neither is what came before his first message.
#[derive(Clone, Copy, Debug, QueryId)]
pub(crate) struct Unread;

impl Unread {
    const MENTION: i64 = 1_000;

    /// How many, and how many of them mention him.
    pub(crate) fn unpack(number: i64) -> (u32, u32) {
        let part = |part| u32::try_from(part).unwrap_or_default();
        (part(number % Self::MENTION), part(number / Self::MENTION))
    }

    /// `position`: where his id stands in the bytes of `counted.mentions`, from 1; 0 if nowhere. Ids
    /// stand there one after the other, so only at the beginning of one of them it is his.
    fn push(out: &mut AstPass<'_, '_, impl diesel::backend::Backend>, position: &str) {
        out.push_sql("(SELECT count(*) + 1000 * count(CASE WHEN (");
        out.push_sql(position);
        out.push_sql(
            " - 1) % 16 = 0 THEN 1 END) FROM (SELECT unread.mentions FROM messages AS unread \
             WHERE unread.conversation_id = members.conversation_id AND unread.seq > \
             CASE WHEN members.read_seq < members.first_seq THEN members.first_seq - 1 \
             ELSE members.read_seq END \
             AND unread.sender_id <> members.user_id AND unread.kind <> 3 \
             AND unread.deleted_at IS NULL LIMIT 999) AS counted)",
        );
    }
}

impl Expression for Unread {
    type SqlType = BigInt;
}

impl ValidGrouping<()> for Unread {
    type IsAggregate = Never;
}

impl<Q> AppearsOnTable<Q> for Unread {}
impl<Q> SelectableExpression<Q> for Unread {}

impl QueryFragment<Pg> for Unread {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        Self::push(&mut out, "position(uuid_send(members.user_id) IN counted.mentions)");
        Ok(())
    }
}

impl QueryFragment<Sqlite> for Unread {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        Self::push(&mut out, "instr(counted.mentions, members.user_id)");
        Ok(())
    }
}
