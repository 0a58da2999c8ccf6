mod changes;

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use kith_domain::{
    event::{Audience, Event},
    group::MemberChange,
};
use kith_ports::{
    MockConversationStore, MockMessageStore, StoreError, StoreResult,
    live::{Dispatch, Failure, Reply, TopicChange},
    log::{Entrance, Join, MemberChanged, MockConversationLog},
};
use tokio::sync::Notify;

use super::*;
use crate::fixtures::{
    self, Recorder, direct, group, group_id, head, message_id, origin, outgoing, stored, user,
};

type Outcomes = StoreResult<Vec<std::result::Result<Applied, Rejected>>>;

/// Messaging over a log that answers each batch with `answer`.
fn over(
    answer: impl Fn(&[Command]) -> Outcomes + std::marker::Send + Sync + 'static,
) -> (Messaging, Arc<Recorder>) {
    let mut log = MockConversationLog::new();
    log.expect_apply().returning(move |batch| answer(&batch));
    let bus = Recorder::new();
    let (messages, conversations) = (MockMessageStore::new(), MockConversationStore::new());
    let options = LaneOptions { patience: Duration::from_secs(1), ..LaneOptions::default() };
    (fixtures::messaging(log, messages, conversations, bus.clone(), options), bus)
}

/// Stores every send, numbered in order.
fn storing() -> impl Fn(&[Command]) -> Outcomes + std::marker::Send + Sync {
    let seq = AtomicUsize::new(0);
    move |batch| {
        let number = || i64::try_from(seq.fetch_add(1, Ordering::SeqCst) + 1).unwrap();
        Ok(batch.iter().map(|command| Ok(stored(command, number()))).collect())
    }
}

fn failed(
    error: impl Fn() -> StoreError + std::marker::Send + Sync + 'static,
) -> impl Fn(&[Command]) -> Outcomes {
    move |_| Err(error())
}

fn named(id: &str) -> Outgoing {
    Outgoing { client_message_id: Some(ClientMessageId::parse(id).unwrap()), ..outgoing("hi") }
}

#[tokio::test]
async fn a_message_is_acknowledged_and_told_after_it_is_stored() {
    let (messaging, bus) = over(storing());
    let (message, first) = messaging.send(user(1), outgoing("hi"), None).await.unwrap();
    assert!(first);
    assert_eq!(message.seq, 1);
    assert!(matches!(
        &bus.take()[..],
        [Dispatch::Event { event: Event::MessageSent(told), origin: None, .. }] if *told == message
    ));
}

#[tokio::test]
async fn what_is_not_stored_is_neither_acknowledged_nor_told() {
    let (messaging, bus) = over(failed(|| StoreError::Other("disk on fire".into())));
    let error = messaging.send(user(1), outgoing("hi"), None).await.unwrap_err();
    assert!(matches!(error, Error::Internal(_)));
    messaging.submit(user(1), outgoing("hi"), origin(1)).unwrap();
    messaging.fence().await.unwrap();
    assert!(matches!(
        &bus.take()[..],
        [Dispatch::Reply { reply: Reply::Failed(Failure::Internal), .. }]
    ));
}

#[tokio::test]
async fn a_refusal_reaches_the_socket_it_came_from_and_nobody_else() {
    let (messaging, bus) =
        over(|batch| Ok(batch.iter().map(|_| Err(Refusal::not_a_member().into())).collect()));
    messaging.submit(user(1), outgoing("hi"), origin(7)).unwrap();
    messaging.fence().await.unwrap();
    assert!(matches!(
        &bus.take()[..],
        [Dispatch::Reply { origin: to, reply: Reply::Refused(refusal) }]
            if *to == origin(7) && refusal.code == Code::NotAMember
    ));
}

