//! What other nodes have stored: the log of changes, and what became of a conversation.
//!
//! A reading goes on where the last one took its snapshot, at the oldest transaction that was under way
//! then: what one of those commits later has its number or a higher one. Therefore it brings once more
//! what was committed meanwhile; and a transaction that stays open for long, in any database of the
//! server, makes every reading begin there.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use diesel::{
    dsl::not,
    prelude::{ExpressionMethods as _, QueryDsl as _, SelectableHelper as _},
    result::Error as DieselError,
    sql_types::{Array, BigInt, Nullable},
};
use diesel_async::RunQueryDsl as _;
use kith_domain::{
    ConversationId, SessionId, UserId,
    conversation::{Head, Kind, Seq, Version},
    event::Audience,
    message::Message,
};
use kith_ports::{
    StoreError, StoreResult,
    tail::{ChangeTail, Logged, Missed, MissedMember, Tail, TailPosition},
};

use super::{
    Backend, Connection, Postgres,
    stores::{
        changes::revised_messages,
        conversations::find,
        log::audience::members_in_charge,
        reactions::{MessageKey, reactions},
        shown::may_have_reactions,
    },
};
use crate::{
    failure::Work,
    queries::one_more,
    rows::{MemberRow, MessageRow},
    schema::{members, messages},
    statement::statement,
    types::{Key, sql::Id},
};

/// The most changes of a reading: what a cluster at its limit stores in seconds.
const MOST: i64 = 100_000;

statement! {
    /// Tells the oldest transaction that is under way, as a number to be added to.
    End { base: i64 } -> BigInt {
        "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint + ", {base: BigInt}
    }
}

statement! {
    /// Reads the log from a number on, with where the next reading begins and what was forgotten: at
    /// least one row.
    ///
    /// The other end makes the planner expect little, as it mostly is, and so the index serves it. The
    /// pairs are looked up one by one: for a join, all conversations would be read.
    Since { from: i64, to: i64, most: i64 }
        -> (
            BigInt,
            BigInt,
            Nullable<Id>,
            Nullable<BigInt>,
            Nullable<BigInt>,
            Nullable<Array<Id>>,
            Nullable<Array<Id>>,
            Nullable<Array<Id>>,
        ) {
        "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, store.forgotten, \
         logged.id, logged.before, logged.version, logged.pair, logged.people, logged.sessions \
         FROM store LEFT JOIN (SELECT changes.changed, item.id, item.before, item.version, \
         (SELECT ARRAY[conversations.user_a, conversations.user_b] FROM conversations \
         WHERE conversations.id = item.id AND conversations.user_a IS NOT NULL) AS pair, \
         changes.people, changes.sessions FROM changes \
         LEFT JOIN LATERAL unnest(changes.conversations, changes.befores, changes.versions) \
         AS item (id, before, version) ON true \
         WHERE changes.changed >= ", {from: BigInt}, " AND changes.changed <= ", {to: BigInt},
        " ORDER BY changes.changed LIMIT ", {most: BigInt},
        ") AS logged ON true WHERE store.id = 1 ORDER BY logged.changed, logged.version",
    }
}

/// A row of the log.
type Row = (
    i64,
    i64,
    Option<Key>,
    Option<i64>,
    Option<i64>,
    Option<Vec<Key>>,
    Option<Vec<Key>>,
    Option<Vec<Key>>,
);

#[async_trait]
impl ChangeTail for Postgres {
    async fn end(&self) -> StoreResult<TailPosition> {
        query!(self, end())
    }

    async fn since(&self, position: TailPosition) -> StoreResult<Tail> {
        query!(self, since(position))
    }

    async fn missed(
        &self,
        id: ConversationId,
        since: Version,
        limit: usize,
    ) -> StoreResult<Option<Missed>> {
        snapshot!(self, missed(id, since, limit))
    }
}

async fn end(connection: &mut Connection) -> Work<TailPosition> {
    Ok(TailPosition(End { base: &0 }.get_result(connection).await?))
}

async fn since(connection: &mut Connection, position: TailPosition) -> Work<Tail> {
    let reading = Since { from: &position.0, to: &i64::MAX, most: &(MOST + 1) };
    let rows: Vec<Row> = reading.load(connection).await?;
    let Some(&(next, forgotten, ..)) = rows.as_slice().first() else {
        return Err(DieselError::NotFound.into());
    };
    let is_too_long = i64::try_from(rows.len()).is_ok_and(|found| found > MOST);
    // A standby that took over may not have all that was committed before: its numbers begin earlier.
    if is_too_long || forgotten >= position.0 || next < position.0 {
        let (changes, ended) = Default::default();
        return Ok(Tail { changes, ended, next: TailPosition(next), lost: true });
    }
    let ended = rows.iter().flat_map(ended).collect();
    let changes = rows.into_iter().filter_map(logged).collect();
    Ok(Tail { changes, ended, next: TailPosition(next), lost: false })
}

/// The sessions that a row names, with whose they are.
fn ended((.., people, sessions): &Row) -> impl Iterator<Item = (UserId, SessionId)> {
    let owner = people.as_deref().and_then(<[Key]>::first);
    let sessions = sessions.iter().flatten();
    sessions.filter_map(move |session| Some(((*owner?).into(), (*session).into())))
}

