use std::{
    sync::{Arc, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use kith_domain::event::Event;
use kith_ports::{
    Topic,
    live::{
        Dispatch, EventBus, Origin, Outgoing, Reply, Socket, Subscriptions, WorkerId, WorkerLoop,
    },
};
use tokio::sync::{mpsc, oneshot};
use tracing::error;

use crate::{
    encode,
    shard::{Control, Delivery, News, Shard},
};

/// How often new workers are looked for, to be watched.
const WATCH: Duration = Duration::from_secs(1);

/// How the hub bounds its queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HubOptions {
    /// How many frames may wait for one socket before it is closed as too slow.
    pub socket_queue: usize,
    /// How many batches may wait for one worker before those who publish wait.
    pub worker_queue: usize,
}

impl Default for HubOptions {
    fn default() -> Self {
        Self { socket_queue: 1_024, worker_queue: 64 }
    }
}

/// The sockets of this node, and the bus that tells them what happened.
#[derive(Debug)]
pub struct Hub {
    options: HubOptions,
    workers: RwLock<Arc<Vec<Worker>>>,
}

#[derive(Clone, Debug)]
struct Worker {
    batches: mpsc::Sender<Arc<Vec<Delivery>>>,
    // Unbounded, because a socket that goes must be let go without waiting. It holds at most a few
    // entries for each socket there is, and those are counted.
    control: mpsc::UnboundedSender<Control>,
}

impl Hub {
    /// A hub without workers.
    pub fn new(options: HubOptions) -> Self {
        Self { options, workers: RwLock::default() }
    }

    fn workers(&self) -> Arc<Vec<Worker>> {
        self.workers.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn control(&self, worker: WorkerId, control: Control) {
        if let Some(worker) = self.workers().get(worker.0) {
            // A worker that ended has no sockets.
            let _ = worker.control.send(control);
        }
    }

    /// Waits until a worker's loop has ended, which none does before the hub is closed.
    pub async fn crashed(&self) {
        let (mut known, mut ends) = (0, FuturesUnordered::new());
        loop {
            // Workers are added while the server starts.
            for worker in self.workers().iter().skip(known) {
                let batches = worker.batches.clone();
                ends.push(async move { batches.closed().await });
                known += 1;
            }
            tokio::select! {
                Some(()) = ends.next() => return,
                () = tokio::time::sleep(WATCH) => {}
            }
        }
    }

    /// Ends the loops of all workers. Sockets that are still attached get nothing more.
    pub fn close(&self) {
        *self.workers.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::default();
    }
}

#[async_trait]
impl EventBus for Hub {
    async fn publish(&self, batch: Vec<Dispatch>) {
        let workers = self.workers();
        if workers.is_empty() || batch.is_empty() {
            return;
        }
        let mut deliveries = Vec::with_capacity(batch.len());
        for dispatch in batch {
            encode_into(&mut deliveries, dispatch);
        }
        let deliveries = Arc::new(deliveries);
        for (number, worker) in workers.iter().enumerate() {
            if worker.batches.send(Arc::clone(&deliveries)).await.is_err() {
                error!(worker = number, "a worker is gone; its sockets heard nothing of this");
            }
        }
    }
}

/// Encodes what is to be delivered: here, once, before it is handed to the workers.
fn encode_into(deliveries: &mut Vec<Delivery>, dispatch: Dispatch) {
    match dispatch {
        Dispatch::Event { event, audience, origin } => {
            let acknowledged = origin.as_ref().map(|origin| origin.connection);
            if let Some(origin) = origin {
                let reply = match &event {
                    Event::MessageSent(message) => Reply::Sent(Arc::clone(message)),
                    _ => Reply::Done,
                };
                reply_into(deliveries, &origin, reply);
            }
            let news = News {
                frame: encode::event(&event),
                conversation: event.conversation_id(),
                passing: event.is_passing(),
                acknowledged,
            };
            deliveries.push(Delivery::Event { news, audience });
        }
        Dispatch::Reply { origin, reply } => reply_into(deliveries, &origin, reply),
        Dispatch::Topic { conversation_id, member_epoch, change } => {
            deliveries.push(Delivery::Topic { conversation_id, member_epoch, change });
        }
        Dispatch::Close { user_id, session_id, reason } => {
            deliveries.push(Delivery::Close { user_id, session_id, reason });
        }
    }
}

fn reply_into(deliveries: &mut Vec<Delivery>, origin: &Origin, reply: Reply) {
    // A lane of messages answers each of its commands once, and those are counted by the socket. What
    // else is told to one socket is not: that a receipt is kept, and what is carried out beside it.
    let counted = matches!(reply, Reply::Sent(_) | Reply::Refused(_) | Reply::Failed(_));
    if let Some(frame) = encode::reply(origin, reply) {
        let answer = if counted { Outgoing::Answer(frame) } else { Outgoing::Frame(frame) };
        deliveries.push(Delivery::Reply(origin.connection, answer));
    }
}

#[async_trait]
impl Subscriptions for Hub {
    fn add_worker(&self) -> (WorkerId, WorkerLoop) {
        let (batches, inbox) = mpsc::channel(self.options.worker_queue);
        let (control, commands) = mpsc::unbounded_channel();
        let mut workers = self.workers.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let id = WorkerId(workers.len());
        Arc::make_mut(&mut workers).push(Worker { batches, control });
        let shard = Shard::new(self.options.socket_queue);
        (id, Box::pin(shard.run(inbox, commands)))
    }

    async fn attach(&self, worker: WorkerId, socket: Socket) -> Option<mpsc::Receiver<Outgoing>> {
        let (attached, queue) = oneshot::channel();
        self.control(worker, Control::Attach(socket, attached));
        queue.await.ok()
    }

    async fn subscribe(&self, worker: WorkerId, socket: Socket, topics: Vec<Topic>) {
        let (done, subscribed) = oneshot::channel();
        self.control(worker, Control::Subscribe(socket, topics, done));
        // Not answered by a worker that ended: then there is no socket either.
        let _ = subscribed.await;
    }

    fn detach(&self, worker: WorkerId, socket: Socket) {
        self.control(worker, Control::Detach(socket));
    }
}

#[cfg(test)]
mod tests;
