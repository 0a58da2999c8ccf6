//! What changed for me since I was last here.

use std::{collections::HashMap, sync::Arc};

use kith_domain::{Code, Refusal, UserId, user::User};
use kith_ports::{
    ConversationStore, StoreResult, SyncBody, SyncFrom, SyncRead, SyncRequest, UserStore,
    tail::TailPosition,
};
use tokio_util::task::TaskTracker;

use crate::{
    Result,
    gather::Gather,
    messaging::Messaging,
    people::{People, Seen},
    receipts::Receipts,
};

/// Sync for one's own devices.
///
/// Of many that ask at once most have missed nothing: what is read for those is read together.
#[derive(Clone)]
pub struct SyncService {
    conversations: Arc<dyn ConversationStore>,
    users: Arc<dyn UserStore>,
    /// Where the store tells it of many together.
    unchanged: Option<Gather<SyncRequest, Option<Page>>>,
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
    /// Over these ports. What reads runs as tasks of `tasks`.
    pub fn start(
        conversations: Arc<dyn ConversationStore>,
        users: Arc<dyn UserStore>,
        people: People,
        messaging: Messaging,
        receipts: Receipts,
        tasks: &TaskTracker,
    ) -> Self {
        let unchanged = conversations.tells_of_many().then(|| {
            let stores = (Arc::clone(&conversations), Arc::clone(&users));
            Gather::start(tasks, move |asked: Vec<SyncRequest>| {
                let (conversations, users) = stores.clone();
                async move { unchanged(&*conversations, &*users, asked).await }
            })
        });
        Self { conversations, users, unchanged, people, messaging, receipts }
    }

    /// What changed for `viewer` since `from`, at most `limit` conversations a page.
    pub async fn sync(
        &self,
        viewer: UserId,
        from: Option<SyncFrom>,
        limit: usize,
    ) -> Result<Synced> {
        let (mut body, mut people) = self.read(viewer, from, limit).await?;
        let users = self.people.seen_by(viewer, std::mem::take(&mut body.users)).await?;
        let place = people.iter().position(|user| user.id == viewer);
        let me = people.remove(place.ok_or_else(Refusal::not_found)?);
        let presence = self.people.unparted(viewer, people).await?;
        Ok(Synced { body, users, presence, me })
    }

    async fn read(&self, viewer: UserId, from: Option<SyncFrom>, limit: usize) -> Result<Page> {
        if let Some(unchanged) = &self.unchanged
            && let Some(from) = from.clone().filter(|from| from.resume.is_none())
        {
            let asked = SyncRequest { viewer, from, limit };
            if let Some(page) = unchanged.ask(asked).await? {
                return Ok(page);
            }
        }
        let SyncRead::Body(body) = self.conversations.sync(viewer, from, limit).await? else {
            return Err(Refusal::new(
                Code::InvalidCursor,
                "the token is for a database that was replaced: sync anew without `since`",
            )
            .into());
        };
        let people = self.users.find(&named(viewer, &body)).await?;
        Ok((*body, people))
    }

    /// A sync token for now: everything before it that concerns `viewer` has been handed to the sockets.
    /// Of what other nodes have stored that is so up to `told`, where there are any.
    pub async fn mark(&self, viewer: UserId, told: Option<TailPosition>) -> Result<SyncFrom> {
        let mut horizon = self.conversations.horizon().await?;
        tokio::try_join!(self.messaging.fence(), self.receipts.fence(viewer))?;
        if let Some(TailPosition(told)) = told {
            horizon.since = horizon.since.min(told);
        }
        Ok(horizon)
    }

    /// Waits until what reads has ended, which it does not while there is a handle.
    pub async fn crashed(&self) {
        match &self.unchanged {
            Some(unchanged) => unchanged.crashed().await,
            None => std::future::pending().await,
        }
    }
}

/// A page, with those whom it names: the viewer and his correspondents.
type Page = (SyncBody, Vec<User>);

fn named(viewer: UserId, body: &SyncBody) -> Vec<UserId> {
    body.correspondents.iter().copied().chain([viewer]).collect()
}

