//! Carrying out batches of commands: one transaction each, in order.

use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use kith_ports::{
    StoreResult,
    log::{Applied, Change, Command, ConversationLog, Rejected},
};

use super::{
    Connection, Sqlite,
    send::{Behind, send},
    stores::log::{Outcome, carry_out, working_set::WorkingSet},
};
use crate::failure::Work;

#[async_trait]
impl ConversationLog for Sqlite {
    async fn apply(&self, batch: Arc<[Command]>) -> StoreResult<Vec<Result<Applied, Rejected>>> {
        let purges = Arc::clone(&self.purges);
        self.transact(move |connection| {
            let outcomes = apply(connection, &batch)?;
            let removed = batch.iter().zip(&outcomes).filter_map(|(command, outcome)| {
                matches!(outcome, Ok(Applied::Removed(_))).then_some(command.conversation_id)
            });
            // Should the commit fail, they are found not to be deleted, and nothing goes.
            purges.lock().unwrap_or_else(PoisonError::into_inner).extend(removed);
            Ok(outcomes)
        })
        .await
    }
}

fn apply(connection: &mut Connection, batch: &[Command]) -> Work<Vec<Outcome>> {
    let mut set = WorkingSet::new(connection);
    set.take_in(batch.iter().map(|command| command.conversation_id))?;
    let mut behind = Behind::default();
    let mut outcomes = Vec::with_capacity(batch.len());
    for command in batch {
        outcomes.push(if let Change::Send(sent) = &command.change {
            send(&mut set, &mut behind, command.conversation_id, command.at, sent)?
        } else {
            behind.clear();
            carry_out(&mut set, command)?
        });
    }
    set.save()?;
    Ok(outcomes)
}
