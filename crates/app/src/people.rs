//! Profiles as others may see them.

use std::{collections::HashSet, sync::Arc};

use kith_domain::{
    Refusal, UserId,
    presence::Presence,
    user::{User, Visibility},
};
use kith_ports::{BlockStore, Page, UserCursor, UserStore, live::PresenceBoard};

use crate::Result;

/// Profiles with what a viewer may know of their presence.
#[derive(Clone)]
pub struct People {
    users: Arc<dyn UserStore>,
    blocks: Arc<dyn BlockStore>,
    board: Arc<dyn PresenceBoard>,
}

/// A person as a viewer sees him.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The person.
    pub user: User,
    /// What the viewer may know of his presence.
    pub presence: Presence,
}

impl People {
    /// Over these ports.
    pub fn new(
        users: Arc<dyn UserStore>,
        blocks: Arc<dyn BlockStore>,
        board: Arc<dyn PresenceBoard>,
    ) -> Self {
        Self { users, blocks, board }
    }

    /// One profile. Erased accounts are found too: their messages are still there.
    pub async fn profile(&self, viewer: UserId, id: UserId) -> Result<Seen> {
        let found = self.users.find(&[id]).await?;
        let mut seen = self.seen_by(viewer, found).await?;
        Ok(seen.pop().ok_or_else(Refusal::not_found)?)
    }

    /// Several profiles, unknown ids left out.
    pub async fn profiles(&self, viewer: UserId, ids: &[UserId]) -> Result<Vec<Seen>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.users.find(ids).await?;
        self.seen_by(viewer, found).await
    }

    /// Profiles whose user name, or a word of whose display name, begins with `prefix`.
    pub async fn search(
        &self,
        viewer: UserId,
        prefix: &str,
        after: Option<UserCursor>,
        limit: usize,
    ) -> Result<Page<Seen, UserCursor>> {
        let mut found = self.users.search(prefix, after, limit + 1).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().and_then(|user| user.username.as_ref());
        let next = last.filter(|_| more).map(|username| UserCursor(username.key()));
        Ok(Page { items: self.seen_by(viewer, found).await?, next })
    }

    /// Adds what `viewer` may know of each one's presence: nothing of those whom he has blocked, or who
    /// have blocked him.
    pub async fn seen_by(&self, viewer: UserId, users: Vec<User>) -> Result<Vec<Seen>> {
        let mut seen = self.unparted(viewer, users).await?;
        let is_visible = |it: &&mut Seen| it.user.id != viewer && it.presence != Presence::Hidden;
        let visible: Vec<UserId> =
            seen.iter_mut().filter(is_visible).map(|it| it.user.id).collect();
        if !visible.is_empty() {
            let blocked = self.blocks.blocked_among(viewer, &visible).await?;
            for it in seen.iter_mut().filter(|it| blocked.contains(&it.user.id)) {
                it.presence = Presence::Hidden;
            }
        }
        Ok(seen)
    }

    /// Adds what `viewer` may know of each one's presence. There is no block between him and any of
    /// them.
    pub(crate) async fn unparted(&self, viewer: UserId, users: Vec<User>) -> Result<Vec<Seen>> {
        let ids: Vec<UserId> = users.iter().map(|user| user.id).collect();
        let online = self.board.online(&ids).await;
        let is_discreet = |user: &&User| {
            user.id != viewer
                && !user.is_deleted()
                && user.privacy.last_seen == Visibility::Contacts
        };
        let discreet: Vec<UserId> = users.iter().filter(is_discreet).map(|it| it.id).collect();
        let contacts: HashSet<UserId> = if discreet.is_empty() {
            HashSet::new()
        } else {
            self.users.have_written_to(viewer, &discreet).await?.into_iter().collect()
        };
        let seen = users.into_iter().zip(online).map(|(user, online)| {
            let is_contact = user.id == viewer || contacts.contains(&user.id);
            let presence = Presence::of(&user, online, is_contact);
            Seen { user, presence }
        });
        Ok(seen.collect())
    }
}

#[cfg(test)]
mod tests {
    use kith_domain::{Code, user::Privacy};
    use kith_ports::{MockBlockStore, MockUserStore, StoreError, live::MockPresenceBoard};

