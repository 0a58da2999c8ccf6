use diesel::{
    backend::Backend,
    expression::{
        AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate::Never,
    },
    prelude::*,
    query_builder::{AstPass, QueryFragment, QueryId},
    serialize::ToSql,
    sql_types::{BigInt, HasSqlType, Nullable, SmallInt},
};

use crate::types::sql::Timestamp as At;

/// When a mark of the member of the row first came to a message, or beyond it.
#[derive(Clone, Copy, Debug, QueryId)]
pub(crate) struct FirstAdvance {
    /// The number of the mark, as `rows` has it.
    pub(crate) mark: i16,
    /// The number of the message.
    pub(crate) seq: i64,
}

impl Expression for FirstAdvance {
    type SqlType = Nullable<At>;
}

impl ValidGrouping<()> for FirstAdvance {
    type IsAggregate = Never;
}

impl<Q> AppearsOnTable<Q> for FirstAdvance {}
impl<Q> SelectableExpression<Q> for FirstAdvance {}

impl<DB> QueryFragment<DB> for FirstAdvance
where
    DB: Backend + HasSqlType<BigInt> + HasSqlType<SmallInt>,
    i64: ToSql<BigInt, DB>,
    i16: ToSql<SmallInt, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql(
            "(SELECT advance.at FROM receipts AS advance \
             WHERE advance.conversation_id = members.conversation_id \
             AND advance.user_id = members.user_id AND advance.status = ",
        );
        out.push_bind_param::<SmallInt, _>(&self.mark)?;
        out.push_sql(" AND advance.seq >= ");
        out.push_bind_param::<BigInt, _>(&self.seq)?;
        out.push_sql(" ORDER BY advance.seq LIMIT 1)");
        Ok(())
    }
}
