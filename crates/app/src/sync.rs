//! What changed for me since I was last here.

use std::sync::Arc;

use kith_domain::{Code, Refusal, UserId, user::User};
use kith_ports::{ConversationStore, SyncBody, SyncFrom, SyncRead, UserStore};

use crate::{
    Result,
    messaging::Messaging,
    people::{People, Seen},
    receipts::Receipts,
};

/// Sync for one's own devices.
#[derive(Clone)]
pub struct SyncService {
    conversations: Arc<dyn ConversationStore>,
    users: Arc<dyn UserStore>,
    people: People,
    messaging: Messaging,
    receipts: Receipts,
}

/// One page of a sync.
#[derive(Debug)]
pub struct Synced {
    /// What the store found.
    pub body: SyncBody,
    /// The changed profiles, with presence.
    pub users: Vec<Seen>,
    /// The presence of those on this page with whom the viewer has a direct chat that holds a message.
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
        receipts: Receipts,
    ) -> Self {
        Self { conversations, users, people, messaging, receipts }
    }

    /// What changed for `viewer` since `from`, at most `limit` conversations a page.
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
        let users = self.people.seen_by(viewer, std::mem::take(&mut body.users)).await?;
        let presence = self.people.profiles(viewer, &body.correspondents).await?;
        let me = self.users.find(&[viewer]).await?.pop().ok_or_else(Refusal::not_found)?;
        Ok(Synced { body, users, presence, me })
    }

    /// A sync token for now: everything before it that concerns `viewer` has been handed to the sockets.
    pub async fn mark(&self, viewer: UserId) -> Result<SyncFrom> {
        let horizon = self.conversations.horizon().await?;
        tokio::try_join!(self.messaging.fence(), self.receipts.fence(viewer))?;
        Ok(horizon)
    }
}

#[cfg(test)]
mod tests {
    use kith_domain::presence::Presence;
    use kith_ports::{
        MockConversationStore, MockMessageStore, MockReceiptStore, MockUserStore, StoreError,
        live::MockPresenceBoard, log::MockConversationLog,
    };

    use super::*;
    use crate::{
        Error,
        fixtures::{self, Recorder, account, blocking, user},
        messaging::LaneOptions,
        receipts::ReceiptOptions,
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
        let receipts = fixtures::receipts(
            MockReceiptStore::new(),
            MockMessageStore::new(),
            Recorder::new(),
            ReceiptOptions::default(),
        );
        let people = People::new(users.clone(), Arc::new(blocking(&[])), Arc::new(board));
        SyncService::new(Arc::new(conversations), users, people, messaging, receipts)
    }

    fn answering(read: impl Fn() -> SyncRead + Send + Sync + 'static) -> MockConversationStore {
        let mut conversations = MockConversationStore::new();
        conversations.expect_sync().returning(move |_, _, _| Ok(read()));
        conversations
    }

    fn body(users: Vec<User>, correspondents: Vec<UserId>) -> SyncRead {
        SyncRead::Body(Box::new(SyncBody {
            next: token(),
            has_more: false,
            conversations: Vec::new(),
            removed: Vec::new(),
            users,
            correspondents,
            blocks: Vec::new(),
        }))
    }

    #[tokio::test]
    async fn a_token_of_a_database_that_was_replaced_is_refused() {
        let service = over(answering(|| SyncRead::Foreign), MockUserStore::new());
        let error = service.sync(user(1), Some(token()), 10).await.unwrap_err();
        assert_eq!(error.code(), Some(Code::InvalidCursor));
    }

    #[tokio::test]
    async fn a_page_comes_with_the_presence_of_those_on_it() {
        let mut users = MockUserStore::new();
        users.expect_find().returning(|ids| {
            Ok((1..=3).map(account).filter(|user| ids.contains(&user.id)).collect())
        });
        let service = over(answering(|| body(vec![account(3)], vec![user(2)])), users);
        let page = service.sync(user(1), None, 10).await.unwrap();
        let seen =
            |seen: &[Seen]| seen.iter().map(|it| (it.user.id, it.presence)).collect::<Vec<_>>();
        let away = Presence::Offline { last_seen: None };
        assert_eq!(seen(&page.users), [(user(3), away)]);
        assert_eq!(seen(&page.presence), [(user(2), away)]);
        assert_eq!(page.me.id, user(1));
    }

    #[tokio::test]
    async fn a_mark_says_what_has_been_told() {
        let mut conversations = MockConversationStore::new();
        conversations.expect_horizon().returning(|| Ok(token()));
        assert_eq!(over(conversations, MockUserStore::new()).mark(user(1)).await.unwrap(), token());
    }

    #[tokio::test]
    async fn a_store_that_fails_gives_no_mark() {
        let mut conversations = MockConversationStore::new();
        conversations.expect_horizon().returning(|| Err(StoreError::Unavailable("gone".into())));
        let service = over(conversations, MockUserStore::new());
        assert!(matches!(service.mark(user(1)).await, Err(Error::Unavailable(_))));
    }
}
