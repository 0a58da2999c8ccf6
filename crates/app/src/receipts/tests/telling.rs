//! Who hears what, and when.

use super::*;

#[tokio::test(start_paused = true)]
async fn of_one_mark_at_most_one_word_a_second_is_told_and_the_last_one_is_the_highest() {
    let (receipts, bus) = over(all_moved);
    for n in 1..=40 {
        receipts.mark(user(1), seq(n), Mark::Read, None).await.unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let seqs: Vec<Seq> = told(&bus).iter().map(|(_, seq, ..)| *seq).collect();
    assert_eq!((seqs.len(), seqs[0], seqs[2]), (3, 1, 40), "{seqs:?}");
    // Nothing is remembered: the next one goes at once.
    receipts.mark(user(1), seq(41), Mark::Read, None).await.unwrap();
    receipts.fence(user(9)).await.unwrap();
    assert_eq!(told(&bus).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_is_told_later_is_everyone_whom_the_merged_words_concern() {
    let wrote = |seq| user(u128::try_from(seq + 10).unwrap());
    let (receipts, bus) = over(move |batch| {
        let senders_of_read = vec![wrote(batch[0].to.read)];
        Ok(vec![Some(Advanced { senders_of_read, ..moved(&batch[0]) })])
    });
    for n in 1..=3 {
        receipts.mark(user(1), seq(n), Mark::Read, None).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let told: Vec<_> = told(&bus).into_iter().filter(|(mark, ..)| *mark == Mark::Read).collect();
    assert_eq!(
        told,
        [
            (Mark::Read, 1, vec![user(1), wrote(1)], None),
            (Mark::Read, 2, vec![wrote(2)], None),
            (Mark::Read, 3, vec![user(1), wrote(3)], None),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn who_may_not_know_of_the_later_word_hears_the_last_one_that_was_for_him() {
    // From the third on the reader hides his reading, or the sender is in it no more.
    let (receipts, bus) = over(|batch| {
        let mut advanced = moved(&batch[0]);
        if batch[0].to.read > 2 {
            advanced.senders_of_read.clear();
            advanced.senders_of_delivered.clear();
        }
        Ok(vec![Some(advanced)])
    });
    for n in 1..=4 {
        receipts.mark(user(1), seq(n), Mark::Read, None).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let to_sender: Vec<Seq> = told(&bus)
        .into_iter()
        .filter(|(_, _, who, _)| who.contains(&user(2)))
        .map(|(_, seq, ..)| seq)
        .collect();
    assert_eq!(to_sender, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn the_socket_it_came_from_is_answered_in_place_of_the_event_or_at_once() {
    let (receipts, bus) = over(all_moved);
    for n in 1..=2 {
        let from = Some(origin(u128::try_from(n).unwrap()));
        receipts.mark(user(1), seq(n), Mark::Read, from).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(matches!(
        &bus.take()[..],
        [
            Dispatch::Event { event: Event::ReceiptUpdated(_), origin: Some(first), .. },
            Dispatch::Reply { origin: second, reply: Reply::Done },
        ] if (first, second) == (&origin(1), &origin(2))
    ));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(matches!(&told(&bus)[..], [(Mark::Read, 2, _, None)]));
}

#[tokio::test(start_paused = true)]
async fn who_wants_to_have_heard_all_is_told_what_is_kept_back() {
    let (receipts, bus) = over(all_moved);
    for n in 1..=2 {
        receipts.mark(user(1), seq(n), Mark::Read, None).await.unwrap();
    }
    receipts.fence(user(9)).await.unwrap();
    assert_eq!(told(&bus).len(), 1);
    receipts.fence(user(1)).await.unwrap();
    assert_eq!(told(&bus), [(Mark::Read, 2, vec![user(1)], None)]);
    receipts.fence(user(1)).await.unwrap();
    assert!(told(&bus).is_empty(), "he has heard all");
    // To the others it is no sooner told for that.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(told(&bus), [(Mark::Read, 2, vec![user(2)], None)]);
}

#[tokio::test(start_paused = true)]
async fn a_device_whose_word_was_overtaken_by_another_one_hears_how_far_it_is() {
    for (first, second) in [(5, 9), (9, 5)] {
        let (receipts, bus) = over(all_moved);
        let mark = |n: Seq| {
            let from = origin(u128::try_from(n).unwrap());
            receipts.mark(user(1), seq(n), Mark::Read, Some(from))
        };
        let (one, other) = tokio::join!(mark(first), mark(second));
        one.and(other).unwrap();
        receipts.fence(user(9)).await.unwrap();
        assert!(matches!(
            &bus.take()[..],
            [
                Dispatch::Event { event: Event::ReceiptUpdated(it), origin: Some(further), .. },
                Dispatch::Reply { origin: nearer, reply: Reply::Done },
            ] if it.seq == 9 && (further, nearer) == (&origin(9), &origin(5))
        ));
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_names_more_than_there_is_hears_how_far_it_is() {
    let (receipts, bus) = over(|batch| {
        let newest = Watermarks { delivered: 5, read: 5 };
        Ok(vec![Some(moved(&Advance { to: newest, ..batch[0] }))])
    });
    receipts.mark(user(1), seq(100), Mark::Read, Some(origin(1))).await.unwrap();
    receipts.fence(user(9)).await.unwrap();
    assert!(matches!(
        &bus.take()[..],
        [
            Dispatch::Event { event: Event::ReceiptUpdated(it), origin: None, .. },
            Dispatch::Reply { origin: from, reply: Reply::Done },
        ] if it.seq == 5 && *from == origin(1)
    ));
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_back_is_told_when_the_server_stops() {
    let mut store = MockReceiptStore::new();
    store.expect_advance().returning(|batch| all_moved(&batch));
    let (bus, tasks) = (Recorder::new(), TaskTracker::new());
    let ports = Ports {
        store: Arc::new(store),
        messages: Arc::new(MockMessageStore::new()),
        conversations: Arc::new(MockConversationStore::new()),
        bus: bus.clone(),
        clock: Arc::new(kith_testkit::FixedClock::new()),
    };
    let receipts = Receipts::start(ports, ReceiptOptions::default(), &tasks);
    for n in 1..=2 {
        receipts.mark(user(1), seq(n), Mark::Read, None).await.unwrap();
    }
    let started = Instant::now();
    drop(receipts);
    tasks.close();
    tasks.wait().await;
    assert!(started.elapsed() < Duration::from_millis(100));
    assert_eq!(told(&bus).len(), 2);
}
