//! What a batch works on: read once, changed in memory, written once.

mod person;
mod save;
mod slot;

use std::collections::{BTreeSet, HashMap, hash_map::Entry};

use diesel::prelude::*;
use kith_domain::{ConversationId, UserId};

pub(crate) use self::{
    person::{Person, Standing, new_place},
    save::Touched,
    slot::Slot,
};
use super::{Connection, RunQueryDsl, blocks, conversations, either};
use crate::{
    failure::Work,
    queries::kept_account,
    rows::MemberRow,
    schema::{members, users},
    types::{Key, Moment},
};

/// The rows that a batch works on.
pub(crate) struct WorkingSet<'c> {
    pub(crate) connection: &'c mut Connection,
    slots: HashMap<ConversationId, Slot>,
    people: HashMap<(ConversationId, UserId), Person>,
    /// Whether one of two has blocked the other, the lesser id first.
    blocks: HashMap<(UserId, UserId), bool>,
}

impl<'c> WorkingSet<'c> {
    pub(crate) fn new(connection: &'c mut Connection) -> Self {
        let (slots, people, blocks) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { connection, slots, people, blocks }
    }

    /// Reads the conversations that are there, in the order of their ids, before anything else.
    #[either]
    pub(crate) async fn take_in(&mut self, ids: impl Iterator<Item = ConversationId>) -> Work<()> {
        for id in ids.collect::<BTreeSet<_>>() {
            if let Some((conversation, head, deleted_at)) =
                conversations::find(self.connection, id).await?
            {
                let found = (conversation, head, deleted_at.map(Into::into));
                self.slots.insert(id, Slot::found(found));
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
            self.people.insert((id, place.user_id.into()), Person::placed(place));
        }
    }

    /// An account and its place in a conversation.
    #[either]
    pub(crate) async fn person(&mut self, id: ConversationId, user: UserId) -> Work<&mut Person> {
        match self.people.entry((id, user)) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let person = person::find_person(self.connection, id, user).await?;
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

    /// Whether one of two has blocked the other.
    #[either]
    pub(crate) async fn have_blocked(&mut self, a: UserId, b: UserId) -> Work<bool> {
        match self.blocks.entry((a.min(b), a.max(b))) {
            Entry::Occupied(entry) => Ok(*entry.get()),
            Entry::Vacant(entry) => {
                let blocked = blocks::between(self.connection, a, b).await?;
                Ok(*entry.insert(blocked))
            }
        }
    }

    /// Whether a conversation is a direct chat whose two have blocked each other.
    #[either]
    pub(crate) async fn is_blocked(&mut self, id: ConversationId) -> Work<bool> {
        match self.slots.get(&id).and_then(|slot| slot.conversation.pair) {
            Some((a, b)) => self.have_blocked(a, b).await,
            None => Ok(false),
        }
    }

    /// Of the members who fulfil a condition those who do so now, in the order of their ids: `found`
    /// by the database, which knows nothing yet of what this batch has changed.
    pub(crate) fn now(
        &self,
        id: ConversationId,
        found: Vec<Key>,
        fulfils: impl Fn(&MemberRow) -> bool,
    ) -> Vec<UserId> {
        let met = self.people.iter().filter(|((of, _), _)| *of == id);
        let mut all: BTreeSet<UserId> = found.into_iter().map(Into::into).collect();
        for ((_, user), person) in met {
            if person.current().is_some_and(&fulfils) {
                all.insert(*user);
            } else {
                all.remove(user);
            }
        }
        all.into_iter().collect()
    }
}
