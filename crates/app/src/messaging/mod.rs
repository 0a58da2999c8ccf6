//! Messaging: every durable change of a conversation goes through its lane.
//!
//! There are a few lanes, and a conversation is always in the same one. A lane takes what waits,
//! has it stored in one step, and then tells what happened, in order. So a change is acknowledged
//! only when it is durable, and nobody hears of a later change before an earlier one.

mod announce;
mod lane;
mod outgoing;

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use kith_domain::{
    Code, ConversationId, MessageId, Refusal, UserId,
    conversation::Kind,
    group::{self, Action},
    message::{Digest, Message, may_delete, may_edit, may_mark},
    text::{ClientMessageId, Content, Emoji},
};
use kith_ports::{
    Clock, ConversationStore, Ids, MessageContext, MessageStore,
    live::{EventBus, Origin},
    log::{Applied, Change, Command, ConversationLog, React, Rejected, Send},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::task::TaskTracker;

use self::lane::{Item, Lane, ReplyTo, Work};
pub use self::outgoing::{Outgoing, Target};
use crate::{
    Error, Result,
    limits::{Rate, Verdict},
};

/// How often a decision that was overtaken by others is made anew.
pub(crate) const ATTEMPTS: usize = 8;

/// How the lanes work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneOptions {
    /// How many lanes. One on SQLite, which has one writer.
    pub lanes: usize,
    /// How many commands may wait in a lane before more are refused.
    pub queue: usize,
    /// How long a command may wait before it is refused.
    pub patience: Duration,
}

impl Default for LaneOptions {
    fn default() -> Self {
        Self { lanes: 1, queue: 4_096, patience: Duration::from_secs(8) }
    }
}

/// The ports this needs.
#[derive(Clone)]
pub struct Ports {
    /// Where changes are stored.
    pub log: Arc<dyn ConversationLog>,
    /// Reads of messages, for decisions about them.
    pub messages: Arc<dyn MessageStore>,
    /// Reads of conversations, for decisions about them.
    pub conversations: Arc<dyn ConversationStore>,
    /// Tells what happened.
    pub bus: Arc<dyn EventBus>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn Ids>,
}

/// Sending, editing, deleting, reacting, pinning, and the lanes that carry them.
#[derive(Clone)]
pub struct Messaging {
    inner: Arc<Inner>,
}

struct Inner {
    lanes: Vec<mpsc::Sender<Item>>,
    patience: Duration,
    ports: Ports,
    rate: Rate,
}

impl Messaging {
    /// Starts the lanes as tasks of `tasks`. They end when the last handle is dropped and
    /// everything that waited is done.
    pub fn start(ports: Ports, rate: Rate, options: LaneOptions, tasks: &TaskTracker) -> Self {
        let lanes = (0..options.lanes.max(1))
            .map(|_| {
                let (sender, items) = mpsc::channel(options.queue);
                tasks.spawn(Lane::new(items, ports.log.clone(), ports.bus.clone()).run());
                sender
            })
            .collect();
        Self { inner: Arc::new(Inner { lanes, patience: options.patience, ports, rate }) }
    }

    /// Counts one more message of `user`.
    pub fn allow(&self, user: UserId) -> Verdict {
        self.inner.rate.take(user)
    }

    /// Forgets the rates of people who sent nothing lately.
    pub fn forget_idle(&self) {
        self.inner.rate.forget_idle();
    }

    /// Sends a message and waits until it is durable. `false`: it was sent before, and this is the
    /// first message. With `only`, it is addressed as of that kind: a conversation of another one is
    /// none that anyone could be in.
    pub async fn send(
        &self,
        sender: UserId,
        message: Outgoing,
        only: Option<Kind>,
    ) -> Result<(Arc<Message>, bool)> {
        let command = self.compose(sender, message)?;
        if let Some(kind) = only {
            self.ensure_kind(command.conversation_id, kind).await?;
        }
        match self.execute(command).await? {
            Applied::Sent { message, .. } => Ok((message, true)),
            Applied::Duplicate(message, _) => Ok((message, false)),
            _ => Err(Error::Internal(None)),
        }
    }

