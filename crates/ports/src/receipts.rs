//! Receipts: watermarks as they move, and what they say of a message.

use std::sync::Arc;

use async_trait::async_trait;
use kith_domain::{
    ConversationId, MessageId, Timestamp, UserId,
    receipt::{Status, Watermarks},
};

use crate::{error::StoreResult, reads::Page};

/// A member's word on how far he has received and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advance {
    /// Where.
    pub conversation_id: ConversationId,
    /// Who.
    pub user_id: UserId,
    /// How far. A mark of 0 is not moved; what was read was received.
    pub to: Watermarks,
    /// When he said so.
    pub at: Timestamp,
}

/// What became of an advance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advanced {
    /// The marks before it.
    pub before: Watermarks,
    /// The marks after it, never back and never past the newest message.
    pub after: Watermarks,
    /// The message at the delivered mark, if that moved.
    pub delivered_message: Option<MessageId>,
    /// The message at the read mark, if that moved.
    pub read_message: Option<MessageId>,
    /// Who is to be told that what he wrote was received: the senders of the messages that the
    /// delivered mark has passed, of the last [`Advanced::TOLD_OF`] of them. In a channel those in
    /// charge alone: nobody else may know who is in it.
    pub senders_of_delivered: Vec<UserId>,
    /// Who is to be told that what he wrote was read. Nobody if the reader hides his reading; not
    /// those who hide theirs.
    pub senders_of_read: Vec<UserId>,
}

impl Advanced {
    /// Senders of messages further back than this are not told.
    pub const TOLD_OF: i64 = 1_000;
}

/// How far a message has come with one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Who.
    pub user_id: UserId,
    /// How far, as far as the viewer may know.
    pub status: Status,
    /// When it was received, if that is known.
    pub delivered_at: Option<Timestamp>,
    /// When it was read, if that is known and for the viewer to know.
    pub read_at: Option<Timestamp>,
}

/// Watermarks.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ReceiptStore: Send + Sync {
    /// Moves marks in one transaction, at most one advance for each member of a conversation, and
    /// answers each; `None` to one who is not a member.
    ///
    /// # Contract
    /// - The heads of the conversations where marks move MUST be locked first, in the order of their ids.
    /// - A small conversation's advance MUST be kept with its time, and MUST be found by the next sync
    ///   of every member. Of a larger one the marks alone are kept, and nobody is to be told.
    /// - What others may not see MUST leave no trace for them: where one who hides his reading has read
    ///   alone, and in a direct chat whose two have blocked each other, the next sync of his own devices
    ///   alone finds it. Across a block no advance is kept.
    /// - An advance that moves nothing writes nothing, and waits for nobody.
    async fn advance(&self, batch: Arc<[Advance]>) -> StoreResult<Vec<Option<Advanced>>>;

    /// A page of how far a message has come with each member but its sender, in the order of their
    /// ids, and the times as far as they are known; across a block nothing is known. `None` if `viewer`
    /// may not see the message. Members who came after it are left out; so are those of a channel who
    /// are not in charge, where `viewer` may not list them.
    async fn receipts(
        &self,
        viewer: UserId,
        message: MessageId,
        after: Option<UserId>,
        limit: usize,
    ) -> StoreResult<Option<Page<Receipt, UserId>>>;
}
