//! What is known of one conversation.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use kith_protocol::{
    frame::MemberFrame,
    rest::{Changes, Conversation, History, Kind, Message},
};
use tokio::time::Instant;
use uuid::Uuid;

use super::{FRUITLESS, Fetch, delay};
use crate::event::{MemberChange, SocketEvent};

/// How many messages may wait for their predecessors. What does not fit is fetched.
const AHEAD: usize = 256;
/// How many changes may be known beyond a missing one. What does not fit is fetched.
const BEYOND: usize = 1024;

/// Whether something is being asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fetching {
    #[default]
    Idle,
    Due(Instant),
    Running,
}

/// What is known of one conversation.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Every visible message up to this `seq` has been shown. `None`: not known where to begin.
    shown_seq: Option<i64>,
    /// Every change up to this `version` is known.
    version: i64,
    /// Messages that came before their predecessors.
    ahead: BTreeMap<i64, Message>,
    /// Changes beyond `version` that are known.
    beyond: BTreeSet<i64>,
    /// The versions beyond `version` in which messages were shown, by `seq`.
    forms: BTreeMap<i64, i64>,
    /// The highest `seq` and `version` the server spoke of.
    wanted: (i64, i64),
    /// How many answers in a row did not bring what is wanted.
    pub(super) fruitless: u32,
    /// Whether it is not certain that it is still one's own.
    pub(super) is_doubtful: bool,
    pub(super) fetching: Fetching,
}

impl Room {
    /// Whether it is known where to begin.
    pub(super) fn is_based(&self) -> bool {
        self.shown_seq.is_some()
    }

    /// Whether something is missing.
    pub(super) fn is_lacking(&self) -> bool {
        self.is_doubtful || self.lacks_messages() || self.wanted.1 > self.version
    }

    fn lacks_messages(&self) -> bool {
        self.shown_seq.is_none_or(|shown| self.wanted.0 > shown)
    }

    /// What to ask next.
    pub(super) fn next_fetch(&self, id: Uuid) -> Fetch {
        match self.shown_seq {
            None => Fetch::Conversation { id },
            Some(after) if self.lacks_messages() => Fetch::History { id, after },
            Some(_) => Fetch::Changes { id, since: self.version },
        }
    }

    /// Whether the answer to `fetch` joins on to what is known.
    pub(super) fn asks(&self, fetch: &Fetch) -> bool {
        match (fetch, self.shown_seq) {
            (Fetch::Conversation { .. }, None) => true,
            (Fetch::History { after, .. }, Some(shown)) => *after <= shown,
            (Fetch::Changes { since, .. }, Some(_)) => *since <= self.version,
            _ => false,
        }
    }

    /// The server spoke of this message and this change.
    pub(super) fn want(&mut self, seq: i64, version: i64) {
        self.wanted = (self.wanted.0.max(seq), self.wanted.1.max(version));
    }

    /// A change is known.
    pub(super) fn saw(&mut self, version: i64) {
        if version > self.version {
            self.beyond.insert(version);
        }
    }

    /// Begins with a conversation that was there when the socket was made: what came since is
    /// shown, what is older is history.
    pub(super) fn base_first(&mut self, conversation: &Conversation, shown: &mut Vec<SocketEvent>) {
        let first = self.ahead.first_key_value().map_or(i64::MAX, |(seq, _)| *seq);
        let oldest = self.ahead.values().map(|message| message.version).min().unwrap_or(i64::MAX);
        self.base(
            conversation.last_seq.min(first - 1),
            conversation.version.min(oldest - 1),
            shown,
        );
    }

    /// Begins with a conversation that is new: all that can be seen of it is shown. The past of a
    /// channel is no news.
    pub(super) fn base_new(&mut self, conversation: &Conversation, shown: &mut Vec<SocketEvent>) {
        if conversation.kind == Kind::Channel {
            return self.base_first(conversation, shown);
        }
        let first = conversation.my.as_ref().map_or(1, |my| my.first_seq);
        self.want(conversation.last_seq, conversation.version);
        self.base(first - 1, conversation.version, shown);
    }

    fn base(&mut self, seq: i64, version: i64, shown: &mut Vec<SocketEvent>) {
        self.shown_seq = Some(seq);
        self.version = version;
        self.advance(shown);
    }

    /// Takes a new message.
    pub(super) fn on_message(&mut self, message: Message, shown: &mut Vec<SocketEvent>) {
        match self.shown_seq {
            Some(seq) if message.seq <= seq => self.on_newer(message, shown),
            _ => self.hold(message),
        }
    }

    /// Takes a form of a message that may be newer than the one that was shown.
    pub(super) fn on_newer(&mut self, message: Message, shown: &mut Vec<SocketEvent>) {
        let waits = self.ahead.contains_key(&message.seq);
        match self.shown_seq {
            Some(seq) if message.seq > seq => {
                self.want(message.seq, message.version);
                self.hold(message);
            }
            None if waits => self.hold(message),
            None => shown.push(newer(message)),
            Some(_) => {
                if self.note(message.seq, message.version) {
                    shown.push(newer(message));
                }
            }
        }
    }

    /// Takes a deletion. That of a message not shown yet is left to the pages and changes that
    /// will be fetched: they hold the tombstone.
    pub(super) fn on_deleted(
        &mut self,
        seq: i64,
        version: i64,
        event: SocketEvent,
        shown: &mut Vec<SocketEvent>,
    ) {
        match self.shown_seq {
            Some(last) if seq > last => self.want(seq, version),
            Some(_) => {
                if self.note(seq, version) {
                    shown.push(event);
                }
            }
            None if self.ahead.contains_key(&seq) => {}
            None => shown.push(event),
        }
    }

