//! What a batch works on: read once, changed in memory, written once.

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    sync::Arc,
};

use diesel::prelude::*;
use kith_domain::{
    ConversationId, Timestamp, UserId,
    conversation::{Conversation, Head, Seq, Version},
    group::Role,
    receipt::Watermarks,
    text::{Description, Name},
};

use super::{
    Connection, RunQueryDsl, conversations, either,
    statements::{InsertHead, PutConversation, UpdateHead, UpdateMarks},
    store,
};
use crate::{
    failure::Work,
    queries::kept_account,
    rows::{MemberRow, kind_number, posting_number, role_number},
    schema::{members, users},
    types::{Key, Moment},
};

/// A conversation in the set.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) conversation: Arc<Conversation>,
    pub(crate) head: Head,
    pub(crate) deleted_at: Option<Timestamp>,
    head_is: State,
    conversation_is: State,
}

/// What a row in the set has to do with the one in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// There, and the same.
    Clean,
    /// There, and changed since.
    Changed,
    /// Not there yet.
    New,
}

impl State {
    fn touch(&mut self) {
        if *self == Self::Clean {
            *self = Self::Changed;
        }
    }
}

impl Slot {
    /// A conversation that is being made.
    pub(crate) fn new(conversation: Conversation) -> Self {
        Self {
            head: Head { last_seq: 0, version: 1, member_epoch: 1, last_message_at: None },
            conversation: Arc::new(conversation),
            deleted_at: None,
            head_is: State::New,
            conversation_is: State::New,
        }
    }

    pub(crate) const fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }

    /// The conversation, to be changed.
    pub(crate) fn edit(&mut self) -> &mut Conversation {
        self.conversation_is.touch();
        Arc::make_mut(&mut self.conversation)
    }

    /// The head, to be changed.
    pub(crate) fn edit_head(&mut self) -> &mut Head {
        self.head_is.touch();
        &mut self.head
    }

    /// Counts a durable change and returns its number.
    pub(crate) fn next_version(&mut self) -> Version {
        let head = self.edit_head();
        head.version += 1;
        head.version
    }

    /// Deletes it for all.
    pub(crate) fn delete(&mut self, at: Timestamp) {
        self.conversation_is.touch();
        self.deleted_at = Some(at);
    }
}

/// Whether an account can take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Living,
    Erased,
    Unknown,
}

/// An account, as a conversation sees it.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) standing: Standing,
    /// The place in the conversation, also of one who has left.
    place: Option<MemberRow>,
    place_is: PlaceState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PlaceState {
    Clean,
    /// Only the marks were moved.
    #[allow(dead_code, reason = "as `mark` below")]
    Marked,
    /// Anything may be different.
    Changed,
}

impl Person {
    /// One whose account is there, or was.
    fn met(deleted_at: Option<Moment>, place: Option<MemberRow>) -> Self {
        let standing = if deleted_at.is_some() { Standing::Erased } else { Standing::Living };
        Self { standing, place, place_is: PlaceState::Clean }
    }

    /// The place of one who is in it now.
    pub(crate) fn current(&self) -> Option<&MemberRow> {
        self.place.as_ref().filter(|place| place.left_seq.is_none())
    }

    /// The place of one who is in it now, to be changed.
    pub(crate) fn edit(&mut self) -> Option<&mut MemberRow> {
        let place = self.place.as_mut().filter(|place| place.left_seq.is_none())?;
        self.place_is = PlaceState::Changed;
        Some(place)
    }

    /// Gives the person a place, instead of any he had.
    pub(crate) fn put(&mut self, place: MemberRow) {
        self.place = Some(place);
        self.place_is = PlaceState::Changed;
    }

    /// Hides it for one who is in it now, with all up to `last_seq`.
    pub(crate) fn hide(&mut self, last_seq: Seq) {
        let Some(place) = self.edit() else { return };
        let Watermarks { delivered, read } = Watermarks::starting_after(last_seq);
        (place.hidden, place.first_seq) = (true, last_seq + 1);
        (place.delivered_seq, place.read_seq) = (delivered, read);
    }

    /// Moves the marks of one who is in it now.
    #[allow(dead_code, reason = "on PostgreSQL the function that appends moves them")]
    pub(crate) fn mark(&mut self, marks: Watermarks, at: Timestamp) {
        let Some(place) = self.place.as_mut().filter(|place| place.marks() != marks) else {
            return;
        };
        if place.delivered_seq != marks.delivered {
            (place.delivered_seq, place.delivered_at) = (marks.delivered, Some(at.into()));
        }
        if place.read_seq != marks.read {
            (place.read_seq, place.read_at) = (marks.read, Some(at.into()));
        }
        if self.place_is == PlaceState::Clean {
            self.place_is = PlaceState::Marked;
        }
    }
}

/// The place of one who comes in while `last_seq` is the newest message.
pub(crate) fn new_place(
    conversation: ConversationId,
    user: UserId,
    role: Role,
    at: Timestamp,
    (last_seq, version): (Seq, Version),
) -> MemberRow {
    let Watermarks { delivered, read } = Watermarks::starting_after(last_seq);
    MemberRow {
        conversation_id: conversation.into(),
        user_id: user.into(),
        role: role_number(role),
        joined_at: at.into(),
        first_seq: last_seq + 1,
        left_seq: None,
        version,
        delivered_seq: delivered,
        delivered_at: None,
        read_seq: read,
        read_at: None,
        muted_until: None,
        pinned: false,
        archived: false,
        hidden: false,
    }
}

