//! Receipts: how far members have received and read, and who is told.
//!
//! What members say waits in a lane of its own, where it is merged to the highest mark of each member
//! of a conversation, and is written in one step with what others say. It is acknowledged when it is
//! durable. Who is told hears at most once a second of each mark.

mod lane;
mod telling;

use std::{sync::Arc, time::Duration};

use kith_domain::{
    ConversationId, MessageId, Refusal, Timestamp, UserId, conversation::Seq, receipt::Mark,
};
use kith_ports::{
    Clock, ConversationStore, MessageStore, Page, Receipt, ReceiptStore,
    live::{EventBus, Origin},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::task::TaskTracker;

use self::{
    lane::{Item, Lane, Work},
    telling::Telling,
};
use crate::{Error, Result, conversations::Address};

/// How receipts are written and told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiptOptions {
    /// How many may wait before more are refused.
    pub queue: usize,
    /// How many are written in one step, before they are merged.
    pub batch: usize,
    /// The least time between two steps. The first one after a rest goes at once.
    pub pace: Duration,
    /// How long one may wait before it is refused.
    pub patience: Duration,
    /// The least time between two words on the same mark of the same member.
    pub quiet: Duration,
}

impl Default for ReceiptOptions {
    fn default() -> Self {
        Self {
            queue: 8_192,
            batch: 1_024,
            pace: Duration::from_millis(20),
            patience: Duration::from_secs(8),
            quiet: Duration::from_secs(1),
        }
    }
}

/// The ports this needs.
#[derive(Clone)]
pub struct Ports {
    /// Where marks are kept.
    pub store: Arc<dyn ReceiptStore>,
    /// Where messages stand.
    pub messages: Arc<dyn MessageStore>,
    /// Of which kind conversations are.
    pub conversations: Arc<dyn ConversationStore>,
    /// Tells the senders, and the reader's own devices.
    pub bus: Arc<dyn EventBus>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Receipts, and the lane that writes them.
#[derive(Clone)]
pub struct Receipts {
    inner: Arc<Inner>,
}

struct Inner {
    lane: mpsc::Sender<Item>,
    patience: Duration,
    ports: Ports,
}

/// How far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpTo {
    /// Up to this message.
    Message(MessageId),
    /// Up to this number in a conversation.
    Seq(Address, Seq),
}

/// A mark that is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marked {
    /// Where.
    pub conversation_id: ConversationId,
    /// When it was said.
    pub at: Timestamp,
}

impl Receipts {
    /// Starts the lane as tasks of `tasks`. They end when the last handle is dropped, everything that
    /// waited is written, and what was to be told is told.
    pub fn start(ports: Ports, options: ReceiptOptions, tasks: &TaskTracker) -> Self {
        let (lane, items) = mpsc::channel(options.queue);
        let (told, notices) = mpsc::channel(lane::AHEAD);
        tasks.spawn(Lane::new(items, ports.store.clone(), told, options).run());
        tasks.spawn(Telling::new(ports.bus.clone(), options.quiet).run(notices));
        Self { inner: Arc::new(Inner { lane, patience: options.patience, ports }) }
    }

    /// Moves a mark of `user`, and waits until that is durable. It never goes back, nor past the newest
    /// message; what was read was received.
    ///
    /// The socket named by `origin` is answered through the event bus once it is done. That it
    /// cannot be done is for the caller to say.
    pub async fn mark(
        &self,
        user: UserId,
        up_to: UpTo,
        mark: Mark,
        origin: Option<Origin>,
    ) -> Result<Marked> {
        let (conversation_id, seq) = match up_to {
            UpTo::Seq(address, seq) => {
                self.ensure_kind(address).await?;
                (address.id, seq)
            }
            UpTo::Message(id) => {
                let found = self.inner.ports.messages.locate(user, id).await?;
                found.ok_or_else(Refusal::not_found)?
            }
        };
        let at = self.inner.ports.clock.now();
        let (reply, done) = oneshot::channel();
        let work = Work {
            conversation_id,
            user_id: user,
            mark,
            seq,
            at,
            origin,
            reply,
            deadline: Instant::now() + self.inner.patience,
        };
        self.inner.lane.try_send(Item::Work(work)).map_err(|_| Error::Overloaded)?;
        match done.await {
            Ok(Ok(true)) => Ok(Marked { conversation_id, at }),
            Ok(Ok(false)) => Err(Refusal::not_found().into()),
            Ok(Err(failure)) => Err(failure.into()),
            // The lane ended with the process: nobody knows how far it came.
            Err(_) => Err(Error::OutcomeUnknown),
        }
    }

    /// Under the name of another kind a conversation does not exist. Who is in it is judged with the
    /// mark.
    async fn ensure_kind(&self, address: Address) -> Result<()> {
        if address.kind.is_none() {
            return Ok(());
        }
        match self.inner.ports.conversations.snapshot(address.id, &[]).await? {
            Some(found) if !address.means(&found.conversation) => Err(Refusal::not_found().into()),
            _ => Ok(()),
        }
    }

    /// A page of how far a message has come with each member but its sender, as far as `viewer` may
    /// know, in the order of their ids.
    pub async fn receipts(
        &self,
        viewer: UserId,
        message: MessageId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Page<Receipt, UserId>> {
        let found = self.inner.ports.store.receipts(viewer, message, after, limit).await?;
        Ok(found.ok_or_else(Refusal::not_found)?)
    }

    /// Waits until everything that is durable now and concerns `user` has been told. What was kept back
    /// of it is told at once.
    pub async fn fence(&self, user: UserId) -> Result<()> {
        let (pass, wait) = oneshot::channel();
        self.inner.lane.send(Item::Fence(user, pass)).await.map_err(|_| Error::Overloaded)?;
        wait.await.map_err(|_| Error::Overloaded)
    }

    /// Waits until the lane has ended, which it does not while there is a handle.
    pub async fn crashed(&self) {
        self.inner.lane.closed().await;
    }
}

#[cfg(test)]
mod tests;
