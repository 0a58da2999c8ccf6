//! What two nodes do at once, forced into the order that is hard.

use kith_domain::{
    Code, ConversationId,
    group::{MemberChange, Role},
    receipt::Watermarks,
    user::ProfilePatch,
};
use kith_ports::{
    Advance, BlockStore as _, ConversationStore as _, ReceiptStore as _, SessionStore, StoreError,
    UserStore,
    log::{Applied, Change, Command, ConversationLog as _, Rejected},
};
use kith_testkit::build::{self, at, send_to, user_id, write_to};
use rstest::rstest;

use super::{
    super::Postgres,
    ground::{Ground, apply, applying, sent},
};

/// What removes the second from a group, as [`Change::Members`] does.
fn removal(id: ConversationId) -> String {
    format!(
        "UPDATE heads SET version = version + 1, member_epoch = member_epoch + 1,
             changed = pg_current_xact_id()::text::bigint
         WHERE conversation_id = '{id}';
         UPDATE members SET left_seq = 0, version = 2, changed = pg_current_xact_id()::text::bigint
         WHERE conversation_id = '{id}' AND user_id = '{}';
         UPDATE conversations SET member_count = 2 WHERE id = '{id}'",
        user_id(2)
    )
}

/// What else is in the batch, so that each way of appending is the one that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Company {
    Nothing,
    Message,
    OtherCommand,
}

impl Company {
    /// A batch of `first` and its company, the `n`th message of the third.
    fn with(self, group: ConversationId, first: Command, n: u64) -> Vec<Command> {
        let change = Change::Hide { member: user_id(3) };
        match self {
            Self::Nothing => vec![first],
            Self::Message => vec![first, send_to(group, n, user_id(3), "and I")],
            Self::OtherCommand => {
                vec![first, Command { conversation_id: group, at: at(2), change }]
            }
        }
    }

    /// How many messages of its own it adds.
    const fn messages(self) -> i64 {
        if matches!(self, Self::Message) { 1 } else { 0 }
    }
}

/// A statement that read members as they were when it began would store the message.
#[rstest]
#[case::alone(Company::Nothing)]
#[case::among_messages(Company::Message)]
#[case::among_others(Company::OtherCommand)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_that_waits_for_a_removal_is_refused(#[case] company: Company) {
    let (ground, store, group) = Ground::furnished().await;
    let raw = ground.raw().await;
    raw.hold(group).await;
    raw.run(&removal(group)).await;

    let batch = company.with(group, send_to(group, 1, user_id(2), "still here?"), 2);
    let sending = applying(&store, batch);
    ground.waiting(1).await;
    raw.run("COMMIT").await;

    match &sending.await.unwrap().unwrap()[0] {
        Err(Rejected::Refused(refusal)) => assert_eq!(refusal.code, Code::NotAMember),
        other => panic!("expected a refusal, found {other:?}"),
    }
    let others = company.messages();
    ground.assert_dense(group, others, 2 + others).await;
    let next = apply(&store, send_to(group, 3, user_id(1), "he is gone")).await;
    assert_eq!(sent(&next).seq, 1 + others);
}

/// What was judged before a block is there when the block is answered, and nothing comes after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_waits_for_what_is_being_sent() {
    let (ground, store, _) = Ground::furnished().await;
    let chat =
        sent(&apply(&store, write_to(user_id(2), 1, user_id(1), "hi")).await).conversation_id;
    let raw = ground.raw().await;
    raw.hold(chat).await;
    let blocking = {
        let store = store.clone();
        tokio::spawn(async move { store.block(user_id(2), user_id(1), at(2)).await })
    };
    ground.waiting(1).await;
    assert_eq!(ground.number("SELECT count(*) FROM blocks").await, 0);
    raw.run("COMMIT").await;
    assert!(blocking.await.unwrap().unwrap());
    let next = apply(&store, send_to(chat, 2, user_id(1), "still here?")).await;
    assert!(
        matches!(&next, Err(Rejected::Refused(refusal)) if refusal.code == Code::Blocked),
        "{next:?}"
    );
}

