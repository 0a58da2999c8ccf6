//! What has to go: the messages of deleted conversations, and the old part of the log of changes.

use std::time::Duration;

use diesel_async::RunQueryDsl as _;
use kith_domain::ConversationId;
use kith_ports::StoreResult;

use super::{Connection, Manner, Postgres, stores::purge};
use crate::failure::Work;

/// How often it is looked after.
const INTERVAL: Duration = Duration::from_secs(60);
/// A pause between slices, so that sends come first.
const BETWEEN_SLICES: Duration = Duration::from_millis(20);

impl Postgres {
    /// Takes away, again and again, what has to go. It never ends by itself; whoever drops it loses
    /// nothing. Several nodes may do it: they find less to do.
    pub async fn upkeep(&self) {
        loop {
            if let Err(error) = self.clean().await {
                tracing::warn!(%error, "cannot take away what was deleted; it is tried again");
            }
            // A node that deletes is told at once; what another one left behind is found in time.
            let _ = tokio::time::timeout(INTERVAL, self.deleted.notified()).await;
        }
    }

    async fn clean(&self) -> StoreResult<()> {
        while self.run(Manner::Transaction, |it| Box::pin(forget_changes(it))).await? {
            tokio::time::sleep(BETWEEN_SLICES).await;
        }
        self.run(Manner::Statement, |connection| Box::pin(note_number(connection))).await?;
        let deleted = self.run(Manner::Query, |it| Box::pin(purge::left_over(it))).await?;
        for id in deleted {
            // One that cannot be cleared away does not keep the others waiting.
            if let Err(error) = self.clear_away(id).await {
                tracing::warn!(%error, %id, "cannot take away a conversation; it is tried again");
            }
        }
        Ok(())
    }

    /// Takes away what a deleted conversation held.
    async fn clear_away(&self, id: ConversationId) -> StoreResult<()> {
        while self
            .run(Manner::Transaction, move |connection| Box::pin(purge::slice(connection, id)))
            .await?
        {
            tokio::time::sleep(BETWEEN_SLICES).await;
        }
        Ok(())
    }
}

/// Keeps a number that was reached, for whoever restores the database on a younger cluster (see
/// `migrate`).
async fn note_number(connection: &mut Connection) -> Work<()> {
    let note = "UPDATE store SET changed = pg_current_xact_id()::text::bigint";
    diesel::sql_query(note).execute(connection).await?;
    Ok(())
}

/// Forgets the oldest changes, if they are more than an hour old, and notes up to where: whoever missed
/// them reads the whole. `true` if there may be more.
async fn forget_changes(connection: &mut Connection) -> Work<bool> {
    let note = "UPDATE store SET forgotten = old.changed FROM (SELECT max(changed) AS changed \
                FROM (SELECT changed, made_at FROM changes ORDER BY changed LIMIT 10000) AS oldest \
                WHERE made_at < now() - interval '1 hour') AS old \
                WHERE old.changed > store.forgotten";
    diesel::sql_query(note).execute(connection).await?;
    let forget = "DELETE FROM changes WHERE made_at < now() - interval '1 hour' AND changed <= \
                  (SELECT max(changed) FROM \
                  (SELECT changed FROM changes ORDER BY changed LIMIT 10000) AS oldest)";
    Ok(diesel::sql_query(forget).execute(connection).await? > 0)
}
