use diesel::{
    backend::Backend,
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Array, BigInt, Text},
    sqlite::Sqlite,
};
use kith_domain::message::Reaction;

use crate::types::{Key, sql::Id};

/// The reactions to messages that are named by conversation and number: a row for each of those who
/// are named under an emoji, with how many gave it.
///
/// Those of one message come in the order in which its emoji were first given, and those of an emoji
/// in the order in which they gave it.
#[derive(Clone, Debug)]
pub(crate) struct ReactionsTo {
    conversations: Vec<Key>,
    seqs: Vec<i64>,
}

impl ReactionsTo {
    pub(crate) fn new(messages: impl Iterator<Item = (Key, i64)>) -> Self {
        let (conversations, seqs) = messages.unzip();
        Self { conversations, seqs }
    }

    fn push<'b, DB: Backend>(
        mut out: AstPass<'_, 'b, DB>,
        named: impl FnOnce(AstPass<'_, 'b, DB>) -> QueryResult<()>,
    ) -> QueryResult<()> {
        out.push_sql(
            "SELECT conversation_id, seq, emoji, user_id, total FROM (\
             SELECT conversation_id, seq, emoji, user_id, version, count(*) OVER one AS total, \
             min(version) OVER one AS first, \
             row_number() OVER (PARTITION BY conversation_id, seq, emoji ORDER BY version) AS place \
             FROM reactions WHERE (conversation_id, seq) IN (",
        );
        named(out.reborrow())?;
        out.push_sql(
            ") WINDOW one AS (PARTITION BY conversation_id, seq, emoji)) AS given WHERE place <= ",
        );
        out.push_sql(&Reaction::NAMED.to_string());
        out.push_sql(" ORDER BY first, version");
        Ok(())
    }
}

impl QueryFragment<Pg> for ReactionsTo {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        Self::push(out, |mut out| {
            out.push_sql("SELECT * FROM unnest(");
            out.push_bind_param::<Array<Id>, _>(&self.conversations)?;
            out.push_sql(", ");
            out.push_bind_param::<Array<BigInt>, _>(&self.seqs)?;
            out.push_sql(")");
            Ok(())
        })
    }
}

impl QueryFragment<Sqlite> for ReactionsTo {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        // Its text is another for each count of messages.
        out.unsafe_to_cache_prepared();
        Self::push(out, |mut out| {
            for (place, (conversation, seq)) in
                self.conversations.iter().zip(&self.seqs).enumerate()
            {
                out.push_sql(if place == 0 { "VALUES (" } else { ", (" });
                out.push_bind_param::<Id, _>(conversation)?;
                out.push_sql(", ");
                out.push_bind_param::<BigInt, _>(seq)?;
                out.push_sql(")");
            }
            Ok(())
        })
    }
}

impl Query for ReactionsTo {
    type SqlType = (Id, BigInt, Text, Id, BigInt);
}

impl<C> RunQueryDsl<C> for ReactionsTo {}

impl QueryId for ReactionsTo {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}
