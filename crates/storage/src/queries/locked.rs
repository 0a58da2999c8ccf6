use diesel::{
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sqlite::Sqlite,
};

/// A query that holds the rows it finds until the transaction ends.
///
/// Others who want to change or hold them wait. SQLite has one writer: who has begun holds
/// everything.
#[derive(Clone, Copy, Debug, QueryId)]
pub(crate) struct Locked<Q>(Q);

/// `query`, holding the rows it finds. It must read from one table.
pub(crate) fn locked<Q>(query: Q) -> Locked<Q> {
    Locked(query)
}

impl<Q: Query> Query for Locked<Q> {
    type SqlType = Q::SqlType;
}

impl<Q, C> RunQueryDsl<C> for Locked<Q> {}

impl<Q: QueryFragment<Sqlite>> QueryFragment<Sqlite> for Locked<Q> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Locked<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.0.walk_ast(out.reborrow())?;
        // Not FOR UPDATE: that would also hold up those who only point at the row.
        out.push_sql(" FOR NO KEY UPDATE");
        Ok(())
    }
}