#[tokio::test]
async fn messages_of_a_socket_are_told_in_the_order_in_which_they_came() {
    let (messaging, bus) = over(storing());
    for n in 0..500 {
        messaging.submit(user(1), outgoing(&n.to_string()), origin(n)).unwrap();
    }
    messaging.fence().await.unwrap();
    let told: Vec<(i64, Option<Origin>)> = bus
        .take()
        .into_iter()
        .map(|dispatch| match dispatch {
            Dispatch::Event { event: Event::MessageSent(message), origin, .. } => {
                (message.seq, origin)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let expected: Vec<_> =
        (0..500).map(|n| (i64::try_from(n).unwrap() + 1, Some(origin(n)))).collect();
    assert_eq!(told, expected);
}

/// A log that waits to be let go, so that a batch gathers behind it.
struct Gated {
    gate: Arc<Notify>,
    sizes: Arc<Mutex<Vec<usize>>>,
}

#[async_trait::async_trait]
impl ConversationLog for Gated {
    async fn apply(&self, batch: Arc<[Command]>) -> Outcomes {
        self.sizes.lock().unwrap().push(batch.len());
        self.gate.notified().await;
        Ok(batch.iter().map(|command| Ok(stored(command, 1))).collect())
    }
}

#[tokio::test]
async fn what_waits_is_stored_together_and_no_message_twice_in_one_step() {
    let (gate, sizes) = (Arc::new(Notify::new()), Arc::new(Mutex::new(Vec::new())));
    let log = Gated { gate: gate.clone(), sizes: sizes.clone() };
    let messaging = fixtures::messaging(
        log,
        MockMessageStore::new(),
        MockConversationStore::new(),
        Recorder::new(),
        LaneOptions::default(),
    );
    messaging.submit(user(1), outgoing("first"), origin(0)).unwrap();
    while sizes.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    for n in 0..300 {
        messaging.submit(user(1), outgoing("more"), origin(n)).unwrap();
    }
    messaging.submit(user(1), named("same"), origin(1)).unwrap();
    messaging.submit(user(1), named("same"), origin(2)).unwrap();
    for _ in 0..4 {
        gate.notify_one();
        let steps = sizes.lock().unwrap().len();
        while sizes.lock().unwrap().len() == steps && steps < 4 {
            tokio::task::yield_now().await;
        }
    }
    messaging.fence().await.unwrap();
    assert_eq!(*sizes.lock().unwrap(), [1, 256, 45, 1]);
}

#[tokio::test]
async fn more_than_a_lane_holds_is_refused_at_once() {
    let gate = Arc::new(Notify::new());
    let log = Gated { gate, sizes: Arc::default() };
    let messaging = fixtures::messaging(
        log,
        MockMessageStore::new(),
        MockConversationStore::new(),
        Recorder::new(),
        LaneOptions { queue: 4, ..LaneOptions::default() },
    );
    let refused = (0..10).find_map(|n| messaging.submit(user(1), outgoing("x"), origin(n)).err());
    assert!(matches!(refused, Some(Error::Overloaded)));
}

#[tokio::test(start_paused = true)]
async fn what_waited_too_long_is_refused_and_never_stored() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let seen = attempts.clone();
    let (messaging, bus) = over(move |batch| {
        seen.fetch_add(batch.len(), Ordering::SeqCst);
        Err(StoreError::Unavailable("connection refused".into()))
    });
    let error = messaging.send(user(1), outgoing("hi"), None).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)));
    assert!(attempts.load(Ordering::SeqCst) > 1, "it was tried again while there was time");
    assert!(bus.take().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_comes_back_in_time_is_no_failure() {
    let attempt = AtomicUsize::new(0);
    let store = storing();
    let (messaging, bus) = over(move |batch| match attempt.fetch_add(1, Ordering::SeqCst) {
        0..3 => Err(StoreError::Unavailable("connection refused".into())),
        _ => store(batch),
    });
    assert!(messaging.send(user(1), outgoing("hi"), None).await.is_ok());
    assert_eq!(bus.take().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_was_lost_is_told_once_it_is_known() {
    let committed: Mutex<Option<Arc<Message>>> = Mutex::default();
    let (messaging, bus) = over(move |batch| {
        let mut committed = committed.lock().unwrap();
        if let Some(message) = &*committed {
            let duplicate = Applied::Duplicate(message.clone(), Arc::new(group(2)));
            return Ok(vec![Ok(duplicate)]);
        }
        let Applied::Sent { message, .. } = stored(&batch[0], 1) else { unreachable!() };
        *committed = Some(message);
        Err(StoreError::OutcomeUnknown("connection lost during COMMIT".into()))
    });
    messaging.submit(user(1), outgoing("hi"), origin(1)).unwrap();
    messaging.fence().await.unwrap();
    assert!(matches!(
        &bus.take()[..],
        [Dispatch::Event { event: Event::MessageSent(_), origin: Some(to), .. }] if *to == origin(1)
    ));
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_stays_unknown_is_said_to_be_unknown() {
    let (messaging, _) = over(failed(|| StoreError::OutcomeUnknown("lost".into())));
    let error = messaging.send(user(1), outgoing("hi"), None).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown));
}

#[tokio::test]
async fn a_retry_gets_the_first_message_and_others_hear_nothing() {
    let first = Arc::new(fixtures::message(9, 1, 4));
    let known = first.clone();
    let (messaging, bus) =
        over(move |_| Ok(vec![Ok(Applied::Duplicate(known.clone(), Arc::new(group(2))))]));
    assert_eq!(messaging.send(user(1), named("c-9"), None).await.unwrap(), (first.clone(), false));
    assert!(bus.take().is_empty());
    messaging.submit(user(1), named("c-9"), origin(3)).unwrap();
    messaging.fence().await.unwrap();
    assert!(matches!(
        &bus.take()[..],
        [Dispatch::Reply { reply: Reply::Sent(message), .. }] if *message == first
    ));
}

fn is_poison(command: &Command) -> bool {
    matches!(&command.change, Change::Send(send) if send.content.as_str() == "poison")
}

#[tokio::test]
async fn one_that_cannot_be_stored_does_not_fail_its_neighbours() {
    let store = storing();
    let (messaging, bus) = over(move |batch| {
        if batch.iter().any(is_poison) {
            return Err(StoreError::Other("cannot be stored".into()));
        }
        store(batch)
    });
    for n in 0..=20 {
        let text = if n == 13 { "poison" } else { "good" };
        messaging.submit(user(1), outgoing(text), origin(n)).unwrap();
    }
    messaging.fence().await.unwrap();
    let (mut sent, mut refused) = (Vec::new(), Vec::new());
    for dispatch in bus.take() {
        match dispatch {
            Dispatch::Event { event: Event::MessageSent(message), .. } => sent.push(message.seq),
            Dispatch::Reply { origin, reply: Reply::Failed(Failure::Internal) } => {
                refused.push(origin);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(sent, (1..=20).collect::<Vec<_>>());
    assert_eq!(refused, [origin(13)]);
}

#[tokio::test]
async fn nobody_writes_to_himself_and_no_direct_chat_is_a_group() {
    let (messaging, _) = over(storing());
    let to_me = Outgoing { target: Target::Person(user(1)), ..outgoing("hi") };
    assert_eq!(messaging.send(user(1), to_me, None).await.unwrap_err().code(), Some(Code::OneSelf));
    let direct = ConversationId::direct(user(1), user(2));
    let as_group = Outgoing { target: Target::Group(direct), ..outgoing("hi") };
    assert_eq!(
        messaging.send(user(1), as_group, None).await.unwrap_err().code(),
        Some(Code::NotAMember)
    );
}

#[tokio::test]
async fn under_the_name_of_another_kind_one_is_in_nothing() {
    let mut conversations = MockConversationStore::new();
    conversations
        .expect_snapshot()
        .returning(|id, _| Ok((id == group_id()).then(|| fixtures::snapshot(&[]))));
    let mut log = MockConversationLog::new();
    log.expect_apply().times(2).returning(move |batch| storing()(&batch));
    let (messages, bus) = (MockMessageStore::new(), Recorder::new());
    let messaging = fixtures::messaging(log, messages, conversations, bus, LaneOptions::default());
    let send = async |id, only| {
        let message = Outgoing { target: Target::Conversation(id), ..outgoing("hi") };
        messaging.send(user(1), message, Some(only)).await.map_err(|error| error.code())
    };
    let direct = ConversationId::direct(user(1), user(2));
    let refused = Err(Some(Code::NotAMember));
    assert_eq!(send(group_id(), Kind::Channel).await, refused);
    assert_eq!(send(group_id(), Kind::Direct).await, refused);
    assert_eq!(send(direct, Kind::Group).await, refused);
    assert!(send(group_id(), Kind::Group).await.is_ok());
    // What is not there any more is judged with the message: it may have been sent before.
    let gone = ConversationId::from_uuid(uuid::Uuid::from_u128(1));
    assert!(send(gone, Kind::Group).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_stored_is_not_said_to_have_failed() {
    let (attempt, store) = (AtomicUsize::new(0), storing());
    let (messaging, bus) = over(move |batch| match attempt.fetch_add(1, Ordering::SeqCst) {
        0 => Err(StoreError::OutcomeUnknown("connection lost during COMMIT".into())),
        _ if batch.iter().any(is_poison) => Err(StoreError::Other("poison".into())),
        _ => store(batch),
    });
    messaging.submit(user(1), outgoing("good"), origin(1)).unwrap();
    messaging.submit(user(1), outgoing("poison"), origin(2)).unwrap();
    messaging.fence().await.unwrap();
    assert!(matches!(
        &bus.take()[..],
        [
            Dispatch::Event { event: Event::MessageSent(_), .. },
            Dispatch::Reply { origin: of, reply: Reply::Failed(Failure::OutcomeUnknown) },
        ] if *of == origin(2)
    ));
}

#[tokio::test(start_paused = true)]
async fn who_is_in_is_read_anew_where_it_is_unknown_whether_somebody_was_removed() {
    let attempt = AtomicUsize::new(0);
    let (messaging, bus) = over(move |_| match attempt.fetch_add(1, Ordering::SeqCst) {
        // The removal was stored, and its answer lost: the retry finds another epoch.
        0 => Err(StoreError::OutcomeUnknown("connection lost during COMMIT".into())),
        _ => Ok(vec![Err(Rejected::Stale)]),
    });
    let changes = vec![(MemberChange::Leaves(user(2)), message_id(1))];
    let change = Change::Members { by: user(1), changes, member_epoch: 7 };
    let outcome = messaging.execute_once(messaging.command(group_id(), change)).await.unwrap();
    assert_eq!(outcome, Err(Rejected::Stale));
    assert!(matches!(&bus.take()[..], [Dispatch::Topic { change: TopicChange::Doubtful, .. }]));
}

#[tokio::test(start_paused = true)]
async fn who_may_have_come_in_by_an_attempt_that_was_not_answered_listens_from_then_on() {
    let attempt = AtomicUsize::new(0);
    let (messaging, bus) = over(move |_| match attempt.fetch_add(1, Ordering::SeqCst) {
        0 => Err(StoreError::OutcomeUnknown("connection lost during COMMIT".into())),
        // The retry finds him in already.
        _ => Ok(vec![Ok(members_changed(Vec::new(), group(3).audience()))]),
    });
    let join = Join { user: user(3), by: Entrance::Open, note: message_id(1) };
    messaging.execute(messaging.command(group_id(), Change::Join(join))).await.unwrap();
    assert!(matches!(
        &bus.take()[..],
        [
            Dispatch::Topic { change: TopicChange::Doubtful, .. },
            Dispatch::Topic { change: TopicChange::Join(who), member_epoch: 7, .. },
        ] if *who == [user(3)]
    ));
}

fn members_changed(changes: Vec<MemberChanged>, audience: Audience) -> Applied {
    Applied::MembersChanged { conversation: Arc::new(group(3)), head: head(), changes, audience }
}

#[tokio::test]
async fn a_lane_that_is_full_of_long_messages_takes_no_more_of_them() {
    let log = Gated { gate: Arc::new(Notify::new()), sizes: Arc::default() };
    let messaging = fixtures::messaging(
        log,
        MockMessageStore::new(),
        MockConversationStore::new(),
        Recorder::new(),
        LaneOptions { queue: 8, ..LaneOptions::default() },
    );
    let long = "x".repeat(4_000);
    let mut taken = 0;
    while messaging.submit(user(1), outgoing(&long), origin(taken)).is_ok() {
        taken += 1;
        tokio::task::yield_now().await;
        assert!(taken < 1_000, "it must say that it is full");
    }
}
