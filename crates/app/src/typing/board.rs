//! The board: who types where, what the others believe, and what they are to be told. No clock, no
//! sockets, no stores.

use std::collections::{BTreeSet, HashMap, VecDeque, hash_map::Entry};

use kith_domain::{
    ConnectionId, ConversationId, UserId,
    event::{Audience, Event, TypingEvent},
};
use kith_ports::live::Dispatch;
use tokio::time::Instant;

use super::TypingOptions;

/// Where somebody types, and who.
pub(super) type Key = (ConversationId, UserId);

/// In so many conversations one person types at once; what he begins beyond is passed over.
const MOST_AT_ONCE: usize = 16;

/// What is told of one who types, and to whom.
#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) event: TypingEvent,
    pub(super) audience: Audience,
}

impl Word {
    fn told(self, event: impl FnOnce(TypingEvent) -> Event) -> Dispatch {
        Dispatch::Event { event: event(self.event), audience: self.audience, origin: None }
    }
}

/// What a judgement found.
pub(super) enum Verdict {
    /// The others are told.
    Tell(Word),
    /// Nobody is told of typing here.
    Silent,
    /// He may not, or it could not be found out.
    Refused,
}

struct Typist {
    /// The sockets on which he types; none: he types no more.
    sockets: Vec<ConnectionId>,
    /// He types until then, unless he says so again.
    until: Instant,
    /// When it was last judged whether this is passed on.
    judged_at: Instant,
    judging: bool,
    /// What the others are to be told.
    to_tell: Option<Word>,
    /// What the others believe: that he types, as they were told.
    told: Option<Word>,
    /// It is among those to be looked at.
    is_news: bool,
    /// When time alone changes something.
    due: Option<Instant>,
}

/// Who types where.
pub(super) struct Board {
    options: TypingOptions,
    typists: HashMap<Key, Typist>,
    by_user: HashMap<UserId, Vec<ConversationId>>,
    news: VecDeque<Key>,
    due: BTreeSet<(Instant, Key)>,
}

impl Board {
    pub(super) fn new(options: TypingOptions) -> Self {
        Self {
            options,
            typists: HashMap::new(),
            by_user: HashMap::new(),
            news: VecDeque::new(),
            due: BTreeSet::new(),
        }
    }

    /// How many are remembered.
    pub(super) fn len(&self) -> usize {
        self.typists.len()
    }

    /// A socket of a person says that he types. `true`: it is to be judged whether that is passed
    /// on, and [`judged`](Self::judged) MUST follow.
    pub(super) fn start(&mut self, key: Key, socket: ConnectionId, now: Instant) -> bool {
        let TypingOptions { resend, lifetime } = self.options;
        let typist = match self.typists.entry(key) {
            Entry::Occupied(typist) => {
                let typist = typist.into_mut();
                if typist.judging || now.duration_since(typist.judged_at) < resend {
                    // Who has just stopped is told of again at his next word.
                    if !typist.sockets.is_empty() {
                        typist.goes_on(socket, now + lifetime);
                        self.schedule(key);
                    }
                    return false;
                }
                typist
            }
            Entry::Vacant(place) => {
                let (conversation, user) = key;
                let places = self.by_user.entry(user).or_default();
                if places.len() >= MOST_AT_ONCE {
                    return false;
                }
                places.push(conversation);
                place.insert(Typist::new(now))
            }
        };
        typist.judging = true;
        typist.judged_at = now;
        typist.goes_on(socket, now + lifetime);
        self.schedule(key);
        true
    }

    /// What a judgement found.
    pub(super) fn judged(&mut self, key: Key, verdict: Verdict) {
        let Some(typist) = self.typists.get_mut(&key) else { return };
        typist.judging = false;
        match verdict {
            // Unless he has stopped while it was judged.
            Verdict::Tell(word) if !typist.sockets.is_empty() => typist.to_tell = Some(word),
            Verdict::Tell(_) => {}
            Verdict::Silent => typist.sockets.clear(),
            Verdict::Refused => {
                typist.sockets.clear();
                if typist.told.is_none() {
                    self.forget(key);
                    return;
                }
            }
        }
        self.mention(key);
        self.schedule(key);
    }

