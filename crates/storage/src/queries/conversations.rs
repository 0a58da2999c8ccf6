use diesel::{
    backend::Backend,
    dsl::{auto_type, not},
    expression::{
        AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate::Never,
    },
    prelude::*,
    query_builder::{AstPass, QueryFragment, QueryId},
    serialize::ToSql,
    sql_types::{BigInt, Bool, HasSqlType, Nullable},
};

use crate::{
    schema::{conversations, heads, members},
    types::{
        Key,
        sql::{Id, Timestamp},
    },
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
    use super::{BigInt, Nullable, Timestamp as At};

    #[diesel::declare_sql_function]
    extern "SQL" {
        /// The first that is not null.
        fn coalesce(first: Nullable<At>, second: At) -> At;

        #[sql_name = "coalesce"]
        /// The first that is not null.
        fn coalesce_number(first: Nullable<BigInt>, second: BigInt) -> BigInt;
    }
}

/// The first message that came after the member of the row did, as `MemberRow::joined_seq` has it.
#[auto_type]
pub(crate) fn joined_seq() -> _ {
    functions::coalesce_number(members::joined_seq, members::first_seq)
}

/// The member of the row is in charge: as it stands in the index on them, for with a parameter it would
/// not be used.
pub(crate) const IN_CHARGE: &str = "members.role > 0";

/// When something last happened in it: the newest message, else its making.
#[auto_type]
pub(crate) fn activity() -> _ {
    functions::coalesce(heads::last_message_at, conversations::created_at)
}

/// One of the two of a direct chat has blocked the other. False where there are no two.
///
/// Each block is looked up by its key: a query that joins them would read all there are.
#[derive(Clone, Copy, Debug, QueryId)]
pub(crate) struct IsBlocked;

impl Expression for IsBlocked {
    type SqlType = Bool;
}

impl ValidGrouping<()> for IsBlocked {
    type IsAggregate = Never;
}

impl<Q> AppearsOnTable<Q> for IsBlocked {}
impl<Q> SelectableExpression<Q> for IsBlocked {}

impl<DB: Backend> QueryFragment<DB> for IsBlocked {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql(
            "((SELECT 1 FROM blocks WHERE blocks.user_id = conversations.user_a \
             AND blocks.blocked_id = conversations.user_b) IS NOT NULL \
             OR (SELECT 1 FROM blocks WHERE blocks.user_id = conversations.user_b \
             AND blocks.blocked_id = conversations.user_a) IS NOT NULL)",
        );
        Ok(())
    }
}

/// One is a member of the conversation of the row now.
#[derive(Clone, Copy, Debug, QueryId)]
pub(crate) struct IsMember(pub(crate) Key);

impl Expression for IsMember {
    type SqlType = Bool;
}

impl ValidGrouping<()> for IsMember {
    type IsAggregate = Never;
}

impl<Q> AppearsOnTable<Q> for IsMember {}
impl<Q> SelectableExpression<Q> for IsMember {}

impl<DB> QueryFragment<DB> for IsMember
where
    DB: Backend + HasSqlType<Id>,
    Key: ToSql<Id, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql(
            "((SELECT 1 FROM members WHERE members.conversation_id = conversations.id \
             AND members.left_seq IS NULL AND members.user_id = ",
        );
        out.push_bind_param::<Id, _>(&self.0)?;
        out.push_sql(") IS NOT NULL)");
        Ok(())
    }
}

/// A conversation is in the inbox of the one whose places are `mine`. The head is looked up for those
/// alone that he hid, which are few.
#[derive(Clone, Copy, Debug, QueryId)]
pub(crate) struct IsShownToMe;

impl Expression for IsShownToMe {
    type SqlType = Bool;
}

impl ValidGrouping<()> for IsShownToMe {
    type IsAggregate = Never;
}

impl<Q> AppearsOnTable<Q> for IsShownToMe {}
impl<Q> SelectableExpression<Q> for IsShownToMe {}

impl<DB: Backend> QueryFragment<DB> for IsShownToMe {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql(
            "(NOT mine.hidden OR (SELECT heads.last_seq FROM heads \
             WHERE heads.conversation_id = mine.conversation_id) >= mine.first_seq)",
        );
        Ok(())
    }
}
