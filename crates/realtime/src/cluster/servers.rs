//! Redis: one server, or a cluster, whose masters have the keys and the channels between them.
//!
//! A cluster is taken whole. Each of its masters is connected to, and has the channels whose names lie
//! in its slots (`SSUBSCRIBE`, `SPUBLISH`). While one of them is away, or they do not say the same of
//! who has what, it is as if Redis were away; and where a slot goes to another master, all connections
//! are made anew.

use std::sync::{Arc, PoisonError, RwLock};

use futures_util::future::{select_ok, try_join_all};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo as _, Pipeline,
    ProtocolVersion, PushInfo, PushKind, RedisError, RedisResult, Value,
    aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
};
use tokio::{sync::mpsc, time::Duration};

use super::ClusterError;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// So many slots has a cluster.
const SLOTS: usize = 16_384;

/// Redis, as its URL names it.
#[derive(Clone)]
pub(super) enum Redis {
    /// One server.
    Single(Box<Client>),
    /// A cluster of them.
    Sharded(Arc<Sharded>),
}

/// A cluster.
pub(super) struct Sharded {
    /// The servers that the URL names. Each knows all.
    named: Vec<Client>,
    /// The masters, as they were found last.
    found: RwLock<Arc<Masters>>,
}

/// The masters of a cluster, in the order of their slots.
#[derive(Default)]
struct Masters {
    slots: Slots,
    connections: Vec<ConnectionManager>,
}

/// Which master has which slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Slots {
    masters: Vec<String>,
    /// For each slot the place of its master.
    of: Vec<usize>,
}

/// Where a master is: its port, and its host, if that is another one than of whoever was asked.
type Address = (Option<String>, u16);

/// The way of commands to whichever server has their key. Connections come back by themselves, and are
/// made when they are first used.
#[derive(Clone)]
pub(super) enum Commands {
    Single(ConnectionManager),
    Sharded(Arc<Sharded>),
}

/// What this node listens by. Dropped, it listens to nothing any more.
pub(super) struct Subscriber {
    connections: Vec<MultiplexedConnection>,
    /// Which of them has which channel, if there may be several.
    slots: Option<Slots>,
    /// So many channels were let go whose end has not been confirmed.
    ending: usize,
}

/// What came in.
pub(super) enum Heard {
    /// Something was published.
    Envelope { channel: Vec<u8>, envelope: Vec<u8> },
    /// What is wanted may not be heard any more.
    Lost,
    /// Nothing that counts.
    Nothing,
}

impl Redis {
    /// Reads a URL. Connects to nothing.
    pub(super) fn at(url: &str) -> Result<Self, ClusterError> {
        let wrong = |problem: &str| ClusterError::Url(problem.to_owned());
        let odd = |error: RedisError| wrong(&error.to_string());
        let Some((scheme, cluster)) = url.split_once("+cluster://") else {
            if url.rsplit('@').next().is_some_and(|hosts| hosts.contains(',')) {
                return Err(wrong("several servers are a cluster, `redis+cluster://…`"));
            }
            return client(url).map(|it| Self::Single(Box::new(it))).map_err(odd);
        };
        // Each server is asked as the same user.
        let (user, hosts) = cluster.split_at(cluster.rfind('@').map_or(0, |at| at + 1));
        if hosts.contains(['/', '?', '#']) {
            return Err(wrong("nothing follows the servers of a cluster"));
        }
        let named = hosts.split(',').map(|host| client(&format!("{scheme}://{user}{host}")));
        let named = named.collect::<RedisResult<_>>().map_err(odd)?;
        Ok(Self::Sharded(Arc::new(Sharded { named, found: RwLock::default() })))
    }

    /// The way of commands.
    pub(super) fn commands(&self) -> Result<Commands, ClusterError> {
        match self {
            Self::Single(client) => manager(client)
                .map(Commands::Single)
                .map_err(|error| ClusterError::Url(error.to_string())),
            Self::Sharded(sharded) => Ok(Commands::Sharded(Arc::clone(sharded))),
        }
    }

    /// Connects, to listen. What comes goes to `pushes`, as far as there is room.
    pub(super) async fn subscriber(
        &self,
        pushes: mpsc::Sender<PushInfo>,
    ) -> RedisResult<Subscriber> {
        match self {
            Self::Single(client) => {
                let mut connection = connect(client, Some(&pushes)).await?;
                let mut question = redis::cmd("INFO");
                let said = question.arg("cluster").query_async(&mut connection).await;
                // Who may not ask is believed.
                if said.is_ok_and(|said: String| said.contains("cluster_enabled:1")) {
                    return Err(broken("it is of a cluster: name it `redis+cluster://…`"));
                }
                Ok(Subscriber { connections: vec![connection], slots: None, ending: 0 })
            }
            Self::Sharded(sharded) => sharded.subscriber(&pushes).await,
        }
    }
}

