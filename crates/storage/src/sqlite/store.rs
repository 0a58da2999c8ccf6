//! The one row that says which database this is and how many transactions changed it.

use diesel::{
    prelude::*,
    sql_types::{BigInt, Bool, Nullable, SmallInt},
    sqlite::SqliteConnection,
};
use kith_domain::{SessionId, UserId};
use kith_ports::{StoreError, SyncFrom};

use super::{
    Backend,
    stores::log::{statements::REPLACE_MEMBER, working_set::Touched},
};
use crate::{
    failure::Work,
    rows::MemberRow,
    schema::store,
    statement::statement,
    types::{
        Key, Moment,
        sql::{Id, Timestamp},
    },
};

statement! {
    /// Takes the next transaction number.
    NextNumber { step: i64 } -> BigInt {
        "UPDATE store SET changed = changed + ",
        {step: BigInt},
        " RETURNING changed"
    }
}

/// The number of the transaction that is open, taken once in each that changes what a sync tells of.
pub(super) fn next_number(connection: &mut SqliteConnection) -> Work<i64> {
    Ok(NextNumber { step: &1 }.get_result(connection)?)
}

/// Takes the number of a transaction that changed conversations. There is one node, which needs no
/// log of what others changed.
pub(super) fn record(connection: &mut SqliteConnection, _touched: &[Touched]) -> Work<i64> {
    next_number(connection)
}

/// Notes nothing, as above.
#[expect(clippy::unnecessary_wraps, reason = "as it is on PostgreSQL")]
pub(super) fn record_ended(_: &mut SqliteConnection, _: UserId, _: &[SessionId]) -> Work<()> {
    Ok(())
}

/// A sync token for this snapshot: everything with a lower number is in it, and nothing else.
///
/// There is one writer, so numbers are committed in their order: whoever asks for this number and
/// later ones finds every commit after this snapshot.
pub(super) fn horizon(connection: &mut SqliteConnection) -> Work<SyncFrom> {
    let (incarnation, changed): (Vec<u8>, i64) =
        store::table.select((store::incarnation, store::changed)).get_result(connection)?;
    let incarnation = incarnation.try_into().map_err(|found: Vec<u8>| StoreError::Corrupt {
        table: "store",
        id: String::from("1"),
        what: format!("incarnation has {} bytes instead of 16", found.len()),
    })?;
    Ok(SyncFrom { incarnation, since: changed + 1, resume: None })
}

statement! {
    /// Writes a member's whole row, new or not.
    PutMember {
        conversation_id: Key,
        user_id: Key,
        role: i16,
        joined_at: Moment,
        first_seq: i64,
        left_seq: Option<i64>,
        version: i64,
        delivered_seq: i64,
        delivered_at: Option<Moment>,
        read_seq: i64,
        read_at: Option<Moment>,
        muted_until: Option<Moment>,
        pinned: bool,
        archived: bool,
        hidden: bool,
        joined_seq: Option<i64>,
        joined_version: Option<i64>,
        changed: i64,
    } {
        "INSERT INTO members (conversation_id, user_id, role, joined_at, first_seq, left_seq, \
         version, delivered_seq, delivered_at, read_seq, read_at, muted_until, pinned, archived, \
         hidden, joined_seq, joined_version, changed) VALUES (",
        {conversation_id: Id}, ", ",
        {user_id: Id}, ", ",
        {role: SmallInt}, ", ",
        {joined_at: Timestamp}, ", ",
        {first_seq: BigInt}, ", ",
        {left_seq: Nullable<BigInt>}, ", ",
        {version: BigInt}, ", ",
        {delivered_seq: BigInt}, ", ",
        {delivered_at: Nullable<Timestamp>}, ", ",
        {read_seq: BigInt}, ", ",
        {read_at: Nullable<Timestamp>}, ", ",
        {muted_until: Nullable<Timestamp>}, ", ",
        {pinned: Bool}, ", ",
        {archived: Bool}, ", ",
        {hidden: Bool}, ", ",
        {joined_seq: Nullable<BigInt>}, ", ",
        {joined_version: Nullable<BigInt>}, ", ",
        {changed: BigInt},
        ") ",
        REPLACE_MEMBER,
    }
}

/// Writes members' whole rows.
pub(super) fn put_members(
    connection: &mut SqliteConnection,
    places: &[&MemberRow],
    changed: i64,
) -> Work<()> {
    for place in places {
        PutMember {
            conversation_id: &place.conversation_id,
            user_id: &place.user_id,
            role: &place.role,
            joined_at: &place.joined_at,
            first_seq: &place.first_seq,
            left_seq: &place.left_seq,
            version: &place.version,
            delivered_seq: &place.delivered_seq,
            delivered_at: &place.delivered_at,
            read_seq: &place.read_seq,
            read_at: &place.read_at,
            muted_until: &place.muted_until,
            pinned: &place.pinned,
            archived: &place.archived,
            hidden: &place.hidden,
            joined_seq: &place.joined_seq,
            joined_version: &place.joined_version,
            changed: &changed,
        }
        .execute(connection)?;
    }
    Ok(())
}