    /// Puts a message into its lane, without waiting. The socket it came from is answered through
    /// the event bus, in order with what others hear.
    pub fn submit(&self, sender: UserId, message: Outgoing, origin: Origin) -> Result<()> {
        let command = self.compose(sender, message)?;
        self.enqueue(command, ReplyTo::Socket(origin))
    }

    /// Gives a message another text.
    pub async fn edit(
        &self,
        actor: UserId,
        id: MessageId,
        content: Content,
    ) -> Result<Arc<Message>> {
        let edited = self
            .decide_on_message(actor, id, |context, now| {
                may_edit(&context.message, actor, now)?;
                Ok(Change::Edit {
                    message_id: id,
                    content: content.clone(),
                    member_epoch: context.member_epoch,
                })
            })
            .await?;
        match edited {
            Applied::Revised(message, _) => Ok(message),
            _ => Err(Error::Internal(None)),
        }
    }

    /// Pins a message, or takes the pin away. Doing it twice changes nothing.
    pub async fn pin(&self, actor: UserId, id: MessageId, pinned: bool) -> Result<()> {
        self.decide_on_message(actor, id, |context, _| {
            let MessageContext { message, conversation, .. } = context;
            group::may(conversation.kind, conversation.posting, context.my_role, Action::Pin)?;
            may_mark(message)?;
            Ok(Change::Pin { message_id: id, pinned, member_epoch: context.member_epoch })
        })
        .await?;
        Ok(())
    }

    /// Gives a reaction to a message, or takes it back. Doing it twice changes nothing.
    pub async fn react(
        &self,
        actor: UserId,
        id: MessageId,
        emoji: Emoji,
        given: bool,
    ) -> Result<()> {
        let found = self.inner.ports.messages.locate(actor, id).await?;
        let (conversation, _) = found.ok_or_else(Refusal::not_found)?;
        let react = React { message_id: id, by: actor, emoji, given };
        self.execute(self.command(conversation, Change::React(react))).await?;
        Ok(())
    }

    /// Deletes a message for everyone. Doing it twice changes nothing.
    pub async fn delete(&self, actor: UserId, id: MessageId) -> Result<()> {
        self.decide_on_message(actor, id, |context, _| {
            may_delete(&context.message, (actor, context.my_role), context.sender_role)?;
            Ok(Change::Delete { message_id: id, member_epoch: context.member_epoch })
        })
        .await?;
        Ok(())
    }

    /// Deletes a message that the caller knows to be the actor's own, in a conversation that the
    /// actor may have left.
    pub(crate) async fn delete_own(
        &self,
        conversation: ConversationId,
        id: MessageId,
    ) -> Result<()> {
        for _ in 0..ATTEMPTS {
            let Some(snapshot) = self.inner.ports.conversations.snapshot(conversation, &[]).await?
            else {
                return Ok(());
            };
            let member_epoch = snapshot.head.member_epoch;
            let change = Change::Delete { message_id: id, member_epoch };
            match self.execute_once(self.command(conversation, change)).await? {
                Ok(_) => return Ok(()),
                Err(Rejected::Stale) => {}
                Err(Rejected::Refused(refusal)) => return Err(refusal.into()),
            }
        }
        Err(overtaken())
    }

    async fn decide_on_message(
        &self,
        actor: UserId,
        id: MessageId,
        decide: impl Fn(&MessageContext, kith_domain::Timestamp) -> std::result::Result<Change, Refusal>,
    ) -> Result<Applied> {
        for _ in 0..ATTEMPTS {
            let context = self.inner.ports.messages.message(actor, id).await?;
            let context = context.ok_or_else(Refusal::not_found)?;
            let command = self.command(
                context.message.conversation_id,
                decide(&context, self.inner.ports.clock.now())?,
            );
            match self.execute_once(command).await? {
                Ok(applied) => return Ok(applied),
                Err(Rejected::Stale) => {}
                Err(Rejected::Refused(refusal)) => return Err(refusal.into()),
            }
        }
        Err(overtaken())
    }