/// A statement that read blocks as they were when it began would store the message.
#[rstest]
#[case::alone(Company::Nothing)]
#[case::among_messages(Company::Message)]
#[case::among_others(Company::OtherCommand)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_that_waits_for_a_block_is_refused(#[case] company: Company) {
    let (ground, store, group) = Ground::furnished().await;
    let chat =
        sent(&apply(&store, write_to(user_id(2), 1, user_id(1), "hi")).await).conversation_id;
    let raw = ground.raw().await;
    raw.hold(chat).await;
    let (by, whom) = (user_id(2), user_id(1));
    raw.run(&format!(
        "INSERT INTO blocks (user_id, blocked_id, at) VALUES ('{by}', '{whom}', now())"
    ))
    .await;
    let batch = company.with(group, send_to(chat, 2, user_id(1), "still here?"), 3);
    let sending = applying(&store, batch);
    ground.waiting(1).await;
    raw.run("COMMIT").await;
    match &sending.await.unwrap().unwrap()[0] {
        Err(Rejected::Refused(refusal)) => assert_eq!(refusal.code, Code::Blocked),
        other => panic!("expected a refusal, found {other:?}"),
    }
    ground.assert_dense(chat, 1, 2).await;
}

/// It has nothing to wait for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_advance_that_moves_nothing_waits_for_nobody() {
    let (ground, store, group) = Ground::furnished().await;
    apply(&store, send_to(group, 1, user_id(1), "hi")).await.unwrap();
    let quiet = build::group(2, user_id(1));
    let other = quiet.id;
    apply(&store, build::create(quiet, &[user_id(2)])).await.unwrap();
    apply(&store, send_to(other, 2, user_id(1), "hi")).await.unwrap();
    let advance = |conversation_id, user_id, read| {
        let to = Watermarks { delivered: 1, read };
        Advance { conversation_id, user_id, to, at: at(3) }
    };
    store.advance([advance(group, user_id(2), 1)].into()).await.unwrap();
    let raw = ground.raw().await;
    raw.hold(group).await;
    let batch = [
        advance(group, user_id(2), 0),
        advance(other, user_id(2), 1),
        advance(group, user_id(1), 1),
        advance(group, user_id(9), 1),
    ];
    let answers = store.advance(batch.into()).await.unwrap();
    let after: Vec<_> = answers.iter().map(|it| it.as_ref().map(|it| it.after.read)).collect();
    assert_eq!(after, [Some(1), Some(1), Some(1), None]);
    assert_eq!(answers[1].as_ref().unwrap().senders_of_read, [user_id(1)]);
    let waiting = {
        let store = store.clone();
        let batch = [advance(group, user_id(3), 1)];
        tokio::spawn(async move { store.advance(batch.into()).await })
    };
    ground.waiting(1).await;
    // He is removed meanwhile.
    raw.run(&format!(
        "UPDATE members SET left_seq = 1 WHERE conversation_id = '{group}' AND user_id = '{}'; COMMIT",
        user_id(3)
    ))
    .await;
    assert_eq!(waiting.await.unwrap().unwrap(), [None]);
}

