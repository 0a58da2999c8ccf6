//! Several nodes as one.
//!
//! [`Cluster`] is the event bus and the registry of sockets of a node that has others beside it. What
//! this node has stored goes to its own sockets directly and to the other nodes by way of Redis; what
//! they have stored comes the same way. Redis may lose it, or bring it late: so each conversation is
//! told in the order of its changes ([`line`]), and what does not come is read from the database
//! ([`healing`]), whose log of changes every node follows.

mod board;
mod dispatcher;
mod envelope;
mod healing;
mod interest;
mod line;
mod link;
mod parcel;
mod servers;
mod tally;
#[cfg(test)]
mod testing;

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use kith_domain::{ConversationId, conversation::Version};
use kith_ports::{
    StoreResult, Topic,
    live::{Dispatch, EventBus, Outgoing, Socket, Subscriptions, WorkerId, WorkerLoop},
    tail::{ChangeTail, Tail, TailPosition},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

pub use self::{board::SharedBoard, tally::SharedTally};
use self::{
    dispatcher::{Arrival, Dispatcher},
    envelope::{NodeId, seal},
    link::{Link, Published},
    parcel::{Parcel, pack},
    servers::Redis,
};
pub(crate) use self::{interest::Interest, parcel::Channel};
use crate::hub::{Hub, HubOptions};

/// So much may wait to be told before those who publish wait.
const WAITING: usize = 1_024;
/// So much may wait to be sent to other nodes. What comes beyond that they find in the database.
const SENDING: usize = 16_384;

/// So long a socket waits for what came before it to be told to others.
const UNTOLD: Duration = Duration::from_secs(5);

/// How the nodes work together.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Where Redis is: `redis://…`, or a cluster, `redis+cluster://…`; with TLS `rediss…`.
    pub url: String,
    /// How often the log of changes is read.
    pub tail_every: Duration,
    /// How long a node that says nothing is taken to live.
    pub lease: Duration,
}

/// Why the nodes cannot be brought together.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The URL is none.
    #[error(
        "it is not the URL of a Redis server, like `redis://host:6379`, or of a cluster, like `redis+cluster://host:6379,host:6379`: {0}"
    )]
    Url(String),
}

/// The sockets of this node, and the bus that tells them and other nodes what happened.
pub struct Cluster {
    hub: Arc<Hub>,
    node: NodeId,
    interest: Arc<Interest>,
    arrivals: mpsc::Sender<Arrival>,
    published: mpsc::Sender<Published>,
    connected: Arc<AtomicBool>,
    /// Up to where in the log all has been told.
    told: Arc<AtomicI64>,
    board: Arc<SharedBoard>,
    tally: Arc<SharedTally>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Cluster {
    /// Joins the other nodes. Redis may be away: then they are joined when it comes.
    ///
    /// What this runs are tasks of `tasks`. They end when `stop` is cancelled and everything handed
    /// over has been told.
    ///
    /// # Errors
    /// [`ClusterError::Url`].
    pub fn join(
        options: &ClusterOptions,
        hub: HubOptions,
        tail: Arc<dyn ChangeTail>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<Self, ClusterError> {
        let node = uuid::Uuid::new_v4().as_u64_pair().0;
        let (interest, wishes) = Interest::new();
        let interest = Arc::new(interest);
        let hub = Arc::new(Hub::heard_by(hub, Arc::clone(&interest)));
        let (arrivals, arrived) = mpsc::channel(WAITING);
        let (published, to_send) = mpsc::channel(SENDING);
        let connected = Arc::new(AtomicBool::new(false));
        let link = Link {
            node,
            interest: Arc::clone(&interest),
            arrivals: arrivals.downgrade(),
            connected: Arc::clone(&connected),
        };
        let redis = Redis::at(&options.url)?;
        let shared = redis.commands()?;
        let tally = Arc::new(SharedTally::new(shared.clone(), Arc::clone(&connected)));
        let board = Arc::new(SharedBoard::new(shared, options.lease, Arc::clone(&connected)));
        link.start(redis.clone(), redis.commands()?, wishes, to_send, tasks, stop);
        let dispatcher = Dispatcher::new(Arc::clone(&hub), Arc::clone(&interest), tail.clone());
        let told = dispatcher.told();
        tasks.spawn(dispatcher.run(arrived));
        let (turns, taken) = mpsc::channel(1);
        tasks.spawn({
            let (board, stop) = (Arc::clone(&board), stop.clone());
            async move { stop.run_until_cancelled(board.tend(taken)).await }
        });
        tasks.spawn({
            let (board, stop, arrivals) = (Arc::clone(&board), stop.clone(), arrivals.downgrade());
            async move {
                stop.run_until_cancelled(board.hold(arrivals, turns)).await;
                board.give_up().await;
            }
        });
        let follow = follow(tail, options.tail_every, arrivals.downgrade());
        let stopped = stop.clone();
        tasks.spawn(async move { stopped.run_until_cancelled(follow).await });
        info!(node = format!("{node:016x}"), "one of several nodes");
        Ok(Self { hub, node, interest, arrivals, published, connected, told, board, tally })
    }

    /// Checks that `url` can name a Redis server, or a cluster. Connects to nothing.
    ///
    /// # Errors
    /// [`ClusterError::Url`].
    pub fn check(url: &str) -> Result<(), ClusterError> {
        Redis::at(url).map(drop)
    }

    /// The sockets of this node.
    pub const fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Who is online on any node.
    pub const fn board(&self) -> &Arc<SharedBoard> {
        &self.board
    }

    /// Counts that all nodes share.
    pub const fn tally(&self) -> &Arc<SharedTally> {
        &self.tally
    }

    /// Waits until what tells the sockets has ended, which it does not while there is a handle.
    pub async fn crashed(&self) {
        self.arrivals.closed().await;
    }

    /// Sends to the other nodes what concerns them, as far as there is room.
    fn send(&self, parcels: &[Parcel]) {
        for parcel in parcels {
            let routes = parcel.routes();
            if routes.is_empty() {
                continue;
            }
            let envelope: Arc<[u8]> = seal(self.node, parcel).into();
            for channel in routes {
                let published = Published { channel, envelope: Arc::clone(&envelope) };
                if self.published.try_send(published).is_err() {
                    // They find it in the database.
                    return;
                }
            }
        }
    }
}

/// Reads the log of changes, again and again.
async fn follow(tail: Arc<dyn ChangeTail>, every: Duration, arrivals: mpsc::WeakSender<Arrival>) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut position = None;
    let mut known = HashSet::new();
    loop {
        ticks.tick().await;
        match catch_up(&*tail, &mut position, &mut known, &arrivals).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => warn!(%error, "the log of changes was not read; it is tried again"),
        }
    }
}