    /// A socket says that its person types no more. Whether that changes anything.
    pub(super) fn stop(&mut self, key: Key, socket: ConnectionId) -> bool {
        let Some(typist) = self.typists.get_mut(&key) else { return false };
        let before = typist.sockets.len();
        typist.sockets.retain(|there| *there != socket);
        before > 0 && typist.sockets.is_empty() && self.end(key)
    }

    /// A socket of a person is gone. Whether that changes anything.
    pub(super) fn disconnected(&mut self, user: UserId, socket: ConnectionId) -> bool {
        let places = self.by_user.get(&user).cloned().unwrap_or_default();
        let ended = places.into_iter().filter(|place| self.stop((*place, user), socket));
        ended.count() > 0
    }

    /// A person types no more, on none of his sockets. Whether that changes anything.
    pub(super) fn end(&mut self, key: Key) -> bool {
        let Some(typist) = self.typists.get_mut(&key) else { return false };
        typist.sockets.clear();
        typist.to_tell = None;
        self.mention(key);
        self.schedule(key);
        true
    }

    /// Adds to `out` what is to be told at `now`. Returns when there may be something next, unless
    /// somebody says something before.
    pub(super) fn take(&mut self, now: Instant, out: &mut Vec<Dispatch>) -> Option<Instant> {
        while let Some((due, key)) = self.due.first().copied()
            && due <= now
        {
            self.due.pop_first();
            let Some(typist) = self.typists.get_mut(&key) else { continue };
            typist.due = None;
            if typist.sockets.is_empty() {
                typist.tell(out);
                self.forget(key);
            } else {
                self.end(key);
            }
        }
        while let Some(key) = self.news.pop_front() {
            if let Some(typist) = self.typists.get_mut(&key) {
                typist.is_news = false;
                typist.tell(out);
            }
        }
        self.due.first().map(|(due, _)| *due)
    }

    fn mention(&mut self, key: Key) {
        if let Some(typist) = self.typists.get_mut(&key)
            && !std::mem::replace(&mut typist.is_news, true)
        {
            self.news.push_back(key);
        }
    }

    /// Finds out when time alone changes something: who types stops at last, who has stopped is
    /// remembered until he may be told of again.
    fn schedule(&mut self, key: Key) {
        let Some(typist) = self.typists.get_mut(&key) else { return };
        let due = if !typist.sockets.is_empty() {
            Some(typist.until)
        } else if typist.judging {
            None
        } else {
            Some(typist.judged_at + self.options.resend)
        };
        if typist.due != due {
            if let Some(before) = std::mem::replace(&mut typist.due, due) {
                self.due.remove(&(before, key));
            }
            self.due.extend(due.map(|due| (due, key)));
        }
    }

    fn forget(&mut self, key: Key) {
        let Some(typist) = self.typists.remove(&key) else { return };
        if let Some(due) = typist.due {
            self.due.remove(&(due, key));
        }
        let (conversation, user) = key;
        if let Entry::Occupied(mut places) = self.by_user.entry(user) {
            places.get_mut().retain(|place| *place != conversation);
            if places.get().is_empty() {
                places.remove();
            }
        }
    }
}

impl Typist {
    fn new(now: Instant) -> Self {
        Self {
            sockets: Vec::new(),
            until: now,
            judged_at: now,
            judging: false,
            to_tell: None,
            told: None,
            is_news: false,
            due: None,
        }
    }

    fn goes_on(&mut self, socket: ConnectionId, until: Instant) {
        self.until = until;
        if !self.sockets.contains(&socket) {
            self.sockets.push(socket);
        }
    }

    /// What the others do not know yet.
    fn tell(&mut self, out: &mut Vec<Dispatch>) {
        if let Some(word) = self.to_tell.take() {
            out.push(word.clone().told(Event::TypingStarted));
            self.told = Some(word);
        } else if self.sockets.is_empty()
            && let Some(word) = self.told.take()
        {
            out.push(word.told(Event::TypingStopped));
        }
    }
}
