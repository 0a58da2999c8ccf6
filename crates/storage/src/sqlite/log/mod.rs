//! Carrying out batches of commands: one transaction each, in order, judged one by one.
//!
//! A batch works on a [`WorkingSet`]: each conversation, head and member it touches is read once
//! and written once, however many commands touch it. Messages alone are written at once, since
//! their keys decide what is a duplicate. Every command is judged before it writes anything, so
//! one that is rejected leaves no trace.

mod direct;
mod groups;
mod hide;
mod revise;
mod send;
mod statements;
mod working_set;

use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use diesel::sqlite::SqliteConnection;
use kith_domain::Refusal;
use kith_ports::{
    StoreResult,
    log::{Applied, Change, Command, ConversationLog, Rejected},
};

use self::working_set::{Slot, WorkingSet};
use super::{Sqlite, error::Work};

/// What came of one command: nested in what came of the transaction.
type Outcome = Result<Applied, Rejected>;

#[async_trait]
impl ConversationLog for Sqlite {
    async fn apply(&self, batch: Arc<[Command]>) -> StoreResult<Vec<Result<Applied, Rejected>>> {
        let purges = Arc::clone(&self.purges);
        self.write(move |connection| {
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

fn apply(connection: &mut SqliteConnection, batch: &[Command]) -> Work<Vec<Outcome>> {
    let mut set = WorkingSet::new(connection);
    set.load(batch.iter().map(|command| command.conversation_id))?;
    let outcomes =
        batch.iter().map(|command| carry_out(&mut set, command)).collect::<Work<Vec<_>>>()?;
    set.save()?;
    Ok(outcomes)
}

fn carry_out(set: &mut WorkingSet<'_>, command: &Command) -> Work<Outcome> {
    let (id, at) = (command.conversation_id, command.at);
    match &command.change {
        Change::Send(send) => send::send(set, id, at, send),
        Change::Open(open) => direct::open(set, id, at, *open),
        Change::Edit { message_id, message_version, content, member_epoch } => {
            let what = revise::Edit { id: *message_id, version: *message_version, content };
            revise::edit(set, id, at, &what, *member_epoch)
        }
        Change::Delete { message_id, member_epoch } => {
            revise::delete(set, id, at, *message_id, *member_epoch)
        }
        Change::Create { conversation, members } => groups::create(set, conversation, members),
        Change::Members { changes, member_epoch } => {
            groups::change_members(set, id, at, changes, *member_epoch)
        }
        Change::Update { patch, member_epoch, settings_epoch } => {
            Ok(groups::update(set, id, at, patch, (*member_epoch, *settings_epoch)))
        }
        Change::Hide { member } => hide::hide(set, id, *member),
        Change::Remove { member_epoch } => Ok(groups::remove(set, id, at, *member_epoch)),
    }
}

/// The conversation of a command that was decided under a guard, if the decision still holds.
fn guarded(slot: Option<&mut Slot>, member_epoch: i64) -> Result<&mut Slot, Rejected> {
    let slot = slot.filter(|slot| !slot.is_deleted()).ok_or_else(Refusal::not_found)?;
    if slot.head.member_epoch == member_epoch { Ok(slot) } else { Err(Rejected::Stale) }
}
