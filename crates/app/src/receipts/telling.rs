//! Telling: at most one word in a while on the same mark of the same member; what comes meanwhile is
//! kept back for each person whom it concerns, the furthest of it, and told when the while is over.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use kith_domain::{
    ConversationId, UserId,
    conversation::Seq,
    event::{Audience, Event, ReceiptEvent},
    receipt::Mark,
};
use kith_ports::live::{Dispatch, EventBus, Origin, Reply};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

/// A mark that moved.
pub(super) struct Notice {
    pub(super) event: ReceiptEvent,
    pub(super) audience: Vec<UserId>,
    /// The sockets that said so, and how far each of them said.
    pub(super) origins: Vec<(Seq, Origin)>,
}

/// What there is to tell of one step of the lane.
#[derive(Default)]
pub(super) struct Step {
    pub(super) notices: Vec<Notice>,
    /// The sockets whose word moved nothing.
    pub(super) done: Vec<Origin>,
    /// Answered when everything before them that concerns these people has been told.
    pub(super) fences: Vec<(UserId, oneshot::Sender<()>)>,
}

impl Step {
    /// Whether there is nothing to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.notices.is_empty() && self.done.is_empty()
    }
}

type Key = (ConversationId, UserId, Mark);

/// What is kept back of one mark: for each person the furthest word that was meant for him. A later
/// one, which is not for him, is nothing he may know.
type Held = HashMap<UserId, Arc<ReceiptEvent>>;

/// Tells what the lane has written. It remembers no more than the lane writes within two whiles.
pub(super) struct Telling {
    bus: Arc<dyn EventBus>,
    quiet: Duration,
    /// The marks that were told a while ago or less, and what is kept back of them.
    recent: HashMap<Key, Held>,
    /// Where something is kept back for a person.
    owed: HashMap<UserId, HashSet<Key>>,
    /// When their whiles are over, the first first: all are equally long.
    ends: VecDeque<(Instant, Key)>,
}

impl Telling {
    pub(super) fn new(bus: Arc<dyn EventBus>, quiet: Duration) -> Self {
        let (recent, owed) = (HashMap::new(), HashMap::new());
        Self { bus, quiet, recent, owed, ends: VecDeque::new() }
    }

    /// Tells until the lane has ended; then what is kept back is told at once.
    pub(super) async fn run(mut self, mut steps: mpsc::Receiver<Step>) {
        loop {
            let (mut out, mut fences) = (Vec::new(), Vec::new());
            let end = self.ends.front().map(|(end, _)| *end);
            tokio::select! {
                step = steps.recv() => {
                    let Some(mut step) = step else { break };
                    fences = std::mem::take(&mut step.fences);
                    self.hear(step, &mut out);
                    for (user, _) in &fences {
                        self.release(*user, &mut out);
                    }
                }
                () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => {
                    self.end(&mut out);
                }
            }
            self.publish(out).await;
            for (_, fence) in fences {
                // Whoever raised it may be gone.
                let _ = fence.send(());
            }
        }
        let mut last = Vec::new();
        for held in self.recent.values() {
            tell(held, &mut last);
        }
        self.publish(last).await;
    }

    fn hear(&mut self, step: Step, out: &mut Vec<Dispatch>) {
        for Notice { event, audience, mut origins } in step.notices {
            let key = (event.conversation_id, event.user_id, event.mark);
            if self.recent.contains_key(&key) {
                self.keep(key, event, audience);
            } else {
                // A socket that said less, or more than there is, does not know how far it is.
                let exact = origins.iter().position(|(said, _)| *said == event.seq);
                let origin = exact.map(|place| origins.swap_remove(place).1);
                out.push(word(event, audience, origin));
                self.begin(key);
            }
            out.extend(origins.into_iter().map(|(_, origin)| done(origin)));
        }
        out.extend(step.done.into_iter().map(done));
    }

    fn begin(&mut self, key: Key) {
        self.recent.insert(key, Held::new());
        self.ends.push_back((Instant::now() + self.quiet, key));
    }