impl Sharded {
    async fn subscriber(&self, pushes: &mpsc::Sender<PushInfo>) -> RedisResult<Subscriber> {
        let (clients, slots) = self.find().await?;
        let connections = clients.iter().map(|client| connect(client, Some(pushes)));
        let connections = try_join_all(connections).await?;
        let mut subscriber = Subscriber { connections, slots: Some(slots.clone()), ending: 0 };
        subscriber.check().await?;
        let connections = clients.iter().map(manager).collect::<RedisResult<_>>()?;
        let masters = Arc::new(Masters { slots, connections });
        *self.found.write().unwrap_or_else(PoisonError::into_inner) = masters;
        Ok(subscriber)
    }

    /// Finds the masters, and who has which slots.
    async fn find(&self) -> RedisResult<(Vec<Client>, Slots)> {
        let answers = self.named.iter().map(|named| {
            Box::pin(async move {
                let (slots, addresses) = ask(&mut connect(named, None).await?).await?;
                let masters = addresses.into_iter().map(|address| beside(named, address));
                Ok((masters.collect::<RedisResult<_>>()?, slots))
            })
        });
        // Whoever answers first: whether he is right is seen when all are asked.
        select_ok(answers).await.map(|(found, _)| found)
    }

    fn masters(&self) -> Arc<Masters> {
        self.found.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Commands {
    /// The connection to the server that has this key.
    pub(super) fn to(&self, key: &str) -> RedisResult<ConnectionManager> {
        match self {
            Self::Single(connection) => Ok(connection.clone()),
            Self::Sharded(sharded) => {
                let masters = sharded.masters();
                let connection = masters.slots.master(key).map(|at| &masters.connections[at]);
                connection.cloned().ok_or_else(|| broken("the masters are not known yet"))
            }
        }
    }

    /// What is to be sent to publish this, in order: to each server its own.
    pub(super) fn publishing(
        &self,
        published: impl ExactSizeIterator<Item = (String, Arc<[u8]>)>,
    ) -> Vec<(ConnectionManager, Pipeline)> {
        match self {
            Self::Single(connection) => {
                let mut pipeline = Pipeline::with_capacity(published.len());
                for (channel, envelope) in published {
                    pipeline.publish(channel, &*envelope).ignore();
                }
                vec![(connection.clone(), pipeline)]
            }
            Self::Sharded(sharded) => {
                let masters = sharded.masters();
                let connections = masters.connections.iter().cloned();
                let mut all: Vec<_> = connections.map(|it| (it, Pipeline::new())).collect();
                for (channel, envelope) in published {
                    if let Some(master) = masters.slots.master(&channel) {
                        all[master].1.spublish(channel, &*envelope).ignore();
                    }
                }
                all.retain(|(_, pipeline)| !pipeline.is_empty());
                all
            }
        }
    }
}

impl Subscriber {
    /// Listens to these channels from now on.
    pub(super) async fn subscribe(&mut self, channels: &[String]) -> RedisResult<()> {
        if self.slots.is_some() {
            self.each("SSUBSCRIBE", channels).await
        } else {
            self.connections[0].subscribe(channels).await
        }
    }

    /// Listens to them no more.
    pub(super) async fn unsubscribe(&mut self, channels: &[String]) -> RedisResult<()> {
        if self.slots.is_some() {
            self.ending += channels.len();
            self.each("SUNSUBSCRIBE", channels).await
        } else {
            self.connections[0].unsubscribe(channels).await
        }
    }

    /// A command for each channel, since one may name channels of one slot alone: those of one master
    /// go together.
    async fn each(&mut self, command: &str, channels: &[String]) -> RedisResult<()> {
        let mut pipelines = vec![Pipeline::new(); self.connections.len()];
        for channel in channels {
            let master = self.slots.as_ref().and_then(|slots| slots.master(channel));
            pipelines[master.unwrap_or_default()].cmd(command).arg(channel).ignore();
        }
        let each = self.connections.iter_mut().zip(&pipelines);
        let each = each.filter(|(_, pipeline)| !pipeline.is_empty());
        try_join_all(each.map(|(connection, pipeline)| pipeline.exec_async(connection))).await?;
        Ok(())
    }

    /// Looks whether everything is as it was: all masters are there and say the same.
    pub(super) async fn check(&mut self) -> RedisResult<()> {
        let Some(slots) = &self.slots else {
            return redis::cmd("PING").exec_async(&mut self.connections[0]).await;
        };
        let said = try_join_all(self.connections.iter_mut().map(ask)).await?;
        if said.iter().any(|(said, _)| said != slots) {
            return Err(broken("the masters do not agree, or have changed"));
        }
        Ok(())
    }

    /// What a push means.
    pub(super) fn hear(&mut self, push: PushInfo) -> Heard {
        match push.kind {
            PushKind::Message | PushKind::SMessage => match <[Value; 2]>::try_from(push.data) {
                Ok([Value::BulkString(channel), Value::BulkString(envelope)]) => {
                    Heard::Envelope { channel, envelope }
                }
                _ => Heard::Nothing,
            },
            PushKind::Disconnection => Heard::Lost,
            // One that nobody has asked for says that its slot went to another master. From then on
            // answers on this connection may be taken for others.
            PushKind::SUnsubscribe if self.ending == 0 => Heard::Lost,
            PushKind::SUnsubscribe => {
                self.ending -= 1;
                Heard::Nothing
            }
            _ => Heard::Nothing,
        }
    }
}

impl Slots {
    /// Reads what `CLUSTER SLOTS` says, and where the masters are. `None` if it is not understood, or
    /// somebody is missing.
    fn read(rows: &[Value]) -> Option<(Self, Vec<Address>)> {
        let mut shares = rows.iter().map(share).collect::<Option<Vec<_>>>()?;
        shares.sort_unstable();
        let mut addresses = Vec::new();
        let mut slots = Self { masters: Vec::new(), of: Vec::with_capacity(SLOTS) };
        for (first, last, name, address) in shares {
            let known = slots.masters.iter().position(|it| *it == name);
            let master = known.unwrap_or(slots.masters.len());
            if known.is_none() {
                slots.masters.push(name);
                addresses.push(address);
            }
            if slots.of.len() != first || last < first || last >= SLOTS {
                return None;
            }
            slots.of.resize(last + 1, master);
        }
        (slots.of.len() == SLOTS).then_some((slots, addresses))
    }

    /// The place of the master that has a key, or carries a channel; `None` as long as none is known.
    fn master(&self, key: &str) -> Option<usize> {
        self.of.get(slot(key.as_bytes())).copied()
    }
}

/// One row of `CLUSTER SLOTS`: the first slot and the last, and the name and the address of the master.
fn share(row: &Value) -> Option<(usize, usize, String, Address)> {
    let Value::Array(row) = row else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = row.as_slice() else {
        return None;
    };
    let [host, Value::Int(port), name, ..] = master.as_slice() else { return None };
    let host: Option<String> = redis::from_redis_value_ref(host).ok()?;
    // It is there, and nobody has said by which name.
    if host.as_deref() == Some("?") {
        return None;
    }
    let address = (host.filter(|host| !host.is_empty()), u16::try_from(*port).ok()?);
    let name = redis::from_redis_value_ref(name).ok()?;
    Some((usize::try_from(*first).ok()?, usize::try_from(*last).ok()?, name, address))
}

/// The slot of a key or channel (Redis cluster specification, "Key distribution model": CRC16/XMODEM of
/// what stands between the first braces, or of all).
fn slot(key: &[u8]) -> usize {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let length = rest.iter().position(|byte| *byte == b'}')?;
        (length > 0).then(|| &rest[..length])
    });
    let crc = tag.unwrap_or(key).iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    });
    usize::from(crc) % SLOTS
}