/// The rows that a batch works on.
pub(crate) struct WorkingSet<'c> {
    pub(crate) connection: &'c mut Connection,
    slots: HashMap<ConversationId, Slot>,
    people: HashMap<(ConversationId, UserId), Person>,
}

impl<'c> WorkingSet<'c> {
    pub(crate) fn new(connection: &'c mut Connection) -> Self {
        Self { connection, slots: HashMap::new(), people: HashMap::new() }
    }

    /// Reads the conversations that are there, in the order of their ids, before anything else.
    #[either]
    pub(crate) async fn take_in(&mut self, ids: impl Iterator<Item = ConversationId>) -> Work<()> {
        for id in ids.collect::<BTreeSet<_>>() {
            if let Some((conversation, head, deleted_at)) =
                conversations::find(self.connection, id).await?
            {
                let slot = Slot {
                    conversation: Arc::new(conversation),
                    head,
                    deleted_at: deleted_at.map(Into::into),
                    head_is: State::Clean,
                    conversation_is: State::Clean,
                };
                self.slots.insert(id, slot);
            }
        }
        Ok(())
    }

    /// Whether a conversation is there; deleted ones too.
    #[allow(dead_code, reason = "SQLite has one writer: what it does not hold is not there")]
    pub(crate) fn has(&self, id: ConversationId) -> bool {
        self.slots.contains_key(&id)
    }

    /// A conversation of the batch; deleted ones too.
    pub(crate) fn slot(&mut self, id: ConversationId) -> Option<&mut Slot> {
        self.slots.get_mut(&id)
    }

    /// Adds a conversation that is being made, with its first members.
    pub(crate) fn create(&mut self, slot: Slot, members: Vec<MemberRow>) {
        let id = slot.conversation.id;
        self.slots.insert(id, slot);
        for place in members {
            let user_id = place.user_id.into();
            let (standing, place_is) = (Standing::Living, PlaceState::Changed);
            self.people.insert((id, user_id), Person { standing, place: Some(place), place_is });
        }
    }

    /// An account and its place in a conversation.
    #[either]
    pub(crate) async fn person(&mut self, id: ConversationId, user: UserId) -> Work<&mut Person> {
        match self.people.entry((id, user)) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let person = find_person(self.connection, id, user).await?;
                Ok(entry.insert(person))
            }
        }
    }

    /// Reads accounts and their places at once, where many are about to be needed.
    #[either]
    pub(crate) async fn meet(&mut self, id: ConversationId, users: &[UserId]) -> Work<()> {
        let unmet: Vec<Key> = users
            .iter()
            .filter(|user| !self.people.contains_key(&(id, **user)))
            .map(|user| (*user).into())
            .collect();
        if unmet.len() < 2 {
            return Ok(());
        }
        let his_place =
            members::user_id.eq(users::id).and(members::conversation_id.eq(Key::from(id)));
        let accounts = users::table
            .left_join(members::table.on(his_place))
            .filter(users::id.eq_any(unmet))
            .order(users::id.asc())
            .select((users::id, users::deleted_at, Option::<MemberRow>::as_select()));
        let rows: Vec<(Key, Option<Moment>, Option<MemberRow>)> =
            kept_account(accounts).load(self.connection).await?;
        for (user, deleted_at, place) in rows {
            self.people.insert((id, user.into()), Person::met(deleted_at, place));
        }
        Ok(())
    }

    /// Writes what was changed, under the number of this transaction.
    #[either]
    pub(crate) async fn save(self) -> Work<()> {
        let Self { connection, slots, people } = self;
        let mut slots: Vec<_> = slots
            .values()
            .filter(|slot| (slot.head_is, slot.conversation_is) != (State::Clean, State::Clean))
            .collect();
        let people: Vec<_> =
            people.values().filter(|person| person.place_is != PlaceState::Clean).collect();
        if slots.is_empty() && people.is_empty() {
            return Ok(());
        }
        // In the order in which everybody locks heads: some of them are new.
        slots.sort_by_key(|slot| slot.conversation.id);
        let touched: Vec<_> =
            slots.iter().map(|slot| (slot.conversation.id, slot.head.version)).collect();
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
async fn find_person(
    connection: &mut Connection,
    id: ConversationId,
    user: UserId,
) -> Work<Person> {
    let his_place = members::user_id.eq(users::id).and(members::conversation_id.eq(Key::from(id)));
    let account = users::table
        .left_join(members::table.on(his_place))
        .filter(users::id.eq(Key::from(user)))
        .select((users::deleted_at, Option::<MemberRow>::as_select()));
    // One who is being erased is waited for: his conversations are left after that.
    let row: Option<(Option<Moment>, Option<MemberRow>)> =
        kept_account(account).get_result(connection).await.optional()?;
    Ok(match row {
        None => Person { standing: Standing::Unknown, place: None, place_is: PlaceState::Clean },
        Some((deleted_at, place)) => Person::met(deleted_at, place),
    })
}

#[either]
async fn save_slot(connection: &mut Connection, slot: &Slot, changed: i64) -> Work<()> {
    let Slot { conversation, head, deleted_at, head_is, conversation_is } = slot;
    let id = Key::from(conversation.id);
    if *conversation_is != State::Clean {
        PutConversation {
            id: &id,
            kind: &kind_number(conversation.kind),
            name: &conversation.name.as_ref().map(Name::as_str),
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
            deleted_at: &deleted_at.map(Into::into),
        }
        .execute(connection)
        .await?;
    }
    let Head { last_seq, version, member_epoch, last_message_at } = head;
    let last_message_at = &last_message_at.map(Into::into);
    match head_is {
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
