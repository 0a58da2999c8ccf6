//! What a member changes for himself alone: hiding a conversation, and his settings of it.

use std::sync::Arc;

use kith_domain::{ConversationId, Refusal, UserId, conversation::SettingsPatch};
use kith_ports::log::Applied;

use super::{Outcome, either, working_set::WorkingSet};
use crate::{failure::Work, rows::MemberRow, types::Moment};

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

#[either]
pub(super) async fn settle(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    member: UserId,
    patch: SettingsPatch,
) -> Work<Outcome> {
    if set.slot(id).is_none_or(|slot| slot.is_deleted()) {
        return Ok(Err(Refusal::not_found().into()));
    }
    let person = set.person(id, member).await?;
    let Some(place) = person.current() else { return Ok(Err(Refusal::not_found().into())) };
    let (before, after) = (settings(place), patched(settings(place), patch));
    if before == after {
        return Ok(Ok(Applied::Settled(false)));
    }
    if let Some(place) = person.edit() {
        (place.muted_until, place.pinned, place.archived) = after;
    }
    Ok(Ok(Applied::Settled(true)))
}

/// Muted until when, whether pinned, whether archived.
type Settings = (Option<Moment>, bool, bool);

const fn settings(place: &MemberRow) -> Settings {
    (place.muted_until, place.pinned, place.archived)
}

fn patched((muted_until, pinned, archived): Settings, patch: SettingsPatch) -> Settings {
    (
        patch.muted_until.map_or(muted_until, |until| until.map(Into::into)),
        patch.pinned.unwrap_or(pinned),
        patch.archived.unwrap_or(archived),
    )
}