/// What a server of a cluster says of it.
async fn ask(connection: &mut MultiplexedConnection) -> RedisResult<(Slots, Vec<Address>)> {
    let mut questions = Pipeline::new();
    questions.cmd("CLUSTER").arg("INFO").cmd("CLUSTER").arg("SLOTS");
    // Unknown before Redis 7, as are sharded channels.
    questions.cmd("PUBSUB").arg("SHARDNUMSUB").ignore();
    let (state, rows): (String, Vec<Value>) = questions.query_async(connection).await?;
    if !state.contains("cluster_state:ok") {
        return Err(broken("the cluster is down"));
    }
    Slots::read(&rows).ok_or_else(|| broken("not every slot of the cluster has a master"))
}

fn broken(problem: &'static str) -> RedisError {
    RedisError::from((ErrorKind::Client, problem))
}

/// The way to the server at this URL.
fn client(url: &str) -> RedisResult<Client> {
    let info = url.into_connection_info()?;
    // Answers to what was subscribed come between what is published: that needs RESP3.
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Client::open(info.set_redis_settings(settings))
}

/// The way to another server of the same cluster.
fn beside(known: &Client, (host, port): Address) -> RedisResult<Client> {
    let info = known.get_connection_info().clone();
    let mut address = info.addr().clone();
    if let ConnectionAddr::Tcp(to, at) | ConnectionAddr::TcpTls { host: to, port: at, .. } =
        &mut address
    {
        *at = port;
        if let Some(host) = host {
            *to = host;
        }
    }
    Client::open(info.set_addr(address))
}

/// A connection that comes back by itself, made when it is first used.
fn manager(client: &Client) -> RedisResult<ConnectionManager> {
    let config = ConnectionManagerConfig::new()
        .set_number_of_retries(0)
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}

async fn connect(
    client: &Client,
    pushes: Option<&mpsc::Sender<PushInfo>>,
) -> RedisResult<MultiplexedConnection> {
    let mut config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    if let Some(pushes) = pushes.cloned() {
        config = config.set_push_sender(move |push: PushInfo| match pushes.try_send(push) {
            // What there is no room for is found in the database.
            Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(redis::aio::SendError),
        });
    }
    client.get_multiplexed_async_connection_with_config(&config).await
}

#[cfg(test)]
mod tests;
