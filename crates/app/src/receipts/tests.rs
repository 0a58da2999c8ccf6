mod telling;

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use kith_domain::{
    Code,
    conversation::Kind,
    event::{Audience, Event},
    receipt::{Status, Watermarks},
};
use kith_ports::{
    Advance, Advanced, MockConversationStore, MockMessageStore, MockReceiptStore, StoreError,
    StoreResult,
    live::{Dispatch, Reply},
};
use tokio::{sync::Notify, task::JoinSet};

use super::*;
use crate::fixtures::{self, Recorder, group_id, message_id, origin, user};

type Outcomes = StoreResult<Vec<Option<Advanced>>>;

/// Receipts over a store that answers each batch with `answer`.
fn over(
    answer: impl Fn(&[Advance]) -> Outcomes + Send + Sync + 'static,
) -> (Receipts, Arc<Recorder>) {
    let mut store = MockReceiptStore::new();
    store.expect_advance().returning(move |batch| answer(&batch));
    let bus = Recorder::new();
    let options = ReceiptOptions { patience: Duration::from_secs(2), ..ReceiptOptions::default() };
    (fixtures::receipts(store, MockMessageStore::new(), bus.clone(), options), bus)
}

/// A mark that moved all the way, over messages that user 2 wrote.
fn moved(advance: &Advance) -> Advanced {
    let Watermarks { delivered, read } = advance.to;
    Advanced {
        before: Watermarks { delivered: 0, read: 0 },
        after: advance.to,
        delivered_message: Some(message_id(u128::try_from(delivered).unwrap())),
        read_message: (read > 0).then(|| message_id(u128::try_from(read).unwrap())),
        senders_of_delivered: vec![user(2)],
        senders_of_read: if read > 0 { vec![user(2)] } else { Vec::new() },
    }
}

/// Marks that did not move.
fn still(at: Watermarks) -> Advanced {
    Advanced {
        before: at,
        after: at,
        delivered_message: None,
        read_message: None,
        senders_of_delivered: Vec::new(),
        senders_of_read: Vec::new(),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it has the form of a store's answer")]
fn all_moved(batch: &[Advance]) -> Outcomes {
    Ok(batch.iter().map(|advance| Some(moved(advance))).collect())
}

fn seq(seq: Seq) -> UpTo {
    UpTo::Seq(group_id().into(), seq)
}

/// Who was told of which mark up to where.
fn told(bus: &Recorder) -> Vec<(Mark, Seq, Vec<UserId>, Option<Origin>)> {
    let told = bus.take().into_iter().map(|dispatch| match dispatch {
        Dispatch::Event {
            event: Event::ReceiptUpdated(it),
            audience: Audience::Users(who),
            origin,
        } => (it.mark, it.seq, who, origin),
        other => panic!("{other:?}"),
    });
    told.collect()
}

#[tokio::test(start_paused = true)]
async fn a_mark_is_acknowledged_when_it_is_written_and_an_idle_lane_goes_at_once() {
    let (receipts, bus) = over(all_moved);
    let started = Instant::now();
    let marked = receipts.mark(user(1), seq(5), Mark::Read, None).await.unwrap();
    assert_eq!(marked.conversation_id, group_id());
    assert_eq!(started.elapsed(), Duration::ZERO);
    receipts.fence(user(9)).await.unwrap();
    // Who hears that it was read is not told that it was received.
    assert_eq!(told(&bus), [(Mark::Read, 5, vec![user(1), user(2)], None)]);
}

#[tokio::test]
async fn what_was_received_is_told_as_received() {
    let (receipts, bus) = over(all_moved);
    receipts.mark(user(1), seq(5), Mark::Delivered, None).await.unwrap();
    receipts.fence(user(9)).await.unwrap();
    assert_eq!(told(&bus), [(Mark::Delivered, 5, vec![user(1), user(2)], None)]);
}

#[tokio::test]
async fn who_hides_his_reading_shows_it_to_his_own_devices_alone() {
    let (receipts, bus) = over(|batch| {
        let hidden = Advanced { senders_of_read: Vec::new(), ..moved(&batch[0]) };
        Ok(vec![Some(hidden)])
    });
    receipts.mark(user(1), seq(5), Mark::Read, None).await.unwrap();
    receipts.fence(user(9)).await.unwrap();
    assert_eq!(
        told(&bus),
        [(Mark::Read, 5, vec![user(1)], None), (Mark::Delivered, 5, vec![user(2)], None)]
    );
}

#[tokio::test]
async fn what_moves_nothing_is_told_to_nobody() {
    let (receipts, bus) = over(|batch| Ok(vec![Some(still(batch[0].to))]));
    receipts.mark(user(1), seq(5), Mark::Read, Some(origin(1))).await.unwrap();
    receipts.fence(user(9)).await.unwrap();
    assert!(matches!(
        &bus.take()[..],
        [Dispatch::Reply { origin: to, reply: Reply::Done }] if *to == origin(1)
    ));
}

#[tokio::test]
async fn who_is_not_a_member_or_does_not_see_the_message_marks_nothing() {
    let (receipts, bus) = over(|_| Ok(vec![None]));
    let refused = receipts.mark(user(9), seq(5), Mark::Read, Some(origin(1))).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::NotFound));
    receipts.fence(user(9)).await.unwrap();
    assert!(bus.take().is_empty(), "that it cannot be done is for the caller to say");

    let mut messages = MockMessageStore::new();
    messages.expect_locate().returning(|_, _| Ok(None));
    let mut store = MockReceiptStore::new();
    store.expect_advance().never();
    store.expect_receipts().returning(|_, _, _, _| Ok(None));
    let receipts = fixtures::receipts(store, messages, bus, ReceiptOptions::default());
    let unseen = UpTo::Message(message_id(1));
    let refused = receipts.mark(user(9), unseen, Mark::Read, None).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::NotFound));
    let refused = receipts.receipts(user(9), message_id(1), None, 50).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::NotFound));
}