    use super::*;
    use crate::fixtures::{account, blocking, user};

    fn showing(n: u128, last_seen: Visibility) -> User {
        User { privacy: Privacy { last_seen, read_receipts: true }, ..account(n) }
    }

    /// People over `users`, all of whom are online.
    fn over(users: MockUserStore) -> People {
        among(users, blocking(&[]))
    }

    fn among(users: MockUserStore, blocks: MockBlockStore) -> People {
        let mut board = MockPresenceBoard::new();
        board.expect_online().returning(|asked| vec![true; asked.len()]);
        People::new(Arc::new(users), Arc::new(blocks), Arc::new(board))
    }

    #[tokio::test]
    async fn each_is_seen_as_far_as_he_allows() {
        let mut users = MockUserStore::new();
        users.expect_have_written_to().times(1).returning(|viewer, asked| {
            assert_eq!((viewer, asked), (user(9), &[user(2), user(3)][..]));
            Ok(vec![user(3)])
        });
        let all = vec![
            showing(1, Visibility::Everyone),
            showing(2, Visibility::Contacts),
            showing(3, Visibility::Contacts),
            showing(4, Visibility::Nobody),
        ];
        let seen = over(users).seen_by(user(9), all).await.unwrap();
        let presence: Vec<Presence> = seen.iter().map(|seen| seen.presence).collect();
        assert_eq!(
            presence,
            [Presence::Online, Presence::Hidden, Presence::Online, Presence::Hidden]
        );
    }

    #[tokio::test]
    async fn nobody_is_asked_for_contacts_where_nobody_hides() {
        let mut users = MockUserStore::new();
        users.expect_have_written_to().never();
        let seen = over(users).seen_by(user(9), vec![account(1)]).await.unwrap();
        assert_eq!(seen[0].presence, Presence::Online);
    }

    #[tokio::test]
    async fn between_people_who_have_blocked_each_other_there_is_no_presence() {
        let mut users = MockUserStore::new();
        users.expect_have_written_to().returning(|_, asked| Ok(asked.to_vec()));
        let all = vec![
            showing(1, Visibility::Everyone),
            showing(2, Visibility::Contacts),
            showing(3, Visibility::Everyone),
        ];
        let seen = among(users, blocking(&[1, 2])).seen_by(user(9), all).await.unwrap();
        let presence: Vec<Presence> = seen.iter().map(|seen| seen.presence).collect();
        assert_eq!(presence, [Presence::Hidden, Presence::Hidden, Presence::Online]);
    }

    #[tokio::test]
    async fn blocks_are_not_asked_for_where_there_is_nothing_to_hide() {
        let mut blocks = MockBlockStore::new();
        blocks.expect_blocked_among().never();
        let erased = User { deleted_at: Some(account(2).created_at), ..account(2) };
        let all = vec![showing(9, Visibility::Everyone), erased, showing(4, Visibility::Nobody)];
        let seen = among(MockUserStore::new(), blocks).seen_by(user(9), all).await.unwrap();
        let presence: Vec<Presence> = seen.iter().map(|seen| seen.presence).collect();
        assert_eq!(presence, [Presence::Online, Presence::Hidden, Presence::Hidden]);
    }

    #[tokio::test]
    async fn an_unknown_person_is_not_found_and_a_store_that_fails_is_no_refusal() {
        let mut users = MockUserStore::new();
        users.expect_find().returning(|_| Ok(Vec::new()));
        let error = over(users).profile(user(9), user(1)).await.unwrap_err();
        assert_eq!(error.code(), Some(Code::NotFound));
        let mut users = MockUserStore::new();
        users.expect_find().returning(|_| Err(StoreError::Busy));
        let error = over(users).profile(user(9), user(1)).await.unwrap_err();
        assert!(matches!(error, crate::Error::Overloaded));
    }

    #[tokio::test]
    async fn a_full_page_says_where_the_next_one_begins() {
        let mut users = MockUserStore::new();
        users.expect_search().returning(|_, _, limit| Ok((1..).map(account).take(limit).collect()));
        let page = over(users).search(user(9), "user", None, 2).await.unwrap();
        assert_eq!(page.items.len(), 2);
        assert_eq!(page.next, Some(UserCursor("user_2".to_owned())));
    }
}
