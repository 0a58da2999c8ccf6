//! One lane: takes what waits, has it stored in one step, tells what happened.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use kith_domain::{ConversationId, UserId, text::ClientMessageId};
use kith_ports::{
    live::{Dispatch, EventBus, Failure, Origin, Reply, TopicChange},
    log::{Applied, Change, Command, ConversationLog, Rejected},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tracing::error;

use super::announce::announce;
use crate::retry::patiently;

/// The most commands in one step.
const MOST_ITEMS: usize = 256;
/// The most text in one step, in bytes.
const MOST_BYTES: usize = 1024 * 1024;

/// What came of a command, for a caller that waits.
pub(super) type Outcome = Result<Result<Applied, Rejected>, Failure>;

/// Who is answered.
pub(super) enum ReplyTo {
    /// One that waits.
    Caller(oneshot::Sender<Outcome>),
    /// A socket, through the event bus.
    Socket(Origin),
}

/// A command in a lane.
pub(super) struct Work {
    pub(super) command: Command,
    pub(super) reply: ReplyTo,
    pub(super) deadline: Instant,
}

/// What travels in a lane.
#[expect(clippy::large_enum_variant, reason = "fences are rare, work is not worth a box")]
pub(super) enum Item {
    Work(Work),
    /// Answered when everything before it has been told.
    Fence(oneshot::Sender<()>),
}

/// What is carried out in one step.
#[derive(Default)]
struct Batch {
    commands: Vec<Command>,
    waiters: Vec<Waiter>,
    fences: Vec<oneshot::Sender<()>>,
    expired: Vec<ReplyTo>,
}

struct Waiter {
    reply: ReplyTo,
    deadline: Instant,
}

impl Batch {
    /// Takes from the front of `waiting` what goes into one step: so much and no more, nothing
    /// that has waited too long, no message twice. What stays keeps its order.
    fn take(waiting: &mut VecDeque<Item>, now: Instant) -> Self {
        let mut batch = Self::default();
        let mut sent: HashSet<(ConversationId, UserId, ClientMessageId)> = HashSet::new();
        let mut again = Vec::new();
        let mut bytes = 0;
        while let Some(item) = waiting.pop_front() {
            let work = match item {
                Item::Fence(fence) => {
                    batch.fences.push(fence);
                    continue;
                }
                Item::Work(work) if work.deadline <= now => {
                    batch.expired.push(work.reply);
                    continue;
                }
                Item::Work(work) => work,
            };
            if let Change::Send(send) = &work.command.change {
                let key =
                    (work.command.conversation_id, send.sender_id, send.client_message_id.clone());
                if !sent.insert(key) {
                    again.push(Item::Work(work));
                    continue;
                }
            }
            bytes += text_of(&work.command.change);
            batch.commands.push(work.command);
            batch.waiters.push(Waiter { reply: work.reply, deadline: work.deadline });
            if batch.commands.len() >= MOST_ITEMS || bytes >= MOST_BYTES {
                break;
            }
        }
        for item in again.into_iter().rev() {
            waiting.push_front(item);
        }
        batch
    }
}

/// How many bytes of text a change carries.
fn text_of(change: &Change) -> usize {
    match change {
        Change::Send(send) => send.content.as_str().len(),
        Change::Edit { content, .. } => content.as_str().len(),
        _ => 0,
    }
}

/// Whether the outcome of a change of members says what happened: one who is found to be in already may
/// have come in by an attempt that was not answered.
fn is_told(outcome: Option<&Result<Applied, Rejected>>) -> bool {
    match outcome {
        Some(Ok(Applied::MembersChanged { changes, .. })) => !changes.is_empty(),
        Some(Ok(_)) => true,
        _ => false,
    }
}

/// One lane.
pub(super) struct Lane {
    items: mpsc::Receiver<Item>,
    log: Arc<dyn ConversationLog>,
    bus: Arc<dyn EventBus>,
}

impl Lane {
    pub(super) fn new(
        items: mpsc::Receiver<Item>,
        log: Arc<dyn ConversationLog>,
        bus: Arc<dyn EventBus>,
    ) -> Self {
        Self { items, log, bus }
    }

    /// Works until the last sender is gone and nothing waits.
    pub(super) async fn run(mut self) {
        let mut waiting = VecDeque::new();
        let mut arrived = Vec::with_capacity(MOST_ITEMS);
        loop {
            if waiting.is_empty() && self.items.recv_many(&mut arrived, MOST_ITEMS).await == 0 {
                return;
            }
            // What waits here is no more than a step: the rest waits in the channel, whose end is
            // what refuses more.
            while waiting.len() + arrived.len() < MOST_ITEMS {
                let Ok(item) = self.items.try_recv() else { break };
                arrived.push(item);
            }
            waiting.extend(arrived.drain(..));
            self.step(Batch::take(&mut waiting, Instant::now())).await;
        }
    }

    async fn step(&self, batch: Batch) {
        let Batch { commands, waiters, fences, expired } = batch;
        self.fail(expired, Failure::Overloaded).await;
        if !commands.is_empty() {
            self.carry_out(commands.into(), waiters).await;
        }
        for fence in fences {
            // Whoever raised it may be gone.
            let _ = fence.send(());
        }
    }

    /// Stores a batch and tells what happened. One that cannot be stored for a reason of its own
    /// is found by halving, and its neighbours are stored without it. What may have been stored by an
    /// attempt that was not answered is never said to have failed.
    async fn carry_out(&self, commands: Arc<[Command]>, waiters: Vec<Waiter>) {
        let mut parts = vec![(commands, waiters, false)];
        while let Some((commands, mut waiters, unsure)) = parts.pop() {
            let mut unknown = false;
            let stored = self.store(&commands, &waiters, &mut unknown).await;
            if unknown {
                self.doubt(&commands, stored.as_deref().unwrap_or_default()).await;
            }
            match stored {
                Ok(outcomes) => self.settle(&commands, waiters, outcomes).await,
                Err(Failure::Internal) if commands.len() > 1 => {
                    let (first, second) = commands.split_at(commands.len() / 2);
                    let later = waiters.split_off(first.len());
                    parts.push((second.into(), later, unsure || unknown));
                    parts.push((first.into(), waiters, unsure || unknown));
                }
                Err(failure) => {
                    let unsure = unsure || unknown;
                    let failure = if unsure { Failure::OutcomeUnknown } else { failure };
                    let replies = waiters.into_iter().map(|waiter| waiter.reply).collect();
                    self.fail(replies, failure).await;
                }
            }
        }
    }

    /// An attempt may have been stored that cannot be told any more. Sends are recognised by their
    /// ids; who is in a conversation is not, so its listeners come back and read it anew.
    async fn doubt(&self, commands: &[Command], outcomes: &[Result<Applied, Rejected>]) {
        let doubtful = commands.iter().enumerate().filter(|(place, command)| {
            let moves_members = matches!(
                command.change,
                Change::Members { .. } | Change::Join(_) | Change::Remove { .. }
            );
            moves_members && !is_told(outcomes.get(*place))
        });
        let dispatches: Vec<Dispatch> = doubtful
            .map(|(_, command)| Dispatch::Topic {
                conversation_id: command.conversation_id,
                member_epoch: 0,
                change: TopicChange::Doubtful,
            })
            .collect();
        if !dispatches.is_empty() {
            self.bus.publish(dispatches).await;
        }
    }

    /// Stores a batch, again and again while the store is away and anyone still waits.
    async fn store(
        &self,
        commands: &Arc<[Command]>,
        waiters: &[Waiter],
        unknown: &mut bool,
    ) -> Result<Vec<Result<Applied, Rejected>>, Failure> {
        let patience = waiters.iter().map(|waiter| waiter.deadline).max();
        let attempt = || self.log.apply(Arc::clone(commands));
        let outcomes = patiently(patience, unknown, attempt).await?;
        if outcomes.len() != commands.len() {
            error!(sent = commands.len(), answered = outcomes.len(), "the store miscounted");
            return Err(Failure::Internal);
        }
        Ok(outcomes)
    }

    /// Tells what happened, then answers those who wait: nobody is answered before his own change
    /// is on its way to the sockets.
    async fn settle(
        &self,
        commands: &[Command],
        waiters: Vec<Waiter>,
        outcomes: Vec<Result<Applied, Rejected>>,
    ) {
        let mut dispatches = Vec::with_capacity(outcomes.len());
        let mut callers = Vec::new();
        for ((command, waiter), outcome) in commands.iter().zip(waiters).zip(outcomes) {
            match (waiter.reply, outcome) {
                (ReplyTo::Socket(origin), Ok(applied)) => {
                    announce(command, &applied, Some(origin), &mut dispatches);
                }
                (ReplyTo::Socket(origin), Err(rejected)) => {
                    let reply = match rejected {
                        Rejected::Refused(refusal) => Reply::Refused(refusal),
                        Rejected::Stale => Reply::Failed(Failure::Internal),
                    };
                    dispatches.push(Dispatch::Reply { origin, reply });
                }
                (ReplyTo::Caller(caller), outcome) => {
                    if let Ok(applied) = &outcome {
                        announce(command, applied, None, &mut dispatches);
                    }
                    callers.push((caller, outcome));
                }
            }
        }
        if !dispatches.is_empty() {
            self.bus.publish(dispatches).await;
        }
        for (caller, outcome) in callers {
            // Whoever asked may be gone; what was done stays done.
            let _ = caller.send(Ok(outcome));
        }
    }

    async fn fail(&self, replies: Vec<ReplyTo>, failure: Failure) {
        let mut dispatches = Vec::new();
        for reply in replies {
            match reply {
                ReplyTo::Caller(caller) => {
                    let _ = caller.send(Err(failure));
                }
                ReplyTo::Socket(origin) => {
                    dispatches.push(Dispatch::Reply { origin, reply: Reply::Failed(failure) });
                }
            }
        }
        if !dispatches.is_empty() {
            self.bus.publish(dispatches).await;
        }
    }
}
