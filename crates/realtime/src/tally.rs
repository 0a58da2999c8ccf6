use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use kith_ports::Tally;
use moka::{Expiry, sync::Cache};

/// So many counts are remembered.
const REMEMBERED: u64 = 1_000_000;

/// Counts of this node, in memory.
#[derive(Clone, Debug)]
pub struct LocalTally {
    counts: Cache<String, Arc<Count>>,
}

#[derive(Debug)]
struct Count {
    value: AtomicI64,
    lifetime: Duration,
}

/// A count lives as long as was said when it began.
struct Lifetimes;

impl Expiry<String, Arc<Count>> for Lifetimes {
    fn expire_after_create(&self, _: &String, count: &Arc<Count>, _: Instant) -> Option<Duration> {
        Some(count.lifetime)
    }
}

impl Default for LocalTally {
    fn default() -> Self {
        let counts = Cache::builder().max_capacity(REMEMBERED).expire_after(Lifetimes).build();
        Self { counts }
    }
}

#[async_trait]
impl Tally for LocalTally {
    async fn add(&self, name: &str, by: i64, lifetime: Duration) -> i64 {
        let begin = || Arc::new(Count { value: AtomicI64::new(0), lifetime });
        let count = self.counts.get_with_by_ref(name, begin);
        count.value.fetch_add(by, Ordering::Relaxed) + by
    }

    async fn get(&self, name: &str) -> i64 {
        self.counts.get(name).map_or(0, |count| count.value.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn it_counts_by_name_until_the_end() {
        let tally = LocalTally::default();
        assert_eq!(tally.get("a").await, 0);
        assert_eq!(tally.add("a", 1, LONG).await, 1);
        assert_eq!(tally.add("a", 1, LONG).await, 2);
        assert_eq!(tally.add("a", -1, LONG).await, 1);
        assert_eq!((tally.get("a").await, tally.get("b").await), (1, 0));
        assert_eq!(tally.add("b", 1, Duration::ZERO).await, 1);
        assert_eq!(tally.get("b").await, 0);
    }
}
