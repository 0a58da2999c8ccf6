//! The way to the other nodes: Redis, which carries what happens and keeps nothing.

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use kith_domain::UserId;
use redis::{ErrorKind, Pipeline, PushInfo, RedisResult, aio::ConnectionManager};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, info, warn};
use uuid::Uuid;

use super::{
    dispatcher::Arrival,
    envelope::{NodeId, Unread, open},
    interest::{Interest, Wish},
    parcel::Channel,
    servers::{Commands, Heard, Redis, Subscriber},
};

/// How long it waits before it tries again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How often it is asked whether it is there.
const PULSE: Duration = Duration::from_secs(2);
/// What nobody wants any more is listened to for so long: mostly somebody wants it again.
const LINGER: Duration = Duration::from_secs(5);
/// So many channels are listened to in one step.
const STEP: usize = 512;
/// So many envelopes are sent in one step.
const BATCH: usize = 256;
/// So much may come in before it is taken. What comes beyond that is found in the database.
const INCOMING: usize = 16_384;

/// What the name of a person's channel begins with.
const PERSON: &str = "kith:u:";

/// Something for other nodes.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) channel: Channel,
    pub(super) envelope: Arc<[u8]>,
}

/// What listening needs.
pub(super) struct Link {
    pub(super) node: NodeId,
    pub(super) interest: Arc<Interest>,
    pub(super) arrivals: mpsc::WeakSender<Arrival>,
    pub(super) connected: Arc<AtomicBool>,
}

/// Why listening ended.
enum End {
    /// The connection was lost.
    Lost,
    /// Nobody is there any more.
    Over,
}

impl Channel {
    fn name(self) -> String {
        match self {
            Self::Conversation(id) => format!("kith:c:{}", id.as_uuid().simple()),
            Self::User(id) => format!("{PERSON}{}", id.as_uuid().simple()),
        }
    }
}

/// The person whose channel has this name.
fn listener(name: &[u8]) -> Option<UserId> {
    let id = name.strip_prefix(PERSON.as_bytes())?;
    Uuid::try_parse_ascii(id).ok().map(UserId::from_uuid)
}

impl Link {
    /// Starts both directions.
    pub(super) fn start(
        self,
        redis: Redis,
        commands: Commands,
        wishes: mpsc::UnboundedReceiver<Wish>,
        to_send: mpsc::Receiver<Published>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        tasks.spawn(send(commands, to_send, Arc::clone(&self.connected), stop.clone()));
        let stopped = stop.clone();
        tasks.spawn(async move { stopped.run_until_cancelled(self.listen(redis, wishes)).await });
    }

