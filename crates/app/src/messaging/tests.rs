use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use kith_domain::{event::Event, group::Role, message::EDIT_WINDOW, text::ClientMessageId};
use kith_ports::{
    MockConversationStore, MockMessageStore, StoreError, StoreResult,
    live::{Dispatch, Failure, Reply, TopicChange},
    log::MockConversationLog,
};
use kith_testkit::FixedClock;
use tokio::sync::Notify;

use super::*;
use crate::fixtures::{
    self, Recorder, group, group_id, head, message_id, origin, outgoing, snapshot, stored, user,
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
    let (message, first) = messaging.send(user(1), outgoing("hi")).await.unwrap();
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
    let error = messaging.send(user(1), outgoing("hi")).await.unwrap_err();
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
    let error = messaging.send(user(1), outgoing("hi")).await.unwrap_err();
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
    assert!(messaging.send(user(1), outgoing("hi")).await.is_ok());
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
    let error = messaging.send(user(1), outgoing("hi")).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown));
}

#[tokio::test]
async fn a_retry_gets_the_first_message_and_others_hear_nothing() {
    let first = Arc::new(fixtures::message(9, 1, 4));
    let known = first.clone();
    let (messaging, bus) =
        over(move |_| Ok(vec![Ok(Applied::Duplicate(known.clone(), Arc::new(group(2))))]));
    assert_eq!(messaging.send(user(1), named("c-9")).await.unwrap(), (first.clone(), false));
    assert!(bus.take().is_empty());
    messaging.submit(user(1), named("c-9"), origin(3)).unwrap();
    messaging.fence().await.unwrap();
    assert!(matches!(
        &bus.take()[..],
        [Dispatch::Reply { reply: Reply::Sent(message), .. }] if *message == first
    ));
}

