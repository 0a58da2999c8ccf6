//! Counts that all nodes share, in Redis.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use kith_ports::Tally;
use redis::{AsyncCommands as _, RedisResult, Script};
use tracing::debug;

use super::servers::Commands;
use crate::LocalTally;

/// Adds, and says when a count ends that begins.
const ADD: &str = r"
    local count = redis.call('INCRBY', KEYS[1], ARGV[1])
    if count == tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
    return count
";

/// Counts of all nodes. Without Redis, of this one.
pub struct SharedTally {
    here: LocalTally,
    redis: Commands,
    connected: Arc<AtomicBool>,
    add: Script,
}

impl std::fmt::Debug for SharedTally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedTally(..)")
    }
}

impl SharedTally {
    pub(super) fn new(redis: Commands, connected: Arc<AtomicBool>) -> Self {
        Self { here: LocalTally::default(), redis, connected, add: Script::new(ADD) }
    }

    fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }
}

/// What Redis says. What this node has counted holds whatever Redis has forgotten.
fn at_least(here: i64, count: RedisResult<i64>) -> i64 {
    match count {
        Ok(count) => count.max(here),
        Err(error) => {
            debug!(%error, "Redis did not count");
            here
        }
    }
}

fn key(name: &str) -> String {
    format!("kith:tally:{name}")
}

#[async_trait]
impl Tally for SharedTally {
    async fn add(&self, name: &str, by: i64, lifetime: Duration) -> i64 {
        let here = self.here.add(name, by, lifetime).await;
        if !self.is_connected() {
            return here;
        }
        let lifetime = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX).max(1);
        let name = key(name);
        let mut add = self.add.key(&name);
        add.arg(by).arg(lifetime);
        let count = async { add.invoke_async(&mut self.redis.to(&name)?).await };
        at_least(here, count.await)
    }

    async fn get(&self, name: &str) -> i64 {
        let here = self.here.get(name).await;
        if !self.is_connected() {
            return here;
        }
        let name = key(name);
        let count = async { self.redis.to(&name)?.get(&name).await };
        let count: RedisResult<Option<i64>> = count.await;
        at_least(here, count.map(Option::unwrap_or_default))
    }
}
