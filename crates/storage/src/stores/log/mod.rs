//! Carrying out commands, judged one by one, inside the transaction of a batch.
//!
//! Commands work on a [`WorkingSet`]: each conversation, head and member they touch is read once
//! and written once, however many commands touch it. Every command is judged before it writes
//! anything, so one that is rejected leaves no trace.
//!
//! Sends are the hot path, and each executor appends them in its own way.

pub(crate) mod direct;
mod groups;
mod hide;
mod revise;
pub(crate) mod sends;
pub(crate) mod statements;
pub(crate) mod working_set;

use kith_domain::Refusal;
use kith_ports::{
    StoreError,
    log::{Applied, Change, Command, Rejected},
};

use self::working_set::{Slot, WorkingSet};
use super::{Backend, Connection, RunQueryDsl, conversations, either, store};
use crate::failure::{Work, cause};

/// What came of one command: nested in what came of the transaction.
pub(crate) type Outcome = Result<Applied, Rejected>;

/// Carries out any command but a send.
#[either]
pub(crate) async fn carry_out(set: &mut WorkingSet<'_>, command: &Command) -> Work<Outcome> {
    let (id, at) = (command.conversation_id, command.at);
    match &command.change {
        Change::Send(_) => Err(StoreError::Other(cause("a send among other commands")).into()),
        Change::Open(open) => direct::open(set, id, at, *open).await,
        Change::Edit { message_id, message_version, content, member_epoch } => {
            let what = revise::Edit { id: *message_id, version: *message_version, content };
            revise::edit(set, id, at, &what, *member_epoch).await
        }
        Change::Delete { message_id, member_epoch } => {
            revise::delete(set, id, at, *message_id, *member_epoch).await
        }
        Change::Create { conversation, members } => {
            groups::create(set, conversation, members).await
        }
        Change::Members { changes, member_epoch } => {
            groups::change_members(set, id, at, changes, *member_epoch).await
        }
        Change::Update { patch, member_epoch, settings_epoch } => {
            Ok(groups::update(set, id, at, patch, (*member_epoch, *settings_epoch)))
        }
        Change::Hide { member } => hide::hide(set, id, *member).await,
        Change::Remove { member_epoch } => Ok(groups::remove(set, id, at, *member_epoch)),
    }
}

/// The conversation of a command that was decided under a guard, if the decision still holds.
fn guarded(slot: Option<&mut Slot>, member_epoch: i64) -> Result<&mut Slot, Rejected> {
    let slot = slot.filter(|slot| !slot.is_deleted()).ok_or_else(Refusal::not_found)?;
    if slot.head.member_epoch == member_epoch { Ok(slot) } else { Err(Rejected::Stale) }
}
