//! Frames are lost, doubled, delayed and mixed; fetches fail; connections break.

use std::collections::BTreeMap;

use kith_protocol::rest::Message;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::testing::{ROOM, conversation, message, ready, sync, tombstone};

/// What the server holds of one conversation, and says about it.
#[derive(Default)]
struct World {
    messages: Vec<Message>,
    version: i64,
}

impl World {
    fn with(count: i64) -> Self {
        let mut world = Self::default();
        for _ in 0..count {
            world.change(&Change::Send);
        }
        world
    }

    fn change(&mut self, change: &Change) -> serde_json::Value {
        self.version += 1;
        let pick = |at: &prop::sample::Index| at.index(self.messages.len());
        match change {
            Change::Send => {
                let seq = i64::try_from(self.messages.len()).unwrap() + 1;
                let message = message(ROOM, seq, self.version);
                self.messages.push(message.clone());
                json!({"type": "new_message", "message": message})
            }
            Change::Edit(at) => {
                let at = pick(at);
                let seq = self.messages[at].seq;
                self.messages[at] = message(ROOM, seq, self.version);
                json!({"type": "message_updated", "message": self.messages[at]})
            }
            Change::Delete(at) => {
                let at = pick(at);
                let seq = self.messages[at].seq;
                self.messages[at] = tombstone(ROOM, seq, self.version);
                json!({
                    "type": "message_deleted", "conversation_id": ROOM, "seq": seq,
                    "message_id": self.messages[at].id, "version": self.version,
                })
            }
            Change::Unknown => {
                json!({"type": "invented", "conversation_id": ROOM, "version": self.version})
            }
        }
    }

    fn conversation(&self) -> Conversation {
        let last = i64::try_from(self.messages.len()).unwrap();
        conversation(ROOM, 1, last, self.version)
    }

    fn answer(&self, fetch: &Fetch) -> Fetched {
        const PAGE: usize = 3;
        match fetch {
            Fetch::Sync { .. } => {
                let body = sync("s", &[self.conversation()]);
                Fetched::Sync(Box::new(serde_json::from_value(body).unwrap()))
            }
            Fetch::Conversation { .. } => Fetched::Conversation(Box::new(self.conversation())),
            Fetch::History { after, .. } => {
                let rest = self.messages.iter().filter(|message| message.seq > *after);
                let items: Vec<_> = rest.clone().take(PAGE).cloned().collect();
                let has_after = rest.count() > items.len();
                Fetched::History(History {
                    items,
                    has_before: *after > 0,
                    has_after,
                    has_more: has_after,
                    version: self.version,
                })
            }
            Fetch::Changes { since, .. } => {
                let mut messages: Vec<_> =
                    self.messages.iter().filter(|m| m.version > *since).cloned().collect();
                messages.sort_by_key(|message| message.version);
                let has_more = messages.len() > PAGE;
                messages.truncate(PAGE);
                let version = messages
                    .last()
                    .filter(|_| has_more)
                    .map_or(self.version, |message| message.version);
                Fetched::Changes(Box::new(Changes {
                    version,
                    has_more,
                    reset: false,
                    conversation: self.conversation(),
                    messages,
                    members: vec![],
                }))
            }
            Fetch::Token => Fetched::Failed,
        }
    }
}

#[derive(Clone, Debug)]
enum Change {
    Send,
    Edit(prop::sample::Index),
    Delete(prop::sample::Index),
    Unknown,
}

/// What happens between server and client.
#[derive(Clone, Debug)]
enum Fortune {
    /// Something changes; the frame is under way.
    Change(Change),
    /// A frame under way arrives.
    Arrive(prop::sample::Index),
    /// A frame under way arrives, and will again.
    ArriveTwice(prop::sample::Index),
    /// A frame under way is lost.
    Lose(prop::sample::Index),
    /// A fetch is answered.
    Answer(prop::sample::Index),
    /// A fetch fails.
    Fail(prop::sample::Index),
    /// Time passes.
    Wait,
    Reconnect,
    Pause(bool),
}

