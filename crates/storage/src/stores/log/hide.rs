//! Hiding a conversation for one of its members.

use std::sync::Arc;

use kith_domain::{ConversationId, Refusal, UserId};
use kith_ports::log::Applied;

use super::{Outcome, either, working_set::WorkingSet};
use crate::failure::Work;

#[either]
pub(super) async fn hide(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    member: UserId,
) -> Work<Outcome> {
    let Some(slot) = set.slot(id).filter(|slot| !slot.is_deleted()) else {
        return Ok(Err(Refusal::not_found().into()));
    };
    let (conversation, last_seq) = (Arc::clone(&slot.conversation), slot.head.last_seq);
    let person = set.person(id, member).await?;
    match person.current().map(|place| place.is_hidden(last_seq)) {
        None => return Ok(Err(Refusal::not_found().into())),
        Some(false) => person.hide(last_seq),
        Some(true) => {}
    }
    Ok(Ok(Applied::Hidden(conversation)))
}
