//! Moving watermarks: a whole batch in a few statements, however large it is.

use std::collections::{BTreeSet, HashMap};

use diesel::sql_types::{Array, BigInt, Bool, Integer, SmallInt};
use diesel_async::RunQueryDsl;
use kith_domain::{
    ConversationId, MessageId,
    conversation::Seq,
    receipt::{Mark, Watermarks},
};
use kith_ports::{Advance, StoreError};

use super::{
    Backend, Connection,
    stores::receipts::{Passed, Reader, Sender, Step},
};
use crate::{
    failure::{Work, cause},
    rows::{is_small, mark_number},
    statement::statement,
    types::{
        Key, Moment,
        sql::{Id, Timestamp},
    },
};

statement! {
    /// Holds the heads of conversations, in the order in which everybody does.
    HoldHeads { conversations: Vec<Key> } -> Id {
        "SELECT conversation_id FROM heads WHERE conversation_id = ANY (",
        {conversations: Array<Id>},
        ") ORDER BY conversation_id FOR NO KEY UPDATE",
    }
}

statement! {
    /// Finds the places of those who are members now: the place in the arrays, from 1, the marks, the
    /// newest message, how many members there are, whether he reads openly, whether the two of a
    /// direct chat have blocked each other.
    Readers { conversations: Vec<Key>, users: Vec<Key> }
        -> (BigInt, BigInt, BigInt, BigInt, Integer, Bool, Bool) {
        "SELECT item.place, members.delivered_seq, members.read_seq, heads.last_seq, \
         conversations.member_count, users.read_receipts, \
         (SELECT true FROM blocks WHERE blocks.user_id = conversations.user_a \
         AND blocks.blocked_id = conversations.user_b) IS NOT NULL \
         OR (SELECT true FROM blocks WHERE blocks.user_id = conversations.user_b \
         AND blocks.blocked_id = conversations.user_a) IS NOT NULL \
         FROM unnest(", {conversations: Array<Id>}, ", ", {users: Array<Id>},
        ") WITH ORDINALITY AS item (conversation_id, user_id, place) \
         JOIN members ON members.conversation_id = item.conversation_id \
         AND members.user_id = item.user_id AND members.left_seq IS NULL \
         JOIN conversations ON conversations.id = item.conversation_id \
         AND conversations.deleted_at IS NULL \
         JOIN heads ON heads.conversation_id = item.conversation_id \
         JOIN users ON users.id = item.user_id",
    }
}

statement! {
    /// Writes marks that move. Some are kept with their times, and the heads of those that others see
    /// say that something of them is another, though not what their version counts.
    MoveMarks {
        conversations: Vec<Key>,
        users: Vec<Key>,
        delivered: Vec<i64>,
        read: Vec<i64>,
        times: Vec<Moment>,
        kept_conversations: Vec<Key>,
        kept_users: Vec<Key>,
        kept_marks: Vec<i16>,
        kept_seqs: Vec<i64>,
        kept_times: Vec<Moment>,
        seen: Vec<Key>,
    } {
        "WITH item AS (SELECT * FROM unnest(",
        {conversations: Array<Id>}, ", ",
        {users: Array<Id>}, ", ",
        {delivered: Array<BigInt>}, ", ",
        {read: Array<BigInt>}, ", ",
        {times: Array<Timestamp>},
        ") AS item (conversation_id, user_id, delivered, read, at)), \
         moved AS (UPDATE members SET \
         delivered_at = CASE WHEN delivered_seq < item.delivered THEN item.at \
         ELSE delivered_at END, delivered_seq = item.delivered, \
         read_at = CASE WHEN read_seq < item.read THEN item.at ELSE read_at END, \
         read_seq = item.read, changed = pg_current_xact_id()::text::bigint \
         FROM item WHERE members.conversation_id = item.conversation_id \
         AND members.user_id = item.user_id), \
         kept AS (INSERT INTO receipts (conversation_id, user_id, status, seq, at) \
         SELECT * FROM unnest(",
        {kept_conversations: Array<Id>}, ", ",
        {kept_users: Array<Id>}, ", ",
        {kept_marks: Array<SmallInt>}, ", ",
        {kept_seqs: Array<BigInt>}, ", ",
        {kept_times: Array<Timestamp>},
        ") ON CONFLICT DO NOTHING) \
         UPDATE heads SET changed = pg_current_xact_id()::text::bigint \
         WHERE conversation_id = ANY (", {seen: Array<Id>}, ")",
    }
}

