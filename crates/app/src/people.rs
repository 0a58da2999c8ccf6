//! Profiles as others may see them.

use std::{collections::HashSet, sync::Arc};

use kith_domain::{
    Refusal, UserId,
    presence::Presence,
    user::{User, Visibility},
};
use kith_ports::{Page, UserCursor, UserStore, live::PresenceBoard};

use crate::Result;

/// Profiles with what a viewer may know of their presence.
#[derive(Clone)]
pub struct People {
    users: Arc<dyn UserStore>,
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
    pub fn new(users: Arc<dyn UserStore>, board: Arc<dyn PresenceBoard>) -> Self {
        Self { users, board }
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

    /// Adds what `viewer` may know of each one's presence.
    pub async fn seen_by(&self, viewer: UserId, users: Vec<User>) -> Result<Vec<Seen>> {
        let ids: Vec<UserId> = users.iter().map(|user| user.id).collect();
        let online = self.board.online(&ids).await;
        let discreet: Vec<UserId> = users
            .iter()
            .filter(|user| user.privacy.last_seen == Visibility::Contacts)
            .map(|user| user.id)
            .collect();
        let contacts: HashSet<UserId> = if discreet.is_empty() {
            HashSet::new()
        } else {
            self.users.have_written_to(viewer, &discreet).await?.into_iter().collect()
        };
        let seen = users.into_iter().zip(online).map(|(user, online)| {
            let is_contact = user.id == viewer || contacts.contains(&user.id);
            Seen { presence: Presence::of(&user, online, is_contact), user }
        });
        Ok(seen.collect())
    }
}
