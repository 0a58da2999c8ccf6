//! People in groups, on one node or on several.

use kith_protocol::rest::NewGroup;
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::{
    stage::{Person, sign_up},
    wire::{Line, Template},
};
use crate::{Result, interrupt};

/// Who is with whom. Everybody is in one conversation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// How many conversations there are.
    pub(crate) chats: usize,
    /// How many people are in each; two are a direct chat.
    pub(crate) members: usize,
    /// How many of them write, each in his turn.
    pub(crate) senders: usize,
}

impl Shape {
    /// How many people there are.
    pub(crate) const fn people(self) -> usize {
        self.chats * self.members
    }

    /// The chat that somebody is in.
    pub(super) const fn chat(self, person: usize) -> usize {
        person / self.members
    }

    /// The node that somebody is on: the members of a chat are spread over all of them, and so are those
    /// who write.
    pub(super) const fn node(self, person: usize, nodes: usize) -> usize {
        (self.chat(person) + person % self.members) % nodes
    }

    /// Who writes message `n`: somebody of each chat in turn.
    pub(super) fn sender(self, n: u64) -> usize {
        let (chats, senders) = (self.chats as u64, self.senders as u64);
        let (chat, place) = (n % chats, n / chats % senders);
        usize::try_from(chat).unwrap_or_default() * self.members
            + usize::try_from(place).unwrap_or_default()
    }
}

/// The people and their chats.
pub(crate) struct Crowd {
    pub(crate) shape: Shape,
    people: Vec<Person>,
    chats: Vec<Uuid>,
    runtime: Runtime,
}

impl Crowd {
    /// Signs them up and brings them together. No other crowd of the same server is `called` so.
    pub(crate) fn gather(url: &str, called: &str, shape: Shape) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let people = runtime.block_on(sign_up(url, called, shape.people()))?;
        let mut chats = Vec::new();
        for members in people.chunks(shape.members) {
            interrupt::check()?;
            let [first, others @ ..] = members else { continue };
            let chat = if let [other] = others {
                runtime.block_on(first.client.open_direct(other.id))?
            } else {
                let group = NewGroup {
                    name: format!("{called} group"),
                    description: None,
                    members: others.iter().map(|person| person.id).collect(),
                };
                runtime.block_on(first.client.create_group(&group))?
            };
            chats.push(chat.id);
        }
        Ok(Self { shape, people, chats, runtime })
    }

    /// A socket for each, on the nodes in turn.
    pub(crate) fn open(&self, urls: &[&str]) -> Result<Vec<Line>> {
        let open = |(index, person): (usize, &Person)| {
            interrupt::check()?;
            let url = urls[self.shape.node(index, urls.len())];
            Line::open(url, &person.tokens()?.access)
        };
        self.people.iter().enumerate().map(open).collect()
    }

    /// What everybody who writes sends, in the order of the people.
    pub(super) fn templates(&self) -> Vec<Template> {
        let chat = |person: usize| self.chats[self.shape.chat(person)];
        (0..self.people.len()).map(|person| Template::into_conversation(chat(person))).collect()
    }

    /// How many messages stand in each chat, as one of its members is told at `url`.
    pub(super) fn lengths(&self, url: &str) -> Result<Vec<u64>> {
        // Connections that have been idle for long may be closed just now.
        let client = kith_client::Client::new(url)?;
        let length = |(chat, id): (usize, &Uuid)| -> Result<u64> {
            interrupt::check()?;
            let client = client.with_tokens(self.people[chat * self.shape.members].tokens()?);
            Ok(u64::try_from(self.runtime.block_on(client.conversation(*id))?.last_seq)?)
        };
        self.chats.iter().enumerate().map(length).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_a_chat_and_those_who_write_are_on_all_nodes() {
        let shape = Shape { chats: 2, members: 4, senders: 1 };
        let nodes: Vec<usize> = (0..shape.people()).map(|it| shape.node(it, 2)).collect();
        assert_eq!(nodes, [0, 1, 0, 1, 1, 0, 1, 0]);
        assert!((0..shape.people()).all(|it| shape.node(it, 1) == 0));
        let senders: Vec<usize> = (0..4).map(|n| shape.sender(n)).collect();
        assert_eq!(senders, [0, 4, 0, 4]);
        assert_ne!(shape.node(0, 2), shape.node(4, 2));
    }

    #[test]
    fn those_who_write_take_turns() {
        let shape = Shape { chats: 2, members: 4, senders: 3 };
        let senders: Vec<usize> = (0..8).map(|n| shape.sender(n)).collect();
        assert_eq!(senders, [0, 4, 1, 5, 2, 6, 0, 4]);
        assert_eq!([shape.chat(3), shape.chat(4)], [0, 1]);
    }
}