statement! {
    /// Finds messages by their numbers.
    MessagesAt { conversations: Vec<Key>, seqs: Vec<i64> } -> (Id, BigInt, Id) {
        "SELECT messages.conversation_id, messages.seq, messages.id FROM unnest(",
        {conversations: Array<Id>}, ", ", {seqs: Array<BigInt>},
        ") AS item (conversation_id, seq) \
         JOIN messages ON messages.conversation_id = item.conversation_id \
         AND messages.seq = item.seq",
    }
}

statement! {
    /// Finds who wrote stretches of messages and is still in it, in a channel (kind 2) if he is in
    /// charge: the place in the arrays, from 1, the sender, and whether he reads openly. Each sender is looked up: more of them are expected than
    /// there are, and for so many a join would read all accounts.
    Senders {
        conversations: Vec<Key>,
        readers: Vec<Key>,
        from: Vec<i64>,
        to: Vec<i64>,
    } -> (BigInt, Id, Bool) {
        "SELECT sender.place, sender.id, coalesce((SELECT users.read_receipts FROM users \
         WHERE users.id = sender.id), false) FROM (SELECT DISTINCT \
         item.place, messages.conversation_id, messages.sender_id FROM unnest(",
        {conversations: Array<Id>}, ", ",
        {readers: Array<Id>}, ", ",
        {from: Array<BigInt>}, ", ",
        {to: Array<BigInt>},
        ") WITH ORDINALITY AS item (conversation_id, reader, after, until, place) \
         JOIN messages ON messages.conversation_id = item.conversation_id \
         AND messages.seq > item.after AND messages.seq <= item.until \
         AND messages.sender_id <> item.reader AND messages.kind <> 3) \
         AS sender (place, conversation_id, id) \
         WHERE (SELECT members.left_seq IS NULL AND (members.role > 0 \
         OR (SELECT conversations.kind <> 2 FROM conversations \
         WHERE conversations.id = sender.conversation_id)) FROM members \
         WHERE members.conversation_id = sender.conversation_id \
         AND members.user_id = sender.id)",
    }
}

/// Those of the batch who are members now. Nobody else moves those whose marks are to move until the
/// transaction ends. Who has said before how far he is waits for nobody: marks do not go back.
pub(super) async fn readers(
    connection: &mut Connection,
    batch: &[Advance],
) -> Work<Vec<Option<Reader>>> {
    let mut readers = find(connection, &batch.iter().collect::<Vec<_>>()).await?;
    let moves = |(advance, reader): (&Advance, &Option<Reader>)| {
        reader.is_some_and(|reader| Step::of(advance, reader).is_some())
    };
    let moving: Vec<bool> = batch.iter().zip(&readers).map(moves).collect();
    if !moving.contains(&true) {
        return Ok(readers);
    }
    let to_move: Vec<&Advance> =
        batch.iter().zip(&moving).filter(|(_, moves)| **moves).map(|(it, _)| it).collect();
    let conversations = to_move.iter().map(|it| it.conversation_id.into()).collect();
    let _: Vec<Key> = HoldHeads { conversations: &conversations }.load(connection).await?;
    // As they are now that nobody else moves them.
    let held = find(connection, &to_move).await?;
    let places = readers.iter_mut().zip(&moving).filter(|(_, moves)| **moves);
    for ((reader, _), now) in places.zip(held) {
        *reader = now;
    }
    Ok(readers)
}