fn fortune() -> impl Strategy<Value = Fortune> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        8 => Just(Fortune::Change(Change::Send)),
        3 => at().prop_map(|at| Fortune::Change(Change::Edit(at))),
        2 => at().prop_map(|at| Fortune::Change(Change::Delete(at))),
        1 => Just(Fortune::Change(Change::Unknown)),
        10 => at().prop_map(Fortune::Arrive),
        2 => at().prop_map(Fortune::ArriveTwice),
        2 => at().prop_map(Fortune::Lose),
        6 => at().prop_map(Fortune::Answer),
        1 => at().prop_map(Fortune::Fail),
        4 => Just(Fortune::Wait),
        1 => Just(Fortune::Reconnect),
        1 => any::<bool>().prop_map(Fortune::Pause),
    ]
}

impl Bench {
    fn suffer(
        &mut self,
        world: &mut World,
        under_way: &mut Vec<serde_json::Value>,
        what: &Fortune,
    ) {
        let pick = |at: &prop::sample::Index, length: usize| (length > 0).then(|| at.index(length));
        match what {
            Fortune::Change(change) => under_way.push(world.change(change)),
            Fortune::Arrive(at) => {
                if let Some(at) = pick(at, under_way.len()) {
                    let frame = under_way.remove(at);
                    self.frame(&frame);
                }
            }
            Fortune::ArriveTwice(at) => {
                if let Some(at) = pick(at, under_way.len()) {
                    let frame = under_way[at].clone();
                    self.frame(&frame);
                }
            }
            Fortune::Lose(at) => {
                if let Some(at) = pick(at, under_way.len()) {
                    under_way.remove(at);
                }
            }
            Fortune::Answer(at) => {
                if let Some(at) = pick(at, self.fetches.len()) {
                    let fetch = self.fetches.remove(at).unwrap();
                    self.answer(&fetch, world.answer(&fetch));
                }
            }
            Fortune::Fail(at) => {
                if let Some(at) = pick(at, self.fetches.len()) {
                    let fetch = self.fetches.remove(at).unwrap();
                    self.answer(&fetch, Fetched::Failed);
                }
            }
            Fortune::Wait => {
                if self.state.deadline().is_some() {
                    self.wait();
                }
            }
            Fortune::Reconnect => {
                self.state.on_disconnected();
                // What is under way to a connection dies with it.
                under_way.clear();
                self.frame(&ready());
            }
            Fortune::Pause(paused) => self.state.pause(*paused),
        }
    }

    /// Answers everything until nothing is left to ask.
    fn come_to_rest(&mut self, world: &World) {
        self.state.pause(false);
        for _ in 0..10_000 {
            if let Some(fetch) = self.fetches.pop_front() {
                self.answer(&fetch, world.answer(&fetch));
            } else if self.state.deadline().is_some() {
                self.wait();
            } else {
                return;
            }
        }
        panic!("it never comes to rest");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn whatever_happens_every_message_is_shown_once_in_order_and_ends_in_its_newest_form(
        before in 1i64..6,
        fortunes in proptest::collection::vec(fortune(), 0..120),
    ) {
        let mut world = World::with(before);
        let mut bench = Bench::new();
        let mut under_way = Vec::new();
        bench.frame(&ready());
        bench.come_to_rest(&world);
        for what in &fortunes {
            bench.suffer(&mut world, &mut under_way, what);
        }
        bench.suffer(&mut world, &mut under_way, &Fortune::Reconnect);
        bench.come_to_rest(&world);

        let mut forms: BTreeMap<i64, Message> =
            World::with(before).messages.into_iter().map(|m| (m.seq, m)).collect();
        let mut shown = Vec::new();
        for event in bench.take_events() {
            match event {
                SocketEvent::Message(message) => {
                    shown.push(message.seq);
                    forms.insert(message.seq, *message);
                }
                SocketEvent::Updated(message) => {
                    let old = forms.insert(message.seq, (*message).clone());
                    prop_assert!(old.is_some(), "an update of {} before it was shown", message.seq);
                }
                SocketEvent::Deleted { seq, version, .. } => {
                    prop_assert!(forms.contains_key(&seq));
                    forms.insert(seq, tombstone(ROOM, seq, version));
                }
                _ => {}
            }
        }
        let last = world.conversation().last_seq;
        prop_assert_eq!(shown, (before + 1..=last).collect::<Vec<_>>());
        for message in world.messages.iter().filter(|message| message.seq > before) {
            prop_assert_eq!(&forms[&message.seq], message);
        }
        prop_assert_eq!(bench.state.deadline(), None);
    }
}