#[tokio::test]
async fn a_message_is_marked_where_it_stands() {
    let mut messages = MockMessageStore::new();
    messages.expect_locate().returning(|_, _| Ok(Some((group_id(), 7))));
    let mut store = MockReceiptStore::new();
    store
        .expect_advance()
        .withf(|batch| batch[0].to == Watermarks { delivered: 7, read: 0 })
        .returning(|batch| all_moved(&batch));
    let receipts = fixtures::receipts(store, messages, Recorder::new(), ReceiptOptions::default());
    let up_to = UpTo::Message(message_id(1));
    let marked = receipts.mark(user(1), up_to, Mark::Delivered, None).await.unwrap();
    assert_eq!(marked.conversation_id, group_id());
}

#[tokio::test]
async fn under_the_name_of_another_kind_nothing_is_marked() {
    let mut store = MockReceiptStore::new();
    store.expect_advance().times(1).returning(|batch| all_moved(&batch));
    let mut conversations = MockConversationStore::new();
    conversations.expect_snapshot().returning(|_, _| Ok(Some(fixtures::snapshot(&[]))));
    let ports = Ports {
        store: Arc::new(store),
        messages: Arc::new(MockMessageStore::new()),
        conversations: Arc::new(conversations),
        bus: Recorder::new(),
        clock: Arc::new(kith_testkit::FixedClock::new()),
    };
    let receipts = Receipts::start(ports, ReceiptOptions::default(), &TaskTracker::new());
    let mark = |kind| {
        let address = Address { id: group_id(), kind: Some(kind) };
        receipts.mark(user(1), UpTo::Seq(address, 5), Mark::Read, None)
    };
    assert_eq!(mark(Kind::Channel).await.unwrap_err().code(), Some(Code::NotFound));
    mark(Kind::Group).await.unwrap();
}

#[tokio::test]
async fn the_receipts_of_a_message_come_in_pages() {
    let receipt =
        Receipt { user_id: user(3), status: Status::Sent, delivered_at: None, read_at: None };
    let page = Page { items: vec![receipt], next: Some(user(3)) };
    let mut store = MockReceiptStore::new();
    let found = page.clone();
    store
        .expect_receipts()
        .withf(|_, _, after, limit| (*after, *limit) == (Some(user(2)), 1))
        .returning(move |_, _, _, _| Ok(Some(found.clone())));
    let (messages, bus) = (MockMessageStore::new(), Recorder::new());
    let receipts = fixtures::receipts(store, messages, bus, ReceiptOptions::default());
    let read = receipts.receipts(user(1), message_id(1), Some(user(2)), 1).await.unwrap();
    assert_eq!(read, page);
}