    /// Whether one may write there, or has written before, is judged with the message.
    async fn ensure_kind(&self, id: ConversationId, kind: Kind) -> Result<()> {
        if id.is_direct() != (kind == Kind::Direct) {
            return Err(Refusal::not_a_member().into());
        }
        match self.inner.ports.conversations.snapshot(id, &[]).await? {
            Some(found) if found.conversation.kind != kind => Err(Refusal::not_a_member().into()),
            _ => Ok(()),
        }
    }

    fn compose(&self, sender: UserId, message: Outgoing) -> Result<Command> {
        let Outgoing { target, content, client_message_id, kind, reply_to } = message;
        let conversation_id = target.conversation(sender)?;
        let peer = match target {
            Target::Person(peer) => Some(peer),
            Target::Conversation(_) | Target::Group(_) => None,
        };
        let id = self.inner.ports.ids.message();
        let client_message_id = match client_message_id {
            Some(given) => given,
            None => ClientMessageId::parse(&id.to_string())
                .map_err(|error| Refusal::new(Code::InvalidText, error.to_string()))?,
        };
        let digest = Digest::of(kind, &content, reply_to);
        let send = Send {
            id,
            sender_id: sender,
            peer,
            client_message_id,
            digest,
            kind,
            content,
            reply_to,
        };
        Ok(self.command(conversation_id, Change::Send(send)))
    }

    /// A command as of now.
    pub(crate) fn command(&self, conversation_id: ConversationId, change: Change) -> Command {
        Command { conversation_id, at: self.inner.ports.clock.now(), change }
    }

    /// Carries out a command that cannot be stale.
    pub(crate) async fn execute(&self, command: Command) -> Result<Applied> {
        match self.execute_once(command).await? {
            Ok(applied) => Ok(applied),
            Err(Rejected::Refused(refusal)) => Err(refusal.into()),
            Err(Rejected::Stale) => Err(overtaken()),
        }
    }

    /// Carries out a command, once, through its lane.
    pub(crate) async fn execute_once(
        &self,
        command: Command,
    ) -> Result<std::result::Result<Applied, Rejected>> {
        let (reply, outcome) = oneshot::channel();
        self.enqueue(command, ReplyTo::Caller(reply))?;
        match outcome.await {
            Ok(Ok(applied)) => Ok(applied),
            Ok(Err(failure)) => Err(failure.into()),
            // The lane ended with the process: nobody knows how far it came.
            Err(_) => Err(Error::OutcomeUnknown),
        }
    }

    fn enqueue(&self, command: Command, reply: ReplyTo) -> Result<()> {
        let lane = self.lane_of(command.conversation_id);
        let deadline = Instant::now() + self.inner.patience;
        lane.try_send(Item::Work(Work { command, reply, deadline })).map_err(|_| Error::Overloaded)
    }

    fn lane_of(&self, id: ConversationId) -> &mpsc::Sender<Item> {
        // The ids are random enough as they are; their low half has no time in it.
        let low = id.as_uuid().as_u64_pair().1;
        let lanes = &self.inner.lanes;
        &lanes[usize::try_from(low % lanes.len() as u64).unwrap_or(0)]
    }

    /// Waits until a lane has ended, which none does while there is a handle.
    pub async fn crashed(&self) {
        let mut ends: FuturesUnordered<_> =
            self.inner.lanes.iter().map(mpsc::Sender::closed).collect();
        ends.next().await;
    }

    /// Waits until everything that is durable now has been handed to the sockets.
    pub async fn fence(&self) -> Result<()> {
        let mut passed = Vec::with_capacity(self.inner.lanes.len());
        for lane in &self.inner.lanes {
            let (pass, wait) = oneshot::channel();
            lane.send(Item::Fence(pass)).await.map_err(|_| Error::Overloaded)?;
            passed.push(wait);
        }
        for wait in passed {
            wait.await.map_err(|_| Error::Overloaded)?;
        }
        Ok(())
    }
}

pub(crate) fn overtaken() -> Error {
    Refusal::new(
        Code::Conflict,
        "it was changed by others again and again while this was tried: try once more",
    )
    .into()
}

#[cfg(test)]
mod tests;
