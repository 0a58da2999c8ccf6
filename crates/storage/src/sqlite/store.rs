//! The one row that says which database this is and how many transactions changed it.

use diesel::{prelude::*, sql_types::BigInt, sqlite::SqliteConnection};
use kith_domain::{ConversationId, conversation::Version};
use kith_ports::{StoreError, SyncFrom};

use super::Backend;
use crate::{failure::Work, schema::store, statement::statement};

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
pub(super) fn record(
    connection: &mut SqliteConnection,
    _touched: &[(ConversationId, Version)],
) -> Work<i64> {
    next_number(connection)
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
