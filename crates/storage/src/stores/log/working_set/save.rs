use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use kith_domain::{
    ConversationId, UserId,
    conversation::{Head, Kind, Version},
    text::{Description, Name},
};

use super::{
    super::{
        statements::{InsertHead, PutConversation, UpdateHead, UpdateMarks},
        store,
    },
    Connection, RunQueryDsl, Slot, WorkingSet, either,
    person::PlaceState,
    slot::State,
};
use crate::{
    failure::Work,
    rows::{MemberRow, kind_number, posting_number},
    schema::{channel_words, invites},
    types::Key,
    words,
};

/// A conversation that a transaction changed.
#[derive(Debug)]
#[allow(dead_code, reason = "SQLite has one node, which needs no log of what others changed")]
pub(crate) struct Touched {
    pub(crate) id: ConversationId,
    /// The version that it had.
    pub(crate) before: Version,
    /// The version that it came to.
    pub(crate) version: Version,
    /// Who came into it, or went, in the order of their ids.
    pub(crate) people: Vec<UserId>,
}

impl WorkingSet<'_> {
    /// Writes what was changed, under the number of this transaction.
    #[either]
    pub(crate) async fn save(self) -> Work<()> {
        let Self { connection, slots, people, .. } = self;
        let mut slots: Vec<_> = slots.values().filter(|slot| slot.is_changed()).collect();
        let mut moved: BTreeMap<ConversationId, BTreeSet<UserId>> = BTreeMap::new();
        for ((id, user), _) in people.iter().filter(|(_, person)| person.has_moved) {
            moved.entry(*id).or_default().insert(*user);
        }
        let people: Vec<_> =
            people.values().filter(|person| person.place_is != PlaceState::Clean).collect();
        if slots.is_empty() && people.is_empty() {
            return Ok(());
        }
        // In the order in which everybody locks heads: some of them are new.
        slots.sort_by_key(|slot| slot.conversation.id);
        let touched: Vec<_> = slots
            .iter()
            .map(|slot| {
                let id = slot.conversation.id;
                let (before, version) = (slot.version_before, slot.head.version);
                let people = moved.remove(&id).unwrap_or_default().into_iter().collect();
                Touched { id, before, version, people }
            })
            .collect();
        let changed = store::record(connection, &touched).await?;
        for slot in slots {
            save_slot(connection, slot, changed).await?;
        }
        let mut changed_places = Vec::new();
        for person in people {
            match (&person.place, person.place_is) {
                (None, _) | (_, PlaceState::Clean) => {}
                (Some(place), PlaceState::Marked) => save_marks(connection, place, changed).await?,
                (Some(place), PlaceState::Changed) => changed_places.push(place),
            }
        }
        // In the order in which everybody locks members.
        changed_places.sort_by_key(|place| (place.conversation_id, place.user_id));
        store::put_members(connection, &changed_places, changed).await
    }
}

#[either]
async fn save_slot(connection: &mut Connection, slot: &Slot, changed: i64) -> Work<()> {
    if slot.conversation_is != State::Clean {
        save_conversation(connection, slot, changed).await?;
    }
    if slot.listing_is_old {
        save_listing(connection, slot).await?;
    }
    let id = Key::from(slot.conversation.id);
    let Head { last_seq, version, member_epoch, last_message_at } = &slot.head;
    let last_message_at = &last_message_at.map(Into::into);
    match slot.head_is {
        State::Clean => {}
        State::Changed => {
            UpdateHead {
                conversation_id: &id,
                last_seq,
                version,
                member_epoch,
                last_message_at,
                changed: &changed,
            }
            .execute(connection)
            .await?;
        }
        State::New => {
            InsertHead {
                conversation_id: &id,
                last_seq,
                version,
                member_epoch,
                last_message_at,
                changed: &changed,
            }
            .execute(connection)
            .await?;
        }
    }
    Ok(())
}

#[either]
async fn save_conversation(connection: &mut Connection, slot: &Slot, changed: i64) -> Work<()> {
    let conversation = &slot.conversation;
    let name = conversation.name.as_ref().map(Name::as_str);
    // Only channels are listed.
    let name_key = name.filter(|_| conversation.kind == Kind::Channel).map(words::name_key);
    PutConversation {
        id: &conversation.id.into(),
        kind: &kind_number(conversation.kind),
        name: &name,
        description: &conversation.description.as_ref().map(Description::as_str),
        posting: &posting_number(conversation.posting),
        user_a: &conversation.pair.map(|(a, _)| a.into()),
        user_b: &conversation.pair.map(|(_, b)| b.into()),
        created_by: &conversation.created_by.into(),
        created_at: &conversation.created_at.into(),
        updated_at: &conversation.updated_at.into(),
        member_count: &i32::try_from(conversation.member_count).unwrap_or(i32::MAX),
        settings_epoch: &conversation.settings_epoch,
        changed: &changed,
        deleted_at: &slot.deleted_at.map(Into::into),
        name_key: &name_key.as_deref(),
    }
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes what a channel is found by. Of one that was deleted nothing stays by which it, or any other
/// conversation, could be found or entered.
#[either]
async fn save_listing(connection: &mut Connection, slot: &Slot) -> Work<()> {
    let id = Key::from(slot.conversation.id);
    diesel::delete(channel_words::table.filter(channel_words::conversation_id.eq(id)))
        .execute(connection)
        .await?;
    if slot.is_deleted() {
        diesel::delete(invites::table.filter(invites::conversation_id.eq(id)))
            .execute(connection)
            .await?;
        return Ok(());
    }
    let name = slot.conversation.name.as_ref().map_or("", |name| name.as_str());
    for word in words::keys_of_name(name) {
        diesel::insert_into(channel_words::table)
            .values((channel_words::word.eq(word), channel_words::conversation_id.eq(id)))
            .execute(connection)
            .await?;
    }
    Ok(())
}

#[either]
async fn save_marks(connection: &mut Connection, place: &MemberRow, changed: i64) -> Work<()> {
    UpdateMarks {
        conversation_id: &place.conversation_id,
        user_id: &place.user_id,
        delivered_seq: &place.delivered_seq,
        delivered_at: &place.delivered_at,
        read_seq: &place.read_seq,
        read_at: &place.read_at,
        changed: &changed,
    }
    .execute(connection)
    .await?;
    Ok(())
}