    /// Takes a page that follows what was shown. Says whether it brought anything.
    pub(super) fn on_history(&mut self, page: History, shown: &mut Vec<SocketEvent>) -> bool {
        let before = self.shown_seq.unwrap_or(0);
        let last = page.items.last().map_or(before, |item| item.seq);
        for item in page.items {
            if self.shown_seq.is_some_and(|shown| item.seq <= shown) {
                continue;
            }
            let held = self.ahead.remove(&item.seq);
            let newest = match held {
                Some(held) if held.version > item.version => {
                    self.saw(item.version);
                    held
                }
                Some(held) => {
                    self.saw(held.version);
                    item
                }
                None => item,
            };
            self.show(newest, shown);
        }
        if page.has_after {
            self.want(last + 1, page.version);
        }
        self.advance(shown);
        let brought = self.shown_seq.unwrap_or(0) > before || !self.lacks_messages();
        if self.is_fruitless(brought) {
            // What the socket brought is shown as it is.
            for (_, message) in std::mem::take(&mut self.ahead) {
                self.show(message, shown);
            }
            self.shown_seq = self.shown_seq.max(Some(self.wanted.0));
            self.advance(shown);
        }
        brought
    }

    /// Takes what changed since `version`. Says whether it brought anything.
    pub(super) fn on_changes(
        &mut self,
        id: Uuid,
        changes: Changes,
        shown: &mut Vec<SocketEvent>,
    ) -> bool {
        let before = self.version;
        self.is_doubtful = false;
        self.want(
            changes.conversation.last_seq,
            changes.conversation.version.max(changes.version + i64::from(changes.has_more)),
        );
        if changes.reset {
            shown.push(SocketEvent::Reset { conversation_id: id });
        } else {
            for message in changes.messages {
                self.on_newer(message, shown);
            }
            for changed in changes.members {
                if changed.version <= before {
                    continue;
                }
                let change =
                    if changed.left { MemberChange::Removed } else { MemberChange::Updated };
                let member = MemberFrame {
                    conversation_id: id,
                    user_id: changed.member.user_id,
                    role: changed.member.role,
                    version: changed.version,
                };
                shown.push(SocketEvent::Member(change, member));
            }
        }
        shown.push(SocketEvent::ConversationChanged(Box::new(changes.conversation)));
        self.version = self.version.max(changes.version);
        self.advance(shown);
        let brought = self.version > before || self.version >= self.wanted.1;
        if self.is_fruitless(brought) {
            self.version = self.wanted.1;
            self.advance(shown);
        }
        brought
    }

    /// Shows what is no longer early, and forgets what needs no remembering.
    pub(super) fn advance(&mut self, shown: &mut Vec<SocketEvent>) {
        let Some(mut last) = self.shown_seq else {
            trim(&mut self.beyond);
            return;
        };
        while let Some(next) = self.ahead.remove(&(last + 1)) {
            self.show(next, shown);
            last += 1;
        }
        while self.beyond.remove(&(self.version + 1)) {
            self.version += 1;
        }
        self.ahead = self.ahead.split_off(&(last + 1));
        self.beyond = self.beyond.split_off(&(self.version + 1));
        let version = self.version;
        self.forms.retain(|_, form| *form > version);
        trim(&mut self.beyond);
    }

    /// A fetch failed; how long to wait before the next.
    pub(super) fn failed(&mut self) -> Duration {
        // Not an answer that counts: it does not become truer by being asked often.
        let wait = delay(self.fruitless);
        self.fruitless = (self.fruitless + 1).min(FRUITLESS - 1);
        wait
    }

    /// Counts answers that bring nothing. Says when there were so many that they are believed, and
    /// what the socket spoke of is given up.
    fn is_fruitless(&mut self, brought: bool) -> bool {
        self.fruitless = if brought { 0 } else { self.fruitless + 1 };
        let believed = self.fruitless >= FRUITLESS;
        if believed {
            self.fruitless = 0;
        }
        believed
    }

    fn show(&mut self, message: Message, shown: &mut Vec<SocketEvent>) {
        self.shown_seq = Some(message.seq);
        self.note(message.seq, message.version);
        shown.push(SocketEvent::Message(Box::new(message)));
    }

    /// Notes the form in which a message is known. Says whether it is a newer one.
    fn note(&mut self, seq: i64, version: i64) -> bool {
        if version <= self.version {
            return false;
        }
        self.saw(version);
        let newer = self.forms.get(&seq).is_none_or(|form| *form < version);
        if newer {
            self.forms.insert(seq, version);
        }
        newer
    }

    /// Keeps a message that is early, in its newest form.
    fn hold(&mut self, message: Message) {
        if let Some(held) = self.ahead.get_mut(&message.seq) {
            let older = held.version.min(message.version);
            if message.version > held.version {
                *held = message;
            }
            if older < held.version {
                self.saw(older);
            }
            return;
        }
        self.ahead.insert(message.seq, message);
        if self.ahead.len() > AHEAD {
            self.ahead.pop_last();
        }
    }
}

fn newer(message: Message) -> SocketEvent {
    if message.deleted_at.is_some() {
        SocketEvent::Deleted {
            conversation_id: message.conversation_id,
            message_id: message.id,
            seq: message.seq,
            version: message.version,
        }
    } else {
        SocketEvent::Updated(Box::new(message))
    }
}

fn trim(beyond: &mut BTreeSet<i64>) {
    while beyond.len() > BEYOND {
        beyond.pop_last();
    }
}
