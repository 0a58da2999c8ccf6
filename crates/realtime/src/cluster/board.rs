//! Who is online on any node.
//!
//! Redis holds, for each person, the nodes that he is on. A node holds a lease that it renews; one that
//! does not is dead, and another one takes its people off the board and says so. No lease says more than
//! that a node lives: people cost something when they come and go, and nothing in between.

use std::{
    collections::HashSet,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use kith_domain::{Timestamp, UserId};
use kith_ports::live::{Found, PresenceBoard};
use redis::{AsyncCommands as _, RedisResult, Script, aio::ConnectionManager};
use tokio::{
    sync::{Mutex, mpsc},
    time::{Instant, MissedTickBehavior},
};
use tracing::{debug, info, warn};
use uuid::Uuid;

use super::{dispatcher::Arrival, servers::Commands};
use crate::Board;

/// One slot of a Redis cluster holds it all: the scripts touch several keys.
const NODES: &str = "kith:{presence}:nodes";
const ONLINE: &str = "kith:{presence}:online";
const HERE: &str = "kith:{presence}:here:";
/// So many people are moved in one step.
const STEP: usize = 256;
/// So many findings may wait to be told.
const FINDINGS: usize = 64;

/// Takes a node out of the nodes that a person is on; what is left of them. They are kept as text, each
/// with a space behind it.
const WITHOUT: &str = r"
    local function without(user, node)
        local nodes = redis.call('HGET', KEYS[2], user) or ''
        local at, till = string.find(nodes, node .. ' ', 1, true)
        if at then nodes = string.sub(nodes, 1, at - 1) .. string.sub(nodes, till + 1) end
        return nodes
    end
    local function keep(user, nodes)
        if nodes == '' then redis.call('HDEL', KEYS[2], user)
        else redis.call('HSET', KEYS[2], user, nodes) end
    end
";
/// People come to a node, which holds a lease from then on. Which of them were on no other.
const ARRIVE: &str = r"
    local time = redis.call('TIME')
    local till = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2]
    redis.call('ZADD', KEYS[1], 'NX', till, ARGV[1])
    local news = {}
    for i = 3, #ARGV do
        local others = without(ARGV[i], ARGV[1])
        keep(ARGV[i], others .. ARGV[1] .. ' ')
        redis.call('SADD', KEYS[3], ARGV[i])
        if others == '' then news[#news + 1] = ARGV[i] end
    end
    return news
";
/// A person goes from a node. Whether he is on no other.
const DEPART: &str = r"
    local others = without(ARGV[2], ARGV[1])
    keep(ARGV[2], others)
    redis.call('SREM', KEYS[3], ARGV[2])
    return others == '' and 1 or 0
";
/// Renews a node's lease, if it still has one.
const RENEW: &str = r"
    local time = redis.call('TIME')
    local till = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2]
    if ARGV[3] == '0' and not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
    redis.call('ZADD', KEYS[1], till, ARGV[1])
    return 1
";
/// Takes people of a dead node off the board. When its lease ended, and who is on no other node;
/// nothing if no node is dead.
const BURY: &str = r"
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local dead = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. now, 'WITHSCORES', 'LIMIT', 0, 1)
    if #dead == 0 then return {} end
    local here = ARGV[1] .. dead[1]
    local people = redis.call('SPOP', here, ARGV[2])
    local answer = { dead[2] }
    for _, user in ipairs(people) do
        local others = without(user, dead[1])
        keep(user, others)
        if others == '' then answer[#answer + 1] = user end
    end
    if #people < tonumber(ARGV[2]) then
        redis.call('ZREM', KEYS[1], dead[1])
        redis.call('DEL', here)
    end
    return answer
";

/// Who is online on any node. Without Redis, on this one.
pub struct SharedBoard {
    here: Board,
    redis: Commands,
    /// The name of this node on the board: another one whenever it was taken off.
    node: RwLock<Arc<str>>,
    connected: Arc<AtomicBool>,
    /// Its name has been held, or something may be wrong under it: it comes anew under another.
    has_come: AtomicBool,
    /// Redis may not hold what is so: this node has not come yet, its lease was lost, or somebody came or
    /// went and Redis did not take it.
    doubtful: AtomicBool,
    lease: Duration,
    tell: mpsc::Sender<Vec<Found>>,
    found: Mutex<mpsc::Receiver<Vec<Found>>>,
    scripts: Scripts,
}

struct Scripts {
    arrive: Script,
    depart: Script,
    renew: Script,
    bury: Script,
}

impl std::fmt::Debug for SharedBoard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedBoard").field("node", &self.node).finish_non_exhaustive()
    }
}

impl SharedBoard {
    pub(super) fn new(redis: Commands, lease: Duration, connected: Arc<AtomicBool>) -> Self {
        let (tell, found) = mpsc::channel(FINDINGS);
        let script = |text: &str| Script::new(&format!("{WITHOUT}{text}"));
        Self {
            here: Board::new(),
            redis,
            node: RwLock::new(name()),
            connected,
            has_come: AtomicBool::new(false),
            doubtful: AtomicBool::new(true),
            lease,
            tell,
            found: Mutex::new(found),
            scripts: Scripts {
                arrive: script(ARRIVE),
                depart: script(DEPART),
                renew: Script::new(RENEW),
                bury: script(BURY),
            },
        }
    }

