//! Names: of people and conversations, as far as they are known.

use std::{collections::HashMap, time::Duration};

use kith_client::{Client, Error};
use kith_protocol::{
    Time,
    rest::{Conversation, Kind, Profile},
};
use uuid::Uuid;

/// How long the server may take to answer a question that a person waits for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many pages of people are looked through for one.
const PAGES: usize = 5;
/// What an erased account is called.
const NOBODY: &str = "Deleted user";

/// Who and what there is.
#[derive(Debug, Default)]
pub(super) struct Book {
    people: HashMap<Uuid, String>,
    rooms: HashMap<Uuid, Room>,
}

/// A conversation.
#[derive(Clone, Debug)]
pub(super) struct Room {
    pub(super) kind: Kind,
    /// The group, or the other person; `None` until that is known.
    name: Option<String>,
    active: Option<Time>,
}

/// Waits for an answer, but not longer than a person does.
pub(super) async fn answer<T>(
    asked: impl Future<Output = kith_client::Result<T>>,
) -> kith_client::Result<T> {
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or(Err(Error::TimedOut(PATIENCE)))
}

impl Book {
    /// Takes what a conversation says of itself. Says whether it is new.
    pub(super) fn note(&mut self, conversation: &Conversation) -> bool {
        let name = match (&conversation.peer, conversation.kind) {
            (Some(peer), _) => Some(self.meet(peer)),
            (None, Kind::Direct) => None,
            (None, _) => conversation.name.clone(),
        };
        let known = self.rooms.remove(&conversation.id);
        let new = known.is_none();
        let name = name.or(known.and_then(|known| known.name));
        let active = conversation.last_message_at.or(Some(conversation.created_at));
        self.rooms.insert(conversation.id, Room { kind: conversation.kind, name, active });
        new
    }

    /// Takes what a person says of himself, and gives his name.
    pub(super) fn meet(&mut self, profile: &Profile) -> String {
        let name = profile.username.clone().unwrap_or_else(|| NOBODY.to_owned());
        self.people.insert(profile.id, name.clone());
        name
    }

    /// A person whose name is known from elsewhere.
    pub(super) fn know(&mut self, id: Uuid, name: &str) {
        self.people.insert(id, name.to_owned());
    }

    /// A conversation that is there no more. `None` if that was known.
    pub(super) fn forget(&mut self, id: Uuid) -> Option<Room> {
        self.rooms.remove(&id)
    }

    /// A conversation.
    pub(super) fn room(&self, id: Uuid) -> Option<&Room> {
        self.rooms.get(&id)
    }

    /// Whether there is any conversation.
    pub(super) fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    /// The groups of this name, the one with the newest activity first.
    pub(super) fn groups(&self, name: &str) -> Vec<Uuid> {
        let same = |room: &Room| {
            room.kind != Kind::Direct
                && room.name.as_deref().is_some_and(|it| it.to_lowercase() == name.to_lowercase())
        };
        let mut found: Vec<_> = self
            .rooms
            .iter()
            .filter(|(_, room)| same(room))
            .map(|(id, room)| (room.active.map(Time::as_micros), *id))
            .collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.into_iter().map(|(_, id)| id).collect()
    }

    /// What a person is called.
    pub(super) async fn name(&mut self, client: &Client, id: Uuid) -> String {
        if let Some(name) = self.people.get(&id) {
            return name.clone();
        }
        match answer(client.user(id)).await {
            Ok(profile) => self.meet(&profile),
            Err(_) => "somebody".to_owned(),
        }
    }

    /// What a conversation is called.
    pub(super) async fn label(&mut self, client: &Client, id: Uuid) -> String {
        let known = |book: &Self| book.rooms.get(&id).and_then(|room| room.name.clone());
        if let Some(name) = known(self) {
            return name;
        }
        if let Ok(conversation) = answer(client.conversation(id)).await {
            self.note(&conversation);
        }
        known(self).unwrap_or_else(|| "elsewhere".to_owned())
    }

    /// The person with exactly this user name.
    pub(super) async fn person(
        &mut self,
        client: &Client,
        name: &str,
    ) -> kith_client::Result<Option<Profile>> {
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES {
            let page = answer(client.users(name, cursor.as_deref(), Some(100))).await?;
            let same = |it: &Profile| {
                it.username.as_deref().is_some_and(|it| it.eq_ignore_ascii_case(name))
            };
            if let Some(found) = page.items.into_iter().find(same) {
                self.meet(&found);
                return Ok(Some(found));
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        Ok(None)
    }
}
