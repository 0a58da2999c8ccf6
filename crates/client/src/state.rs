//! What a socket knows, and what it does with what comes. Pure: frames, answers and the time go in,
//! effects come out.
//!
//! For each conversation it knows up to which `seq` the application has seen every message, and up
//! to which `version` every change. What comes early waits; what is missing after a moment is
//! asked for: pages of the history for messages, `changes` for all else. A page is the server's
//! word on what can be seen, so a jump inside one is no gap.
//!
//! While the application reads too slowly (`pause`), new messages are not kept, only noted: they
//! are fetched when it reads again. So nothing here grows without bound, and answers to what one
//! sends never wait behind events.

mod frames;
mod pending;
mod room;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use kith_protocol::{
    frame::ClientFrame,
    rest::{Changes, Conversation, History, Message, Sync},
};
use tokio::time::Instant;
use uuid::Uuid;

pub(crate) use self::pending::{Command, Outcome};
use self::{
    pending::Pendings,
    room::{Fetching, Room},
};
use crate::event::{MemberChange, SocketEvent};

/// How long a gap may close by itself before it is asked about; a random part comes on top.
const GAP: Duration = Duration::from_millis(300);
const GAP_JITTER: u64 = 200;
/// How long a failed fetch waits at first, and at most.
const RETRY: Duration = Duration::from_millis(500);
const RETRY_MOST: Duration = Duration::from_secs(10);
/// After so many answers that did not bring what the socket had announced, they are believed.
const FRUITLESS: u32 = 5;

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Write a frame.
    Send(ClientFrame),
    /// Show it to the application.
    Event(SocketEvent),
    /// Ask the server, and bring the answer to [`State::on_fetched`].
    Fetch(Fetch),
    /// Answer whoever gave the command.
    Resolve(u64, Outcome),
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fetch {
    Sync { since: Option<String> },
    Conversation { id: Uuid },
    History { id: Uuid, after: i64 },
    Changes { id: Uuid, since: i64 },
    Token,
}

/// What was answered.
#[derive(Debug)]
pub(crate) enum Fetched {
    Sync(Box<Sync>),
    Conversation(Box<Conversation>),
    History(History),
    Changes(Box<Changes>),
    /// A newer access token.
    Token(String),
    /// It is not there, or not for us.
    Gone,
    /// The sync token is good no more.
    Outdated,
    /// It did not work, and may later.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Syncing {
    Idle,
    Running,
    /// Running since before something happened that needs another.
    Again,
    Retry(Instant),
}

/// What a socket knows.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub(crate) struct State {
    seed: u64,
    me: Option<Uuid>,
    ready: bool,
    paused: bool,
    /// The first sync is done: a conversation that is still unknown is a new one.
    based: bool,
    /// To be told: everything that was missed has been shown.
    announce: bool,
    token: Option<String>,
    syncing: Syncing,
    /// The conversations that frames spoke of as one's own since the sync was asked for.
    entered: HashSet<Uuid>,
    failures: u32,
    rooms: HashMap<Uuid, Room>,
    due: BTreeSet<(Instant, Uuid)>,
    running: usize,
    pending: Pendings,
    effects: Vec<Effect>,
}

