use diesel::{
    backend::Backend,
    dsl::{auto_type, not},
    expression::{
        AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate::Never,
    },
    prelude::*,
    query_builder::{AstPass, QueryFragment, QueryId},
    sql_types::{BigInt, Nullable},
};

use crate::{
    schema::{conversations, heads, members},
    types::sql::Timestamp,
};

/// Places of members, with their conversations and heads.
#[auto_type]
pub(crate) fn memberships() -> _ {
    members::table
        .inner_join(conversations::table.on(conversations::id.eq(members::conversation_id)))
        .inner_join(heads::table.on(heads::conversation_id.eq(members::conversation_id)))
}

/// He is in it now, and it is there.
#[auto_type]
pub(crate) fn is_current() -> _ {
    let gone = conversations::deleted_at.is_null();
    members::left_seq.is_null().and(gone)
}

/// It is in the inbox: not hidden, or there is something new.
#[auto_type]
pub(crate) fn is_shown() -> _ {
    not(members::hidden.and(heads::last_seq.lt(members::first_seq)))
}

mod functions {
    // By another name: the macro takes the usual one for Diesel's own type.
    use super::{Nullable, Timestamp as At};

    #[diesel::declare_sql_function]
    extern "SQL" {
        /// The first that is not null.
        fn coalesce(first: Nullable<At>, second: At) -> At;
    }
}

/// When something last happened in it: the newest message, else its making.
#[auto_type]
pub(crate) fn activity() -> _ {
    functions::coalesce(heads::last_message_at, conversations::created_at)
}

/// How many messages the member of the row has not read, counted up to 999.
///
/// The mark is never before `first_seq - 1`, so it alone says where counting begins.
#[derive(Clone, Copy, Debug, QueryId)]
pub(crate) struct Unread;

impl Expression for Unread {
    type SqlType = BigInt;
}

impl ValidGrouping<()> for Unread {
    type IsAggregate = Never;
}

impl<Q> AppearsOnTable<Q> for Unread {}
impl<Q> SelectableExpression<Q> for Unread {}

impl<DB: Backend> QueryFragment<DB> for Unread {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql(
            "(SELECT count(*) FROM (SELECT 1 FROM messages AS unread \
             WHERE unread.conversation_id = members.conversation_id \
             AND unread.seq > members.read_seq AND unread.sender_id <> members.user_id \
             AND unread.deleted_at IS NULL LIMIT 999) AS counted)",
        );
        Ok(())
    }
}
