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

/// The account is one of those that a query finds: each of them is looked up, however many there
/// are of whom the query knows nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccountAmong<Q>(pub(crate) Q);

/// The place is that of one of those named, in a conversation that may be long.
#[derive(Clone, Debug)]
pub(crate) struct PlaceOf {
    pub(crate) conversation: Key,
    pub(crate) users: Vec<Key>,
}

impl<Q> Expression for AccountAmong<Q> {
    type SqlType = Bool;
}

impl Expression for PlaceOf {
    type SqlType = Bool;
}

impl<Q> ValidGrouping<()> for AccountAmong<Q> {
    type IsAggregate = Never;
}

impl ValidGrouping<()> for PlaceOf {
    type IsAggregate = Never;
}

impl<Q, S> AppearsOnTable<S> for AccountAmong<Q> {}
impl<Q, S> SelectableExpression<S> for AccountAmong<Q> {}
impl<S> AppearsOnTable<S> for PlaceOf {}
impl<S> SelectableExpression<S> for PlaceOf {}

impl<Q> QueryId for AccountAmong<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryId for PlaceOf {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for AccountAmong<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("users.id = ANY (ARRAY(");
        self.0.walk_ast(out.reborrow())?;
        out.push_sql("))");
        Ok(())
    }
}

impl<Q: QueryFragment<Sqlite>> QueryFragment<Sqlite> for AccountAmong<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("users.id IN (");
        self.0.walk_ast(out.reborrow())?;
        out.push_sql(")");
        Ok(())
    }
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