    /// Holds this node's lease, and says each time when there is time for the rest. It never ends by
    /// itself, and waits for nothing but Redis.
    pub(super) async fn hold(&self, arrivals: mpsc::WeakSender<Arrival>, turns: mpsc::Sender<()>) {
        let mut ticks = tokio::time::interval(self.lease / 3);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = Instant::now();
        loop {
            ticks.tick().await;
            let now = Instant::now();
            let stood_still = now.duration_since(last) > self.lease;
            last = now;
            if stood_still {
                // What its sockets were told, and who is behind them, is not known any more: whoever
                // lives comes back.
                warn!("this node stood still; its sockets are let go");
                if let Some(arrivals) = arrivals.upgrade() {
                    let _ = arrivals.send(Arrival::Lost).await;
                }
                // Others have been told that nobody is here, even before its first lease. Until they
                // are gone nobody is said to be.
                self.has_changed_unseen();
                continue;
            }
            if !self.is_connected() {
                self.doubtful.store(true, Ordering::Relaxed);
                continue;
            }
            match self.prolong(&self.node(), !self.has_come.load(Ordering::Relaxed)).await {
                Ok(true) => {}
                Ok(false) => self.doubtful.store(true, Ordering::Relaxed),
                Err(error) => {
                    debug!(%error, "the lease of this node was not renewed");
                    self.doubtful.store(true, Ordering::Relaxed);
                    continue;
                }
            }
            // It may have to do yet, since the last time.
            let _ = turns.try_send(());
        }
    }

    /// Brings the board in line with what is so, and buries the dead, at each turn. May take as long as
    /// those take who tell of it.
    pub(super) async fn tend(&self, mut turns: mpsc::Receiver<()>) {
        // Since when the lease has been held without a break.
        let mut held_since = Instant::now();
        while turns.recv().await.is_some() {
            if self.doubtful.swap(false, Ordering::Relaxed) {
                if let Err(error) = self.come_anew().await {
                    debug!(%error, "this node is not on the board");
                    self.doubtful.store(true, Ordering::Relaxed);
                    continue;
                }
                held_since = Instant::now();
            }
            // After a break of Redis all others need a moment to renew theirs.
            if held_since.elapsed() > self.lease
                && let Err(error) = self.bury().await
            {
                debug!(%error, "the dead were not buried");
            }
        }
    }

    /// Gives the lease up: nobody is here any more.
    pub(super) async fn give_up(&self) {
        if self.is_connected()
            && let Err(error) = self.expire(&self.node()).await
        {
            debug!(%error, "the lease was not given up; it ends by itself");
        }
    }

    /// Ends a lease now.
    async fn expire(&self, node: &str) -> RedisResult<()> {
        self.redis()?.zadd(NODES, node, 1).await
    }

    /// The server that holds the board.
    fn redis(&self) -> RedisResult<ConnectionManager> {
        self.redis.to(NODES)
    }

