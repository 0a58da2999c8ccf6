use std::{
    sync::{Arc, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use kith_ports::{
    Topic,
    live::{Dispatch, EventBus, Outgoing, Socket, Subscriptions, WorkerId, WorkerLoop},
    tail::TailPosition,
};
use tokio::sync::{mpsc, oneshot};
use tracing::debug;

use crate::{
    cluster::Interest,
    encode::encode_into,
    shard::{Control, Delivery, Shard},
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
    /// Told what the sockets here want to hear, where it comes from other nodes too.
    interest: Option<Arc<Interest>>,
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
        Self { options, interest: None, workers: RwLock::default() }
    }

    /// A hub without workers, whose sockets hear of other nodes too.
    pub(crate) fn heard_by(options: HubOptions, interest: Arc<Interest>) -> Self {
        Self { interest: Some(interest), ..Self::new(options) }
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

    /// Hands over to the workers, in order; waits while they are behind.
    pub(crate) async fn deliver(&self, deliveries: Vec<Delivery>) {
        if deliveries.is_empty() {
            return;
        }
        let deliveries = Arc::new(deliveries);
        for (number, worker) in self.workers().iter().enumerate() {
            if worker.batches.send(Arc::clone(&deliveries)).await.is_err() {
                debug!(worker = number, "a worker is gone; its sockets heard nothing of this");
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
        if self.workers().is_empty() {
            return;
        }
        let mut deliveries = Vec::with_capacity(batch.len());
        for dispatch in batch {
            encode_into(&mut deliveries, dispatch);
        }
        self.deliver(deliveries).await;
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
        let shard = Shard::new(self.options.socket_queue, self.interest.clone());
        (id, Box::pin(shard.run(inbox, commands)))
    }

    async fn attach(&self, worker: WorkerId, socket: Socket) -> Option<mpsc::Receiver<Outgoing>> {
        let (attached, queue) = oneshot::channel();
        self.control(worker, Control::Attach(socket, attached));
        queue.await.ok()
    }

    async fn subscribe(&self, worker: WorkerId, socket: Socket, topics: Vec<Topic>) -> bool {
        let (done, subscribed) = oneshot::channel();
        self.control(worker, Control::Subscribe(socket, topics, done));
        // Not answered by a worker that ended: then there is no socket either.
        subscribed.await.is_ok()
    }

    fn detach(&self, worker: WorkerId, socket: Socket) {
        self.control(worker, Control::Detach(socket));
    }

    fn is_whole(&self) -> bool {
        true
    }

    fn told(&self) -> Option<TailPosition> {
        None
    }
}

#[cfg(test)]
mod tests;
