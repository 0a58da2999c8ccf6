//! Sockets that are opened: whose each is, and what is heard on it.
//!
//! When a node ends, all its clients come to others at once: what is asked for them is read together.

use std::{collections::HashMap, sync::Arc};

use kith_domain::{SessionId, UserId, session::Session};
use kith_ports::{ConversationStore, SessionStore, Topic};
use tokio_util::task::TaskTracker;

use super::{Principal, Sessions};
use crate::{Result, gather::Gather, messaging::Messaging};

/// What sockets begin with.
pub struct Openings {
    sessions: Arc<Sessions>,
    found: Gather<SessionId, Option<Session>>,
    topics: Gather<UserId, Vec<Topic>>,
    messaging: Messaging,
}

impl Openings {
    /// Over these ports. What reads runs as tasks of `tasks`.
    pub fn start(
        sessions: Arc<Sessions>,
        store: Arc<dyn SessionStore>,
        conversations: Arc<dyn ConversationStore>,
        messaging: Messaging,
        tasks: &TaskTracker,
    ) -> Self {
        let found = Gather::start(tasks, move |ids: Vec<SessionId>| {
            let store = Arc::clone(&store);
            async move {
                let found = store.find_all(&ids).await?;
                let found: HashMap<_, _> = found.into_iter().map(|it| (it.id, it)).collect();
                Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
            }
        });
        let topics = Gather::start(tasks, move |members: Vec<UserId>| {
            let conversations = Arc::clone(&conversations);
            async move { conversations.topics(&members).await }
        });
        Self { sessions, found, topics, messaging }
    }

    /// Who presents this access token, as [`Sessions::authenticate`] has it.
    pub async fn authenticate(&self, token: &str) -> Result<Principal> {
        let principal = self.sessions.identify(token)?;
        self.ensure_alive(&principal).await?;
        Ok(principal)
    }

    /// Who presents this ticket. It is good once.
    pub async fn redeem(&self, ticket: &str) -> Result<Principal> {
        let principal = self.sessions.redeem(ticket).await?;
        self.ensure_alive(&principal).await?;
        Ok(principal)
    }

    /// The groups and channels of one who was authenticated a moment ago and whose session still lives.
    /// Where it ended before its socket was attached, nobody else will say so.
    ///
    /// What is stored when they are read has been told when they are here: nothing that was said before
    /// somebody came in is still on its way to him.
    pub async fn topics(&self, principal: &Principal) -> Result<Vec<Topic>> {
        let found = self.found.ask(principal.session_id);
        self.sessions.look_whether_alive(principal, found).await?;
        let topics = self.topics.ask(principal.user_id).await?;
        self.messaging.fence().await?;
        Ok(topics)
    }

    async fn ensure_alive(&self, principal: &Principal) -> Result<()> {
        self.sessions.ensure_alive(principal, self.found.ask(principal.session_id)).await
    }

    /// Waits until what reads has ended, which it does not while there is a handle.
    pub async fn crashed(&self) {
        tokio::select! {
            () = self.found.crashed() => {}
            () = self.topics.crashed() => {}
        }
    }
}
