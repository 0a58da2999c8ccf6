//! Tells the sockets of this node what happened on all nodes, each conversation in its order.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet, VecDeque, hash_map::Entry},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use kith_domain::{
    ConversationId, SessionId, UserId,
    conversation::Version,
    event::{Audience, Event},
};
use kith_ports::{
    StoreError, StoreResult, Topic,
    live::{CloseReason, Dispatch, TopicChange},
    tail::{ChangeTail, Logged, Missed, TailPosition},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, timeout},
};
use tracing::{debug, warn};

use super::{
    healing::retell,
    interest::Interest,
    line::Line,
    parcel::{Channel, Parcel},
};
use crate::{encode::encode_into, hub::Hub, shard::Delivery};

/// So many conversations are read at once.
const READERS: usize = 8;
/// So many changes of one conversation are read; where more is missing, its listeners come back.
const MOST_MISSED: usize = 500;
/// A reading that takes longer has failed.
const READING: Duration = Duration::from_secs(2);
/// After a reading that failed it is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// So long after its last change a conversation's order is remembered, once the log has been read
/// past it.
const REMEMBER: Duration = Duration::from_secs(30);
/// So much is taken at once.
const STEP: usize = 256;

/// What comes to the dispatcher.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// Stored by this node.
    Own(Vec<Parcel>),
    /// Told by another node.
    Foreign(Parcel),
    /// Read from the log of changes.
    Logged {
        changes: Vec<Logged>,
        /// All that is not behind this has been read now.
        next: TailPosition,
        asked_at: Instant,
    },
    /// Sessions that were ended, by the log: the word of it may have been lost.
    Ended(Vec<(UserId, SessionId)>),
    /// Read for a socket that is to listen. The channel ends when what was stored before has been handed
    /// over: some of it may not be for him who has come in since.
    Known(Vec<Topic>, oneshot::Sender<()>),
    /// So much was missed that nobody knows what: all come back and read it anew.
    Lost,
}

/// Ends a newcomer's wait when nobody holds it any more.
type Wait = Arc<oneshot::Sender<()>>;

type Read = (ConversationId, Version, StoreResult<Option<Missed>>);

/// The one that tells the sockets of this node.
pub(super) struct Dispatcher {
    hub: Arc<Hub>,
    interest: Arc<Interest>,
    tail: Arc<dyn ChangeTail>,
    lines: HashMap<ConversationId, Line>,
    /// Conversations of which something may be missing, and when it will be read.
    due: BinaryHeap<Reverse<(Instant, ConversationId)>>,
    watched: HashSet<ConversationId>,
    /// Those that are read now, or wait for a reader.
    reading: HashSet<ConversationId>,
    waiting: VecDeque<ConversationId>,
    /// From where on they are to be read, as far as they are not being read from there.
    wanted: HashMap<ConversationId, Version>,
    readers: JoinSet<Read>,
    /// Those who are to listen when a conversation has been told up to a version.
    newcomers: HashMap<ConversationId, Vec<(Version, Wait)>>,
    out: Vec<Delivery>,
    /// Those who may listen when what is in `out` is handed over.
    admitted: Vec<Wait>,
    /// When lines that are idle were last dropped.
    tidied: Instant,
    /// Up to where the log has been read.
    read_to: Option<TailPosition>,
    /// What was found there that has not been told yet.
    untold: Vec<(ConversationId, Version)>,
    /// Up to where all of it has been told.
    told: Arc<AtomicI64>,
}

impl Dispatcher {
    pub(super) fn new(hub: Arc<Hub>, interest: Arc<Interest>, tail: Arc<dyn ChangeTail>) -> Self {
        Self {
            hub,
            interest,
            tail,
            lines: HashMap::new(),
            due: BinaryHeap::new(),
            watched: HashSet::new(),
            reading: HashSet::new(),
            waiting: VecDeque::new(),
            wanted: HashMap::new(),
            readers: JoinSet::new(),
            newcomers: HashMap::new(),
            out: Vec::new(),
            admitted: Vec::new(),
            tidied: Instant::now(),
            read_to: None,
            untold: Vec::new(),
            told: Arc::new(AtomicI64::new(0)),
        }
    }

    /// Up to where in the log all has been told.
    pub(super) fn told(&self) -> Arc<AtomicI64> {
        Arc::clone(&self.told)
    }

