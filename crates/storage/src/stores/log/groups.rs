//! Groups and channels: making, changing, deleting them, and their members.

use std::{collections::BTreeSet, sync::Arc};

use kith_domain::{
    Code, ConversationId, Refusal, Timestamp, UserId,
    conversation::{Conversation, ConversationPatch, Kind},
    group::{MemberChange, Role},
};
use kith_ports::log::{Applied, Rejected};

use super::{
    Outcome, either, guarded,
    working_set::{Slot, Standing, WorkingSet, new_place},
};
use crate::{
    failure::Work,
    rows::{MemberRow, role_number},
};

#[either]
pub(super) async fn create(
    set: &mut WorkingSet<'_>,
    conversation: &Conversation,
    members: &[(UserId, Role)],
) -> Work<Outcome> {
    let id = conversation.id;
    if conversation.kind == Kind::Direct {
        return Ok(Err(wrong_kind().into()));
    }
    if let Some(there) = set.slot(id) {
        // The same command once more: it was carried out, and the answer was lost.
        let same = there.conversation.created_by == conversation.created_by
            && there.conversation.created_at == conversation.created_at;
        return Ok(if same && !there.is_deleted() {
            Ok(Applied::Created(Arc::clone(&there.conversation), there.head))
        } else {
            Err(Refusal::new(Code::Conflict, "the id of the conversation is taken").into())
        });
    }
    let mut slot = Slot::new(conversation.clone());
    let named: Vec<UserId> = members.iter().map(|(user, _)| *user).collect();
    set.meet(id, &named).await?;
    let (mut places, mut seen) = (Vec::with_capacity(members.len()), BTreeSet::new());
    for (user, role) in members {
        // One who was erased since the members were looked up stays out.
        if seen.insert(*user) && set.person(id, *user).await?.standing == Standing::Living {
            let numbers = (0, slot.head.version);
            places.push(new_place(id, *user, *role, conversation.created_at, numbers));
        }
    }
    slot.edit().member_count = u32::try_from(places.len()).unwrap_or(u32::MAX);
    let created = Applied::Created(Arc::clone(&slot.conversation), slot.head);
    set.create(slot, places);
    Ok(Ok(created))
}

#[either]
pub(super) async fn change_members(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    at: Timestamp,
    changes: &[MemberChange],
    member_epoch: i64,
) -> Work<Outcome> {
    match guarded(set.slot(id), member_epoch) {
        Err(rejected) => return Ok(Err(rejected)),
        Ok(slot) if slot.conversation.kind == Kind::Direct => {
            return Ok(Err(wrong_kind().into()));
        }
        Ok(_) => {}
    }
    let named: Vec<UserId> = changes.iter().map(MemberChange::user).collect();
    set.meet(id, &named).await?;
    let mut applied = Vec::with_capacity(changes.len());
    for change in changes {
        if let Some(role) = change_member(set, id, at, *change).await?
            && let Some(slot) = set.slot(id)
        {
            applied.push((*change, role, slot.head.version));
        }
    }
    let Some(slot) = set.slot(id) else { return Ok(Err(Refusal::not_found().into())) };
    if !applied.is_empty() {
        slot.edit_head().member_epoch += 1;
    }
    Ok(Ok(Applied::MembersChanged {
        conversation: Arc::clone(&slot.conversation),
        head: slot.head,
        changes: applied,
    }))
}

/// Carries out one change under a version of its own, and returns the role it leaves or takes
/// away. `None` if it changed nothing.
#[either]
async fn change_member(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    at: Timestamp,
    change: MemberChange,
) -> Work<Option<Role>> {
    let user = change.user();
    let person = set.person(id, user).await?;
    let standing = person.standing;
    let role = person.current().map(MemberRow::role).transpose()?;
    let changes_something = match change {
        MemberChange::Joins(..) => role.is_none() && standing == Standing::Living,
        MemberChange::Becomes(_, to) => role.is_some_and(|role| role != to),
        MemberChange::Leaves(_) => role.is_some(),
    };
    let Some(slot) = set.slot(id).filter(|_| changes_something) else { return Ok(None) };
    let version = slot.next_version();
    let last_seq = slot.head.last_seq;
    match change {
        MemberChange::Joins(_, role) => {
            slot.edit().member_count += 1;
            let place = new_place(id, user, role, at, (last_seq, version));
            set.person(id, user).await?.put(place);
            Ok(Some(role))
        }
        MemberChange::Becomes(_, to) => {
            if let Some(place) = set.person(id, user).await?.edit() {
                (place.role, place.version) = (role_number(to), version);
            }
            Ok(Some(to))
        }
        MemberChange::Leaves(_) => {
            let conversation = slot.edit();
            conversation.member_count = conversation.member_count.saturating_sub(1);
            if let Some(place) = set.person(id, user).await?.edit() {
                (place.left_seq, place.version) = (Some(last_seq), version);
            }
            Ok(role)
        }
    }
}

pub(super) fn update(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    at: Timestamp,
    patch: &ConversationPatch,
    (member_epoch, settings_epoch): (i64, i64),
) -> Outcome {
    let slot = guarded(set.slot(id), member_epoch)?;
    if slot.conversation.kind == Kind::Direct {
        return Err(wrong_kind().into());
    }
    if slot.conversation.settings_epoch != settings_epoch {
        return Err(Rejected::Stale);
    }
    let conversation = slot.edit();
    if let Some(name) = &patch.name {
        conversation.name = Some(name.clone());
    }
    if let Some(description) = &patch.description {
        conversation.description.clone_from(description);
    }
    if let Some(posting) = patch.posting {
        conversation.posting = posting;
    }
    conversation.updated_at = at;
    conversation.settings_epoch += 1;
    slot.next_version();
    Ok(Applied::Updated(Arc::clone(&slot.conversation), slot.head))
}

pub(super) fn remove(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    at: Timestamp,
    member_epoch: i64,
) -> Outcome {
    let slot = guarded(set.slot(id), member_epoch)?;
    if slot.conversation.kind == Kind::Direct {
        return Err(wrong_kind().into());
    }
    slot.delete(at);
    slot.next_version();
    Ok(Applied::Removed(Arc::clone(&slot.conversation)))
}

fn wrong_kind() -> Refusal {
    Refusal::new(Code::WrongKind, "a direct chat is made by its two, and has no members to change")
}
