//! Who wants to hear nothing of whom.

use async_trait::async_trait;
use kith_domain::{Timestamp, UserId};

use crate::{error::StoreResult, reads::Page};

/// Blocks between people.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait BlockStore: Send + Sync {
    /// Blocks `whom` for `by`. Doing it twice changes nothing. `false` if there is no such living
    /// account.
    ///
    /// # Contract
    /// - What is committed in their direct chat after this returns MUST have been judged with the block
    ///   in place.
    /// - Where the first block comes between two, or the last one goes, the next sync of both MUST find
    ///   their direct chat: what they know of each other's marks is another.
    async fn block(&self, by: UserId, whom: UserId, at: Timestamp) -> StoreResult<bool>;

    /// Takes a block back. Where there is none, nothing happens.
    async fn unblock(&self, by: UserId, whom: UserId) -> StoreResult<()>;

    /// A page of those whom `by` has blocked, in the order of their ids.
    async fn blocked_by(
        &self,
        by: UserId,
        after: Option<UserId>,
        limit: usize,
    ) -> StoreResult<Page<UserId, UserId>>;

    /// Those of `others` whom `me` has blocked, or who have blocked him.
    async fn blocked_among(&self, me: UserId, others: &[UserId]) -> StoreResult<Vec<UserId>>;
}
