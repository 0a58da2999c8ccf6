//! The numbers of transactions, which are PostgreSQL's own, and the log of what they changed.

use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, SmallInt};
use diesel_async::RunQueryDsl;
use kith_domain::{SessionId, UserId};
use kith_ports::{StoreError, SyncFrom};

use super::{
    Backend, Connection,
    stores::log::{statements::REPLACE_MEMBER, working_set::Touched},
};
use crate::{
    failure::Work,
    rows::MemberRow,
    statement::statement,
    types::{
        Key, Moment,
        sql::{Id, Timestamp},
    },
};

statement! {
    /// Tells the number of the open transaction.
    Number { base: i64 } -> BigInt {
        "SELECT pg_current_xact_id()::text::bigint + ", {base: BigInt}
    }
}

statement! {
    /// Notes what the open transaction changed, and tells its number. People are those of a single
    /// conversation.
    Record {
        conversations: Vec<Key>,
        befores: Vec<i64>,
        versions: Vec<i64>,
        people: Option<Vec<Key>>,
    } -> BigInt {
        "INSERT INTO changes (changed, conversations, befores, versions, people) \
         VALUES (pg_current_xact_id()::text::bigint, ",
        {conversations: Array<Id>}, ", ",
        {befores: Array<BigInt>}, ", ",
        {versions: Array<BigInt>}, ", ",
        {people: Nullable<Array<Id>>},
        ") RETURNING changed"
    }
}

/// What a sync token is made of, of a `store`.
///
/// A backup that is restored has the incarnation of what it was made from. It is another database,
/// perhaps on another cluster, or the cluster has gone on from an earlier moment, on another timeline.
pub(super) const MAKINGS: &str = "store.incarnation, \
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint, \
    (SELECT system_identifier FROM pg_control_system()), \
    (SELECT timeline_id::bigint FROM pg_control_checkpoint()), \
    (SELECT oid::bigint FROM pg_database WHERE datname = current_database())";

/// [`MAKINGS`], as they are read.
pub(super) type Makings = (Vec<u8>, i64, i64, i64, i64);

/// The types of [`MAKINGS`].
pub(super) type MakingsSql = (Binary, BigInt, BigInt, BigInt, BigInt);

statement! {
    /// Tells what a sync token is made of.
    Horizon { id: i32 } -> MakingsSql {
        "SELECT ", MAKINGS, " FROM store WHERE id = ", {id: Integer}
    }
}

statement! {
    /// Notes sessions that the open transaction has ended.
    RecordEnded { people: Vec<Key>, sessions: Vec<Key> } {
        "INSERT INTO changes (changed, conversations, befores, versions, people, sessions) \
         VALUES (pg_current_xact_id()::text::bigint, '{}', '{}', '{}', ",
        {people: Array<Id>}, ", ",
        {sessions: Array<Id>}, ")"
    }
}

/// The number of the transaction that is open.
pub(super) async fn next_number(connection: &mut Connection) -> Work<i64> {
    Ok(Number { base: &0 }.get_result(connection).await?)
}

/// The number of the transaction that is open, which changed conversations: noted for other nodes. One
/// that somebody came into, or left, has a row of its own, so that it is plain whose people they are.
pub(super) async fn record(connection: &mut Connection, touched: &[Touched]) -> Work<i64> {
    let (peopled, plain): (Vec<_>, Vec<_>) = touched.iter().partition(|it| !it.people.is_empty());
    let mut number = None;
    if !plain.is_empty() {
        number = Some(note(connection, &plain, None).await?);
    }
    for it in peopled {
        let people = it.people.iter().copied().map(Key::from).collect();
        number = Some(note(connection, &[it], Some(people)).await?);
    }
    match number {
        Some(number) => Ok(number),
        None => next_number(connection).await,
    }
}

async fn note(
    connection: &mut Connection,
    touched: &[&Touched],
    people: Option<Vec<Key>>,
) -> Work<i64> {
    let conversations = touched.iter().map(|it| it.id.into()).collect();
    let befores = touched.iter().map(|it| it.before).collect();
    let versions = touched.iter().map(|it| it.version).collect();
    let record = Record {
        conversations: &conversations,
        befores: &befores,
        versions: &versions,
        people: &people,
    };
    Ok(record.get_result(connection).await?)
}

/// Notes sessions of an account that the open transaction has ended, for other nodes.
pub(super) async fn record_ended(
    connection: &mut Connection,
    user: UserId,
    sessions: &[SessionId],
) -> Work<()> {
    if !sessions.is_empty() {
        let sessions = sessions.iter().copied().map(Key::from).collect();
        RecordEnded { people: &vec![user.into()], sessions: &sessions }.execute(connection).await?;
    }
    Ok(())
}

