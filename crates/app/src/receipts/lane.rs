//! The lane: merges what members say, has it written in one step, says what there is to tell.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use kith_domain::{
    ConversationId, Timestamp, UserId,
    conversation::Seq,
    event::ReceiptEvent,
    receipt::{Mark, Watermarks},
};
use kith_ports::{
    Advance, Advanced, ReceiptStore,
    live::{Failure, Origin},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tracing::error;

use super::{
    ReceiptOptions,
    telling::{Notice, Step},
};
use crate::retry::patiently;

/// So many steps may be written before the first of them is told.
pub(super) const AHEAD: usize = 16;

/// A member's word on how far he is.
pub(super) struct Work {
    pub(super) conversation_id: ConversationId,
    pub(super) user_id: UserId,
    pub(super) mark: Mark,
    pub(super) seq: Seq,
    pub(super) at: Timestamp,
    pub(super) origin: Option<Origin>,
    /// `true`: it is durable; `false`: he is not a member.
    pub(super) reply: oneshot::Sender<Result<bool, Failure>>,
    pub(super) deadline: Instant,
}

/// What travels in the lane.
pub(super) enum Item {
    Work(Work),
    /// Answered when everything before it that concerns this person has been told.
    Fence(UserId, oneshot::Sender<()>),
}

struct Waiter {
    mark: Mark,
    seq: Seq,
    origin: Option<Origin>,
    reply: oneshot::Sender<Result<bool, Failure>>,
    deadline: Instant,
}

/// What is written in one step: one advance for each member of a conversation, and who waits for it.
#[derive(Default)]
struct Batch {
    advances: Vec<Advance>,
    waiters: Vec<Vec<Waiter>>,
    fences: Vec<(UserId, oneshot::Sender<()>)>,
}

impl Batch {
    /// Merges to the highest marks. What has waited too long is refused.
    fn merge(items: impl Iterator<Item = Item>, now: Instant) -> Self {
        let mut batch = Self::default();
        let mut places: HashMap<(ConversationId, UserId), usize> = HashMap::new();
        for item in items {
            let work = match item {
                Item::Work(work) => work,
                Item::Fence(user, fence) => {
                    batch.fences.push((user, fence));
                    continue;
                }
            };
            let Work { conversation_id, user_id, mark, seq, at, origin, reply, deadline } = work;
            if deadline <= now {
                // Whoever asked may be gone.
                let _ = reply.send(Err(Failure::Overloaded));
                continue;
            }
            let waiter = Waiter { mark, seq, origin, reply, deadline };
            let to = Watermarks { delivered: 0, read: 0 }.advanced(mark, seq, Seq::MAX);
            match places.entry((conversation_id, user_id)) {
                Entry::Occupied(place) => {
                    let advance = &mut batch.advances[*place.get()];
                    advance.to = advance.to.merged(to);
                    advance.at = advance.at.max(at);
                    batch.waiters[*place.get()].push(waiter);
                }
                Entry::Vacant(place) => {
                    place.insert(batch.advances.len());
                    batch.advances.push(Advance { conversation_id, user_id, to, at });
                    batch.waiters.push(vec![waiter]);
                }
            }
        }
        batch
    }
}

/// Nobody tells any more what is written.
struct Gone;

/// The lane.
pub(super) struct Lane {
    items: mpsc::Receiver<Item>,
    store: Arc<dyn ReceiptStore>,
    told: mpsc::Sender<Step>,
    batch: usize,
    pace: Duration,
}

impl Lane {
    pub(super) fn new(
        items: mpsc::Receiver<Item>,
        store: Arc<dyn ReceiptStore>,
        told: mpsc::Sender<Step>,
        options: ReceiptOptions,
    ) -> Self {
        let ReceiptOptions { batch, pace, .. } = options;
        Self { items, store, told, batch: batch.max(1), pace }
    }

    /// Works until the last sender is gone and nothing waits, or nobody tells any more.
    pub(super) async fn run(mut self) {
        let mut arrived = Vec::with_capacity(self.batch);
        let mut next = Instant::now();
        while self.items.recv_many(&mut arrived, self.batch).await > 0 {
            // What comes until then goes with it; the rest waits in the channel, whose end is what
            // refuses more.
            tokio::time::sleep_until(next).await;
            while arrived.len() < self.batch {
                let Ok(item) = self.items.try_recv() else { break };
                arrived.push(item);
            }
            next = Instant::now() + self.pace;
            let batch = Batch::merge(arrived.drain(..), Instant::now());
            if self.write(batch).await.is_err() {
                return;
            }
        }
    }

    /// Writes a batch. One that cannot be written for a reason of its own is found by halving, and its
    /// neighbours are written without it. What may have been written by an attempt that was not
    /// answered is never said to have failed.
    async fn write(&self, batch: Batch) -> Result<(), Gone> {
        let Batch { advances, waiters, fences } = batch;
        let mut parts = vec![(Arc::<[Advance]>::from(advances), waiters, false)];
        while let Some((advances, mut waiters, mut unknown)) = parts.pop() {
            if advances.is_empty() {
                continue;
            }
            match self.store(&advances, &waiters, &mut unknown).await {
                Ok(outcomes) => self.settle(&advances, waiters, outcomes, unknown).await?,
                Err(Failure::Internal) if advances.len() > 1 => {
                    let (first, second) = advances.split_at(advances.len() / 2);
                    let later = waiters.split_off(first.len());
                    parts.push((second.into(), later, unknown));
                    parts.push((first.into(), waiters, unknown));
                }
                Err(failure) => {
                    let failure = if unknown { Failure::OutcomeUnknown } else { failure };
                    for waiter in waiters.into_iter().flatten() {
                        let _ = waiter.reply.send(Err(failure));
                    }
                }
            }
        }
        if fences.is_empty() { Ok(()) } else { self.tell(Step { fences, ..Step::default() }).await }
    }

    async fn tell(&self, step: Step) -> Result<(), Gone> {
        self.told.send(step).await.map_err(|_| Gone)
    }

    async fn store(
        &self,
        advances: &Arc<[Advance]>,
        waiters: &[Vec<Waiter>],
        unknown: &mut bool,
    ) -> Result<Vec<Option<Advanced>>, Failure> {
        let patience = waiters.iter().flatten().map(|waiter| waiter.deadline).max();
        let attempt = || self.store.advance(Arc::clone(advances));
        let outcomes = patiently(patience, unknown, attempt).await?;
        if outcomes.len() != advances.len() {
            error!(sent = advances.len(), answered = outcomes.len(), "the store miscounted");
            return Err(Failure::Internal);
        }
        Ok(outcomes)
    }

    /// Has it told what happened, then answers those who wait.
    async fn settle(
        &self,
        advances: &[Advance],
        waiters: Vec<Vec<Waiter>>,
        outcomes: Vec<Option<Advanced>>,
        repeated: bool,
    ) -> Result<(), Gone> {
        let mut step = Step::default();
        let mut answers = Vec::with_capacity(advances.len());
        for ((advance, waiters), outcome) in advances.iter().zip(waiters).zip(outcomes) {
            let mut origins = Vec::new();
            let is_member = outcome.is_some();
            for Waiter { mark, seq, origin, reply, .. } in waiters {
                answers.push((reply, is_member));
                origins.extend(origin.map(|origin| (mark, seq, origin)));
            }
            if let Some(advanced) = outcome {
                step.add(advance, advanced, origins, repeated);
            }
        }
        if !step.is_empty() {
            self.tell(step).await?;
        }
        for (reply, is_member) in answers {
            // Whoever asked may be gone; what was written stays written.
            let _ = reply.send(Ok(is_member));
        }
        Ok(())
    }
}

impl Step {
    /// What there is to tell of one advance, and of which word of whose socket it came.
    ///
    /// Where an earlier attempt may have moved the marks already, the member's own devices are told
    /// where they are now. Whom else it would have concerned is not known any more: they learn it from
    /// the next receipt, or from a sync.
    fn add(
        &mut self,
        advance: &Advance,
        advanced: Advanced,
        origins: Vec<(Mark, Seq, Origin)>,
        repeated: bool,
    ) {
        let Advanced { before, after, .. } = advanced;
        let moved = |before: Seq, after: Seq| after > before || (repeated && after > 0);
        let read_on = moved(before.read, after.read);
        let received_on = moved(before.delivered, after.delivered);
        let event = |mark, seq: Seq, message_id| ReceiptEvent {
            conversation_id: advance.conversation_id,
            user_id: advance.user_id,
            mark,
            seq,
            message_id,
            at: advance.at,
        };
        let (mut with_read, mut with_delivered) = (Vec::new(), Vec::new());
        for (mark, said, origin) in origins {
            match mark {
                Mark::Read if read_on => with_read.push((said, origin)),
                // Reading what was received before says nothing new of receiving.
                Mark::Delivered if received_on => with_delivered.push((said, origin)),
                _ => self.done.push(origin),
            }
        }
        // Who is told that it was read knows that it was received.
        let told_of_both = read_on && after.read == after.delivered;
        let mut readers = advanced.senders_of_read;
        let mut receivers = advanced.senders_of_delivered;
        if told_of_both {
            receivers.retain(|user| !readers.contains(user));
        }
        if read_on {
            readers.push(advance.user_id);
            let event = event(Mark::Read, after.read, advanced.read_message);
            self.notices.push(Notice { event, audience: readers, origins: with_read });
        }
        if received_on {
            if told_of_both {
                self.done.extend(with_delivered.drain(..).map(|(_, origin)| origin));
            } else {
                receivers.push(advance.user_id);
            }
            if !receivers.is_empty() {
                let event = event(Mark::Delivered, after.delivered, advanced.delivered_message);
                self.notices.push(Notice { event, audience: receivers, origins: with_delivered });
            }
        }
    }
}
