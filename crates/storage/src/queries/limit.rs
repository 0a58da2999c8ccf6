use diesel::{
    backend::Backend,
    prelude::*,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    serialize::ToSql,
    sql_types::{BigInt, HasSqlType},
};

/// The first rows of a query.
///
/// SQLite looks into a bare `LIMIT ?` when it plans, and so plans the statement anew each time the
/// parameter is bound, however often it was prepared (`sqlite3ExprIsInteger` marks it). Into a sum
/// it does not look. Hence this instead of Diesel's `limit`, and `get_result` instead of `first`.
#[derive(Clone, Copy, Debug, QueryId)]
pub(crate) struct AtMost<Q> {
    query: Q,
    limit: i64,
}

/// At most `limit` rows of `query`.
pub(crate) fn at_most<Q>(limit: usize, query: Q) -> AtMost<Q> {
    AtMost { query, limit: i64::try_from(limit).unwrap_or(i64::MAX) }
}

/// One row more than a page holds, to see whether there is another.
pub(crate) fn one_more<Q>(limit: usize, query: Q) -> AtMost<Q> {
    at_most(limit.saturating_add(1), query)
}

impl<Q: Query> Query for AtMost<Q> {
    type SqlType = Q::SqlType;
}

impl<Q, C> RunQueryDsl<C> for AtMost<Q> {}

impl<Q, DB> QueryFragment<DB> for AtMost<Q>
where
    DB: Backend + HasSqlType<BigInt>,
    Q: QueryFragment<DB>,
    i64: ToSql<BigInt, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.query.walk_ast(out.reborrow())?;
        out.push_sql(" LIMIT (0 + ");
        out.push_bind_param::<BigInt, _>(&self.limit)?;
        out.push_sql(")");
        Ok(())
    }
}
