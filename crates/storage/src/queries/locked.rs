use diesel::{
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sqlite::Sqlite,
};

/// Makes a query out of another, with a clause at its end that PostgreSQL alone needs.
macro_rules! with_clause {
    ($name:ident, $clause:literal) => {
        impl<Q: Query> Query for $name<Q> {
            type SqlType = Q::SqlType;
        }

        impl<Q, C> RunQueryDsl<C> for $name<Q> {}

        impl<Q: QueryFragment<Sqlite>> QueryFragment<Sqlite> for $name<Q> {
            fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
                self.0.walk_ast(out)
            }
        }

        impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for $name<Q> {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
                self.0.walk_ast(out.reborrow())?;
                out.push_sql($clause);
                Ok(())
            }
        }
    };
}

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

// Not FOR UPDATE: that would also hold up those who only point at the row.
with_clause!(Locked, " FOR NO KEY UPDATE");

/// A query that keeps the accounts it finds from being changed until the transaction ends; others may
/// keep them too.
#[derive(Clone, Copy, Debug, QueryId)]
pub(crate) struct KeptAccount<Q>(Q);

/// `query`, keeping the accounts it finds. They must be the first table that it reads from.
pub(crate) fn kept_account<Q>(query: Q) -> KeptAccount<Q> {
    KeptAccount(query)
}

with_clause!(KeptAccount, " FOR SHARE OF users");
