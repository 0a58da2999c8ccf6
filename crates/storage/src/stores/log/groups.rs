//! Groups and channels: making, changing, deleting them, and their members.

use std::{collections::BTreeSet, sync::Arc};

use kith_domain::{
    Code, ConversationId, MessageId, Refusal, Timestamp, UserId,
    conversation::{Conversation, ConversationPatch, Kind},
    group::{MemberChange, Role},
    message::{Message, SystemEvent},
};
use kith_ports::log::{Applied, MemberChanged, Rejected};

use super::{
    Outcome, audience, blocks, either,
    notes::{self, Note},
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
    let named: BTreeSet<UserId> = members.iter().map(|(user, _)| *user).collect();
    let (by, named) = (conversation.created_by, named.into_iter().collect::<Vec<_>>());
    if blocks::among(set.connection, by, &named).await? {
        return Ok(Err(Refusal::blocked().into()));
    }
    set.meet(id, &named).await?;
    let mut slot = Slot::new(conversation.clone());
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
    by: UserId,
    changes: &[(MemberChange, MessageId)],
) -> Work<Outcome> {
    if set.slot(id).is_some_and(|slot| slot.conversation.kind == Kind::Direct) {
        return Ok(Err(wrong_kind().into()));
    }
    let named: Vec<UserId> = changes.iter().map(|(change, _)| change.user()).collect();
    set.meet(id, &named).await?;
    let mut newcomers = Vec::new();
    for (change, _) in changes {
        if let MemberChange::Joins(user, _) = change
            && set.person(id, *user).await?.current().is_none()
        {
            newcomers.push(*user);
        }
    }
    if blocks::among(set.connection, by, &newcomers).await? {
        return Ok(Err(Refusal::blocked().into()));
    }
    let mut changed = Vec::with_capacity(changes.len());
    for (change, note) in changes {
        changed.extend(change_member(set, id, *change, Note { id: *note, by, at }).await?);
    }
    members_changed(set, id, changed).await
}

/// What came of changes of members.
#[either]
pub(super) async fn members_changed(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    changes: Vec<MemberChanged>,
) -> Work<Outcome> {
    let Some(slot) = set.slot(id) else { return Ok(Err(Refusal::not_found().into())) };
    if !changes.is_empty() {
        slot.edit_head().member_epoch += 1;
    }
    let (conversation, head) = (Arc::clone(&slot.conversation), slot.head);
    let audience = audience::of_members(set, &conversation).await?;
    Ok(Ok(Applied::MembersChanged { conversation, head, changes, audience }))
}

/// Carries out one change under a version of its own, and notes it. `None` if it changed nothing.
#[either]
pub(super) async fn change_member(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    change: MemberChange,
    note: Note,
) -> Work<Option<MemberChanged>> {
    let user = change.user();
    let person = set.person(id, user).await?;
    let standing = person.standing;
    let before = person.current().map(MemberRow::role).transpose()?;
    let role = match (change, before) {
        (MemberChange::Joins(_, to), None) if standing == Standing::Living => to,
        (MemberChange::Becomes(_, to), Some(role)) if role != to => to,
        (MemberChange::Leaves(_), Some(role)) => role,
        _ => return Ok(None),
    };
    let Some(slot) = set.slot(id) else { return Ok(None) };
    let (version, last_seq) = (slot.next_version(), slot.head.last_seq);
    let count = slot.conversation.member_count;
    // Who comes in sees the note of it, who goes does not.
    match change {
        MemberChange::Joins(..) => {
            slot.edit().member_count = count.saturating_add(1);
            let mut place = new_place(id, user, role, note.at, (last_seq, version));
            let person = set.person(id, user).await?;
            // Somebody may still take one who comes back for what he was when he left.
            if person.place().is_some_and(|old| role > Role::Member || old.has_been_in_charge()) {
                place.joined_version = Some(version - 1);
            }
            person.come(place);
        }
        MemberChange::Becomes(..) => {
            if let Some(place) = set.person(id, user).await?.edit() {
                (place.role, place.version) = (role_number(role), version);
            }
        }
        MemberChange::Leaves(_) => {
            slot.edit().member_count = count.saturating_sub(1);
            if let Some(place) = set.person(id, user).await?.go() {
                // One who never was in charge leaves as he came: nobody who may not list the members
                // has heard of him.
                if !place.has_been_in_charge() {
                    place.joined_version = Some(version);
                }
                (place.left_seq, place.version) = (Some(last_seq), version);
            }
        }
    }
    let note = note_of(set, id, change, note).await?;
    Ok(Some(MemberChanged { change, role, version, note }))
}

/// Notes in a group's history who came or went. In a channel too many do.
#[either]
async fn note_of(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    change: MemberChange,
    note: Note,
) -> Work<Option<Arc<Message>>> {
    let event = match change {
        MemberChange::Joins(user, _) => SystemEvent::MemberAdded(user),
        MemberChange::Leaves(user) if user == note.by => SystemEvent::MemberLeft,
        MemberChange::Leaves(user) => SystemEvent::MemberRemoved(user),
        MemberChange::Becomes(..) => return Ok(None),
    };
    if set.slot(id).is_none_or(|slot| slot.conversation.kind != Kind::Group) {
        return Ok(None);
    }
    notes::append(set, id, note, event).await
}

#[either]
pub(super) async fn update(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    note: Note,
    patch: &ConversationPatch,
    settings_epoch: i64,
) -> Work<Outcome> {
    let Some(slot) = set.slot(id) else { return Ok(Err(Refusal::not_found().into())) };
    if slot.conversation.kind == Kind::Direct {
        return Ok(Err(wrong_kind().into()));
    }
    if slot.conversation.settings_epoch != settings_epoch {
        return Ok(Err(Rejected::Stale));
    }
    if is_so(&slot.conversation, patch) {
        let (conversation, head) = (Arc::clone(&slot.conversation), slot.head);
        return Ok(Ok(Applied::Updated { conversation, head, changed: false, note: None }));
    }
    let renamed = patch.name.as_ref().filter(|name| slot.rename(name));
    let conversation = slot.edit();
    if let Some(description) = &patch.description {
        conversation.description.clone_from(description);
    }
    if let Some(posting) = patch.posting {
        conversation.posting = posting;
    }
    conversation.updated_at = note.at;
    conversation.settings_epoch += 1;
    slot.next_version();
    let (conversation, head) = (Arc::clone(&slot.conversation), slot.head);
    let note = match renamed {
        Some(name) => notes::append(set, id, note, SystemEvent::Renamed(name.clone())).await?,
        None => None,
    };
    Ok(Ok(Applied::Updated { conversation, head, changed: true, note }))
}

/// Whether a conversation has all that a patch would give it.
fn is_so(conversation: &Conversation, patch: &ConversationPatch) -> bool {
    let Conversation { name, description, posting, .. } = conversation;
    patch.name.as_ref().is_none_or(|it| name.as_ref() == Some(it))
        && patch.description.as_ref().is_none_or(|it| it == description)
        && patch.posting.is_none_or(|it| it == *posting)
}

pub(super) fn remove(set: &mut WorkingSet<'_>, id: ConversationId, at: Timestamp) -> Outcome {
    let Some(slot) = set.slot(id) else { return Err(Refusal::not_found().into()) };
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
