//! Who comes and goes, and who is told.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use kith_domain::{
    Timestamp, UserId,
    event::{Audience, Event},
    user::{User, Visibility},
};
use kith_ports::{
    Clock, StoreResult, UserStore,
    live::{Dispatch, EventBus, Found, PresenceBoard},
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::warn;

use crate::gather::Gather;

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

/// How many last moments may wait to be recorded.
const QUEUE: usize = 4_096;
/// How many are recorded in one step.
const STEP: usize = 1_024;

/// Somebody's last moment, to be recorded.
struct Seen {
    user: UserId,
    at: Timestamp,
    recorded: oneshot::Sender<()>,
}

/// Presence of the people whose sockets this node has.
#[derive(Clone)]
pub struct PresenceService {
    ports: Ports,
    grace: Duration,
    runtime: Handle,
    tasks: TaskTracker,
    stop: CancellationToken,
    seen: mpsc::Sender<Seen>,
    /// Those whom somebody has written to, if he lets them know. Many come and go at once with a node.
    audiences: Gather<UserId, Vec<UserId>>,
}

impl PresenceService {
    /// A person is away `grace` after the last device went, or at once when `stop` is cancelled.
    /// What follows runs as tasks of `tasks` on the runtime that this is called on.
    pub fn start(
        ports: Ports,
        grace: Duration,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let (seen, moments) = mpsc::channel(QUEUE);
        tasks.spawn(record(ports.users.clone(), moments));
        let users = Arc::clone(&ports.users);
        let audiences = Gather::start(&tasks, move |of: Vec<UserId>| {
            let users = Arc::clone(&users);
            async move { audiences(&*users, of).await }
        });
        let runtime = Handle::current();
        let this = Self { ports, grace, runtime, tasks, stop, seen, audiences };
        this.tasks.spawn({
            let (this, stop) = (this.clone(), this.stop.clone());
            async move { stop.run_until_cancelled(this.tell_what_is_found()).await }
        });
        this
    }

    /// Tells what the board finds.
    async fn tell_what_is_found(&self) {
        while let Some(found) = self.ports.board.found().await {
            let told = found.into_iter().map(async |it| match it {
                Found::Gone(user, at) => self.went(user, at).await,
                Found::Here(user) => self.tell(user, Event::UserOnline(user)).await,
            });
            join_all(told).await;
        }
    }

    /// A device of `user` came.
    pub async fn arrived(&self, user: UserId) {
        if self.ports.board.arrive(user).await {
            self.tell(user, Event::UserOnline(user)).await;
        }
    }

    /// A device of `user`, which arrived before, went. What follows happens in the background.
    pub fn left(&self, user: UserId) {
        let this = self.clone();
        self.tasks.spawn_on(async move { this.leave(user).await }, &self.runtime);
    }

    async fn leave(&self, user: UserId) {
        if !self.ports.board.leave(user).await {
            return;
        }
        let left_at = self.ports.clock.now();
        tokio::select! {
            () = tokio::time::sleep(self.grace) => {}
            () = self.stop.cancelled() => {}
        }
        if self.ports.board.settle(user).await {
            self.went(user, left_at).await;
        }
    }

    /// A person is away since `left_at`.
    async fn went(&self, user: UserId, left_at: Timestamp) {
        // Who is told, and asks, finds it recorded.
        let (recorded, done) = oneshot::channel();
        if self.seen.send(Seen { user, at: left_at, recorded }).await.is_ok() {
            let _ = done.await;
        }
        let last_seen = Some(left_at);
        self.tell(user, Event::UserOffline { user_id: user, last_seen }).await;
        // Whoever came back while this was told, told it before.
        if self.ports.board.online(&[user]).await == [true] {
            self.tell(user, Event::UserOnline(user)).await;
        }
    }

    /// Those who could see `user` see him no more: to them he is away, if he was not before. Since
    /// when, or that he is not, is nothing they may know.
    pub(crate) async fn vanished(&self, user: UserId, from: Vec<UserId>) {
        if self.ports.board.online(&[user]).await == [true] {
            let event = Event::UserOffline { user_id: user, last_seen: None };
            self.publish(event, from).await;
        }
    }

    /// Those who could not see `user` see him again, if he is here.
    pub(crate) async fn appeared(&self, user: UserId, to: Vec<UserId>) {
        if self.ports.board.online(&[user]).await == [true] {
            self.publish(Event::UserOnline(user), to).await;
        }
    }

    /// `user` lets nobody see him any more.
    pub(crate) async fn went_dark(&self, user: UserId) {
        match self.ports.users.contacts(&[user]).await {
            Ok(contacts) => self.vanished(user, contacts.concat()).await,
            Err(error) => warn!(%user, %error, "presence was not told"),
        }
    }

    /// `user` lets others see him again.
    pub(crate) async fn came_to_light(&self, user: UserId) {
        if self.ports.board.online(&[user]).await == [true] {
            self.tell(user, Event::UserOnline(user)).await;
        }
    }

    /// Tells those whom the person has written to, as far as he lets them know.
    async fn tell(&self, user: UserId, event: Event) {
        match self.audiences.ask(user).await {
            Ok(people) => self.publish(event, people).await,
            Err(error) => warn!(%user, %error, "presence was not told"),
        }
    }

    async fn publish(&self, event: Event, people: Vec<UserId>) {
        if !people.is_empty() {
            let audience = Audience::Users(people);
            self.ports.bus.publish(vec![Dispatch::Event { event, audience, origin: None }]).await;
        }
    }

    /// Whether `viewer` is one of those who are told when `user` comes and goes.
    pub(crate) async fn is_told_to(&self, viewer: UserId, user: UserId) -> StoreResult<bool> {
        let found = self.ports.users.find(&[user]).await?;
        Ok(found.iter().any(is_visible)
            && self.ports.users.have_written_to(viewer, &[user]).await?.contains(&user))
    }

    /// Waits until what records last moments, or reads, has ended, which it does not while there is a
    /// handle.
    pub async fn crashed(&self) {
        tokio::select! {
            () = self.seen.closed() => {}
            () = self.audiences.crashed() => {}
        }
    }
}

/// Whether somebody lets anyone know that he is here.
fn is_visible(user: &User) -> bool {
    !user.is_deleted() && user.privacy.last_seen != Visibility::Nobody
}

/// Those whom each has written to, if he lets them know.
async fn audiences(users: &dyn UserStore, of: Vec<UserId>) -> StoreResult<Vec<Vec<UserId>>> {
    let visible: HashSet<UserId> =
        users.find(&of).await?.iter().filter(|it| is_visible(it)).map(|it| it.id).collect();
    let asked: Vec<UserId> = of.iter().copied().filter(|id| visible.contains(id)).collect();
    if asked.is_empty() {
        return Ok(vec![Vec::new(); of.len()]);
    }
    let contacts: HashMap<_, _> =
        asked.iter().copied().zip(users.contacts(&asked).await?).collect();
    // One who comes and goes at once is asked for twice.
    Ok(of.iter().map(|id| contacts.get(id).cloned().unwrap_or_default()).collect())
}

/// Records when people were last seen, all that waits in one step.
async fn record(users: Arc<dyn UserStore>, mut moments: mpsc::Receiver<Seen>) {
    let mut waiting = Vec::new();
    while moments.recv_many(&mut waiting, STEP).await > 0 {
        let seen: Vec<_> = waiting.iter().map(|seen| (seen.user, seen.at)).collect();
        if let Err(error) = users.saw(&seen).await {
            warn!(%error, people = seen.len(), "last seen was not recorded");
        }
        for seen in waiting.drain(..) {
            // Whoever waited may be gone.
            let _ = seen.recorded.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use kith_domain::user::Privacy;
    use kith_ports::{MockUserStore, live::MockPresenceBoard};
    use kith_testkit::FixedClock;

    use super::*;
    use crate::fixtures::{Recorder, account, user};

    const GRACE: Duration = Duration::from_secs(3);

    fn over(
        users: MockUserStore,
        mut board: MockPresenceBoard,
    ) -> (PresenceService, Arc<Recorder>, TaskTracker, CancellationToken) {
        board.expect_found().returning(|| None);
        let (bus, tasks, stop) = (Recorder::new(), TaskTracker::new(), CancellationToken::new());
        let ports = Ports {
            board: Arc::new(board),
            users: Arc::new(users),
            bus: bus.clone(),
            clock: Arc::new(FixedClock::new()),
        };
        (PresenceService::start(ports, GRACE, tasks.clone(), stop.clone()), bus, tasks, stop)
    }

    fn person(visibility: Visibility) -> MockUserStore {
        let mut users = MockUserStore::new();
        let privacy = Privacy { last_seen: visibility, read_receipts: true };
        users.expect_find().returning(move |_| Ok(vec![User { privacy, ..account(1) }]));
        users.expect_contacts().returning(|of| Ok(vec![vec![user(2), user(3)]; of.len()]));
        users
    }

    #[tokio::test]
    async fn contacts_hear_of_the_first_device_only() {
        let mut board = MockPresenceBoard::new();
        let mut first = true;
        board.expect_arrive().returning(move |_| std::mem::take(&mut first));
        let (presence, bus, ..) = over(person(Visibility::Everyone), board);
        presence.arrived(user(1)).await;
        presence.arrived(user(1)).await;
        assert!(matches!(
            &bus.take()[..],
            [Dispatch::Event { event: Event::UserOnline(_), audience: Audience::Users(people), .. }]
                if *people == [user(2), user(3)]
        ));
    }

    #[tokio::test]
    async fn who_shows_himself_to_nobody_is_told_to_nobody() {
        let mut board = MockPresenceBoard::new();
        board.expect_arrive().returning(|_| true);
        let (presence, bus, ..) = over(person(Visibility::Nobody), board);
        presence.arrived(user(1)).await;
        assert!(bus.take().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_come_back_within_the_grace_is_away_since_he_left() {
        let mut board = MockPresenceBoard::new();
        board.expect_leave().returning(|_| true);
        board.expect_settle().times(1).returning(|_| true);
        board.expect_online().returning(|_| vec![false]);
        let left_at = FixedClock::new().now();
        let mut users = person(Visibility::Everyone);
        users
            .expect_saw()
            .withf(move |seen| seen == [(user(1), left_at)])
            .times(1)
            .returning(|_| Ok(()));
        let (presence, bus, tasks, _) = over(users, board);
        presence.left(user(1));
        drop(presence);
        tasks.close();
        tokio::time::sleep(GRACE / 2).await;
        assert!(bus.take().is_empty());
        tasks.wait().await;
        assert!(matches!(
            &bus.take()[..],
            [Dispatch::Event { event: Event::UserOffline { last_seen, .. }, .. }]
                if *last_seen == Some(left_at)
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_back_is_not_told_to_be_away() {
        let mut board = MockPresenceBoard::new();
        board.expect_leave().returning(|_| true);
        board.expect_settle().returning(|_| false);
        let mut users = person(Visibility::Everyone);
        users.expect_saw().never();
        let (presence, bus, tasks, _) = over(users, board);
        presence.left(user(1));
        drop(presence);
        tasks.close();
        tasks.wait().await;
        assert!(bus.take().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_back_while_it_is_told_is_told_to_be_here() {
        let mut board = MockPresenceBoard::new();
        board.expect_leave().returning(|_| true);
        board.expect_settle().returning(|_| true);
        board.expect_online().returning(|_| vec![true]);
        let mut users = person(Visibility::Everyone);
        users.expect_saw().returning(|_| Ok(()));
        let (presence, bus, tasks, _) = over(users, board);
        presence.left(user(1));
        drop(presence);
        tasks.close();
        tasks.wait().await;
        assert!(matches!(
            &bus.take()[..],
            [
                Dispatch::Event { event: Event::UserOffline { .. }, .. },
                Dispatch::Event { event: Event::UserOnline(_), .. },
            ]
        ));
    }

    #[tokio::test]
    async fn who_was_on_a_node_that_died_is_away_since_then() {
        let mut board = MockPresenceBoard::new();
        let at = FixedClock::new().now();
        let mut found = Some(vec![Found::Gone(user(1), at)]);
        board.expect_found().times(2).returning(move || found.take());
        board.expect_online().returning(|_| vec![false]);
        let mut users = person(Visibility::Everyone);
        users
            .expect_saw()
            .withf(move |seen| seen == [(user(1), at)])
            .times(1)
            .returning(|_| Ok(()));
        let (presence, bus, tasks, _) = over(users, board);
        drop(presence);
        tasks.close();
        tasks.wait().await;
        assert!(matches!(
            &bus.take()[..],
            [Dispatch::Event { event: Event::UserOffline { last_seen, .. }, .. }]
                if *last_seen == Some(at)
        ));
    }

    #[tokio::test]
    async fn a_recorder_that_broke_down_is_noticed() {
        let mut board = MockPresenceBoard::new();
        board.expect_leave().returning(|_| true);
        board.expect_settle().returning(|_| true);
        board.expect_online().returning(|_| vec![false]);
        let mut users = person(Visibility::Everyone);
        users.expect_saw().returning(|_| panic!("a bug"));
        let (presence, _, _, stop) = over(users, board);
        stop.cancel();
        presence.left(user(1));
        presence.crashed().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_stops_does_not_wait_for_the_grace() {
        let mut board = MockPresenceBoard::new();
        board.expect_leave().returning(|_| true);
        board.expect_settle().returning(|_| true);
        board.expect_online().returning(|_| vec![false]);
        let mut users = person(Visibility::Everyone);
        users.expect_saw().times(1).returning(|_| Ok(()));
        let (presence, _, tasks, stop) = over(users, board);
        stop.cancel();
        let started = tokio::time::Instant::now();
        presence.left(user(1));
        drop(presence);
        tasks.close();
        tasks.wait().await;
        assert!(started.elapsed() < GRACE);
    }
}
