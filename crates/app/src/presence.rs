//! Who comes and goes, and who is told.

use std::{sync::Arc, time::Duration};

use kith_domain::{
    UserId,
    event::{Audience, Event},
    user::Visibility,
};
use kith_ports::{
    Clock, StoreResult, UserStore,
    live::{Dispatch, EventBus, PresenceBoard},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::warn;

/// The ports this needs.
#[derive(Clone)]
pub struct Ports {
    /// Who is online.
    pub board: Arc<dyn PresenceBoard>,
    /// Contacts, privacy, last seen.
    pub users: Arc<dyn UserStore>,
    /// Tells the contacts.
    pub bus: Arc<dyn EventBus>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Presence of the people whose sockets this node has.
#[derive(Clone)]
pub struct PresenceService {
    ports: Ports,
    grace: Duration,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl PresenceService {
    /// A person is away `grace` after the last device went, or at once when `stop` is cancelled.
    pub fn new(ports: Ports, grace: Duration, tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self { ports, grace, tasks, stop }
    }

    /// A device of `user` came.
    pub async fn arrived(&self, user: UserId) {
        if self.ports.board.arrive(user).await {
            self.tell(user, Event::UserOnline(user)).await;
        }
    }

    /// A device of `user` went. What follows happens in the background.
    pub fn left(&self, user: UserId) {
        let this = self.clone();
        self.tasks.spawn(async move { this.leave(user).await });
    }

    async fn leave(&self, user: UserId) {
        if !self.ports.board.leave(user).await {
            return;
        }
        let last_seen = self.ports.clock.now();
        tokio::select! {
            () = tokio::time::sleep(self.grace) => {}
            () = self.stop.cancelled() => {}
        }
        if !self.ports.board.settle(user).await {
            return;
        }
        if let Err(error) = self.ports.users.saw(&[(user, last_seen)]).await {
            warn!(%user, %error, "last seen was not recorded");
        }
        self.tell(user, Event::UserOffline { user_id: user, last_seen }).await;
    }

    /// Tells those whom the person has written to, as far as he lets them know.
    async fn tell(&self, user: UserId, event: Event) {
        match self.audience(user).await {
            Ok(people) if people.is_empty() => {}
            Ok(people) => {
                let audience = Audience::Users(people);
                self.ports
                    .bus
                    .publish(vec![Dispatch::Event { event, audience, origin: None }])
                    .await;
            }
            Err(error) => warn!(%user, %error, "presence was not told"),
        }
    }

    async fn audience(&self, user: UserId) -> StoreResult<Vec<UserId>> {
        let found = self.ports.users.find(&[user]).await?;
        match found.first() {
            Some(person)
                if !person.is_deleted() && person.privacy.last_seen != Visibility::Nobody =>
            {
                self.ports.users.contacts(user).await
            }
            _ => Ok(Vec::new()),
        }
    }
}