/// What `work` answers, which locks what `first` locks and then what `second` does. Another has the second
/// meanwhile and waits for the first, and goes on only when what the store did has been undone.
async fn through_a_circle<Work: Future<Output: Send + 'static> + Send + 'static>(
    ground: &Ground,
    [first, second]: [&str; 2],
    work: impl FnOnce(Postgres) -> Work,
) -> Work::Output {
    let (gate, other) = (ground.raw().await, ground.raw().await);
    // The store looks for a circle after a second of waiting, the other never does.
    let name = ground.database.name();
    gate.run(&format!("ALTER DATABASE {name} SET deadlock_timeout = '1s'")).await;
    let store = ground.open().await;
    other.run("SET deadlock_timeout = '1min'").await;
    gate.run(&format!("BEGIN; {first}")).await;
    other.run(&format!("BEGIN; {second}")).await;
    let working = tokio::spawn(work(store));
    ground.waiting(1).await;
    tokio::join!(
        async {
            other.run(first).await;
            other.run("COMMIT").await;
        },
        async {
            // The other stands behind the store, which so runs into the circle whenever it comes on.
            let both = "SELECT count(*) = 2 FROM pg_stat_activity \
                        WHERE datname = current_database() AND wait_event_type = 'Lock'";
            ground.until(both).await;
            gate.run("COMMIT").await;
        },
    );
    working.await.unwrap()
}

fn lock_head(id: ConversationId) -> String {
    format!("SELECT FROM heads WHERE conversation_id = '{id}' FOR NO KEY UPDATE")
}

/// He holds heads and waits for the account, while another who has that waits for the heads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_of_receipts_in_a_deadlock_is_tried_again() {
    let (ground, _, group) = Ground::furnished().await;
    let user = user_id(2);
    let account = format!("SELECT FROM users WHERE id = '{user}' FOR NO KEY UPDATE");
    let patch = ProfilePatch { read_receipts: Some(false), ..ProfilePatch::default() };
    let switched = through_a_circle(&ground, [&lock_head(group), &account], |store| async move {
        store.update(user, patch).await
    })
    .await;
    assert!(!switched.unwrap().unwrap().privacy.read_receipts);
}

/// A statement that looked for duplicates before the lock would fail, or leave a gap.
#[rstest]
#[case::alone(Company::Nothing)]
#[case::among_messages(Company::Message)]
#[case::among_others(Company::OtherCommand)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_client_id_from_two_nodes_is_one_message(#[case] company: Company) {
    let (ground, here, group) = Ground::furnished().await;
    let there = ground.open().await;
    let raw = ground.raw().await;
    raw.hold(group).await;
    let batch = |id| {
        let mut first = send_to(group, 1, user_id(2), "hi");
        if let Change::Send(send) = &mut first.change {
            send.id = build::message_id(id);
        }
        company.with(group, first, id + 1)
    };
    let both = [applying(&here, batch(10)), applying(&there, batch(20))];
    ground.waiting(2).await;
    raw.run("COMMIT").await;

    let (mut new, mut old) = (Vec::new(), Vec::new());
    for applying in both {
        match applying.await.unwrap().unwrap().swap_remove(0).unwrap() {
            Applied::Sent { message, .. } => new.push(message),
            Applied::Duplicate(message, _) => old.push(message),
            other => panic!("expected a message, found {other:?}"),
        }
    }
    assert_eq!(new, old, "one message, told to both");
    assert_eq!(new.len(), 1);
    let others = 2 * company.messages();
    ground.assert_dense(group, 1 + others, 2 + others).await;
    let next = apply(&there, send_to(group, 3, user_id(1), "next")).await;
    assert_eq!((sent(&next).seq, sent(&next).version), (2 + others, 3 + others));
}

/// Otherwise he would be in the group for good: what he was in was left before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_who_is_being_erased_does_not_come_into_a_group() {
    let (ground, store, group) = Ground::furnished().await;
    UserStore::register(&store, build::account(4)).await.unwrap();
    let raw = ground.raw().await;
    raw.run(&format!("BEGIN; UPDATE users SET deleted_at = now() WHERE id = '{}'", user_id(4)))
        .await;
    let changes = [MemberChange::Joins(user_id(4), Role::Member)];
    let member_epoch = store.snapshot(group, &[]).await.unwrap().unwrap().head.member_epoch;
    let change = build::members(user_id(1), &changes, 1, member_epoch);
    let joining = applying(&store, vec![Command { conversation_id: group, at: at(2), change }]);
    ground.waiting(1).await;
    raw.run("COMMIT").await;
    match joining.await.unwrap().unwrap().swap_remove(0).unwrap() {
        Applied::MembersChanged { changes, .. } => assert_eq!(changes, []),
        other => panic!("expected no change, found {other:?}"),
    }
}