/// A sync token for this snapshot: everything with a lower number is in it. What has that number or
/// a later one may be in it or may come; it is asked for again.
pub(super) async fn horizon(connection: &mut Connection) -> Work<SyncFrom> {
    made_of(Horizon { id: &1 }.get_result(connection).await?)
}

/// The sync token of these.
pub(super) fn made_of((incarnation, since, system, timeline, database): Makings) -> Work<SyncFrom> {
    let incarnation: [u8; 16] =
        incarnation.try_into().map_err(|found: Vec<u8>| StoreError::Corrupt {
            table: "store",
            id: String::from("1"),
            what: format!("incarnation has {} bytes instead of 16", found.len()),
        })?;
    let place = (u128::from(system.cast_unsigned()) << 64)
        ^ (u128::from(timeline.cast_unsigned()) << 32)
        ^ u128::from(database.cast_unsigned());
    let incarnation = (u128::from_be_bytes(incarnation) ^ place).to_be_bytes();
    Ok(SyncFrom { incarnation, since, resume: None })
}

statement! {
    /// Writes members' whole rows, new or not.
    PutMembers {
        conversation_id: Vec<Key>,
        user_id: Vec<Key>,
        role: Vec<i16>,
        joined_at: Vec<Moment>,
        first_seq: Vec<i64>,
        left_seq: Vec<Option<i64>>,
        version: Vec<i64>,
        delivered_seq: Vec<i64>,
        delivered_at: Vec<Option<Moment>>,
        read_seq: Vec<i64>,
        read_at: Vec<Option<Moment>>,
        muted_until: Vec<Option<Moment>>,
        pinned: Vec<bool>,
        archived: Vec<bool>,
        hidden: Vec<bool>,
        joined_seq: Vec<Option<i64>>,
        joined_version: Vec<Option<i64>>,
        changed: i64,
    } {
        "INSERT INTO members (conversation_id, user_id, role, joined_at, first_seq, left_seq, \
         version, delivered_seq, delivered_at, read_seq, read_at, muted_until, pinned, archived, \
         hidden, joined_seq, joined_version, changed) SELECT *, ", {changed: BigInt}, " FROM unnest(",
        {conversation_id: Array<Id>}, ", ",
        {user_id: Array<Id>}, ", ",
        {role: Array<SmallInt>}, ", ",
        {joined_at: Array<Timestamp>}, ", ",
        {first_seq: Array<BigInt>}, ", ",
        {left_seq: Array<Nullable<BigInt>>}, ", ",
        {version: Array<BigInt>}, ", ",
        {delivered_seq: Array<BigInt>}, ", ",
        {delivered_at: Array<Nullable<Timestamp>>}, ", ",
        {read_seq: Array<BigInt>}, ", ",
        {read_at: Array<Nullable<Timestamp>>}, ", ",
        {muted_until: Array<Nullable<Timestamp>>}, ", ",
        {pinned: Array<Bool>}, ", ",
        {archived: Array<Bool>}, ", ",
        {hidden: Array<Bool>}, ", ",
        {joined_seq: Array<Nullable<BigInt>>}, ", ",
        {joined_version: Array<Nullable<BigInt>>}, ") ",
        REPLACE_MEMBER,
    }
}

/// Writes members' whole rows, all in one statement: a group may begin with a thousand.
pub(super) async fn put_members(
    connection: &mut Connection,
    places: &[&MemberRow],
    changed: i64,
) -> Work<()> {
    fn each<T>(places: &[&MemberRow], get: impl Fn(&MemberRow) -> T) -> Vec<T> {
        places.iter().map(|place| get(place)).collect()
    }
    if places.is_empty() {
        return Ok(());
    }
    PutMembers {
        conversation_id: &each(places, |it| it.conversation_id),
        user_id: &each(places, |it| it.user_id),
        role: &each(places, |it| it.role),
        joined_at: &each(places, |it| it.joined_at),
        first_seq: &each(places, |it| it.first_seq),
        left_seq: &each(places, |it| it.left_seq),
        version: &each(places, |it| it.version),
        delivered_seq: &each(places, |it| it.delivered_seq),
        delivered_at: &each(places, |it| it.delivered_at),
        read_seq: &each(places, |it| it.read_seq),
        read_at: &each(places, |it| it.read_at),
        muted_until: &each(places, |it| it.muted_until),
        pinned: &each(places, |it| it.pinned),
        archived: &each(places, |it| it.archived),
        hidden: &each(places, |it| it.hidden),
        joined_seq: &each(places, |it| it.joined_seq),
        joined_version: &each(places, |it| it.joined_version),
        changed: &changed,
    }
    .execute(connection)
    .await?;
    Ok(())
}