    /// Listens to whatever this node wants to hear, again and again.
    async fn listen(self, redis: Redis, mut wishes: mpsc::UnboundedReceiver<Wish>) {
        let mut pause = FIRST_PAUSE;
        let mut told = false;
        loop {
            let (pushes, incoming) = mpsc::channel(INCOMING);
            match redis.subscriber(pushes).await {
                Ok(subscriber) => {
                    info!("Redis is there");
                    (pause, told) = (FIRST_PAUSE, false);
                    let end = self.serve(subscriber, incoming, &mut wishes).await;
                    self.connected.store(false, Ordering::Relaxed);
                    if matches!(end, End::Over) {
                        return;
                    }
                    warn!("Redis is lost; other nodes hear later of what happens here");
                }
                Err(error) if !told => {
                    told = true;
                    warn!(%error, "Redis cannot be reached; other nodes hear later of what happens here");
                }
                Err(error) => debug!(%error, "Redis cannot be reached"),
            }
            // Nobody waits for what cannot be done now.
            let retry = tokio::time::sleep(pause);
            tokio::pin!(retry);
            loop {
                tokio::select! {
                    () = &mut retry => break,
                    wish = wishes.recv() => match wish {
                        Some(Wish::Fence(done)) => drop(done),
                        Some(Wish::Listen(_) | Wish::Release(_)) => {}
                        None => return,
                    },
                }
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn serve(
        &self,
        mut subscriber: Subscriber,
        mut incoming: mpsc::Receiver<PushInfo>,
        wishes: &mut mpsc::UnboundedReceiver<Wish>,
    ) -> End {
        let mut listening = HashSet::new();
        if self.add(&mut subscriber, &mut listening, self.interest.all()).await.is_err() {
            return End::Lost;
        }
        self.connected.store(true, Ordering::Relaxed);
        let mut leaving: VecDeque<(Instant, Channel)> = VecDeque::new();
        let mut asked = Vec::with_capacity(STEP);
        let mut pulse = tokio::time::interval(PULSE);
        let mut unknown = 0;
        loop {
            tokio::select! {
                push = incoming.recv() => match push {
                    Some(push) => match subscriber.hear(push) {
                        Heard::Envelope { channel, envelope } => {
                            let person = listener(&channel);
                            if self.heard(&envelope, person, &mut unknown).await.is_err() {
                                return End::Over;
                            }
                        }
                        Heard::Lost => return End::Lost,
                        Heard::Nothing => {}
                    },
                    None => return End::Lost,
                },
                count = wishes.recv_many(&mut asked, STEP) => {
                    if count == 0 {
                        return End::Over;
                    }
                    if self.grant(&mut subscriber, &mut listening, &mut leaving, &mut asked).await.is_err() {
                        return End::Lost;
                    }
                }
                _ = pulse.tick() => {
                    if unknown > 0 {
                        warn!(envelopes = unknown, "a newer node tells what is not understood here");
                        unknown = 0;
                    }
                    let left = self.leave(&mut subscriber, &mut listening, &mut leaving).await;
                    if let Err(error) = left.and(subscriber.check().await) {
                        debug!(%error, "Redis is not as it was");
                        return End::Lost;
                    }
                }
            }
        }
    }

    /// Does what was asked for, and answers those who wait for it.
    async fn grant(
        &self,
        subscriber: &mut Subscriber,
        listening: &mut HashSet<Channel>,
        leaving: &mut VecDeque<(Instant, Channel)>,
        asked: &mut Vec<Wish>,
    ) -> RedisResult<()> {
        let (mut wanted, mut fences) = (Vec::new(), Vec::new());
        for wish in asked.drain(..) {
            match wish {
                Wish::Listen(channel) => wanted.push(channel),
                Wish::Release(channel) => leaving.push_back((Instant::now() + LINGER, channel)),
                Wish::Fence(done) => fences.push(done),
            }
        }
        let outcome = self.add(subscriber, listening, wanted).await;
        for fence in fences {
            // Whoever waited may be gone.
            let _ = fence.send(());
        }
        outcome
    }

    async fn add(
        &self,
        subscriber: &mut Subscriber,
        listening: &mut HashSet<Channel>,
        wanted: Vec<Channel>,
    ) -> RedisResult<()> {
        let new: Vec<Channel> =
            wanted.into_iter().filter(|channel| listening.insert(*channel)).collect();
        for step in new.chunks(STEP) {
            let names: Vec<String> = step.iter().map(|channel| channel.name()).collect();
            subscriber.subscribe(&names).await?;
        }
        Ok(())
    }

    /// Stops listening to what nobody has wanted for a while.
    async fn leave(
        &self,
        subscriber: &mut Subscriber,
        listening: &mut HashSet<Channel>,
        leaving: &mut VecDeque<(Instant, Channel)>,
    ) -> RedisResult<()> {
        let now = Instant::now();
        let mut names = Vec::new();
        while let Some((_, channel)) = leaving.front().filter(|(at, _)| *at <= now).copied() {
            leaving.pop_front();
            if !self.interest.has(channel) && listening.remove(&channel) {
                names.push(channel.name());
            }
        }
        for step in names.chunks(STEP) {
            subscriber.unsubscribe(step).await?;
        }
        Ok(())
    }

    /// Takes in what another node has told, and counts what is not understood. `Err`: nobody is there
    /// any more to be told.
    async fn heard(
        &self,
        envelope: &[u8],
        listener: Option<UserId>,
        unknown: &mut u64,
    ) -> Result<(), ()> {
        match open(envelope, listener) {
            Ok((from, _)) if from == self.node => Ok(()),
            Ok((_, parcel)) => {
                let arrivals = self.arrivals.upgrade().ok_or(())?;
                arrivals.send(Arrival::Foreign(parcel)).await.map_err(drop)
            }
            Err(Unread::Unknown) => {
                // What it tells is found in the database.
                *unknown += 1;
                Ok(())
            }
            Err(Unread::Broken) => {
                warn!("something that is no envelope came by way of Redis");
                Ok(())
            }
        }
    }
}

/// Sends to other nodes, in order, as far as Redis takes it.
async fn send(
    redis: Commands,
    mut to_send: mpsc::Receiver<Published>,
    connected: Arc<AtomicBool>,
    stop: CancellationToken,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while to_send.recv_many(&mut batch, BATCH).await > 0 {
        if stop.is_cancelled() && !connected.load(Ordering::Relaxed) {
            // They find it in the database, and need not be waited for.
            batch.clear();
            continue;
        }
        let published = batch.drain(..).map(|it| (it.channel.name(), it.envelope));
        join_all(redis.publishing(published).into_iter().map(tell)).await;
    }
}

async fn tell((mut connection, pipeline): (ConnectionManager, Pipeline)) {
    // The first attempt may be what finds that the connection is gone.
    for last in [false, true] {
        let sent: RedisResult<()> = pipeline.query_async(&mut connection).await;
        match sent {
            Ok(()) => return,
            Err(error) if last || matches!(error.kind(), ErrorKind::Server(_)) => {
                return debug!(%error, "other nodes were not told");
            }
            Err(_) => {}
        }
    }
}
