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

#[cfg(test)]
mod tests {
    use kith_ports::{
        MockConversationStore, MockMessageStore, MockUserStore, StoreError,
        live::MockPresenceBoard, log::MockConversationLog,
    };

    use super::*;
    use crate::{
        Error,
        fixtures::{self, Recorder, account, user},
        messaging::LaneOptions,
    };

    fn token() -> SyncFrom {
        SyncFrom { incarnation: [7; 16], since: 3, resume: None }
    }

    fn over(conversations: MockConversationStore, users: MockUserStore) -> SyncService {
        let mut board = MockPresenceBoard::new();
        board.expect_online().returning(|asked| vec![false; asked.len()]);
        let users: Arc<dyn UserStore> = Arc::new(users);
        let messaging = fixtures::messaging(
            MockConversationLog::new(),
            MockMessageStore::new(),
            MockConversationStore::new(),
            Recorder::new(),
            LaneOptions::default(),
        );
        let people = People::new(users.clone(), Arc::new(board));
        SyncService::new(Arc::new(conversations), users, people, messaging)
    }

    fn answering(read: impl Fn() -> SyncRead + Send + Sync + 'static) -> MockConversationStore {
        let mut conversations = MockConversationStore::new();
        conversations.expect_sync().returning(move |_, _, _| Ok(read()));
        conversations
    }

    fn body(has_more: bool) -> SyncRead {
        SyncRead::Body(Box::new(SyncBody {
            next: token(),
            has_more,
            conversations: Vec::new(),
            removed: Vec::new(),
            users: Vec::new(),
        }))
    }

    #[tokio::test]
    async fn a_token_of_a_database_that_was_replaced_is_refused() {
        let service = over(answering(|| SyncRead::Foreign), MockUserStore::new());
        let error = service.sync(user(1), Some(token()), 10).await.unwrap_err();
        assert_eq!(error.code(), Some(Code::InvalidCursor));
    }

    #[tokio::test]
    async fn presence_comes_with_the_last_page() {
        let mut users = MockUserStore::new();
        users.expect_correspondents().times(1).returning(|_| Ok(vec![user(2)]));
        users.expect_find().returning(|ids| {
            Ok((1..=2).map(account).filter(|user| ids.contains(&user.id)).collect())
        });
        let last = std::sync::atomic::AtomicBool::new(false);
        let pages = answering(move || body(!last.swap(true, std::sync::atomic::Ordering::SeqCst)));
        let service = over(pages, users);
        let first = service.sync(user(1), None, 10).await.unwrap();
        assert!(first.presence.is_empty());
        let second = service.sync(user(1), Some(first.body.next), 10).await.unwrap();
        assert_eq!(second.presence[0].user.id, user(2));
        assert_eq!(second.me.id, user(1));
    }

    #[tokio::test]
    async fn a_store_that_fails_gives_no_mark() {
        let mut conversations = MockConversationStore::new();
        conversations.expect_horizon().returning(|| Err(StoreError::Unavailable("gone".into())));
        let service = over(conversations, MockUserStore::new());
        assert!(matches!(service.mark().await, Err(Error::Unavailable(_))));
    }
}