    /// Works until nobody can hand over anything any more, and everything is told.
    pub(super) async fn run(mut self, mut arrivals: mpsc::Receiver<Arrival>) {
        let mut arrived = Vec::with_capacity(STEP);
        loop {
            let next = self.due.peek().map(|Reverse((at, _))| *at);
            tokio::select! {
                count = arrivals.recv_many(&mut arrived, STEP) => {
                    if count == 0 {
                        break;
                    }
                    let now = Instant::now();
                    for arrival in arrived.drain(..) {
                        self.take(arrival, now);
                    }
                }
                () = at(next) => self.look(Instant::now()),
                Some(read) = self.readers.join_next() => match read {
                    Ok((id, since, missed)) => self.read(id, since, missed, Instant::now()),
                    // As if it had been read here.
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                },
            }
            self.hub.deliver(std::mem::take(&mut self.out)).await;
            self.admitted.clear();
        }
        // Whoever waits for an answer gets it: what it answers is stored.
        for line in self.lines.values_mut() {
            line.answer(&mut self.out);
        }
        self.hub.deliver(std::mem::take(&mut self.out)).await;
    }

    fn take(&mut self, arrival: Arrival, now: Instant) {
        match arrival {
            Arrival::Own(parcels) => {
                for parcel in parcels {
                    self.deliver(parcel, now);
                }
            }
            Arrival::Foreign(parcel) => self.deliver(parcel, now),
            Arrival::Known(topics, wait) => {
                let wait = Arc::new(wait);
                for Topic { conversation_id: id, version, last_seq, .. } in topics {
                    let known = || Line::known(version, last_seq, now);
                    let line = self.lines.entry(id).or_insert_with(known);
                    line.joined(version, now);
                    if line.version() < version {
                        self.newcomers.entry(id).or_default().push((version, Arc::clone(&wait)));
                    }
                    self.watch(id);
                }
                self.admitted.push(wait);
            }
            Arrival::Ended(sessions) => {
                let reason = CloseReason::SignedOut;
                self.out.extend(
                    sessions.into_iter().map(|(user_id, session_id)| Delivery::Close {
                        user_id,
                        session_id,
                        reason,
                    }),
                );
            }
            Arrival::Lost => {
                warn!("too much was missed; all sockets are let go, to read it anew");
                for line in self.lines.values_mut() {
                    line.answer(&mut self.out);
                }
                self.lines.clear();
                self.untold.clear();
                let newcomers = self.newcomers.drain().flat_map(|(_, waiting)| waiting);
                self.admitted.extend(newcomers.map(|(_, wait)| wait));
                self.out.push(Delivery::LetGo);
            }
            Arrival::Logged { changes, next, asked_at } => {
                self.note_told(next);
                for change in changes {
                    self.compare(&change, now);
                }
                if let Some(since) = asked_at.checked_sub(REMEMBER)
                    && self.tidied < since
                {
                    self.tidied = now;
                    let interest = &self.interest;
                    self.lines.retain(|id, line| {
                        !line.is_idle(since) || interest.has(Channel::Conversation(*id))
                    });
                }
            }
        }
    }

    fn deliver(&mut self, parcel: Parcel, now: Instant) {
        let Some(place) = parcel.place else {
            for delivery in &parcel.deliveries {
                if let Delivery::Topic { conversation_id, change, .. } = delivery
                    && matches!(change, TopicChange::Dissolve | TopicChange::Doubtful)
                {
                    self.forget(*conversation_id);
                }
            }
            self.out.extend(parcel.deliveries);
            return;
        };
        let id = place.conversation_id;
        let line = self.lines.entry(id).or_insert_with(|| Line::new(place.before, now));
        if !id.is_direct() && !line.reaches(place.version - 1) {
            // Somebody may have come in since, who may not hear it: that is known where it is read.
            self.out.extend(parcel.into_answers());
            self.begin_reading(id, place.before);
            return;
        }
        line.take(place, parcel, now, &mut self.out);
        self.admit(id);
        self.watch(id);
    }

    /// Lets those listen to a conversation who need not hear what came before them.
    fn admit(&mut self, id: ConversationId) {
        if let Entry::Occupied(mut waiting) = self.newcomers.entry(id) {
            let told = self.lines.get(&id).map_or(Version::MAX, Line::version);
            let reached = waiting.get_mut().extract_if(.., |(version, _)| *version <= told);
            self.admitted.extend(reached.map(|(_, wait)| wait));
            if waiting.get().is_empty() {
                waiting.remove();
            }
        }
    }

    /// Looks whether a change of the log has been told here, where anyone may hear of it.
    fn compare(&mut self, change: &Logged, now: Instant) {
        let id = change.conversation_id;
        let people = change.people.iter().copied();
        let pair = change.pair.into_iter().flat_map(|(one, other)| [one, other]);
        let concerned = self.interest.has(Channel::Conversation(id))
            || people.chain(pair).any(|user| self.interest.has(Channel::User(user)));
        if !concerned {
            return;
        }
        match self.lines.get_mut(&id) {
            Some(line) if line.has(change.before, change.version) => return,
            // It may be on its way.
            Some(line) if line.reaches(change.before) => {
                line.expect(change.version, now);
                self.watch(id);
            }
            _ => {
                debug!(conversation = %id, version = change.version, "found in the log alone");
                self.begin_reading(id, change.before);
            }
        }
        self.untold.push((id, change.version));
    }

