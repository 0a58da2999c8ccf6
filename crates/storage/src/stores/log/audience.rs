//! Whom a change is told to, where that is not all members.

use std::sync::Arc;

use diesel::{dsl::sql, prelude::*, sql_types::Bool};
use kith_domain::{
    ConversationId,
    conversation::{Conversation, Kind, Seq},
    event::Audience,
    group::Role,
};

use super::{Connection, RunQueryDsl, either, working_set::WorkingSet};
use crate::{failure::Work, rows::role_number, schema::members, types::Key};

/// Those to whom a message is visible: who came later, or hid what came before, hears nothing of it.
#[either]
pub(super) async fn seen_by(
    set: &mut WorkingSet<'_>,
    conversation: &Conversation,
    seq: Seq,
) -> Work<Audience> {
    if conversation.kind == Kind::Channel {
        return Ok(conversation.audience());
    }
    let found: Vec<Key> = members::table
        .filter(members::conversation_id.eq(Key::from(conversation.id)))
        .filter(members::left_seq.is_null())
        .filter(members::first_seq.le(seq))
        .select(members::user_id)
        .load(set.connection)
        .await?;
    Ok(Audience::Users(set.now(conversation.id, found, |place| place.first_seq <= seq)))
}

/// Those who are told who comes and goes: in a channel its admins and owners.
#[either]
pub(super) async fn of_members(
    set: &mut WorkingSet<'_>,
    conversation: &Arc<Conversation>,
) -> Work<Audience> {
    if conversation.kind != Kind::Channel {
        return Ok(conversation.audience());
    }
    in_charge(set, conversation.id).await
}

#[either]
async fn in_charge(set: &mut WorkingSet<'_>, id: ConversationId) -> Work<Audience> {
    let found = members_in_charge(set.connection, id).await?;
    let member = role_number(Role::Member);
    Ok(Audience::Users(set.now(id, found, |place| place.role > member)))
}

/// The admins and owners.
#[either]
pub(crate) async fn members_in_charge(
    connection: &mut Connection,
    id: ConversationId,
) -> Work<Vec<Key>> {
    Ok(members::table
        .filter(members::conversation_id.eq(Key::from(id)))
        // As it stands in the index on them: with a parameter it would not be used.
        .filter(sql::<Bool>("members.role > 0"))
        .filter(members::left_seq.is_null())
        .select(members::user_id)
        .load(connection)
        .await?)
}
