use diesel::{
    expression::{
        AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate::Never,
    },
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, QueryFragment, QueryId},
    sql_types::{Array, Bool},
    sqlite::Sqlite,
};

use crate::types::{Key, sql::Id};

/// Makes a condition: the row is one of those that a query finds. Each of them is looked up, however
/// many there are of which the query knows nothing.
macro_rules! among {
    ($(#[$doc:meta])* $name:ident, $column:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name<Q>(pub(crate) Q);

        impl<Q> Expression for $name<Q> {
            type SqlType = Bool;
        }

        impl<Q> ValidGrouping<()> for $name<Q> {
            type IsAggregate = Never;
        }

        impl<Q, S> AppearsOnTable<S> for $name<Q> {}
        impl<Q, S> SelectableExpression<S> for $name<Q> {}

        impl<Q> QueryId for $name<Q> {
            type QueryId = ();
            const HAS_STATIC_QUERY_ID: bool = false;
        }

        impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for $name<Q> {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
                out.push_sql(concat!($column, " = ANY (ARRAY("));
                self.0.walk_ast(out.reborrow())?;
                out.push_sql("))");
                Ok(())
            }
        }

        impl<Q: QueryFragment<Sqlite>> QueryFragment<Sqlite> for $name<Q> {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
                out.push_sql(concat!($column, " IN ("));
                self.0.walk_ast(out.reborrow())?;
                out.push_sql(")");
                Ok(())
            }
        }
    };
}

among! {
    /// The account is one of those that a query finds.
    AccountAmong, "users.id"
}
among! {
    /// The conversation is one of those that a query finds.
    ConversationAmong, "conversations.id"
}
among! {
    /// The head is that of one of the conversations that a query finds.
    HeadAmong, "heads.conversation_id"
}

/// The place is that of one of those named, in a conversation that may be long.
#[derive(Clone, Debug)]
pub(crate) struct PlaceOf {
    pub(crate) conversation: Key,
    pub(crate) users: Vec<Key>,
}

impl Expression for PlaceOf {
    type SqlType = Bool;
}

impl ValidGrouping<()> for PlaceOf {
    type IsAggregate = Never;
}

impl<S> AppearsOnTable<S> for PlaceOf {}
impl<S> SelectableExpression<S> for PlaceOf {}

impl QueryId for PlaceOf {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Pg> for PlaceOf {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("(members.conversation_id, members.user_id) IN (SELECT ");
        out.push_bind_param::<Id, _>(&self.conversation)?;
        out.push_sql(", unnest(");
        out.push_bind_param::<Array<Id>, _>(&self.users)?;
        out.push_sql("))");
        Ok(())
    }
}

impl QueryFragment<Sqlite> for PlaceOf {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("members.conversation_id = ");
        out.push_bind_param::<Id, _>(&self.conversation)?;
        out.push_sql(" AND members.user_id IN (");
        for (place, user) in self.users.iter().enumerate() {
            if place > 0 {
                out.push_sql(", ");
            }
            out.push_bind_param::<Id, _>(user)?;
        }
        out.push_sql(")");
        Ok(())
    }
}
