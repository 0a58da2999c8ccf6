use diesel::{dsl, prelude::*, query_source::AliasedField};

use crate::schema::{ANSWERED, Answered, messages};

type AnsweredField<F> = AliasedField<Answered, F>;

type IsAnswered = dsl::And<
    dsl::Eq<AnsweredField<messages::conversation_id>, messages::conversation_id>,
    dsl::Eq<dsl::Nullable<AnsweredField<messages::seq>>, messages::reply_to>,
>;

/// Messages with those they answer.
pub(crate) fn messages_with_answered()
-> dsl::LeftJoin<messages::table, dsl::On<ANSWERED, IsAnswered>> {
    messages::table.left_join(
        ANSWERED.on(ANSWERED
            .field(messages::conversation_id)
            .eq(messages::conversation_id)
            .and(ANSWERED.field(messages::seq).nullable().eq(messages::reply_to))),
    )
}

/// What is told of an answered message: its id and its sender.
pub(crate) fn answered()
-> dsl::Nullable<(AnsweredField<messages::id>, AnsweredField<messages::sender_id>)> {
    ANSWERED.fields((messages::id, messages::sender_id)).nullable()
}