/// Reads wait, messages do not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_have_connections_of_their_own() {
    let (ground, store, group) = Ground::furnished().await;
    let raw = ground.raw().await;
    raw.run("BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE").await;
    let reads: Vec<_> = (0..2)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { SessionStore::find(&store, build::session_id(1)).await })
        })
        .collect();
    ground.waiting(2).await;
    for n in 1..=3 {
        sent(&apply(&store, send_to(group, n, user_id(1), "quick")).await);
    }
    ground.waiting(2).await;
    raw.run("COMMIT").await;
    for read in reads {
        assert!(read.await.unwrap().unwrap().is_some());
    }
}

/// How many changes of each conversation took a version, and how many messages it got.
type Tally = [(i64, i64); 3];

/// One node's share of the crowd: batches over all conversations, in its own order.
async fn crowd(store: Postgres, rooms: [ConversationId; 3], task: u64, rounds: u64) -> Tally {
    let mut tally = Tally::default();
    for round in 0..rounds {
        let (a, b) = if task.is_multiple_of(2) { (1, 2) } else { (2, 1) };
        let number = |n| 10_000 * (task + 1) + round * 10 + n;
        let mut batch = vec![
            send_to(rooms[0], number(0), user_id(a), "x"),
            send_to(rooms[1], number(1), user_id(b), "x"),
            write_to(user_id(b), number(2), user_id(a), "x"),
        ];
        let room = rooms[usize::try_from(round % 2).unwrap()];
        if round % 3 == task % 3 {
            batch.push(other(&store, room, task, round).await);
        }
        if task % 2 == 1 {
            batch.reverse();
        }
        let places: Vec<_> = batch
            .iter()
            .map(|it| rooms.iter().position(|id| *id == it.conversation_id).unwrap())
            .collect();
        for (place, outcome) in places.into_iter().zip(store.apply(batch.into()).await.unwrap()) {
            let (versions, messages) = match outcome {
                Ok(Applied::Sent { .. }) => (1, 1),
                Ok(Applied::Revised(..)) => (1, 0),
                Ok(Applied::Deleted(_, told)) => (i64::from(told.is_some()), 0),
                Ok(Applied::Reacted(told)) => (i64::from(told.is_some()), 0),
                // Each is noted.
                Ok(Applied::MembersChanged { changes, .. }) => {
                    let changes = i64::try_from(changes.len()).unwrap();
                    (2 * changes, changes)
                }
                Err(Rejected::Stale) => (0, 0),
                Err(Rejected::Refused(refusal)) if refusal.code == Code::MessageDeleted => (0, 0),
                other => panic!("unexpected {other:?}"),
            };
            tally[place].0 += versions;
            tally[place].1 += messages;
        }
    }
    tally
}

/// An edit, a deletion, a reaction, or a coming or going of the third.
async fn other(store: &Postgres, id: ConversationId, task: u64, round: u64) -> Command {
    let third = user_id(3);
    let snapshot = store.snapshot(id, &[third]).await.unwrap().unwrap();
    let member_epoch = snapshot.head.member_epoch;
    let history = kith_ports::HistorySelector::Newest;
    let page = kith_ports::MessageStore::history(store, user_id(1), id, history, 5).await.unwrap();
    let mut messages = page.unwrap().items.into_iter().map(|card| card.message);
    let message = messages.find(|it| it.deleted_at.is_none() && !it.is_system());
    let members = |change, n| build::members(user_id(1), &[change], n, member_epoch);
    let note = 10_000 * (task + 1) + round;
    let change = match (message, (task + round) % 5) {
        (Some(message), 0 | 1) => {
            Change::Edit { message_id: message.id, content: build::content("edited"), member_epoch }
        }
        (Some(message), 2) => Change::Delete { message_id: message.id, member_epoch },
        (Some(message), 3) => build::reaction(message.id, user_id(1 + task % 2), "👍"),
        _ if snapshot.members.is_empty() => members(MemberChange::Joins(third, Role::Member), note),
        _ => members(MemberChange::Leaves(third), note),
    };
    Command { conversation_id: id, at: at(round), change }
}