/// The pages of those for whom nothing changed.
async fn unchanged(
    conversations: &dyn ConversationStore,
    users: &dyn UserStore,
    asked: Vec<SyncRequest>,
) -> StoreResult<Vec<Option<Page>>> {
    let bodies = conversations.unchanged(&asked).await?;
    let names: Vec<Option<Vec<UserId>>> = asked
        .iter()
        .zip(&bodies)
        .map(|(it, body)| body.as_ref().map(|body| named(it.viewer, body)))
        .collect();
    let mut ids: Vec<UserId> = names.iter().flatten().flatten().copied().collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(vec![None; asked.len()]);
    }
    let found = users.find(&ids).await?;
    let found: HashMap<UserId, User> = found.into_iter().map(|user| (user.id, user)).collect();
    let people = |ids: Vec<UserId>| ids.iter().filter_map(|id| found.get(id).cloned()).collect();
    let pages = bodies.into_iter().zip(names);
    Ok(pages.map(|(body, names)| Some((body?, people(names?)))).collect())
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
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
        SyncService::start(
            Arc::new(conversations),
            users,
            people,
            messaging,
            receipts,
            &TaskTracker::new(),
        )
    }

    fn answering(read: impl Fn() -> SyncRead + Send + Sync + 'static) -> MockConversationStore {
        let mut conversations = MockConversationStore::new();
        conversations.expect_tells_of_many().returning(|| false);
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
    async fn of_those_for_whom_nothing_changed_many_are_read_at_once() {
        let mut users = MockUserStore::new();
        users.expect_find().times(2..5).returning(|ids| {
            Ok((1..=40).map(account).filter(|user| ids.contains(&user.id)).collect())
        });
        let mut conversations = MockConversationStore::new();
        conversations.expect_tells_of_many().returning(|| true);
        conversations.expect_unchanged().times(1..3).returning(|asked| {
            let nothing = |it: &SyncRequest| {
                assert_eq!((&it.from, it.limit), (&token(), 10));
                match body(Vec::new(), vec![user(40)]) {
                    SyncRead::Body(body) if it.viewer != user(7) => Some(*body),
                    _ => None,
                }
            };
            Ok(asked.iter().map(nothing).collect())
        });
        // Somebody has missed something, and reads it.
        conversations.expect_sync().times(1).returning(|viewer, from, _| {
            assert_eq!((viewer, from), (user(7), Some(token())));
            Ok(body(vec![account(8)], Vec::new()))
        });
        let service = over(conversations, users);
        let pages = (1..=30).map(|n| service.sync(user(n), Some(token()), 10));
        for (page, n) in join_all(pages).await.into_iter().zip(1..) {
            let page = page.unwrap();
            assert_eq!(page.me.id, user(n));
            let count = |people: &[Seen]| people.len();
            let expected = if n == 7 { (1, 0) } else { (0, 1) };
            assert_eq!((count(&page.users), count(&page.presence)), expected);
        }
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
        conversations.expect_tells_of_many().returning(|| true);
        conversations.expect_horizon().returning(|| Ok(token()));
        assert_eq!(
            over(conversations, MockUserStore::new()).mark(user(1), None).await.unwrap(),
            token()
        );
    }

    #[tokio::test]
    async fn a_mark_is_not_past_what_other_nodes_stored_and_nobody_has_told() {
        for (told, since) in [(2, 2), (3, 3), (4, 3)] {
            let mut conversations = MockConversationStore::new();
            conversations.expect_tells_of_many().returning(|| true);
            conversations.expect_horizon().returning(|| Ok(token()));
            let service = over(conversations, MockUserStore::new());
            let mark = service.mark(user(1), Some(TailPosition(told))).await.unwrap();
            assert_eq!(mark, SyncFrom { since, ..token() });
        }
    }

    #[tokio::test]
    async fn a_store_that_fails_gives_no_mark() {
        let mut conversations = MockConversationStore::new();
        conversations.expect_tells_of_many().returning(|| true);
        conversations.expect_horizon().returning(|| Err(StoreError::Unavailable("gone".into())));
        let service = over(conversations, MockUserStore::new());
        assert!(matches!(service.mark(user(1), None).await, Err(Error::Unavailable(_))));
    }
}
