//! The way to the other nodes: Redis, which carries what happens and keeps nothing.

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo as _, Pipeline, ProtocolVersion, PushInfo,
    PushKind, RedisResult, Value,
    aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, info, warn};

use super::{
    ClusterError,
    dispatcher::Arrival,
    envelope::{NodeId, Unread, open},
    interest::{Interest, Wish},
    parcel::Channel,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(1);
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

/// Something for other nodes.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) channel: Channel,
    pub(super) envelope: Arc<[u8]>,
}

/// What both directions need.
#[derive(Clone)]
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
            Self::User(id) => format!("kith:u:{}", id.as_uuid().simple()),
        }
    }
}

/// The way to the Redis at this URL. Connects to nothing.
pub(super) fn client(url: &str) -> Result<Client, ClusterError> {
    let wrong = |error: redis::RedisError| ClusterError::Url(error.to_string());
    let info = url.into_connection_info().map_err(wrong)?;
    // Answers to what was subscribed come between what is published: that needs RESP3.
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Client::open(info.set_redis_settings(settings)).map_err(wrong)
}

/// A connection that comes back by itself, made when it is first used.
pub(super) fn manager(client: &Client) -> Result<ConnectionManager, ClusterError> {
    let config = ConnectionManagerConfig::new()
        .set_number_of_retries(0)
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    ConnectionManager::new_lazy_with_config(client.clone(), config)
        .map_err(|error| ClusterError::Url(error.to_string()))
}

impl Link {
    /// Starts both directions.
    pub(super) fn start(
        self,
        client: Client,
        redis: ConnectionManager,
        wishes: mpsc::UnboundedReceiver<Wish>,
        to_send: mpsc::Receiver<Published>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        tasks.spawn(send(redis, to_send));
        let stopped = stop.clone();
        tasks.spawn(async move { stopped.run_until_cancelled(self.listen(client, wishes)).await });
    }

    /// Listens to whatever this node wants to hear, again and again.
    async fn listen(self, client: Client, mut wishes: mpsc::UnboundedReceiver<Wish>) {
        let mut pause = FIRST_PAUSE;
        let mut told = false;
        loop {
            match self.connect(&client).await {
                Ok((connection, incoming)) => {
                    info!("Redis is there");
                    (pause, told) = (FIRST_PAUSE, false);
                    let end = self.serve(connection, incoming, &mut wishes).await;
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

    async fn connect(
        &self,
        client: &Client,
    ) -> RedisResult<(MultiplexedConnection, mpsc::Receiver<PushInfo>)> {
        let (pushes, incoming) = mpsc::channel(INCOMING);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_push_sender(move |push: PushInfo| match pushes.try_send(push) {
                // What there is no room for is found in the database.
                Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => Ok(()),
                Err(mpsc::error::TrySendError::Closed(_)) => Err(redis::aio::SendError),
            });
        let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok((connection, incoming))
    }

    async fn serve(
        &self,
        mut connection: MultiplexedConnection,
        mut incoming: mpsc::Receiver<PushInfo>,
        wishes: &mut mpsc::UnboundedReceiver<Wish>,
    ) -> End {
        let mut listening = HashSet::new();
        if self.add(&mut connection, &mut listening, self.interest.all()).await.is_err() {
            return End::Lost;
        }
        self.connected.store(true, Ordering::Relaxed);
        let mut leaving: VecDeque<(Instant, Channel)> = VecDeque::new();
        let mut asked = Vec::with_capacity(STEP);
        let mut pulse = tokio::time::interval(PULSE);
        loop {
            tokio::select! {
                push = incoming.recv() => match push {
                    Some(push) if push.kind == PushKind::Disconnection => return End::Lost,
                    Some(push) => if self.heard(push).await.is_err() { return End::Over },
                    None => return End::Lost,
                },
                count = wishes.recv_many(&mut asked, STEP) => {
                    if count == 0 {
                        return End::Over;
                    }
                    if self.grant(&mut connection, &mut listening, &mut leaving, &mut asked).await.is_err() {
                        return End::Lost;
                    }
                }
                _ = pulse.tick() => {
                    let left = self.leave(&mut connection, &mut listening, &mut leaving).await;
                    let ping: RedisResult<Value> = redis::cmd("PING").query_async(&mut connection).await;
                    if left.is_err() || ping.is_err() {
                        return End::Lost;
                    }
                }
            }
        }
    }

    /// Does what was asked for, and answers those who wait for it.
    async fn grant(
        &self,
        connection: &mut MultiplexedConnection,
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
        let outcome = self.add(connection, listening, wanted).await;
        for fence in fences {
            // Whoever waited may be gone.
            let _ = fence.send(());
        }
        outcome
    }

    async fn add(
        &self,
        connection: &mut MultiplexedConnection,
        listening: &mut HashSet<Channel>,
        wanted: Vec<Channel>,
    ) -> RedisResult<()> {
        let new: Vec<Channel> =
            wanted.into_iter().filter(|channel| listening.insert(*channel)).collect();
        for step in new.chunks(STEP) {
            let names: Vec<String> = step.iter().map(|channel| channel.name()).collect();
            connection.subscribe(names).await?;
        }
        Ok(())
    }

    /// Stops listening to what nobody has wanted for a while.
    async fn leave(
        &self,
        connection: &mut MultiplexedConnection,
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
            connection.unsubscribe(step).await?;
        }
        Ok(())
    }

    /// Takes in what another node has told. `Err`: nobody is there any more to be told.
    async fn heard(&self, push: PushInfo) -> Result<(), ()> {
        if push.kind != PushKind::Message {
            return Ok(());
        }
        let Some(Value::BulkString(envelope)) = push.data.last() else { return Ok(()) };
        match open(envelope) {
            Ok((from, _)) if from == self.node => Ok(()),
            Ok((_, parcel)) => {
                let arrivals = self.arrivals.upgrade().ok_or(())?;
                arrivals.send(Arrival::Foreign(parcel)).await.map_err(drop)
            }
            Err(Unread::Unknown) => {
                debug!("a newer node has told something that is not understood here");
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
async fn send(mut redis: ConnectionManager, mut to_send: mpsc::Receiver<Published>) {
    let mut batch = Vec::with_capacity(BATCH);
    while to_send.recv_many(&mut batch, BATCH).await > 0 {
        let mut pipeline = Pipeline::with_capacity(batch.len());
        for Published { channel, envelope } in batch.drain(..) {
            pipeline.publish(channel.name(), &*envelope).ignore();
        }
        // The first attempt may be what finds that the connection is gone.
        for last in [false, true] {
            let sent: RedisResult<()> = pipeline.query_async(&mut redis).await;
            match sent {
                Ok(()) => break,
                Err(error) if last => debug!(%error, "other nodes were not told"),
                Err(_) => {}
            }
        }
    }
}