impl State {
    /// Knows nothing yet. `seed` makes this socket's delays differ from those of others.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            me: None,
            ready: false,
            paused: false,
            based: false,
            announce: false,
            token: None,
            syncing: Syncing::Idle,
            entered: HashSet::new(),
            failures: 0,
            rooms: HashMap::new(),
            due: BTreeSet::new(),
            running: 0,
            pending: Pendings::default(),
            effects: Vec::new(),
        }
    }

    /// What is to be done now.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        let settled = self.announce
            && self.based
            && self.syncing == Syncing::Idle
            && self.running == 0
            && self.due.is_empty();
        if settled {
            self.announce = false;
            self.show(SocketEvent::CaughtUp);
        }
        std::mem::take(&mut self.effects)
    }

    /// When [`on_time`](Self::on_time) has something to do, if nothing else comes.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if !self.ready {
            return None;
        }
        let due = self.due.first().filter(|_| !self.paused).map(|(at, _)| *at);
        let sync = match self.syncing {
            Syncing::Retry(at) => Some(at),
            _ => None,
        };
        [due, sync, self.pending.deadline()].into_iter().flatten().min()
    }

    /// Does what is due.
    pub(crate) fn on_time(&mut self, now: Instant) {
        if !self.ready {
            return;
        }
        if matches!(self.syncing, Syncing::Retry(at) if at <= now) {
            self.start_sync();
        }
        self.effects.extend(self.pending.repeat(now).into_iter().map(Effect::Send));
        while !self.paused
            && let Some(&(at, id)) = self.due.first().filter(|(at, _)| *at <= now)
        {
            self.due.remove(&(at, id));
            if let Some(room) = self.rooms.get_mut(&id) {
                room.fetching = Fetching::Running;
                self.running += 1;
                self.effects.push(Effect::Fetch(room.next_fetch(id)));
            }
        }
    }

    /// The connection is gone.
    pub(crate) fn on_disconnected(&mut self) {
        self.ready = false;
        if let Syncing::Retry(_) = self.syncing {
            self.syncing = Syncing::Idle;
        }
        let lost = self.pending.interrupt();
        self.effects.extend(lost.into_iter().map(|id| Effect::Resolve(id, Outcome::Interrupted)));
    }

    /// Whether a connection is up and the server has said `ready`.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready
    }

    /// Stops or goes on showing messages.
    pub(crate) fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Takes a command, at once or when the connection is up. Returns its number.
    pub(crate) fn submit(&mut self, command: Command) -> u64 {
        let (id, frame) = self.pending.add(command, self.ready);
        self.effects.extend(frame.map(Effect::Send));
        id
    }

    /// How many commands wait for their answers.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Takes the answer to a fetch.
    pub(crate) fn on_fetched(&mut self, fetch: &Fetch, fetched: Fetched, now: Instant) {
        match (fetch, fetched) {
            (Fetch::Token, Fetched::Token(token)) if self.ready => {
                let frame = kith_protocol::frame::Authenticate { token, ..Default::default() };
                self.effects.push(Effect::Send(ClientFrame::Authenticate(frame)));
            }
            (Fetch::Token, _) => {}
            (Fetch::Sync { .. }, Fetched::Sync(sync)) => self.on_sync(*sync, now),
            (Fetch::Sync { since: Some(_) }, Fetched::Outdated) => {
                self.token = None;
                self.start_sync();
            }
            (Fetch::Sync { .. }, _) => {
                self.syncing = Syncing::Idle;
                if self.ready {
                    self.syncing = Syncing::Retry(now + delay(self.failures));
                    self.failures += 1;
                }
            }
            (
                Fetch::Conversation { id } | Fetch::History { id, .. } | Fetch::Changes { id, .. },
                fetched,
            ) => self.on_room(*id, fetch, fetched, now),
        }
    }

    fn on_room(&mut self, id: Uuid, fetch: &Fetch, fetched: Fetched, now: Instant) {
        self.running = self.running.saturating_sub(1);
        let mut shown = Vec::new();
        let Some(room) = self.rooms.get_mut(&id) else { return };
        room.fetching = Fetching::Idle;
        let mut wait = Duration::ZERO;
        match fetched {
            // The answer to a question of before the conversation was left and entered again.
            _ if !room.asks(fetch) => {}
            Fetched::Conversation(conversation) => {
                room.base_new(&conversation, &mut shown);
                shown.push(SocketEvent::ConversationChanged(conversation));
            }
            Fetched::History(page) => {
                if !room.on_history(page, &mut shown) {
                    wait = delay(room.fruitless);
                }
            }
            Fetched::Changes(changes) => {
                if !room.on_changes(id, *changes, &mut shown) {
                    wait = delay(room.fruitless);
                }
            }
            // Left, removed, deleted: if it was not told yet, it will be.
            Fetched::Gone => {
                if room.is_doubtful {
                    self.show(SocketEvent::ConversationRemoved { conversation_id: id });
                }
                self.rooms.remove(&id);
                return;
            }
            _ => wait = room.failed(),
        }
        self.effects.extend(shown.into_iter().map(Effect::Event));
        self.settle(id, now, wait);
    }

    fn on_sync(&mut self, sync: Sync, now: Instant) {
        self.failures = 0;
        self.me = Some(sync.me.id);
        for conversation in sync.conversations {
            let id = conversation.id;
            let room = self.rooms.entry(id).or_default();
            let mut shown = Vec::new();
            if !room.is_based() && self.based {
                room.base_new(&conversation, &mut shown);
            } else if !room.is_based() {
                room.base_first(&conversation, &mut shown);
            }
            room.want(conversation.last_seq, conversation.version);
            self.show(SocketEvent::ConversationChanged(Box::new(conversation)));
            self.effects.extend(shown.into_iter().map(Effect::Event));
            self.settle(id, now, Duration::ZERO);
        }
        for conversation_id in sync.removed {
            // What came by the socket may be newer, or older: that is asked.
            if self.entered.contains(&conversation_id)
                && let Some(room) = self.rooms.get_mut(&conversation_id)
            {
                room.is_doubtful = true;
                self.settle(conversation_id, now, Duration::ZERO);
                continue;
            }
            self.forget(conversation_id);
            self.show(SocketEvent::ConversationRemoved { conversation_id });
        }
        for user in sync.users {
            self.show(SocketEvent::UserChanged(Box::new(user)));
        }
        for entry in sync.presence {
            self.show(SocketEvent::Presence {
                user_id: entry.user_id,
                online: entry.online,
                last_seen: entry.last_seen,
            });
        }
        self.token = Some(sync.token);
        if sync.has_more {
            self.effects.push(Effect::Fetch(Fetch::Sync { since: self.token.clone() }));
            return;
        }
        if !self.based {
            self.based = true;
            let unknown: Vec<Uuid> =
                self.rooms.iter().filter(|(_, room)| !room.is_based()).map(|(id, _)| *id).collect();
            for id in unknown {
                self.settle(id, now, Duration::ZERO);
            }
        }
        if self.syncing == Syncing::Again {
            self.start_sync();
        } else {
            self.syncing = Syncing::Idle;
        }
    }

    /// Asks for everything that changed, or notes that it must be asked once more.
    fn begin_sync(&mut self) {
        match self.syncing {
            Syncing::Running | Syncing::Again => self.syncing = Syncing::Again,
            Syncing::Idle | Syncing::Retry(_) => self.start_sync(),
        }
    }

    fn start_sync(&mut self) {
        self.entered.clear();
        self.syncing = Syncing::Running;
        self.effects.push(Effect::Fetch(Fetch::Sync { since: self.token.clone() }));
    }

    /// Plans what a conversation lacks, `wait` from now; nothing if it lacks nothing.
    fn settle(&mut self, id: Uuid, now: Instant, wait: Duration) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        let lacking = room.is_lacking() && (room.is_based() || self.based);
        match room.fetching {
            Fetching::Due(at) if !lacking => {
                self.due.remove(&(at, id));
                room.fetching = Fetching::Idle;
            }
            Fetching::Due(at) if at > now + wait => {
                self.due.remove(&(at, id));
                room.fetching = Fetching::Due(now + wait);
                self.due.insert((now + wait, id));
            }
            Fetching::Idle if lacking => {
                room.fetching = Fetching::Due(now + wait);
                self.due.insert((now + wait, id));
            }
            Fetching::Idle | Fetching::Due(_) | Fetching::Running => {}
        }
    }

    fn forget(&mut self, id: Uuid) {
        if let Some(Fetching::Due(at)) = self.rooms.remove(&id).map(|room| room.fetching) {
            self.due.remove(&(at, id));
        }
    }

    fn show(&mut self, event: SocketEvent) {
        self.effects.push(Effect::Event(event));
    }

    /// How long a gap in this conversation may close by itself.
    fn gap(&self, id: Uuid) -> Duration {
        let (high, low) = id.as_u64_pair();
        let mixed = (high ^ low ^ self.seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        GAP + Duration::from_millis(mixed % GAP_JITTER)
    }
}

/// How long to wait after so many failures.
fn delay(failures: u32) -> Duration {
    RETRY.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX)).min(RETRY_MOST)
}

#[cfg(test)]
mod tests;