/// A store that waits to be let go, so that marks gather behind it.
#[derive(Clone, Default)]
struct Gated {
    gate: Arc<Notify>,
    batches: Arc<Mutex<Vec<Vec<Advance>>>>,
}

#[async_trait::async_trait]
impl ReceiptStore for Gated {
    async fn advance(&self, batch: Arc<[Advance]>) -> Outcomes {
        self.batches.lock().unwrap().push(batch.to_vec());
        self.gate.notified().await;
        all_moved(&batch)
    }

    async fn receipts(
        &self,
        _: UserId,
        _: MessageId,
        _: Option<UserId>,
        _: usize,
    ) -> StoreResult<Option<Page<Receipt, UserId>>> {
        Ok(None)
    }
}

fn over_gated(options: ReceiptOptions) -> (Receipts, Gated) {
    let gated = Gated::default();
    let ports = Ports {
        store: Arc::new(gated.clone()),
        messages: Arc::new(MockMessageStore::new()),
        conversations: Arc::new(MockConversationStore::new()),
        bus: Recorder::new(),
        clock: Arc::new(kith_testkit::FixedClock::new()),
    };
    (Receipts::start(ports, options, &TaskTracker::new()), gated)
}

#[tokio::test(start_paused = true)]
async fn the_marks_of_a_member_are_written_once_at_the_highest() {
    let (receipts, gated) = over_gated(ReceiptOptions::default());
    let mut marks = JoinSet::new();
    let mut say = |who, up_to: UpTo, mark| {
        let receipts = receipts.clone();
        marks.spawn(async move { receipts.mark(user(who), up_to, mark, None).await });
    };
    say(1, seq(1), Mark::Read);
    while gated.batches.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    for n in [3, 9, 4] {
        say(1, seq(n), Mark::Delivered);
    }
    say(1, seq(6), Mark::Read);
    say(2, seq(2), Mark::Delivered);
    tokio::time::sleep(Duration::from_millis(50)).await;
    gated.gate.notify_one();
    tokio::time::sleep(Duration::from_millis(50)).await;
    gated.gate.notify_one();
    while let Some(marked) = marks.join_next().await {
        marked.unwrap().unwrap();
    }
    let batches = gated.batches.lock().unwrap();
    let written: Vec<_> = batches[1].iter().map(|it| (it.user_id, it.to)).collect();
    let to = |delivered, read| Watermarks { delivered, read };
    assert_eq!(written, [(user(1), to(9, 6)), (user(2), to(2, 0))]);
    assert_eq!(batches.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn more_than_the_lane_holds_is_refused_at_once() {
    let (receipts, _gated) = over_gated(ReceiptOptions { queue: 4, ..ReceiptOptions::default() });
    let mut marks = JoinSet::new();
    for n in 0..1_100 {
        let receipts = receipts.clone();
        marks.spawn(async move { receipts.mark(user(n), seq(1), Mark::Read, None).await });
    }
    let first = marks.join_next().await.unwrap().unwrap();
    assert!(matches!(first, Err(Error::Overloaded)));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_receipts_a_second_cost_at_most_fifty_writes() {
    let writes = Arc::new(AtomicUsize::new(0));
    let seen = writes.clone();
    let (receipts, _) = over(move |batch| {
        seen.fetch_add(1, Ordering::SeqCst);
        all_moved(batch)
    });
    let mut marks = JoinSet::new();
    for n in 0..1_000 {
        let receipts = receipts.clone();
        marks.spawn(async move {
            tokio::time::sleep(Duration::from_millis(n)).await;
            let who = user(u128::from(n));
            receipts.mark(who, seq(5), Mark::Read, None).await.map(|_| ())
        });
    }
    while let Some(marked) = marks.join_next().await {
        marked.unwrap().unwrap();
    }
    let writes = writes.load(Ordering::SeqCst);
    assert!((40..=51).contains(&writes), "{writes} writes");
}

#[tokio::test]
async fn what_cannot_be_written_is_neither_acknowledged_nor_told_and_fails_alone() {
    let (receipts, bus) = over(|batch| {
        if batch.iter().any(|advance| advance.user_id == user(13)) {
            return Err(StoreError::Other("cannot be stored".into()));
        }
        all_moved(batch)
    });
    let mut marks = JoinSet::new();
    for n in 3..20 {
        let receipts = receipts.clone();
        marks.spawn(async move { (n, receipts.mark(user(n), seq(5), Mark::Read, None).await) });
    }
    while let Some(marked) = marks.join_next().await {
        match marked.unwrap() {
            (13, marked) => assert!(matches!(marked, Err(Error::Internal(_)))),
            (_, marked) => assert!(marked.is_ok()),
        }
    }
    receipts.fence(user(9)).await.unwrap();
    let told = told(&bus);
    assert_eq!(told.len(), 16);
    assert!(told.iter().all(|(_, _, who, _)| !who.contains(&user(13))));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_comes_back_in_time_is_no_failure() {
    let attempt = AtomicUsize::new(0);
    let (receipts, bus) = over(move |batch| match attempt.fetch_add(1, Ordering::SeqCst) {
        0..2 => Err(StoreError::Unavailable("connection refused".into())),
        _ => all_moved(batch),
    });
    receipts.mark(user(1), seq(5), Mark::Read, None).await.unwrap();
    receipts.fence(user(9)).await.unwrap();
    assert_eq!(told(&bus), [(Mark::Read, 5, vec![user(1), user(2)], None)]);
}

#[tokio::test(start_paused = true)]
async fn where_the_answer_was_lost_the_readers_own_devices_hear_where_his_marks_are() {
    let attempt = AtomicUsize::new(0);
    let (receipts, bus) = over(move |_| match attempt.fetch_add(1, Ordering::SeqCst) {
        // It was stored, but nobody was told so: the retry finds nothing to move.
        0 => Err(StoreError::OutcomeUnknown("connection lost during COMMIT".into())),
        _ => Ok(vec![Some(still(Watermarks { delivered: 7, read: 5 }))]),
    });
    receipts.mark(user(1), seq(5), Mark::Read, None).await.unwrap();
    receipts.mark(user(3), seq(5), Mark::Read, None).await.unwrap();
    receipts.fence(user(9)).await.unwrap();
    assert_eq!(
        told(&bus),
        [(Mark::Read, 5, vec![user(1)], None), (Mark::Delivered, 7, vec![user(1)], None)]
    );
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_written_is_not_said_to_have_failed() {
    let attempt = AtomicUsize::new(0);
    let (receipts, _) = over(move |batch| match attempt.fetch_add(1, Ordering::SeqCst) {
        0 => Err(StoreError::OutcomeUnknown("connection lost during COMMIT".into())),
        _ if batch.iter().any(|advance| advance.user_id == user(2)) => {
            Err(StoreError::Other("cannot be stored".into()))
        }
        _ => all_moved(batch),
    });
    let mark = |n| receipts.mark(user(n), seq(5), Mark::Read, None);
    let (one, other) = tokio::join!(mark(1), mark(2));
    assert!(one.is_ok());
    assert!(matches!(other, Err(Error::OutcomeUnknown)));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_stays_away_is_said_to_be_away() {
    let (receipts, bus) = over(|_| Err(StoreError::Unavailable("connection refused".into())));
    let error = receipts.mark(user(1), seq(5), Mark::Read, None).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)));
    let (unsure, _) = over(|_| Err(StoreError::OutcomeUnknown("lost".into())));
    let error = unsure.mark(user(1), seq(5), Mark::Read, None).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown));
    receipts.fence(user(9)).await.unwrap();
    assert!(bus.take().is_empty());
}

#[tokio::test]
async fn a_lane_that_broke_down_is_noticed() {
    let (receipts, _) = over(|_| panic!("a bug"));
    let error = receipts.mark(user(1), seq(5), Mark::Read, None).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown));
    receipts.crashed().await;
}