/// The conversation that a row names.
fn logged((.., id, before, version, pair, people, _): Row) -> Option<Logged> {
    let pair = match pair.as_deref() {
        Some(&[a, b]) => Some((a.into(), b.into())),
        _ => None,
    };
    Some(Logged {
        conversation_id: id?.into(),
        // One that an older program noted does not say it.
        before: before.unwrap_or(version? - 1),
        version: version?,
        pair,
        people: people.unwrap_or_default().into_iter().map(Into::into).collect(),
    })
}

async fn missed(
    connection: &mut Connection,
    id: ConversationId,
    since: Version,
    limit: usize,
) -> Work<Option<Missed>> {
    let Some((conversation, head, None)) = find(connection, id).await? else { return Ok(None) };
    let mut missed = Missed {
        told_of_members: conversation.audience(),
        conversation: Arc::new(conversation),
        head,
        messages: Vec::new(),
        members: Vec::new(),
        overflow: false,
    };
    if head.version <= since {
        return Ok(Some(missed));
    }
    let members = changed_members(connection, id, since, limit).await?;
    if members.len() > limit {
        missed.overflow = true;
        return Ok(Some(missed));
    }
    let messages = changed_messages(connection, id, &head, since, limit).await?;
    if members.len() + messages.len() > limit {
        missed.overflow = true;
        return Ok(Some(missed));
    }
    let revised: HashSet<Seq> =
        messages.iter().filter(|row| row.revised).map(|row| row.seq).collect();
    let places = match missed.conversation.kind {
        Kind::Group | Kind::Direct if !revised.is_empty() => beginnings(connection, id).await?,
        _ => Vec::new(),
    };
    for message in whole(connection, messages).await? {
        // A new one is told to whoever is there when its turn comes. Of one that was changed, those who
        // came after it hear nothing.
        let hears = |(_, first_seq): &&(UserId, Seq)| *first_seq <= message.seq;
        let audience = if revised.contains(&message.seq) && !places.iter().all(|it| hears(&it)) {
            Audience::Users(places.iter().filter(hears).map(|(user, _)| *user).collect())
        } else {
            missed.conversation.audience()
        };
        missed.messages.push((Arc::new(message), audience));
    }
    if !members.is_empty() && missed.conversation.kind == Kind::Channel {
        let in_charge = members_in_charge(connection, id).await?;
        missed.told_of_members = Audience::Users(in_charge.into_iter().map(Into::into).collect());
    }
    missed.members = members.iter().map(member).collect::<Result<_, StoreError>>()?;
    missed.members.sort_unstable_by_key(|member| (member.version, member.user_id));
    Ok(Some(missed))
}

/// All members that changed, or more than `limit`.
async fn changed_members(
    connection: &mut Connection,
    id: ConversationId,
    since: Version,
    limit: usize,
) -> Work<Vec<MemberRow>> {
    let changed = members::table
        .filter(members::conversation_id.eq(Key::from(id)))
        .filter(members::version.gt(since))
        .order(members::version.asc())
        .select(MemberRow::as_select());
    Ok(one_more(limit, changed).load(connection).await?)
}

/// All messages that changed, or more than `limit`, in the order of their versions.
async fn changed_messages(
    connection: &mut Connection,
    id: ConversationId,
    head: &Head,
    since: Version,
    limit: usize,
) -> Work<Vec<MessageRow>> {
    let id = Key::from(id);
    // Each message took a version of its own, so the new ones are among the last so many. Those that
    // nobody touched have their versions in the order of their numbers: the newest are read until there
    // are too many, whatever lies before them.
    let new_from = head.last_seq.saturating_sub(head.version.saturating_sub(since));
    let newest = messages::table
        .filter(messages::conversation_id.eq(id))
        .filter(messages::seq.gt(new_from))
        .filter(not(messages::revised))
        .order(messages::seq.desc())
        .select(MessageRow::as_select());
    let mut all: Vec<MessageRow> = one_more(limit, newest).load(connection).await?;
    all.retain(|message| message.version > since);
    if all.len() <= limit {
        all.extend(revised_messages(connection, id, 1, since, limit).await?);
    }
    all.sort_unstable_by_key(|message| message.version);
    Ok(all)
}

/// Messages with the reactions to them.
async fn whole(connection: &mut Connection, rows: Vec<MessageRow>) -> Work<Vec<Message>> {
    let reacted: Vec<MessageKey> = rows
        .iter()
        .filter(|row| may_have_reactions(row))
        .map(|row| (row.conversation_id.into(), row.seq))
        .collect();
    let mut reactions = reactions(connection, &reacted).await?;
    let mut messages = Vec::with_capacity(rows.len());
    for row in rows {
        let message = Message::try_from(row)?;
        let place = (message.conversation_id, message.seq);
        let reactions = reactions.remove(&place).unwrap_or_default();
        messages.push(Message { reactions, ..message });
    }
    Ok(messages)
}

/// The members, and the first message that each of them sees.
async fn beginnings(connection: &mut Connection, id: ConversationId) -> Work<Vec<(UserId, Seq)>> {
    let rows: Vec<(Key, Seq)> = members::table
        .filter(members::conversation_id.eq(Key::from(id)))
        .filter(members::left_seq.is_null())
        .select((members::user_id, members::first_seq))
        .load(connection)
        .await?;
    Ok(rows.into_iter().map(|(user, first_seq)| (user.into(), first_seq)).collect())
}

fn member(row: &MemberRow) -> Result<MissedMember, StoreError> {
    Ok(MissedMember {
        user_id: row.user_id.into(),
        role: row.role()?,
        first_seq: row.first_seq,
        left: row.left_seq.is_some(),
        version: row.version,
    })
}