    fn lease_ms(&self) -> u64 {
        u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX)
    }

    fn node(&self) -> Arc<str> {
        self.node.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The lease was lost, or something may be wrong under this node's name: it comes anew, with all
    /// who are on it now.
    async fn come_anew(&self) -> RedisResult<()> {
        // The first time, it comes under the name that it has.
        let old = if self.has_come.swap(true, Ordering::Relaxed) {
            info!("this node comes anew to the board");
            let new = name();
            self.prolong(&new, true).await?;
            let node = &mut *self.node.write().unwrap_or_else(PoisonError::into_inner);
            Some(std::mem::replace(node, new))
        } else {
            None
        };
        let people: Vec<UserId> = self.here.all();
        for step in people.chunks(STEP) {
            let news = self.come(step).await?;
            let mut here = Vec::new();
            for (user, is_here) in step.iter().zip(self.here.online(step).await) {
                if !is_here {
                    // He went before he had come under this name.
                    self.take_off(*user).await;
                } else if old.is_some() && news.contains(&user.as_uuid().as_bytes()[..]) {
                    // Others have been told that he is away, or not that he came.
                    here.push(Found::Here(*user));
                }
            }
            self.tell(here).await;
        }
        // Whoever was here under the old name, and is not any more, is told to be away.
        match old {
            Some(old) => self.expire(&old).await,
            None => Ok(()),
        }
    }

    /// Renews the lease of a node. Whether it has one: with `anew` in any case.
    async fn prolong(&self, node: &str, anew: bool) -> RedisResult<bool> {
        let mut renew = self.scripts.renew.key(NODES);
        renew.arg(node).arg(self.lease_ms()).arg(u8::from(anew));
        renew.invoke_async(&mut self.redis()?).await
    }

    /// Which of these people were on no node.
    async fn come(&self, people: &[UserId]) -> RedisResult<HashSet<Vec<u8>>> {
        let node = self.node();
        let mut arrive = self.scripts.arrive.key(NODES);
        arrive.key(ONLINE).key(format!("{HERE}{node}")).arg(&*node).arg(self.lease_ms());
        for user in people {
            arrive.arg(user.as_uuid().as_bytes());
        }
        arrive.invoke_async(&mut self.redis()?).await
    }

    /// Whether he is on no node any more.
    async fn go(&self, user: UserId) -> RedisResult<bool> {
        let node = self.node();
        let mut depart = self.scripts.depart.key(NODES);
        depart.key(ONLINE).key(format!("{HERE}{node}")).arg(&*node).arg(user.as_uuid().as_bytes());
        depart.invoke_async(&mut self.redis()?).await
    }

    /// Takes a person off who went from here. Whether he is on no node any more.
    async fn take_off(&self, user: UserId) -> bool {
        let away = self.doubt(self.go(user).await).unwrap_or(true);
        // Whoever came back meanwhile may have been taken off after he came.
        if self.here.online(&[user]).await == [true] {
            self.doubt(self.come(&[user]).await);
        }
        away
    }

    async fn bury(&self) -> RedisResult<()> {
        loop {
            let mut bury = self.scripts.bury.key(NODES);
            bury.key(ONLINE).arg(HERE).arg(STEP);
            let answer: Vec<Vec<u8>> = bury.invoke_async(&mut self.redis()?).await?;
            let Some((ended, people)) = answer.split_first() else { return Ok(()) };
            let ended = std::str::from_utf8(ended).ok().and_then(|it| it.parse::<i64>().ok());
            let lease = i64::try_from(self.lease.as_micros()).unwrap_or(i64::MAX);
            // He was last there when the lease was last renewed.
            let at = Timestamp::from_micros(ended.unwrap_or_default() * 1_000 - lease);
            info!(people = people.len(), "a node is dead; these people were on no other");
            let gone = |user| Found::Gone(user, at);
            self.tell(people.iter().filter_map(|it| person(it)).map(gone).collect()).await;
        }
    }

    /// While too many wait to be told, the others wait on the board.
    async fn tell(&self, found: Vec<Found>) {
        if !found.is_empty() {
            let _ = self.tell.send(found).await;
        }
    }

    /// What Redis says. If it says nothing, this node comes anew soon, with all who are on it then.
    fn doubt<T>(&self, said: RedisResult<T>) -> Option<T> {
        said.inspect_err(|error| {
            debug!(%error, "the board was not changed");
            self.has_changed_unseen();
        })
        .ok()
    }

    fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// Whether Redis does not hear of who comes or goes now. It may be there again before the lease is
    /// looked at: then too this node comes anew.
    fn is_cut_off(&self) -> bool {
        let cut_off = !self.is_connected();
        if cut_off {
            self.has_changed_unseen();
        }
        cut_off
    }

    /// The board may hold something else under this node's name than what is so.
    fn has_changed_unseen(&self) {
        self.has_come.store(true, Ordering::Relaxed);
        self.doubtful.store(true, Ordering::Relaxed);
    }
}

fn person(bytes: &[u8]) -> Option<UserId> {
    Uuid::from_slice(bytes).ok().map(UserId::from_uuid)
}

fn name() -> Arc<str> {
    Uuid::new_v4().simple().to_string().into()
}

#[async_trait]
impl PresenceBoard for SharedBoard {
    async fn arrive(&self, user: UserId) -> bool {
        if !self.here.arrive(user).await {
            return false;
        }
        if self.is_cut_off() {
            return true;
        }
        // Where Redis fails, one is told once more rather than not at all.
        self.doubt(self.come(&[user]).await).is_none_or(|news| !news.is_empty())
    }

    async fn leave(&self, user: UserId) -> bool {
        self.here.leave(user).await
    }

    async fn settle(&self, user: UserId) -> bool {
        if !self.here.settle(user).await {
            return false;
        }
        if self.is_cut_off() {
            return true;
        }
        self.take_off(user).await
    }

    async fn online(&self, users: &[UserId]) -> Vec<bool> {
        let mut online = self.here.online(users).await;
        let others: Vec<usize> = (0..users.len()).filter(|place| !online[*place]).collect();
        if others.is_empty() || !self.is_connected() {
            return online;
        }
        let mut ask = redis::cmd("HMGET");
        ask.arg(ONLINE);
        for place in &others {
            ask.arg(users[*place].as_uuid().as_bytes());
        }
        let found = async { ask.query_async(&mut self.redis()?).await };
        let found: RedisResult<Vec<Option<String>>> = found.await;
        for (place, nodes) in others.into_iter().zip(found.unwrap_or_default()) {
            online[place] = nodes.is_some();
        }
        online
    }

    async fn found(&self) -> Option<Vec<Found>> {
        self.found.lock().await.recv().await
    }
}