/// Two nodes, two lanes each, hundreds of batches: nobody waits in a circle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_in_opposite_orders_all_come_through() {
    let (ground, here, first) = Ground::furnished().await;
    let there = ground.open().await;
    let group = build::group(2, user_id(1));
    let second = group.id;
    apply(&here, build::create(group, &[user_id(2), user_id(3)])).await.unwrap();
    let rooms = [first, second, ConversationId::direct(user_id(1), user_id(2))];
    let rounds = 100;
    let tasks: Vec<_> = [&here, &there, &here, &there]
        .into_iter()
        .zip(0..)
        .map(|(store, task)| tokio::spawn(crowd(store.clone(), rooms, task, rounds)))
        .collect();
    let mut tally = Tally::default();
    for task in tasks {
        for (sum, count) in tally.iter_mut().zip(task.await.unwrap()) {
            *sum = (sum.0 + count.0, sum.1 + count.1);
        }
    }
    for (id, (versions, messages)) in rooms.into_iter().zip(tally) {
        // The first version is the making.
        ground.assert_dense(id, messages, versions + 1).await;
    }
    assert!(tally[0].0 > 450 && tally[1].0 > 450, "others were carried out, too: {tally:?}");
}

/// A wait in a circle ends with one being undone. He tries again, and nobody hears of it.
#[rstest]
#[case::alone(false)]
#[case::among_others(true)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadlock_is_tried_again(#[case] among_others: bool) {
    let (ground, furnisher, first) = Ground::furnished().await;
    let group = build::group(2, user_id(1));
    let second = group.id;
    apply(&furnisher, build::create(group, &[user_id(2)])).await.unwrap();

    let mut batch =
        vec![send_to(first, 1, user_id(1), "one"), send_to(second, 2, user_id(1), "two")];
    if among_others {
        let change = Change::Hide { member: user_id(2) };
        batch.push(Command { conversation_id: first, at: at(3), change });
    }
    let locks = [first.min(second), first.max(second)].map(lock_head);
    let outcomes = through_a_circle(&ground, [&locks[0], &locks[1]], |store| async move {
        store.apply(batch.into()).await
    })
    .await
    .unwrap();
    assert_eq!(sent(&outcomes[0]).seq, 1);
    assert_eq!(sent(&outcomes[1]).seq, 1);
    for id in [first, second] {
        ground.assert_dense(id, 1, 2).await;
    }
}

/// He who waits in vain is told so, and nothing of what he wanted was done.
#[rstest]
#[case::alone(false)]
#[case::among_others(true)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_held_too_long_is_busy(#[case] among_others: bool) {
    let (ground, store, group) = Ground::furnished().await;
    let raw = ground.raw().await;
    raw.hold(group).await;
    let mut batch = vec![
        write_to(user_id(2), 1, user_id(1), "a chat that would be made"),
        send_to(group, 2, user_id(1), "hi"),
    ];
    if among_others {
        let change = Change::Hide { member: user_id(3) };
        batch.push(Command { conversation_id: group, at: at(3), change });
    }
    let answer = applying(&store, batch.clone()).await.unwrap();
    assert!(matches!(answer, Err(StoreError::Busy)), "{answer:?}");
    raw.run("ROLLBACK").await;
    ground.until("SELECT NOT EXISTS (SELECT FROM messages)").await;
    assert_eq!(ground.number("SELECT count(*) FROM conversations").await, 1);
    for outcome in store.apply(batch.into()).await.unwrap().iter().take(2) {
        assert_eq!(sent(outcome).seq, 1);
    }
}
