//! For whom nothing changed.

use kith_ports::{StoreResult, SyncBody, SyncRequest};

use super::Sqlite;

/// Nothing is told of many together: a statement costs no way to a server, and one that is long keeps
/// others waiting.
pub(super) const IS_TOLD: bool = false;

/// See [`unchanged`](kith_ports::ConversationStore::unchanged).
#[expect(clippy::unused_async, reason = "as it is on PostgreSQL")]
pub(super) async fn of_many(
    _: &Sqlite,
    asked: Vec<SyncRequest>,
) -> StoreResult<Vec<Option<SyncBody>>> {
    Ok(asked.iter().map(|_| None).collect())
}
