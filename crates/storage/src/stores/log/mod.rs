//! Carrying out commands, judged one by one, inside the transaction of a batch.
//!
//! Commands work on a [`WorkingSet`]: each conversation, head and member they touch is read once
//! and written once, however many commands touch it. Every command is judged before it writes
//! anything, so one that is rejected leaves no trace.
//!
//! Sends are the hot path, and each executor appends them in its own way.

pub(crate) mod audience;
pub(crate) mod blocks;
pub(crate) mod direct;
mod groups;
mod join;
pub(crate) mod mentions;
mod notes;
mod own;
mod react;
mod revise;
pub(crate) mod sends;
pub(crate) mod statements;
pub(crate) mod working_set;

use kith_domain::Refusal;
use kith_ports::{
    StoreError,
    log::{Applied, Change, Command, Rejected},
};

use self::{
    notes::Note,
    working_set::{Slot, WorkingSet},
};
use super::{Backend, Connection, RunQueryDsl, conversations, either, messages, reactions, store};
use crate::failure::{Work, cause};

/// What came of one command: nested in what came of the transaction.
pub(crate) type Outcome = Result<Applied, Rejected>;

/// Carries out any command but a send.
#[either]
pub(crate) async fn carry_out(set: &mut WorkingSet<'_>, command: &Command) -> Work<Outcome> {
    let (id, at) = (command.conversation_id, command.at);
    if let Some(member_epoch) = guard(&command.change)
        && let Err(rejected) = guarded(set.slot(id), member_epoch)
    {
        return Ok(Err(rejected));
    }
    match &command.change {
        Change::Send(_) => Err(StoreError::Other(cause("a send among other commands")).into()),
        Change::Open(open) => direct::open(set, id, at, *open).await,
        Change::Edit { message_id, content, .. } => {
            revise::edit(set, id, at, *message_id, content).await
        }
        Change::Delete { message_id, .. } => revise::delete(set, id, at, *message_id).await,
        Change::Pin { message_id, pinned, .. } => {
            revise::pin(set, id, at, *message_id, *pinned).await
        }
        Change::React(react) => react::react(set, id, react).await,
        Change::Create { conversation, members } => {
            groups::create(set, conversation, members).await
        }
        Change::Members { by, changes, .. } => {
            groups::change_members(set, id, at, *by, changes).await
        }
        Change::Join(join) => join::join(set, id, at, join).await,
        Change::Update { by, note, patch, settings_epoch, .. } => {
            let note = Note { id: *note, by: *by, at };
            groups::update(set, id, note, patch, *settings_epoch).await
        }
        Change::Hide { member } => own::hide(set, id, *member).await,
        Change::Settings { member, patch } => own::settle(set, id, *member, *patch).await,
        Change::Remove { .. } => Ok(groups::remove(set, id, at)),
    }
}

/// The member epoch that a command was decided under; `None` for one that the store judges itself.
const fn guard(change: &Change) -> Option<i64> {
    match change {
        Change::Edit { member_epoch, .. }
        | Change::Delete { member_epoch, .. }
        | Change::Pin { member_epoch, .. }
        | Change::Members { member_epoch, .. }
        | Change::Update { member_epoch, .. }
        | Change::Remove { member_epoch } => Some(*member_epoch),
        Change::Send(_)
        | Change::React(_)
        | Change::Open(_)
        | Change::Create { .. }
        | Change::Join(_)
        | Change::Hide { .. }
        | Change::Settings { .. } => None,
    }
}

/// Whether a decision still holds that was made under a guard.
fn guarded(slot: Option<&mut Slot>, member_epoch: i64) -> Result<(), Rejected> {
    let slot = slot.filter(|slot| !slot.is_deleted()).ok_or_else(Refusal::not_found)?;
    if slot.head.member_epoch == member_epoch { Ok(()) } else { Err(Rejected::Stale) }
}
