//! Moving watermarks: a statement for each that moves, all of them on the thread that writes.

use std::collections::{BTreeSet, HashMap};

use diesel::{
    prelude::*,
    sql_types::{BigInt, SmallInt},
};
use kith_domain::{
    ConversationId, MessageId,
    conversation::{Kind, Seq},
    receipt::Mark,
};
use kith_ports::Advance;

use super::{
    Backend, Connection, store,
    stores::{
        marks::TouchHead,
        receipts::{Passed, Reader, Sender, Step},
    },
};
use crate::{
    failure::Work,
    queries::{IsBlocked, IsSaid, is_current, memberships},
    rows::{MemberRow, is_small, kind_number, mark_number},
    schema::{conversations, heads, members, messages, users},
    statement::statement,
    types::{
        Key, Moment,
        sql::{Id, Timestamp as At},
    },
};

statement! {
    /// Moves a member's marks.
    MoveMarks {
        conversation_id: Key,
        user_id: Key,
        delivered: i64,
        read: i64,
        at: Moment,
        changed: i64,
    } {
        "UPDATE members SET \
         delivered_at = CASE WHEN delivered_seq < ", {delivered: BigInt},
        " THEN ", {at: At}, " ELSE delivered_at END, delivered_seq = ", {delivered: BigInt},
        ", read_at = CASE WHEN read_seq < ", {read: BigInt},
        " THEN ", {at: At}, " ELSE read_at END, read_seq = ", {read: BigInt},
        ", changed = ", {changed: BigInt},
        " WHERE conversation_id = ", {conversation_id: Id},
        " AND user_id = ", {user_id: Id},
    }
}

statement! {
    /// Keeps an advance.
    KeepAdvance { conversation_id: Key, user_id: Key, status: i16, seq: i64, at: Moment } {
        "INSERT INTO receipts (conversation_id, user_id, status, seq, at) VALUES (",
        {conversation_id: Id}, ", ",
        {user_id: Id}, ", ",
        {status: SmallInt}, ", ",
        {seq: BigInt}, ", ",
        {at: At},
        ") ON CONFLICT DO NOTHING",
    }
}

/// Those of the batch who are members now; there is one writer, so nobody moves them meanwhile.
pub(super) fn readers(connection: &mut Connection, batch: &[Advance]) -> Work<Vec<Option<Reader>>> {
    batch.iter().map(|advance| reader(connection, advance)).collect()
}

fn reader(connection: &mut Connection, advance: &Advance) -> Work<Option<Reader>> {
    let row: Option<(MemberRow, i64, i32, bool, bool)> = memberships()
        .inner_join(users::table.on(users::id.eq(members::user_id)))
        .filter(members::conversation_id.eq(Key::from(advance.conversation_id)))
        .filter(members::user_id.eq(Key::from(advance.user_id)))
        .filter(is_current())
        .select((
            MemberRow::as_select(),
            heads::last_seq,
            conversations::member_count,
            users::read_receipts,
            IsBlocked,
        ))
        .get_result(connection)
        .optional()?;
    Ok(row.map(|(member, last_seq, count, reads_openly, is_blocked)| Reader {
        marks: member.marks(),
        last_seq,
        is_small: is_small(count),
        reads_openly,
        is_blocked,
    }))
}

/// Writes marks that move, and what is kept and told of them.
pub(super) fn write(connection: &mut Connection, steps: &[Step<'_>]) -> Work<()> {
    let changed = &store::next_number(connection)?;
    let mut touched = BTreeSet::new();
    for step in steps {
        let (conversation_id, user_id, at) = (&step.conversation(), &step.user(), &step.at());
        let (delivered, read) = (&step.to.delivered, &step.to.read);
        MoveMarks { conversation_id, user_id, delivered, read, at, changed }.execute(connection)?;
        if step.is_seen() {
            touched.insert(step.conversation());
        }
        if !step.is_kept() {
            continue;
        }
        for mark in [Mark::Delivered, Mark::Read] {
            if let Some((_, seq)) = step.passed(mark) {
                let status = &mark_number(mark);
                KeepAdvance { conversation_id, user_id, status, seq: &seq, at }
                    .execute(connection)?;
            }
        }
    }
    for conversation_id in &touched {
        TouchHead { conversation_id, changed }.execute(connection)?;
    }
    Ok(())
}

/// The messages of these numbers.
pub(super) fn messages_at(
    connection: &mut Connection,
    numbers: &BTreeSet<(Key, Seq)>,
) -> Work<HashMap<(ConversationId, Seq), MessageId>> {
    let mut found = HashMap::new();
    for (conversation, seq) in numbers {
        let id: Option<Key> = messages::table
            .filter(messages::conversation_id.eq(conversation))
            .filter(messages::seq.eq(seq))
            .select(messages::id)
            .get_result(connection)
            .optional()?;
        if let Some(id) = id {
            found.insert(((*conversation).into(), *seq), id.into());
        }
    }
    Ok(found)
}

/// Who wrote what was passed, of those who are in it now and may know who else is.
pub(super) fn senders(connection: &mut Connection, passed: &[Passed]) -> Work<Vec<Sender>> {
    let mut all = Vec::new();
    for (place, it) in passed.iter().enumerate() {
        let rows: Vec<(Key, bool)> = messages::table
            .inner_join(
                members::table.on(members::conversation_id
                    .eq(messages::conversation_id)
                    .and(members::user_id.eq(messages::sender_id))),
            )
            .inner_join(conversations::table.on(conversations::id.eq(messages::conversation_id)))
            .inner_join(users::table.on(users::id.eq(messages::sender_id)))
            .filter(messages::conversation_id.eq(it.conversation))
            .filter(messages::seq.gt(it.from))
            .filter(messages::seq.le(it.to))
            .filter(messages::sender_id.ne(it.reader))
            .filter(IsSaid)
            .filter(members::left_seq.is_null())
            .filter(members::role.gt(0).or(conversations::kind.ne(kind_number(Kind::Channel))))
            .select((messages::sender_id, users::read_receipts))
            .distinct()
            .load(connection)?;
        all.extend(rows.into_iter().map(|(user, reads_openly)| Sender {
            place,
            user: user.into(),
            reads_openly,
        }));
    }
    Ok(all)
}
