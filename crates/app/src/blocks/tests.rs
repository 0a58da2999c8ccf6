use std::{
    collections::HashSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use kith_domain::{
    Timestamp,
    event::{Audience, Event},
    presence::Presence,
    user::{Privacy, User, Visibility},
};
use kith_ports::{
    MockBlockStore, MockUserStore, StoreError,
    live::{Dispatch, MockPresenceBoard, PresenceBoard},
};
use kith_testkit::FixedClock;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::*;
use crate::{
    Error,
    fixtures::{Recorder, account, user},
    presence,
};

/// Who has blocked whom.
type Kept = Arc<Mutex<HashSet<(UserId, UserId)>>>;

/// Users 1 to 8, of whom users 1 and 2 have written to each other.
struct World {
    kept: Kept,
    /// Who shows himself to nobody.
    hidden: Option<UserId>,
    here: Arc<AtomicBool>,
}

impl World {
    fn new() -> Self {
        let here = Arc::new(AtomicBool::new(true));
        Self { kept: Kept::default(), hidden: None, here }
    }

    fn blocks(&self, store: MockBlockStore) -> (Blocks, Arc<Recorder>) {
        let (mut users, hidden) = (MockUserStore::new(), self.hidden);
        users.expect_find().returning(move |ids| {
            let seen = |user: User| {
                let last_seen =
                    if hidden == Some(user.id) { Visibility::Nobody } else { Visibility::Everyone };
                User { privacy: Privacy { last_seen, read_receipts: true }, ..user }
            };
            let known = (1..9).rev().map(account).filter(|user| ids.contains(&user.id));
            Ok(known.map(seen).collect())
        });
        let kept = self.kept.clone();
        users.expect_have_written_to().returning(move |viewer, owners| {
            let (kept, writers) = (kept.lock().unwrap(), [user(1), user(2)]);
            let wrote = |owner: &&UserId| {
                writers.contains(&viewer)
                    && writers.contains(owner)
                    && !kept.contains(&(viewer, **owner))
                    && !kept.contains(&(**owner, viewer))
            };
            Ok(owners.iter().filter(wrote).copied().collect())
        });
        let (mut board, here) = (MockPresenceBoard::new(), self.here.clone());
        board.expect_found().returning(|| None);
        board
            .expect_online()
            .returning(move |asked| vec![here.load(Ordering::SeqCst); asked.len()]);
        let (bus, users) = (Recorder::new(), Arc::new(users));
        let (board, store): (Arc<dyn PresenceBoard>, Arc<dyn BlockStore>) =
            (Arc::new(board), Arc::new(store));
        let clock = Arc::new(FixedClock::new());
        let presence = PresenceService::start(
            presence::Ports {
                board: board.clone(),
                users: users.clone(),
                bus: bus.clone(),
                clock: clock.clone(),
            },
            Duration::ZERO,
            TaskTracker::new(),
            CancellationToken::new(),
        );
        let people = People::new(users, store.clone(), board);
        (Blocks::new(Ports { store, clock }, people, presence), bus)
    }

    /// A store that keeps who has blocked whom.
    fn keeping(&self) -> MockBlockStore {
        let mut store = MockBlockStore::new();
        let (kept, here) = (self.kept.clone(), self.here.clone());
        store.expect_block().returning(move |by, whom, _: Timestamp| {
            kept.lock().unwrap().insert((by, whom));
            // Whoever was away comes while it is written.
            here.store(true, Ordering::SeqCst);
            Ok(true)
        });
        let kept = self.kept.clone();
        store.expect_unblock().returning(move |by, whom| {
            kept.lock().unwrap().remove(&(by, whom));
            Ok(())
        });
        let kept = self.kept.clone();
        store.expect_blocked_among().returning(move |me, others| {
            let kept = kept.lock().unwrap();
            let apart =
                |other: &&UserId| kept.contains(&(me, **other)) || kept.contains(&(**other, me));
            Ok(others.iter().filter(apart).copied().collect())
        });
        store
    }
}

fn over(store: MockBlockStore) -> (Blocks, Arc<Recorder>) {
    World::new().blocks(store)
}

/// Who was told of whom, and whether he is here.
fn told(bus: &Recorder) -> Vec<(u128, u128, bool)> {
    let number = |id: UserId| (1..9).find(|n| user(*n) == id).unwrap();
    let told = bus.take().into_iter().map(|dispatch| match dispatch {
        Dispatch::Event { event, audience: Audience::Users(to), origin: None } => match event {
            // Since when one is not seen any more is nothing the other may know.
            Event::UserOffline { user_id, last_seen: None } => {
                (number(to[0]), number(user_id), false)
            }
            Event::UserOnline(user_id) => (number(to[0]), number(user_id), true),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    });
    told.collect()
}

#[tokio::test]
async fn who_is_blocked_is_seen_no_more_and_neither_is_he_who_blocks() {
    let world = World::new();
    let (blocks, bus) = world.blocks(world.keeping());
    let seen = blocks.block(user(1), user(2)).await.unwrap();
    assert_eq!((seen.user.id, seen.presence), (user(2), Presence::Hidden));
    assert_eq!(told(&bus), [(1, 2, false), (2, 1, false)]);
    blocks.block(user(1), user(2)).await.unwrap();
    assert!(bus.take().is_empty(), "doing it twice changes nothing");
}

#[tokio::test]
async fn who_comes_while_he_is_blocked_does_not_stay_in_the_others_list() {
    let world = World::new();
    world.here.store(false, Ordering::SeqCst);
    let (blocks, bus) = world.blocks(world.keeping());
    blocks.block(user(1), user(2)).await.unwrap();
    assert_eq!(told(&bus), [(1, 2, false), (2, 1, false)]);
}

#[tokio::test]
async fn who_never_heard_of_the_other_is_not_told_that_he_was_blocked() {
    let world = World::new();
    let (blocks, bus) = world.blocks(world.keeping());
    blocks.block(user(1), user(3)).await.unwrap();
    blocks.unblock(user(1), user(3)).await.unwrap();
    assert!(told(&bus).is_empty());
    let world = World { hidden: Some(user(1)), ..World::new() };
    let (blocks, bus) = world.blocks(world.keeping());
    blocks.block(user(1), user(2)).await.unwrap();
    assert_eq!(told(&bus), [(1, 2, false)]);
}

#[tokio::test]
async fn who_is_blocked_no_more_is_seen_again_once_neither_blocks_the_other() {
    let world = World::new();
    let (blocks, bus) = world.blocks(world.keeping());
    blocks.block(user(1), user(2)).await.unwrap();
    blocks.block(user(2), user(1)).await.unwrap();
    bus.take();
    blocks.unblock(user(1), user(2)).await.unwrap();
    assert!(told(&bus).is_empty());
    blocks.unblock(user(2), user(1)).await.unwrap();
    assert_eq!(told(&bus), [(2, 1, true), (1, 2, true)]);
    blocks.unblock(user(2), user(1)).await.unwrap();
    assert!(told(&bus).is_empty(), "there was none to take back");
}

#[tokio::test]
async fn nobody_blocks_himself_or_one_who_is_not_there() {
    let mut unknown = MockBlockStore::new();
    unknown.expect_block().returning(|_, _, _| Ok(false));
    let (blocks, _) = over(unknown);
    let Error::Refused(refusal) = blocks.block(user(1), user(1)).await.unwrap_err() else {
        panic!("it is a refusal")
    };
    assert_eq!((refusal.code, refusal.fields[0].field.as_ref()), (Code::OneSelf, "user_id"));
    let refused = blocks.block(user(1), user(99)).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::NotFound));

    let mut erased = MockBlockStore::new();
    erased.expect_blocked_among().returning(|_, _| Ok(Vec::new()));
    erased.expect_block().returning(|_, _, _| Ok(false));
    let (blocks, bus) = over(erased);
    let refused = blocks.block(user(1), user(2)).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::NotFound));
    assert!(bus.take().is_empty());
}

#[tokio::test]
async fn what_is_not_stored_is_told_to_nobody() {
    let mut store = MockBlockStore::new();
    store.expect_blocked_among().returning(|_, _| Ok(Vec::new()));
    store.expect_block().returning(|_, _, _| Err(StoreError::Busy));
    let (blocks, bus) = over(store);
    assert!(matches!(blocks.block(user(1), user(2)).await, Err(Error::Overloaded)));
    assert!(bus.take().is_empty());
}

#[tokio::test]
async fn a_list_keeps_its_order() {
    let mut store = MockBlockStore::new();
    store.expect_blocked_among().returning(|_, asked| Ok(asked.to_vec()));
    store.expect_blocked_by().returning(|_, _, _| {
        Ok(Page { items: vec![user(2), user(3), user(5)], next: Some(user(5)) })
    });
    let (blocks, _) = over(store);
    let page = blocks.list(user(1), None, 3).await.unwrap();
    let ids: Vec<UserId> = page.items.iter().map(|seen| seen.user.id).collect();
    assert_eq!((ids, page.next), (vec![user(2), user(3), user(5)], Some(user(5))));
    assert!(page.items.iter().all(|seen| seen.presence == Presence::Hidden));
}