#[tokio::test]
async fn one_that_cannot_be_stored_does_not_fail_its_neighbours() {
    let store = storing();
    let (messaging, bus) = over(move |batch| {
        let poisoned = |command: &Command| matches!(&command.change, Change::Send(send) if send.content.as_str() == "poison");
        if batch.iter().any(poisoned) {
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
async fn the_first_message_of_a_direct_chat_introduces_it_to_both() {
    let (messaging, bus) = over(|batch| {
        let Applied::Sent { message, .. } = stored(&batch[0], 1) else { unreachable!() };
        let direct = kith_domain::conversation::Conversation {
            kind: kith_domain::conversation::Kind::Direct,
            pair: Some((user(1), user(2))),
            ..group(2)
        };
        Ok(vec![Ok(Applied::Sent { message, conversation: Arc::new(direct) })])
    });
    let to = Outgoing { target: Target::Person(user(2)), ..outgoing("hi") };
    messaging.send(user(1), to).await.unwrap();
    assert!(matches!(
        &bus.take()[..],
        [
            Dispatch::Event { event: Event::ConversationCreated(_, head), .. },
            Dispatch::Event { event: Event::MessageSent(message), .. },
        ] if head.version + 1 == message.version
    ));
}

#[tokio::test]
async fn nobody_writes_to_himself_and_no_direct_chat_is_a_group() {
    let (messaging, _) = over(storing());
    let to_me = Outgoing { target: Target::Person(user(1)), ..outgoing("hi") };
    assert_eq!(messaging.send(user(1), to_me).await.unwrap_err().code(), Some(Code::OneSelf));
    let direct = ConversationId::direct(user(1), user(2));
    let as_group = Outgoing { target: Target::Group(direct), ..outgoing("hi") };
    assert_eq!(messaging.send(user(1), as_group).await.unwrap_err().code(), Some(Code::NotAMember));
}

fn context(sender: u128, my_role: Role) -> MessageContext {
    MessageContext {
        message: fixtures::message(1, sender, 1),
        conversation: group(2),
        member_epoch: head().member_epoch,
        my_role,
        sender_role: Some(Role::Member),
    }
}

fn with_message(
    found: Option<MessageContext>,
    answer: impl Fn(&[Command]) -> Outcomes + std::marker::Send + Sync + 'static,
) -> (Messaging, Arc<Recorder>) {
    let mut messages = MockMessageStore::new();
    messages.expect_message().returning(move |_, _| Ok(found.clone()));
    let mut log = MockConversationLog::new();
    log.expect_apply().returning(move |batch| answer(&batch));
    let bus = Recorder::new();
    let conversations = MockConversationStore::new();
    let options = LaneOptions::default();
    (fixtures::messaging(log, messages, conversations, bus.clone(), options), bus)
}

#[tokio::test]
async fn an_edit_carries_what_it_was_decided_from() {
    let (messaging, bus) = with_message(Some(context(1, Role::Member)), |batch| {
        assert!(matches!(
            batch[0].change,
            Change::Edit { member_epoch: 7, message_version: 2, .. }
        ));
        let edited = Arc::new(fixtures::message(1, 1, 1));
        Ok(vec![Ok(Applied::Edited(edited, group(2).audience()))])
    });
    let text = Content::parse("better").unwrap();
    messaging.edit(user(1), message_id(1), text).await.unwrap();
    assert!(matches!(&bus.take()[..], [Dispatch::Event { event: Event::MessageUpdated(_), .. }]));
}

#[tokio::test]
async fn a_decision_that_was_overtaken_is_made_anew_but_not_for_ever() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let seen = attempts.clone();
    let (messaging, _) = with_message(Some(context(1, Role::Member)), move |_| {
        seen.fetch_add(1, Ordering::SeqCst);
        Ok(vec![Err(Rejected::Stale)])
    });
    let error = messaging.delete(user(1), message_id(1)).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::Conflict));
    assert_eq!(attempts.load(Ordering::SeqCst), ATTEMPTS);
}

#[tokio::test]
async fn what_the_domain_refuses_never_reaches_the_lane() {
    let never = |_: &[Command]| -> Outcomes { panic!("it reached the lane") };
    let (messaging, _) = with_message(Some(context(2, Role::Member)), never);
    let text = Content::parse("mine now").unwrap();
    let refused = messaging.edit(user(1), message_id(1), text.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::Forbidden));
    let refused = messaging.delete(user(1), message_id(1)).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::Forbidden));

    let mut old = context(1, Role::Member);
    old.message.created_at = FixedClock::new().now().before(EDIT_WINDOW + Duration::from_secs(1));
    let (messaging, _) = with_message(Some(old), never);
    let refused = messaging.edit(user(1), message_id(1), text.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::EditWindow));

    let (messaging, _) = with_message(None, never);
    let refused = messaging.edit(user(1), message_id(1), text).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::NotFound));
}

#[tokio::test]
async fn an_erased_accounts_message_is_deleted_where_it_was_left() {
    let mut conversations = MockConversationStore::new();
    conversations.expect_snapshot().returning(|_, _| Ok(Some(snapshot(&[(2, Role::Owner)]))));
    let mut log = MockConversationLog::new();
    log.expect_apply().times(1).returning(|batch| {
        assert!(matches!(batch[0].change, Change::Delete { member_epoch: 7, .. }));
        let gone = Arc::new(fixtures::message(1, 1, 1));
        Ok(vec![Ok(Applied::Deleted(gone, Some(group(1).audience())))])
    });
    let messages = MockMessageStore::new();
    let bus = Recorder::new();
    let messaging =
        fixtures::messaging(log, messages, conversations, bus.clone(), LaneOptions::default());
    messaging.delete_own(group_id(), message_id(1)).await.unwrap();
    assert!(matches!(
        &bus.take()[..],
        [Dispatch::Event { event: Event::MessageDeleted { .. }, .. }]
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
    let changes = vec![kith_domain::group::MemberChange::Leaves(user(2))];
    let change = Change::Members { changes, member_epoch: 7 };
    let outcome = messaging.execute_once(messaging.command(group_id(), change)).await.unwrap();
    assert_eq!(outcome, Err(Rejected::Stale));
    assert!(matches!(&bus.take()[..], [Dispatch::Topic { change: TopicChange::Doubtful, .. }]));
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
