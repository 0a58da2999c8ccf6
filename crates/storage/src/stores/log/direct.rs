//! Direct chats: made by the first message, or opened without one.

use std::sync::Arc;

use kith_domain::{
    Code, ConversationId, Refusal, Timestamp, UserId,
    conversation::{Conversation, Kind, Posting, pair},
    group::Role,
};
use kith_ports::log::{Applied, Open, Opening};

use super::{
    Outcome, either,
    working_set::{Slot, Standing, WorkingSet, new_place},
};
use crate::{failure::Work, rows::MemberRow};

#[either]
pub(super) async fn open(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    at: Timestamp,
    open: Open,
) -> Work<Outcome> {
    let Some(slot) = set.slot(id) else {
        let (slot, members) = match new(set, id, at, (open.by, open.peer), "user_id").await? {
            Ok(new) => new,
            Err(refusal) => return Ok(Err(refusal.into())),
        };
        let opened = Applied::Opened(Arc::clone(&slot.conversation), slot.head, Opening::Made);
        set.create(slot, members);
        return Ok(Ok(opened));
    };
    if slot.conversation.peer_of(open.by) != Some(open.peer) {
        return Ok(Err(Refusal::not_found().into()));
    }
    let (conversation, head) = (Arc::clone(&slot.conversation), slot.head);
    if set.have_blocked(open.by, open.peer).await? {
        return Ok(Err(Refusal::blocked().into()));
    }
    let person = set.person(id, open.by).await?;
    let opening = if person.current().is_some_and(|place| place.is_hidden(head.last_seq))
        && let Some(place) = person.edit()
    {
        place.hidden = false;
        Opening::Shown
    } else {
        Opening::Unchanged
    };
    Ok(Ok(Applied::Opened(conversation, head, opening)))
}

/// A direct chat that is not there yet, and its two members: the one who makes it sees it, the
/// other when there is a message.
#[either]
pub(crate) async fn new(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    at: Timestamp,
    (by, peer): (UserId, UserId),
    field: &'static str,
) -> Work<Result<(Slot, Vec<MemberRow>), Refusal>> {
    let pair = match pair(by, peer, field) {
        Ok(pair) => pair,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if id != ConversationId::direct(by, peer)
        || set.person(id, by).await?.standing != Standing::Living
    {
        return Ok(Err(Refusal::not_a_member()));
    }
    if let Err(refusal) = reachable(set.person(id, peer).await?.standing, field) {
        return Ok(Err(refusal));
    }
    if set.have_blocked(by, peer).await? {
        return Ok(Err(Refusal::blocked()));
    }
    let slot = Slot::new(Conversation {
        id,
        kind: Kind::Direct,
        pair: Some(pair),
        name: None,
        description: None,
        posting: Posting::Everyone,
        created_by: by,
        created_at: at,
        updated_at: at,
        member_count: 2,
        settings_epoch: 1,
    });
    let place = |user| new_place(id, user, Role::Member, at, (0, slot.head.version));
    let members = vec![place(by), MemberRow { hidden: true, ..place(peer) }];
    Ok(Ok((slot, members)))
}

/// Whether one can write to an account, named by `field`.
pub(crate) fn reachable(standing: Standing, field: &'static str) -> Result<(), Refusal> {
    match standing {
        Standing::Living => Ok(()),
        Standing::Erased => {
            Err(Refusal::new(Code::PeerDeleted, "the account of the other one was deleted"))
        }
        Standing::Unknown => {
            Err(Refusal::wrong_field(field, Code::UnknownUser, "is not the id of an account"))
        }
    }
}