/// Reads what was added to the log. `false` if nobody is there any more who wants to know.
async fn catch_up(
    tail: &dyn ChangeTail,
    position: &mut Option<TailPosition>,
    // What the last time has brought: it comes again for as long as an older transaction is open.
    known: &mut HashSet<(ConversationId, Version)>,
    arrivals: &mpsc::WeakSender<Arrival>,
) -> StoreResult<bool> {
    let asked_at = Instant::now();
    let read = match *position {
        Some(from) => tail.since(from).await?,
        None => Tail { next: tail.end().await?, ..Tail::default() },
    };
    *position = Some(read.next);
    let mut changes = read.changes;
    let brought = changes.iter().map(|it| (it.conversation_id, it.version)).collect();
    changes.retain(|it| !known.contains(&(it.conversation_id, it.version)));
    *known = brought;
    let Some(arrivals) = arrivals.upgrade() else { return Ok(false) };
    if !read.ended.is_empty() && arrivals.send(Arrival::Ended(read.ended)).await.is_err() {
        return Ok(false);
    }
    if read.lost && arrivals.send(Arrival::Lost).await.is_err() {
        return Ok(false);
    }
    let logged = Arrival::Logged { changes, next: read.next, asked_at };
    Ok(arrivals.send(logged).await.is_ok())
}

#[async_trait]
impl EventBus for Cluster {
    async fn publish(&self, batch: Vec<Dispatch>) {
        if batch.is_empty() {
            return;
        }
        let parcels = pack(batch);
        self.send(&parcels);
        // The dispatcher ends after everything that publishes.
        let _ = self.arrivals.send(Arrival::Own(parcels)).await;
    }
}

#[async_trait]
impl Subscriptions for Cluster {
    fn add_worker(&self) -> (WorkerId, WorkerLoop) {
        self.hub.add_worker()
    }

    async fn attach(&self, worker: WorkerId, socket: Socket) -> Option<mpsc::Receiver<Outgoing>> {
        let queue = self.hub.attach(worker, socket).await?;
        // What is read for it from now on is older than what it hears.
        self.interest.settled().await;
        Some(queue)
    }

    async fn subscribe(&self, worker: WorkerId, socket: Socket, topics: Vec<Topic>) -> bool {
        let channels: Vec<Channel> =
            topics.iter().map(|topic| Channel::Conversation(topic.conversation_id)).collect();
        for channel in &channels {
            self.interest.want(*channel);
        }
        self.interest.settled().await;
        let (wait, told) = oneshot::channel();
        let _ = self.arrivals.send(Arrival::Known(topics.clone(), wait)).await;
        // What is older than what was read for it is not for it: he may have come in since.
        let listens =
            timeout(UNTOLD, told).await.is_ok() && self.hub.subscribe(worker, socket, topics).await;
        if !listens {
            warn!(user = %socket.user_id, "what came before a socket is not told; it is let go");
            self.hub.detach(worker, socket);
        }
        for channel in channels {
            self.interest.release(channel);
        }
        listens
    }

    fn detach(&self, worker: WorkerId, socket: Socket) {
        self.hub.detach(worker, socket);
    }

    fn is_whole(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    fn told(&self) -> Option<TailPosition> {
        Some(TailPosition(self.told.load(Ordering::Relaxed)))
    }
}
