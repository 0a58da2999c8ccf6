//! Who wants to hear nothing of whom.

use std::{collections::HashMap, sync::Arc};

use kith_domain::{Code, Refusal, UserId};
use kith_ports::{BlockStore, Clock, Page, StoreResult};
use tracing::warn;

use crate::{
    Result,
    people::{People, Seen},
    presence::PresenceService,
};

/// The ports this needs.
#[derive(Clone)]
pub struct Ports {
    /// Where blocks are kept.
    pub store: Arc<dyn BlockStore>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// One's own blocks.
#[derive(Clone)]
pub struct Blocks {
    ports: Ports,
    people: People,
    presence: PresenceService,
}

impl Blocks {
    /// Over these ports and neighbours.
    pub fn new(ports: Ports, people: People, presence: PresenceService) -> Self {
        Self { ports, people, presence }
    }

    /// Blocks `whom`, and gives his profile as `me` sees it now. Doing it twice changes nothing.
    pub async fn block(&self, me: UserId, whom: UserId) -> Result<Seen> {
        if me == whom {
            let refusal = Refusal::field("user_id", Code::OneSelf, "you cannot block yourself");
            return Err(refusal.into());
        }
        let losing = self.told(me, whom).await?;
        if !self.ports.store.block(me, whom, self.ports.clock.now()).await? {
            return Err(Refusal::not_found().into());
        }
        // Neither hears of the other any more: nobody stays online in a list for ever, who came while
        // this was done neither. Who never heard of the other hears nothing now.
        for (viewer, user) in losing {
            self.presence.vanished(user, vec![viewer]).await;
        }
        self.people.profile(me, whom).await
    }

    /// Takes a block back. Where there is none, nothing happens.
    pub async fn unblock(&self, me: UserId, whom: UserId) -> Result<()> {
        let before = self.told(me, whom).await?;
        self.ports.store.unblock(me, whom).await?;
        match self.told(me, whom).await {
            Ok(now) => {
                for (viewer, user) in now.into_iter().filter(|pair| !before.contains(pair)) {
                    self.presence.appeared(user, vec![viewer]).await;
                }
            }
            Err(error) => warn!(%me, %whom, %error, "presence was not told"),
        }
        Ok(())
    }

    /// Which of the two is told when the other comes and goes, as viewer and the one he hears of.
    async fn told(&self, me: UserId, whom: UserId) -> StoreResult<Vec<(UserId, UserId)>> {
        let mut told = Vec::new();
        for (viewer, user) in [(me, whom), (whom, me)] {
            if self.presence.is_told_to(viewer, user).await? {
                told.push((viewer, user));
            }
        }
        Ok(told)
    }

    /// A page of those whom `me` has blocked, in the order of their ids.
    pub async fn list(
        &self,
        me: UserId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Page<Seen, UserId>> {
        let page = self.ports.store.blocked_by(me, after, limit).await?;
        let seen = self.people.profiles(me, &page.items).await?;
        let mut seen: HashMap<UserId, Seen> =
            seen.into_iter().map(|seen| (seen.user.id, seen)).collect();
        let items = page.items.iter().filter_map(|id| seen.remove(id)).collect();
        Ok(Page { items, next: page.next })
    }
}

#[cfg(test)]
mod tests;
