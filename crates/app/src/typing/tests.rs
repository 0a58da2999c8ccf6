use kith_domain::{
    conversation::{Conversation, Posting, SMALL},
    event::{Audience, Event},
    group::Role,
    user::User,
};
use kith_ports::{MemberSnapshot, MockBlockStore, MockConversationStore, MockUserStore};

use super::*;
use crate::fixtures::{
    Recorder, account, blocking, connection, direct, group, group_id, head, user,
};

/// Somebody on a socket.
const ANN: u128 = 1;
const LIFETIME: Duration = Duration::from_secs(6);

struct Room {
    typing: Typing,
    bus: Arc<Recorder>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Room {
    /// Typing over these; whoever is looked for is found.
    fn over(store: MockConversationStore, blocks: MockBlockStore) -> Self {
        let mut users = MockUserStore::new();
        users
            .expect_find()
            .returning(|ids| Ok((1..9).map(account).filter(|it| ids.contains(&it.id)).collect()));
        Self::with(store, users, blocks)
    }

    fn with(store: MockConversationStore, users: MockUserStore, blocks: MockBlockStore) -> Self {
        let (bus, tasks, stop) = (Recorder::new(), TaskTracker::new(), CancellationToken::new());
        let ports = Ports {
            conversations: Arc::new(store),
            users: Arc::new(users),
            blocks: Arc::new(blocks),
            bus: bus.clone(),
        };
        let options = TypingOptions::default();
        let typing = Typing::start_service(ports, options, &tasks, stop.clone());
        Self { typing, bus, tasks, stop }
    }

    async fn start(&self, socket: u128) -> Result<()> {
        self.typing.start(user(ANN), in_group(), connection(socket)).await
    }

    /// What has been told since this was last asked.
    async fn told(&self) -> Vec<&'static str> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let told = self.bus.take().into_iter().map(|dispatch| match dispatch {
            Dispatch::Event { event: Event::TypingStarted(_), origin: None, .. } => "types",
            Dispatch::Event { event: Event::TypingStopped(_), origin: None, .. } => "stopped",
            other => panic!("{other:?}"),
        });
        told.collect()
    }
}

fn in_group() -> Target {
    Target::Conversation(group_id())
}

/// A store that holds this conversation, with these members; it is only read.
fn holding(conversation: Conversation, members: &'static [(u128, Role)]) -> MockConversationStore {
    let mut store = MockConversationStore::new();
    store.expect_snapshot().returning(move |id, asked| {
        let members = members.iter().map(|&(n, role)| MemberSnapshot { user_id: user(n), role });
        Ok((id == conversation.id).then(|| Snapshot {
            conversation: conversation.clone(),
            head: head(),
            owners: 1,
            members: members.filter(|member| asked.contains(&member.user_id)).collect(),
        }))
    });
    store
}

const TWO: &[(u128, Role)] = &[(1, Role::Member), (2, Role::Owner)];

fn a_group() -> Room {
    Room::over(holding(group(2), TWO), MockBlockStore::new())
}

#[tokio::test(start_paused = true)]
async fn the_others_hear_who_types_and_that_he_stopped() {
    let room = a_group();
    room.start(1).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(matches!(
        &room.bus.take()[..],
        [Dispatch::Event {
            event: Event::TypingStarted(word),
            audience: Audience::Others(_, but),
            origin: None,
        }] if word.username.as_str() == "user_1" && *but == user(ANN)
    ));
    room.typing.stop(user(ANN), in_group(), connection(1));
    room.typing.stop(user(ANN), in_group(), connection(1));
    assert_eq!(room.told().await, ["stopped"]);
}

#[tokio::test(start_paused = true)]
async fn typing_ends_six_seconds_after_the_last_word_of_it() {
    let room = a_group();
    room.start(1).await.unwrap();
    tokio::time::sleep(Duration::from_millis(900)).await;
    // Not passed on, but it counts.
    room.start(1).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5_990)).await;
    assert_eq!(room.told().await, ["types"]);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(room.told().await, ["stopped"]);
    tokio::time::sleep(LIFETIME * 2).await;
    assert!(room.told().await.is_empty());
    assert!(room.typing.shared.nobody_types(), "what has ended is forgotten");
}

