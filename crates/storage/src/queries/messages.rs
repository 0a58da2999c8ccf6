use diesel::{
    backend::Backend,
    expression::{
        AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate::Never,
    },
    prelude::*,
    query_builder::{AstPass, QueryFragment, QueryId},
    sql_types::{Bool, Nullable},
};

use crate::types::sql::Id;

/// Makes an expression: something of the message that the one of the row answers; null if it answers
/// none. It is looked up for those alone that do, which are few: a join would try for each.
macro_rules! answered {
    ($(#[$doc:meta])* $name:ident, $column:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, QueryId)]
        pub(crate) struct $name;

        impl Expression for $name {
            type SqlType = Nullable<Id>;
        }

        impl ValidGrouping<()> for $name {
            type IsAggregate = Never;
        }

        impl<Q> AppearsOnTable<Q> for $name {}
        impl<Q> SelectableExpression<Q> for $name {}

        impl<DB: Backend> QueryFragment<DB> for $name {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
                out.push_sql(concat!(
                    "CASE WHEN messages.reply_to IS NOT NULL THEN (SELECT answered.",
                    $column,
                    " FROM messages AS answered \
                     WHERE answered.conversation_id = messages.conversation_id \
                     AND answered.seq = messages.reply_to) END",
                ));
                Ok(())
            }
        }
    };
}

answered! {
    /// The id of the answered message.
    AnsweredId, "id"
}
answered! {
    /// Who wrote the answered message.
    AnsweredSender, "sender_id"
}

/// Somebody wrote the message: it is not the server's own word (kind 3).
///
/// Said without a parameter, for which PostgreSQL would expect nearly all messages to be left out.
#[derive(Clone, Copy, Debug, QueryId)]
pub(crate) struct IsSaid;

impl Expression for IsSaid {
    type SqlType = Bool;
}

impl ValidGrouping<()> for IsSaid {
    type IsAggregate = Never;
}

impl<Q> AppearsOnTable<Q> for IsSaid {}
impl<Q> SelectableExpression<Q> for IsSaid {}

impl<DB: Backend> QueryFragment<DB> for IsSaid {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("messages.kind <> 3");
        Ok(())
    }
}
