//! The numbers of transactions, which are PostgreSQL's own, and the log of what they changed.

use diesel::sql_types::{Array, BigInt, Binary, Integer};
use diesel_async::RunQueryDsl;
use kith_domain::{ConversationId, conversation::Version};
use kith_ports::{StoreError, SyncFrom};

use super::{Backend, Connection};
use crate::{
    failure::Work,
    statement::statement,
    types::{Key, sql::Id},
};

statement! {
    /// Tells the number of the open transaction.
    Number { base: i64 } -> BigInt {
        "SELECT pg_current_xact_id()::text::bigint + ", {base: BigInt}
    }
}

statement! {
    /// Notes what the open transaction changed, and tells its number.
    Record { conversations: Vec<Key>, versions: Vec<i64> } -> BigInt {
        "INSERT INTO changes (changed, conversations, versions) \
         VALUES (pg_current_xact_id()::text::bigint, ",
        {conversations: Array<Id>}, ", ",
        {versions: Array<BigInt>},
        ") RETURNING changed"
    }
}

statement! {
    /// Tells what a sync token is made of.
    ///
    /// A backup that is restored has the incarnation of what it was made from. It is another
    /// database, perhaps on another cluster, or the cluster has gone on from an earlier moment, on
    /// another timeline.
    Horizon { id: i32 } -> (Binary, BigInt, BigInt, BigInt, BigInt) {
        "SELECT incarnation, pg_snapshot_xmin(pg_current_snapshot())::text::bigint, \
         (SELECT system_identifier FROM pg_control_system()), \
         (SELECT timeline_id::bigint FROM pg_control_checkpoint()), \
         (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) \
         FROM store WHERE id = ",
        {id: Integer}
    }
}

/// The number of the transaction that is open.
pub(super) async fn next_number(connection: &mut Connection) -> Work<i64> {
    Ok(Number { base: &0 }.get_result(connection).await?)
}

/// The number of the transaction that is open, which changed conversations: noted for other nodes.
pub(super) async fn record(
    connection: &mut Connection,
    touched: &[(ConversationId, Version)],
) -> Work<i64> {
    let (conversations, versions) =
        touched.iter().map(|(id, version)| (Key::from(*id), *version)).unzip();
    let record = Record { conversations: &conversations, versions: &versions };
    Ok(record.get_result(connection).await?)
}

/// A sync token for this snapshot: everything with a lower number is in it. What has that number or
/// a later one may be in it or may come; it is asked for again.
pub(super) async fn horizon(connection: &mut Connection) -> Work<SyncFrom> {
    let (incarnation, since, system, timeline, database): (Vec<u8>, i64, i64, i64, i64) =
        Horizon { id: &1 }.get_result(connection).await?;
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
