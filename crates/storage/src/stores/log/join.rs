//! Coming in of one's own will: into a channel, or by an invite.

use diesel::prelude::*;
use kith_domain::{
    ConversationId, Refusal, Timestamp,
    conversation::Kind,
    group::{MemberChange, Role, fits},
    invite::Invite,
    text::InviteCode,
};
use kith_ports::log::{Entrance, Join};

use super::{
    Connection, Outcome, RunQueryDsl, either,
    groups::{change_member, members_changed},
    notes::Note,
    working_set::{Standing, WorkingSet},
};
use crate::{failure::Work, rows::InviteRow, schema::invites, types::Key};

#[either]
pub(super) async fn join(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    at: Timestamp,
    join: &Join,
) -> Work<Outcome> {
    let Some(slot) = set.slot(id).filter(|slot| !slot.is_deleted()) else {
        return Ok(Err(Refusal::not_found().into()));
    };
    let (kind, present) = (slot.conversation.kind, slot.conversation.member_count);
    let person = set.person(id, join.user).await?;
    if person.standing != Standing::Living {
        return Ok(Err(Refusal::not_found().into()));
    }
    let is_in = person.current().is_some();
    let may_enter = match &join.by {
        Entrance::Open => kind == Kind::Channel,
        Entrance::Invite(_) if kind == Kind::Direct => false,
        // One who is in already needs none.
        Entrance::Invite(_) if is_in => true,
        Entrance::Invite(code) => is_good(set.connection, code, id, at).await?,
    };
    if !may_enter {
        return Ok(Err(Refusal::not_found().into()));
    }
    if is_in {
        return members_changed(set, id, Vec::new()).await;
    }
    if let Err(refusal) = fits(kind, present, 1) {
        return Ok(Err(refusal.into()));
    }
    if let Entrance::Invite(code) = &join.by {
        count(set.connection, code).await?;
    }
    let change = MemberChange::Joins(join.user, Role::Member);
    let note = Note { id: join.note, by: join.user, at };
    let changed = change_member(set, id, change, note).await?;
    members_changed(set, id, changed.into_iter().collect()).await
}

/// Whether an invite leads here and lets one more in. Who counts it or takes it back holds the head of
/// its conversation, so that this stays true.
#[either]
async fn is_good(
    connection: &mut Connection,
    code: &InviteCode,
    id: ConversationId,
    at: Timestamp,
) -> Work<bool> {
    let invite = invites::table
        .filter(invites::code.eq(code.as_str()))
        .filter(invites::conversation_id.eq(Key::from(id)))
        .select(InviteRow::as_select());
    let row: Option<InviteRow> = invite.get_result(connection).await.optional()?;
    Ok(row.map(Invite::try_from).transpose()?.is_some_and(|invite| invite.is_good(at)))
}

/// Counts one more who came in by an invite.
#[either]
async fn count(connection: &mut Connection, code: &InviteCode) -> Work<()> {
    diesel::update(invites::table.find(code.as_str()))
        .set(invites::uses.eq(invites::uses + 1))
        .execute(connection)
        .await?;
    Ok(())
}
