//! Invites into groups and channels. Coming in by one is a command of the log.

use async_trait::async_trait;
use kith_domain::{ConversationId, Timestamp, UserId, invite::Invite, text::InviteCode};

use crate::{error::StoreResult, reads::Page};

/// Where a page of invites goes on: after the one made then, with this code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteCursor {
    /// When it was made.
    pub created_at: Timestamp,
    /// Its code.
    pub code: InviteCode,
}

/// Invites.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait InviteStore: Send + Sync {
    /// Keeps a new invite. `false`, with nothing written, unless its maker is an admin or owner of
    /// the group or channel now.
    async fn create(&self, invite: Invite) -> StoreResult<bool>;

    /// A page of the invites of a conversation, spent and expired ones too, the newest first.
    /// Authorisation is the caller's.
    async fn list(
        &self,
        conversation: ConversationId,
        after: Option<InviteCursor>,
        limit: usize,
    ) -> StoreResult<Page<Invite, InviteCursor>>;

    /// An invite of a conversation that was not deleted.
    async fn find(&self, code: InviteCode) -> StoreResult<Option<Invite>>;

    /// Takes an invite back. `false` unless it is there and `by` is an admin or owner now.
    async fn revoke(
        &self,
        by: UserId,
        conversation: ConversationId,
        code: InviteCode,
    ) -> StoreResult<bool>;
}
