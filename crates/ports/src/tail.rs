//! What other nodes have stored: found in the database, whatever became of the news of it.
//!
//! Several nodes work on one database. Each tells the others what it has stored, by a way that may
//! lose things; this is how they find what was lost.

use std::sync::Arc;

use async_trait::async_trait;
use kith_domain::{
    ConversationId, SessionId, UserId,
    conversation::{Conversation, Head, Seq, Version},
    event::Audience,
    group::Role,
    message::Message,
};

use crate::error::StoreResult;

/// A place in the log of changes, in the order of commits. Sync tokens count alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TailPosition(pub i64);

/// What was committed after a position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// The changes, in the order of their transactions.
    pub changes: Vec<Logged>,
    /// Sessions that were ended, and whose.
    pub ended: Vec<(UserId, SessionId)>,
    /// Where the next reading begins.
    pub next: TailPosition,
    /// What was behind the position is not known any more, as it is too long ago, or more than is read
    /// at once: nothing is listed.
    pub lost: bool,
}

/// A conversation that a transaction has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Which.
    pub conversation_id: ConversationId,
    /// The version that it had.
    pub before: Version,
    /// The version that it came to.
    pub version: Version,
    /// The two of a direct chat.
    pub pair: Option<(UserId, UserId)>,
    /// Those who came into it, or went.
    pub people: Vec<UserId>,
}

/// What changed in a conversation since a version, as it is now, for whoever is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Missed {
    /// The conversation.
    pub conversation: Arc<Conversation>,
    /// Its head. Everything up to its version is in here, or [`overflow`](Self::overflow) is set.
    pub head: Head,
    /// Messages changed since, in the order of their versions, and who may see them.
    pub messages: Vec<(Arc<Message>, Audience)>,
    /// Members changed since, in the order of their versions.
    pub members: Vec<MissedMember>,
    /// Who is told of members, beside those who came or went.
    pub told_of_members: Audience,
    /// More has changed than is listed: nothing is.
    pub overflow: bool,
}

/// A member whose membership changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissedMember {
    /// Who.
    pub user_id: UserId,
    /// His role, the last one if he went.
    pub role: Role,
    /// The first message that he sees since he came.
    pub first_seq: Seq,
    /// Whether he is in it no more.
    pub left: bool,
    /// The number of the newest change of his membership.
    pub version: Version,
}

/// Reads what other nodes have stored.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ChangeTail: Send + Sync {
    /// Where the log ends: what is committed from now on is behind it.
    async fn end(&self) -> StoreResult<TailPosition>;

    /// What was committed behind a position, in one statement.
    ///
    /// # Contract
    /// Everything committed behind `position` MUST be in this reading or behind its
    /// [`next`](Tail::next), unless it is [`lost`](Tail::lost). What was read before MAY be read once
    /// more.
    async fn since(&self, position: TailPosition) -> StoreResult<Tail>;

    /// What changed in a conversation since a version, at most `limit` messages and members; `None`
    /// if it was deleted or never was. Authorisation is the caller's.
    async fn missed(
        &self,
        id: ConversationId,
        since: Version,
        limit: usize,
    ) -> StoreResult<Option<Missed>>;
}