/// Those who are members, as they stand.
async fn find(connection: &mut Connection, advances: &[&Advance]) -> Work<Vec<Option<Reader>>> {
    type Row = (i64, i64, i64, i64, i32, bool, bool);

    let conversations = advances.iter().map(|it| it.conversation_id.into()).collect();
    let users = advances.iter().map(|it| it.user_id.into()).collect();
    let rows: Vec<Row> =
        Readers { conversations: &conversations, users: &users }.load(connection).await?;
    let mut readers = vec![None; advances.len()];
    for (place, delivered, read, last_seq, count, reads_openly, is_blocked) in rows {
        let marks = Watermarks { delivered, read };
        let is_small = is_small(count);
        let reader = readers.get_mut(index(place)?).ok_or_else(misplaced)?;
        *reader = Some(Reader { marks, last_seq, is_small, reads_openly, is_blocked });
    }
    Ok(readers)
}

/// Writes marks that move, and what is kept and told of them.
pub(super) async fn write(connection: &mut Connection, steps: &[Step<'_>]) -> Work<()> {
    let kept: Vec<(&Step<'_>, Mark, Seq)> = steps
        .iter()
        .filter(|step| step.is_kept())
        .flat_map(|step| [Mark::Delivered, Mark::Read].map(|mark| (step, mark)))
        .filter_map(|(step, mark)| Some((step, mark, step.passed(mark)?.1)))
        .collect();
    MoveMarks {
        conversations: &steps.iter().map(Step::conversation).collect(),
        users: &steps.iter().map(Step::user).collect(),
        delivered: &steps.iter().map(|step| step.to.delivered).collect(),
        read: &steps.iter().map(|step| step.to.read).collect(),
        times: &steps.iter().map(Step::at).collect(),
        kept_conversations: &kept.iter().map(|(step, ..)| step.conversation()).collect(),
        kept_users: &kept.iter().map(|(step, ..)| step.user()).collect(),
        kept_marks: &kept.iter().map(|(_, mark, _)| mark_number(*mark)).collect(),
        kept_seqs: &kept.iter().map(|(.., seq)| *seq).collect(),
        kept_times: &kept.iter().map(|(step, ..)| step.at()).collect(),
        seen: &steps.iter().filter(|step| step.is_seen()).map(Step::conversation).collect(),
    }
    .execute(connection)
    .await?;
    Ok(())
}

/// The messages of these numbers.
pub(super) async fn messages_at(
    connection: &mut Connection,
    numbers: &BTreeSet<(Key, Seq)>,
) -> Work<HashMap<(ConversationId, Seq), MessageId>> {
    let (conversations, seqs): (Vec<Key>, Vec<Seq>) = numbers.iter().copied().unzip();
    let rows: Vec<(Key, Seq, Key)> =
        MessagesAt { conversations: &conversations, seqs: &seqs }.load(connection).await?;
    Ok(rows.into_iter().map(|(chat, seq, id)| ((chat.into(), seq), id.into())).collect())
}

/// Who wrote what was passed, of those who are in it now and may know who else is.
pub(super) async fn senders(connection: &mut Connection, passed: &[Passed]) -> Work<Vec<Sender>> {
    if passed.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(i64, Key, bool)> = Senders {
        conversations: &passed.iter().map(|it| it.conversation).collect(),
        readers: &passed.iter().map(|it| it.reader).collect(),
        from: &passed.iter().map(|it| it.from).collect(),
        to: &passed.iter().map(|it| it.to).collect(),
    }
    .load(connection)
    .await?;
    rows.into_iter()
        .map(|(place, user, reads_openly)| {
            Ok(Sender { place: index(place)?, user: user.into(), reads_openly })
        })
        .collect()
}

/// A place that the database counts from 1.
fn index(place: i64) -> Result<usize, StoreError> {
    usize::try_from(place - 1).map_err(|_| misplaced())
}

/// A statement and this file do not agree.
fn misplaced() -> StoreError {
    StoreError::Other(cause("an advance is answered that was not asked for"))
}