    /// Notes how far all has been told: up to the reading before this one, if nothing of it is missing.
    fn note_told(&mut self, next: TailPosition) {
        let Self { lines, reading, wanted, .. } = self;
        self.untold.retain(|(id, version)| {
            let is_to_be_read = reading.contains(id) || wanted.contains_key(id);
            // Where nothing is known of it any more, those who listened were let go.
            is_to_be_read || lines.get(id).is_some_and(|line| line.version() < *version)
        });
        let read_to = self.read_to.replace(next).unwrap_or(next);
        if self.untold.is_empty() {
            self.told.store(read_to.0, Ordering::Relaxed);
        }
    }

    /// Sees that what is missing of a conversation will be read.
    fn watch(&mut self, id: ConversationId) {
        if let Some(due) = self.lines.get(&id).and_then(Line::due)
            && self.watched.insert(id)
        {
            self.due.push(Reverse((due, id)));
        }
    }

    /// Reads what has not come in time.
    fn look(&mut self, now: Instant) {
        while let Some(Reverse((at, id))) = self.due.peek().copied() {
            if at > now {
                return;
            }
            self.due.pop();
            self.watched.remove(&id);
            let Some(line) = self.lines.get(&id) else { continue };
            match line.due() {
                Some(due) if due <= now => {
                    let since = line.version();
                    self.begin_reading(id, since);
                }
                Some(_) => self.watch(id),
                None => {}
            }
        }
    }

    fn begin_reading(&mut self, id: ConversationId, since: Version) {
        let wanted = self.wanted.entry(id).or_insert(since);
        *wanted = since.min(*wanted);
        if !self.reading.insert(id) {
            return;
        }
        if self.readers.len() >= READERS
            && let Some(line) = self.lines.get_mut(&id)
        {
            // Nobody knows when its turn comes.
            line.answer(&mut self.out);
        }
        self.waiting.push_back(id);
        self.employ();
    }

    fn employ(&mut self) {
        while self.readers.len() < READERS {
            let Some(id) = self.waiting.pop_front() else { return };
            let Some(since) = self.wanted.remove(&id) else { continue };
            let tail = Arc::clone(&self.tail);
            self.readers.spawn(async move {
                let missed = timeout(READING, tail.missed(id, since, MOST_MISSED)).await;
                (id, since, missed.unwrap_or(Err(StoreError::Busy)))
            });
        }
    }

    fn read(
        &mut self,
        id: ConversationId,
        since: Version,
        missed: StoreResult<Option<Missed>>,
        now: Instant,
    ) {
        self.reading.remove(&id);
        self.employ();
        let line = self.lines.entry(id).or_insert_with(|| Line::new(since, now));
        match missed {
            Ok(Some(missed)) if !missed.overflow => {
                for dispatch in retell(&missed, line) {
                    encode_into(&mut self.out, dispatch);
                }
                let (version, seq) = (missed.head.version, missed.head.last_seq);
                line.caught_up(since + 1, version, seq, now, &mut self.out);
                self.admit(id);
                self.watch(id);
            }
            Ok(Some(_)) => {
                warn!(conversation = %id, "too much is missing; its listeners read it anew");
                self.let_go(id, TopicChange::Doubtful);
            }
            Ok(None) => {
                let event = Event::ConversationRemoved(id);
                let audience = Audience::Members(id);
                encode_into(&mut self.out, Dispatch::Event { event, audience, origin: None });
                self.let_go(id, TopicChange::Dissolve);
            }
            Err(error) => {
                warn!(conversation = %id, %error, "what is missing was not read; it is tried again");
                line.answer(&mut self.out);
                line.put_off(now + AGAIN);
                self.watch(id);
                let wanted = self.wanted.entry(id).or_insert(since);
                *wanted = since.min(*wanted);
                return;
            }
        }
        // Asked for meanwhile: that may not have been there when it was read.
        if let Some(since) = self.wanted.get(&id).copied() {
            self.begin_reading(id, since);
        }
    }

    fn let_go(&mut self, id: ConversationId, change: TopicChange) {
        self.forget(id);
        let dispatch = Dispatch::Topic { conversation_id: id, member_epoch: i64::MAX, change };
        encode_into(&mut self.out, dispatch);
    }

    /// Nothing of it waits any more, but for answers.
    fn forget(&mut self, id: ConversationId) {
        if let Some(mut line) = self.lines.remove(&id) {
            line.answer(&mut self.out);
        }
        self.admit(id);
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
