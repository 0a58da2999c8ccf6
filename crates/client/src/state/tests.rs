mod storm;

use std::collections::VecDeque;

use kith_protocol::{
    frame::{SendMessage, ServerFrame},
    rest::Message,
};
use serde_json::json;

use super::*;
use crate::testing::{ROOM, conversation, message, ready, sync, tombstone};

const OTHER: Uuid = Uuid::from_u128(0xD);

/// A state with a clock, which does not run by itself.
struct Bench {
    state: State,
    now: Instant,
    fetches: VecDeque<Fetch>,
    frames: Vec<ClientFrame>,
    outcomes: Vec<(u64, Outcome)>,
    events: Vec<SocketEvent>,
}

impl Bench {
    fn new() -> Self {
        Self {
            state: State::new(7),
            now: Instant::now(),
            fetches: VecDeque::new(),
            frames: Vec::new(),
            outcomes: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Connected and synced, with one conversation of three messages.
    fn synced() -> Self {
        let mut bench = Self::new();
        bench.frame(&ready());
        bench.sync(&[conversation(ROOM, 1, 3, 3)]);
        assert_eq!(bench.take_events().last(), Some(&SocketEvent::CaughtUp));
        bench
    }

    fn collect(&mut self) {
        for effect in self.state.take_effects() {
            match effect {
                Effect::Send(frame) => self.frames.push(frame),
                Effect::Event(event) => self.events.push(event),
                Effect::Fetch(fetch) => self.fetches.push_back(fetch),
                Effect::Resolve(id, outcome) => self.outcomes.push((id, outcome)),
            }
        }
    }

    fn frame(&mut self, frame: &serde_json::Value) {
        self.state.on_text(&frame.to_string(), self.now);
        self.collect();
    }

    fn new_message(&mut self, message: Message) {
        self.state.on_frame(ServerFrame::NewMessage { message }, self.now);
        self.collect();
    }

    fn submit(&mut self, command: Command) -> u64 {
        let id = self.state.submit(command);
        self.collect();
        id
    }

    fn answer(&mut self, fetch: &Fetch, fetched: Fetched) {
        self.state.on_fetched(fetch, fetched, self.now);
        self.collect();
    }

    fn sync(&mut self, conversations: &[Conversation]) {
        let fetch = self.fetches.pop_front().unwrap();
        let body = serde_json::from_value(sync("s", conversations)).unwrap();
        self.answer(&fetch, Fetched::Sync(Box::new(body)));
    }

    fn page(&mut self, items: Vec<Message>, has_after: bool) {
        let fetch = self.fetches.pop_front().unwrap();
        let version = items.last().map_or(0, |item| item.version);
        let page = History { items, has_before: false, has_after, has_more: has_after, version };
        self.answer(&fetch, Fetched::History(page));
    }

    fn changes(&mut self, messages: Vec<Message>, last_seq: i64, version: i64, reset: bool) {
        let fetch = self.fetches.pop_front().unwrap();
        let conversation = conversation(ROOM, 1, last_seq, version);
        let changes =
            Changes { version, has_more: false, reset, conversation, messages, members: vec![] };
        self.answer(&fetch, Fetched::Changes(Box::new(changes)));
    }

    /// Lets time pass until there is something to do.
    fn wait(&mut self) {
        self.now = self.state.deadline().expect("there is something to wait for");
        self.state.on_time(self.now);
        self.collect();
    }

    fn take_events(&mut self) -> Vec<SocketEvent> {
        std::mem::take(&mut self.events)
    }

    /// The numbers of the messages that were shown.
    fn shown(&mut self) -> Vec<i64> {
        let events = self.take_events().into_iter();
        events
            .filter_map(|event| match event {
                SocketEvent::Message(message) => Some(message.seq),
                _ => None,
            })
            .collect()
    }
}

#[test]
fn a_connection_begins_with_a_sync() {
    let mut bench = Bench::new();
    bench.frame(&ready());
    assert!(matches!(bench.take_events()[..], [SocketEvent::Connected { .. }]));
    assert_eq!(bench.fetches, [Fetch::Sync { since: None }]);
    bench.sync(&[conversation(ROOM, 1, 3, 3)]);
    let events = bench.take_events();
    assert!(matches!(events[0], SocketEvent::ConversationChanged(_)));
    assert_eq!(events[1], SocketEvent::CaughtUp);
    assert!(bench.fetches.is_empty() && bench.state.deadline().is_none());
}

#[test]
fn messages_in_order_are_shown_at_once_and_once() {
    let mut bench = Bench::synced();
    for seq in [4, 5, 5, 4, 2] {
        bench.new_message(message(ROOM, seq, seq));
    }
    assert_eq!(bench.shown(), [4, 5]);
    assert_eq!(bench.state.deadline(), None);
}

#[test]
fn an_early_message_waits_for_the_one_before() {
    let mut bench = Bench::synced();
    bench.new_message(message(ROOM, 5, 5));
    assert_eq!(bench.shown(), [] as [i64; 0]);
    bench.new_message(message(ROOM, 4, 4));
    assert_eq!(bench.shown(), [4, 5]);
    assert_eq!(bench.state.deadline(), None, "the gap has closed by itself");
}

#[test]
fn a_gap_is_asked_about_after_a_moment() {
    let mut bench = Bench::synced();
    bench.new_message(message(ROOM, 6, 6));
    let wait = bench.state.deadline().unwrap() - bench.now;
    assert!(wait >= GAP && wait < GAP + Duration::from_millis(GAP_JITTER), "{wait:?}");
    bench.wait();
    assert_eq!(bench.fetches, [Fetch::History { id: ROOM, after: 3 }]);
    // Comes while the page is on its way.
    bench.new_message(message(ROOM, 7, 7));
    bench.page(vec![message(ROOM, 4, 4), message(ROOM, 5, 5), message(ROOM, 6, 6)], false);
    assert_eq!(bench.shown(), [4, 5, 6, 7]);
    assert_eq!(bench.state.deadline(), None);
}

#[test]
fn a_long_absence_is_caught_up_page_by_page() {
    let mut bench = Bench::synced();
    bench.state.on_disconnected();
    bench.frame(&ready());
    assert_eq!(bench.fetches, [Fetch::Sync { since: Some("s".into()) }]);
    bench.sync(&[conversation(ROOM, 1, 7, 7)]);
    bench.wait();
    bench.page(vec![message(ROOM, 4, 4), message(ROOM, 5, 5)], true);
    bench.wait();
    assert_eq!(bench.fetches, [Fetch::History { id: ROOM, after: 5 }]);
    assert!(!bench.events.contains(&SocketEvent::CaughtUp));
    bench.page(vec![message(ROOM, 6, 6), message(ROOM, 7, 7)], false);
    assert_eq!(bench.events.last(), Some(&SocketEvent::CaughtUp));
    assert_eq!(bench.shown(), [4, 5, 6, 7]);
}

#[test]
fn edits_and_deletions_that_were_missed_are_fetched() {
    let mut bench = Bench::synced();
    bench.state.on_disconnected();
    bench.frame(&ready());
    bench.sync(&[conversation(ROOM, 1, 3, 6)]);
    bench.wait();
    assert_eq!(bench.fetches, [Fetch::Changes { id: ROOM, since: 3 }]);
    bench.take_events();
    bench.changes(vec![message(ROOM, 1, 4), tombstone(ROOM, 2, 6)], 3, 6, false);
    let events = bench.take_events();
    assert_eq!(events[0], SocketEvent::Updated(Box::new(message(ROOM, 1, 4))));
    assert!(matches!(events[1], SocketEvent::Deleted { seq: 2, version: 6, .. }));
    assert_eq!(bench.state.deadline(), None);
}

#[test]
fn an_old_form_never_replaces_a_newer_one() {
    let mut bench = Bench::synced();
    let update = |message: Message| json!({"type": "message_updated", "message": message});
    bench.frame(&update(message(ROOM, 2, 5)));
    bench.frame(&update(message(ROOM, 2, 4)));
    bench.frame(&update(message(ROOM, 2, 5)));
    assert_eq!(bench.take_events(), [SocketEvent::Updated(Box::new(message(ROOM, 2, 5)))]);
    assert_eq!(bench.state.deadline(), None, "both changes are known");
}

#[test]
fn a_message_that_is_edited_before_it_is_shown_is_shown_edited() {
    let mut bench = Bench::synced();
    bench.frame(&json!({"type": "message_updated", "message": message(ROOM, 5, 6)}));
    bench.new_message(message(ROOM, 5, 5));
    bench.new_message(message(ROOM, 4, 4));
    let events = bench.take_events();
    assert_eq!(events.len(), 2);
    assert_eq!(events[1], SocketEvent::Message(Box::new(message(ROOM, 5, 6))));
    assert_eq!(bench.state.deadline(), None);
}

#[test]
fn a_message_that_is_deleted_before_it_is_shown_is_told_so() {
    let mut bench = Bench::synced();
    bench.new_message(message(ROOM, 5, 5));
    bench.frame(&json!({
        "type": "message_deleted", "conversation_id": ROOM, "message_id": Uuid::nil(), "seq": 5,
        "version": 6,
    }));
    bench.new_message(message(ROOM, 4, 4));
    assert_eq!(bench.shown(), [4, 5]);
    bench.wait();
    assert_eq!(bench.fetches, [Fetch::Changes { id: ROOM, since: 5 }]);
    bench.changes(vec![tombstone(ROOM, 5, 6)], 5, 6, false);
    assert!(matches!(bench.events[0], SocketEvent::Deleted { seq: 5, .. }));
}

#[test]
fn too_much_missed_is_told_as_a_reset_and_messages_still_come_one_by_one() {
    let mut bench = Bench::synced();
    bench.state.on_disconnected();
    bench.frame(&ready());
    bench.sync(&[conversation(ROOM, 1, 4, 5_000)]);
    bench.wait();
    bench.page(vec![message(ROOM, 4, 4_000)], false);
    bench.wait();
    bench.changes(vec![], 4, 5_000, true);
    let events = bench.take_events();
    assert!(events.contains(&SocketEvent::Reset { conversation_id: ROOM }));
    assert!(events.contains(&SocketEvent::Message(Box::new(message(ROOM, 4, 4_000)))));
    assert_eq!(bench.state.deadline(), None);
}

#[test]
fn a_message_that_comes_before_the_first_sync_is_not_taken_for_history() {
    let mut bench = Bench::new();
    bench.frame(&ready());
    bench.new_message(message(ROOM, 4, 4));
    bench.sync(&[conversation(ROOM, 1, 4, 4)]);
    assert_eq!(bench.shown(), [4]);
    assert_eq!(bench.state.deadline(), None);
}

#[test]
fn a_new_conversation_is_shown_from_its_beginning() {
    let mut bench = Bench::synced();
    bench.new_message(message(OTHER, 3, 4));
    bench.wait();
    assert_eq!(bench.fetches, [Fetch::Conversation { id: OTHER }]);
    let fetch = bench.fetches.pop_front().unwrap();
    let found = conversation(OTHER, 2, 3, 4);
    bench.answer(&fetch, Fetched::Conversation(Box::new(found)));
    bench.wait();
    assert_eq!(bench.fetches, [Fetch::History { id: OTHER, after: 1 }]);
    bench.page(vec![message(OTHER, 2, 2), message(OTHER, 3, 4)], false);
    assert_eq!(bench.shown(), [2, 3]);
    assert_eq!(bench.state.deadline(), None);
}

#[test]
fn what_a_page_leaves_out_cannot_be_seen() {
    let mut bench = Bench::synced();
    // Removed and added again while away: the numbers between belong to others.
    bench.state.on_disconnected();
    bench.frame(&ready());
    bench.sync(&[conversation(ROOM, 9, 10, 10)]);
    bench.wait();
    bench.page(vec![message(ROOM, 9, 9), message(ROOM, 10, 10)], false);
    assert_eq!(bench.shown(), [9, 10]);
}

#[test]
fn what_never_comes_is_given_up() {
    let mut bench = Bench::synced();
    bench.new_message(message(ROOM, 9, 9));
    for _ in 0..FRUITLESS {
        bench.wait();
        bench.page(vec![], false);
    }
    assert_eq!(bench.shown(), [9]);
    bench.wait();
    assert_eq!(bench.fetches, [Fetch::Changes { id: ROOM, since: 3 }]);
    bench.changes(vec![], 9, 9, false);
    assert_eq!(bench.state.deadline(), None);
}

/// Removed and added again, one hears of it while a sync is answered that was asked for between.
fn added_again_during_a_sync() -> Bench {
    let mut bench = Bench::synced();
    bench.frame(&json!({"type": "conversation_removed", "conversation_id": ROOM}));
    bench.state.on_disconnected();
    bench.frame(&ready());
    let asked = bench.fetches.pop_front().unwrap();
    let created = conversation(ROOM, 9, 9, 9);
    bench.frame(&json!({"type": "conversation_created", "conversation": created}));
    bench.wait();
    let fetch = bench.fetches.pop_front().unwrap();
    bench.answer(&fetch, Fetched::Conversation(Box::new(created)));
    bench.wait();
    bench.page(vec![message(ROOM, 9, 9)], false);
    assert_eq!(bench.shown(), [9]);
    let mut removed = sync("s", &[]);
    removed["removed"] = json!([ROOM]);
    bench.answer(&asked, Fetched::Sync(Box::new(serde_json::from_value(removed).unwrap())));
    bench.wait();
    assert_eq!(bench.fetches, [Fetch::Changes { id: ROOM, since: 9 }]);
    bench
}

#[test]
fn a_sync_that_is_older_than_a_frame_takes_nothing_away() {
    let mut bench = added_again_during_a_sync();
    bench.changes(vec![], 9, 9, false);
    assert_eq!(bench.state.deadline(), None);
    bench.new_message(message(ROOM, 10, 10));
    assert_eq!(bench.shown(), [10]);
}

#[test]
fn a_sync_that_is_newer_than_a_frame_is_believed_when_the_server_says_so_again() {
    let mut bench = added_again_during_a_sync();
    let fetch = bench.fetches.pop_front().unwrap();
    bench.answer(&fetch, Fetched::Gone);
    let removed = SocketEvent::ConversationRemoved { conversation_id: ROOM };
    assert!(bench.take_events().contains(&removed));
    assert_eq!(bench.state.deadline(), None);
}

#[test]
fn a_conversation_that_is_gone_is_forgotten() {
    let mut bench = Bench::synced();
    bench.new_message(message(ROOM, 9, 9));
    bench.wait();
    let fetch = bench.fetches.pop_front().unwrap();
    bench.answer(&fetch, Fetched::Gone);
    assert_eq!(bench.state.deadline(), None);
    bench.new_message(message(OTHER, 1, 1));
    bench.frame(&json!({"type": "conversation_removed", "conversation_id": OTHER}));
    assert_eq!(bench.state.deadline(), None);
}

#[test]
fn an_outdated_token_begins_anew_without_showing_anything_twice() {
    let mut bench = Bench::synced();
    bench.state.on_disconnected();
    bench.frame(&ready());
    let fetch = bench.fetches.pop_front().unwrap();
    bench.answer(&fetch, Fetched::Outdated);
    assert_eq!(bench.fetches, [Fetch::Sync { since: None }]);
    bench.sync(&[conversation(ROOM, 1, 3, 3)]);
    assert_eq!(bench.shown(), [] as [i64; 0]);
}

#[test]
fn a_failed_fetch_is_tried_again_later_each_time() {
    let mut bench = Bench::new();
    bench.frame(&ready());
    let mut waits = Vec::new();
    for _ in 0..7 {
        let fetch = bench.fetches.pop_front().unwrap();
        bench.answer(&fetch, Fetched::Failed);
        let before = bench.now;
        bench.wait();
        waits.push((bench.now - before).as_millis());
    }
    assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
}

#[test]
fn what_a_newer_server_says_is_fetched_if_it_changed_something() {
    let mut bench = Bench::synced();
    bench.frame(&json!({"type": "sparkle"}));
    assert_eq!(bench.state.deadline(), None);
    bench.frame(&json!({"type": "reaction_added", "conversation_id": ROOM, "version": 4, "x": 1}));
    bench.wait();
    assert_eq!(bench.fetches, [Fetch::Changes { id: ROOM, since: 3 }]);
    bench.frame(&json!({"type": "resync"}));
    assert_eq!(bench.fetches[1], Fetch::Sync { since: Some("s".into()) });
}

#[test]
fn commands_wait_for_the_connection_and_sends_survive_it() {
    let mut bench = Bench::new();
    let send = bench.submit(Command::Send(SendMessage::default()));
    assert!(bench.frames.is_empty());
    bench.frame(&ready());
    let edit = bench.submit(Command::Edit { message_id: Uuid::nil(), content: "x".into() });
    let written: Vec<String> =
        bench.frames.drain(..).map(|frame| serde_json::to_string(&frame).unwrap()).collect();
    assert_eq!(written.len(), 2);
    bench.state.on_disconnected();
    bench.collect();
    assert_eq!(bench.outcomes, [(edit, Outcome::Interrupted)]);
    bench.frame(&ready());
    assert_eq!(serde_json::to_string(&bench.frames[0]).unwrap(), written[0]);
    let stored = message(ROOM, 4, 4);
    bench.frame(&json!({"type": "message_sent", "id": send.to_string(), "message": stored}));
    assert_eq!(bench.outcomes[1], (send, Outcome::Sent(Box::new(stored))));
    assert_eq!(bench.state.pending(), 0);
}

#[test]
fn an_unknown_outcome_is_settled_by_sending_again() {
    let mut bench = Bench::synced();
    let id = bench.submit(Command::Send(SendMessage::default())).to_string();
    let unknown = json!({"type": "error", "id": id, "code": "outcome_unknown", "message": "retry"});
    bench.frame(&unknown);
    assert!(bench.outcomes.is_empty());
    bench.wait();
    assert_eq!(bench.frames.len(), 2);
    bench.frame(&json!({"type": "error", "id": id, "code": "not_a_member", "message": "no"}));
    assert!(
        matches!(&bench.outcomes[..], [(_, Outcome::Refused(why))] if why.code == "not_a_member")
    );
}

#[test]
fn a_pause_keeps_nothing_and_loses_nothing() {
    let mut bench = Bench::synced();
    bench.state.pause(true);
    for seq in 4..=500 {
        bench.new_message(message(ROOM, seq, seq));
    }
    assert_eq!(bench.shown(), [] as [i64; 0]);
    assert_eq!(bench.state.deadline(), None);
    bench.state.pause(false);
    bench.wait();
    bench.page((4..=500).map(|seq| message(ROOM, seq, seq)).collect(), false);
    assert_eq!(bench.shown(), (4..=500).collect::<Vec<_>>());
    assert_eq!(bench.state.deadline(), None);
}
