//! What changed for me since I was last here.

use std::{collections::BTreeSet, sync::Arc};

use kith_domain::{Code, Refusal, UserId, user::User};
use kith_ports::{ConversationStore, SyncBody, SyncFrom, SyncRead, UserStore};

use crate::{
    Result,
    messaging::Messaging,
    people::{People, Seen},
};

/// Sync for one's own devices.
#[derive(Clone)]
pub struct SyncService {
    conversations: Arc<dyn ConversationStore>,
    users: Arc<dyn UserStore>,
    people: People,
    messaging: Messaging,
}

/// One page of a sync.
#[derive(Debug)]
pub struct Synced {
    /// What the store found.
    pub body: SyncBody,
    /// The changed profiles, with presence.
    pub users: Vec<Seen>,
    /// The presence of the other ones of the direct chats on this page and, on the last page, of
    /// all with whom the viewer has exchanged messages in a direct chat.
    pub presence: Vec<Seen>,
    /// The viewer.
    pub me: User,
}

impl SyncService {
    /// Over these ports.
    pub fn new(
        conversations: Arc<dyn ConversationStore>,
        users: Arc<dyn UserStore>,
        people: People,
        messaging: Messaging,
    ) -> Self {
        Self { conversations, users, people, messaging }
    }

    /// What changed for `viewer` since `from`, `limit` conversations a page.
    pub async fn sync(
        &self,
        viewer: UserId,
        from: Option<SyncFrom>,
        limit: usize,
    ) -> Result<Synced> {
        let mut body = match self.conversations.sync(viewer, from, limit).await? {
            SyncRead::Body(body) => *body,
            SyncRead::Foreign => {
                return Err(Refusal::new(
                    Code::InvalidCursor,
                    "the token is for a database that was replaced: sync anew without `since`",
                )
                .into());
            }
        };
        let mut near: BTreeSet<UserId> = body
            .conversations
            .iter()
            .filter_map(|card| card.peer.as_ref().map(|peer| peer.id))
            .collect();
        if !body.has_more {
            near.extend(self.users.correspondents(viewer).await?);
        }
        near.remove(&viewer);
        let near: Vec<UserId> = near.into_iter().collect();
        let users = self.people.seen_by(viewer, std::mem::take(&mut body.users)).await?;
        let presence = self.people.profiles(viewer, &near).await?;
        let me = self.users.find(&[viewer]).await?.pop().ok_or_else(Refusal::not_found)?;
        Ok(Synced { body, users, presence, me })
    }

    /// A sync token for now: everything before it has been handed to the sockets.
    pub async fn mark(&self) -> Result<SyncFrom> {
        let horizon = self.conversations.horizon().await?;
        self.messaging.fence().await?;
        Ok(horizon)
    }
}