    fn keep(&mut self, key: Key, event: ReceiptEvent, audience: Vec<UserId>) {
        let held = self.recent.entry(key).or_default();
        let event = Arc::new(event);
        for person in audience {
            let furthest = held.entry(person).or_insert_with(|| Arc::clone(&event));
            if event.seq > furthest.seq {
                *furthest = Arc::clone(&event);
            }
            self.owed.entry(person).or_default().insert(key);
        }
    }

    /// Tells one person at once what is kept back for him, since he wants to know that he has heard
    /// all. The others hear it when the while is over.
    fn release(&mut self, person: UserId, out: &mut Vec<Dispatch>) {
        for key in self.owed.remove(&person).unwrap_or_default() {
            let event = self.recent.get_mut(&key).and_then(|held| held.remove(&person));
            out.extend(event.map(|event| word((*event).clone(), vec![person], None)));
        }
    }

    /// Tells what was kept back where the while is over.
    fn end(&mut self, out: &mut Vec<Dispatch>) {
        let now = Instant::now();
        while self.ends.front().is_some_and(|(end, _)| *end <= now)
            && let Some((_, key)) = self.ends.pop_front()
        {
            let Some(held) = self.recent.remove(&key).filter(|held| !held.is_empty()) else {
                continue;
            };
            tell(&held, out);
            for person in held.keys() {
                self.settled(*person, &key);
            }
            self.begin(key);
        }
    }

    /// Nothing of this mark is kept back for a person any more.
    fn settled(&mut self, person: UserId, key: &Key) {
        if let Some(keys) = self.owed.get_mut(&person) {
            keys.remove(key);
            if keys.is_empty() {
                self.owed.remove(&person);
            }
        }
    }

    async fn publish(&self, dispatches: Vec<Dispatch>) {
        if !dispatches.is_empty() {
            self.bus.publish(dispatches).await;
        }
    }
}

/// Tells what is kept back, one word for all who may know equally much.
fn tell(held: &Held, out: &mut Vec<Dispatch>) {
    let mut people: Vec<(&UserId, &Arc<ReceiptEvent>)> = held.iter().collect();
    people.sort_unstable_by_key(|(person, event)| (event.seq, **person));
    for equals in people.chunk_by(|(_, one), (_, other)| one.seq == other.seq) {
        let audience = equals.iter().map(|(person, _)| **person).collect();
        out.extend(equals.first().map(|(_, event)| word((***event).clone(), audience, None)));
    }
}

fn word(event: ReceiptEvent, mut audience: Vec<UserId>, origin: Option<Origin>) -> Dispatch {
    audience.sort_unstable();
    audience.dedup();
    let (event, audience) = (Event::ReceiptUpdated(event), Audience::Users(audience));
    Dispatch::Event { event, audience, origin }
}

fn done(origin: Origin) -> Dispatch {
    Dispatch::Reply { origin, reply: Reply::Done }
}

#[cfg(test)]
mod tests {
    use kith_ports::Clock as _;
    use kith_testkit::FixedClock;

    use super::*;
    use crate::fixtures::{Recorder, group_id, user};

    #[tokio::test(start_paused = true)]
    async fn of_what_was_told_nothing_is_remembered() {
        let mut telling = Telling::new(Recorder::new(), Duration::from_secs(1));
        for n in 1..=3 {
            let event = ReceiptEvent {
                conversation_id: group_id(),
                user_id: user(1),
                mark: Mark::Read,
                seq: n,
                message_id: None,
                at: FixedClock::new().now(),
            };
            let audience = vec![user(1), user(2)];
            let notices = vec![Notice { event, audience, origins: Vec::new() }];
            telling.hear(Step { notices, ..Step::default() }, &mut Vec::new());
        }
        telling.release(user(2), &mut Vec::new());
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            telling.end(&mut Vec::new());
        }
        assert!(telling.recent.is_empty() && telling.owed.is_empty() && telling.ends.is_empty());
    }
}