#[tokio::test(start_paused = true)]
async fn one_word_a_second_is_passed_on_and_only_then_anything_is_read() {
    let mut store = MockConversationStore::new();
    let held = holding(group(2), TWO);
    store.expect_snapshot().times(3).returning(move |id, asked| {
        let asked = asked.to_vec();
        futures_util::FutureExt::now_or_never(held.snapshot(id, &asked)).unwrap()
    });
    let room = Room::over(store, MockBlockStore::new());
    for _ in 0..29 {
        room.start(1).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(room.told().await, ["types"; 3]);
    // Stopping in between makes it no more often.
    for _ in 0..5 {
        room.typing.stop(user(ANN), in_group(), connection(1));
        room.start(1).await.unwrap();
    }
    assert_eq!(room.told().await, ["stopped"]);
}

#[tokio::test(start_paused = true)]
async fn who_sends_types_no_more_on_any_device() {
    let room = a_group();
    room.typing.sent(user(ANN), group_id());
    room.start(1).await.unwrap();
    room.start(2).await.unwrap();
    room.typing.sent(user(2), group_id());
    assert_eq!(room.told().await, ["types"]);
    room.typing.sent(user(ANN), group_id());
    assert_eq!(room.told().await, ["stopped"]);
}

#[tokio::test(start_paused = true)]
async fn who_types_on_two_devices_types_until_the_last_one_is_gone() {
    let room = a_group();
    room.start(1).await.unwrap();
    room.start(2).await.unwrap();
    room.typing.disconnected(user(ANN), connection(1));
    assert_eq!(room.told().await, ["types"]);
    room.typing.disconnected(user(ANN), connection(2));
    assert_eq!(room.told().await, ["stopped"]);
}

#[tokio::test(start_paused = true)]
async fn who_has_stopped_before_he_was_told_of_is_not_told_of() {
    let room = a_group();
    // The task that tells does not run in between.
    room.start(1).await.unwrap();
    room.typing.sent(user(ANN), group_id());
    assert!(room.told().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn while_one_word_is_judged_others_wait_for_it_and_a_stop_ends_it() {
    let (mut board, now) = (Board::new(TypingOptions::default()), Instant::now());
    let key = (group_id(), user(ANN));
    let mut out = Vec::new();
    assert!(board.start(key, connection(1), now));
    assert!(!board.start(key, connection(2), now + LIFETIME / 2), "it is judged already");
    assert!(!board.stop(key, connection(1)), "the other device types on");
    assert!(board.stop(key, connection(2)));
    // However long it takes.
    board.take(now + LIFETIME * 2, &mut out);
    assert_eq!(board.len(), 1);
    let username = account(ANN).username.unwrap();
    let event = TypingEvent { conversation_id: group_id(), user_id: user(ANN), username };
    board.judged(key, Verdict::Tell(Word { event, audience: group(2).audience_but(user(ANN)) }));
    assert_eq!(board.take(now + LIFETIME * 2, &mut out), None);
    assert!(out.is_empty());
    assert_eq!(board.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_judgement_that_is_cut_off_leaves_no_trace() {
    let room = a_group();
    let key = (group_id(), user(ANN));
    assert!(room.typing.shared.on_board(|board| board.start(key, connection(1), Instant::now())));
    drop(Turn { shared: &room.typing.shared, key, verdict: Verdict::Refused });
    assert!(room.typing.shared.nobody_types());
    room.start(1).await.unwrap();
    assert_eq!(room.told().await, ["types"]);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_hears_nothing_of_it() {
    let room = Room::over(holding(group(SMALL + 1), TWO), MockBlockStore::new());
    room.start(1).await.unwrap();
    assert!(room.told().await.is_empty());
    tokio::time::sleep(LIFETIME).await;
    assert!(room.told().await.is_empty());
    assert!(room.typing.shared.nobody_types());
}

#[tokio::test(start_paused = true)]
async fn who_may_not_write_may_not_type_and_leaves_no_trace() {
    let room = a_group();
    let stranger = room.typing.start(user(5), in_group(), connection(1)).await.unwrap_err();
    assert_eq!(stranger.code(), Some(Code::NotAMember));
    let elsewhere = Target::Group(direct(1, 2).id);
    let refused = room.typing.start(user(ANN), elsewhere, connection(1)).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::NotAMember));
    let to_himself = Target::Person(user(ANN));
    let refused = room.typing.start(user(ANN), to_himself, connection(1)).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::OneSelf));
    let for_admins = Conversation { posting: Posting::Admins, ..group(2) };
    let quiet = Room::over(holding(for_admins, TWO), MockBlockStore::new());
    for _ in 0..2 {
        // Each time anew: a refusal is not remembered.
        assert_eq!(quiet.start(1).await.unwrap_err().code(), Some(Code::Forbidden));
    }
    for room in [room, quiet] {
        assert!(room.told().await.is_empty());
        assert!(room.typing.shared.nobody_types());
    }
}

async fn to_the_other(blocks: &'static [u128], other: User) -> (Result<()>, Vec<&'static str>) {
    let mut users = MockUserStore::new();
    users.expect_find().returning(move |ids| {
        let all = [account(1), other.clone()];
        Ok(all.into_iter().filter(|it| ids.contains(&it.id)).collect())
    });
    let room = Room::with(holding(direct(1, 2), TWO), users, blocking(blocks));
    let target = Target::Person(user(2));
    let started = room.typing.start(user(ANN), target, connection(1)).await;
    (started, room.told().await)
}

#[tokio::test(start_paused = true)]
async fn in_a_direct_chat_the_other_one_must_be_there_and_willing() {
    let erased = User { deleted_at: Some(account(2).created_at), ..account(2) };
    for (blocks, other, code) in [
        (&[2][..], account(2), Some(Code::Blocked)),
        (&[], erased, Some(Code::PeerDeleted)),
        (&[], account(2), None),
    ] {
        let (started, told) = to_the_other(blocks, other).await;
        assert_eq!(started.err().and_then(|error| error.code()), code);
        assert_eq!(told.len(), usize::from(code.is_none()));
    }
}

#[tokio::test(start_paused = true)]
async fn to_whom_one_has_never_written_one_may_type_unheard() {
    let room = Room::over(holding(group(2), TWO), blocking(&[4]));
    let start = async |peer| {
        let target = Target::Person(user(peer));
        room.typing.start(user(ANN), target, connection(1)).await
    };
    start(3).await.unwrap();
    assert_eq!(start(4).await.unwrap_err().code(), Some(Code::Blocked));
    assert_eq!(start(99).await.unwrap_err().code(), Some(Code::ValidationFailed));
    assert!(room.told().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_loses_the_right_while_he_types_is_told_to_have_stopped() {
    let mut store = holding(group(2), TWO);
    store.checkpoint();
    let mut judged = 0;
    store.expect_snapshot().returning(move |_, _| {
        judged += 1;
        let members = if judged == 1 { TWO } else { &[] };
        Ok(Some(crate::fixtures::snapshot(members)))
    });
    let room = Room::over(store, MockBlockStore::new());
    room.start(1).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(room.start(1).await.unwrap_err().code(), Some(Code::NotAMember));
    assert_eq!(room.told().await, ["types", "stopped"]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_no_typing() {
    let mut store = MockConversationStore::new();
    store
        .expect_snapshot()
        .returning(|_, _| Err(kith_ports::StoreError::Unavailable("gone".into())));
    let room = Room::over(store, MockBlockStore::new());
    assert!(matches!(room.start(1).await, Err(crate::Error::Unavailable(_))));
    assert!(room.told().await.is_empty());
    assert!(room.typing.shared.nobody_types());
}

#[tokio::test(start_paused = true)]
async fn nobody_types_everywhere_at_once() {
    let mut store = MockConversationStore::new();
    store.expect_snapshot().returning(|id, _| {
        let mut there = crate::fixtures::snapshot(TWO);
        there.conversation.id = id;
        Ok(Some(there))
    });
    let room = Room::over(store, MockBlockStore::new());
    for n in 0..100 {
        let id = ConversationId::from_uuid(uuid::Uuid::from_u128(n));
        room.typing.start(user(ANN), Target::Group(id), connection(1)).await.unwrap();
    }
    assert_eq!(room.told().await.len(), 16);
    room.typing.disconnected(user(ANN), connection(1));
    assert_eq!(room.told().await.len(), 16);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(room.typing.shared.nobody_types());
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_the_server() {
    let room = a_group();
    room.start(1).await.unwrap();
    room.stop.cancel();
    room.tasks.close();
    room.tasks.wait().await;
    room.typing.crashed().await;
}
