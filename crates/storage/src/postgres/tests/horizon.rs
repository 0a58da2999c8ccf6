//! Syncs while a transaction is under way that began before them and ends after.

use kith_domain::receipt::Watermarks;
use kith_ports::{
    Advance, ConversationStore as _, ReceiptStore as _, SyncBody, SyncFrom, SyncRead, SyncRequest,
    UserStore as _,
};
use kith_testkit::build::{account, at, send_to, user_id};

use super::{
    super::Postgres,
    ground::{Ground, apply},
};

async fn sync(store: &Postgres, from: Option<SyncFrom>) -> SyncBody {
    match store.sync(user_id(2), from, 100).await.unwrap() {
        SyncRead::Body(body) => *body,
        SyncRead::Foreign => panic!("the token is of this database"),
    }
}

/// A token that stood after all that was begun would pass over it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_across_a_sync_is_told_by_the_next() {
    let (ground, store, group) = Ground::furnished().await;
    let raw = ground.raw().await;
    let id = group.to_string();
    raw.run(&format!(
        "BEGIN;
         INSERT INTO messages (conversation_id, seq, id, sender_id, client_message_id, digest, \
         kind, content, version, revised, created_at)
         VALUES ('{id}', 1, gen_random_uuid(), '{}', 'c', sha256('x'), 0, 'hi', 2, false, now());
         UPDATE heads SET last_seq = 1, version = 2, last_message_at = now(),
         changed = pg_current_xact_id()::text::bigint WHERE conversation_id = '{id}'",
        user_id(1)
    ))
    .await;

    // Others go on, and their numbers are higher.
    let chat = kith_testkit::build::write_to(user_id(2), 5, user_id(3), "meanwhile");
    apply(&store, chat).await.unwrap();
    let first = sync(&store, None).await;
    let seen = |body: &SyncBody| {
        body.conversations
            .iter()
            .map(|synced| &synced.card)
            .find(|card| card.conversation.id == group)
            .map(|card| {
                (card.head.last_seq, card.last_message.as_ref().map(|last| last.message.seq))
            })
    };
    assert_eq!(seen(&first), Some((0, None)));
    assert_eq!(first.conversations.len(), 2);
    // Neither does a token that a paged sync or a bare horizon gives pass over it.
    let horizon = store.horizon().await.unwrap();
    let second = sync(&store, Some(first.next.clone())).await;
    assert!(matches!(seen(&second), None | Some((0, None))), "nothing of it to be seen yet");

    raw.run("COMMIT").await;
    for token in [first.next, second.next, horizon] {
        assert_eq!(seen(&sync(&store, Some(token)).await), Some((1, Some(1))));
    }
}

/// The same of a place: one is removed across a sync.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_across_a_sync_is_told_by_the_next() {
    let (ground, store, group) = Ground::furnished().await;
    let raw = ground.raw().await;
    raw.hold(group).await;
    raw.run(&format!(
        "UPDATE members SET left_seq = 0, version = 2, changed = pg_current_xact_id()::text::bigint
         WHERE conversation_id = '{group}' AND user_id = '{}';
         UPDATE heads SET version = 2, member_epoch = member_epoch + 1,
         changed = pg_current_xact_id()::text::bigint WHERE conversation_id = '{group}'",
        user_id(2)
    ))
    .await;
    let first = sync(&store, None).await;
    assert_eq!(first.conversations.len(), 1);
    raw.run("COMMIT").await;
    let second = sync(&store, Some(first.next)).await;
    assert_eq!((second.removed, second.conversations.len()), (vec![group], 0));
    let outcome = apply(&store, send_to(group, 7, user_id(1), "without him")).await;
    outcome.unwrap();
    let third = sync(&store, Some(second.next)).await;
    assert!(third.conversations.is_empty(), "what goes on there is not his");
}

/// The same of marks: one reads across a sync of another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_across_a_sync_is_told_by_the_next() {
    let (ground, store, group) = Ground::furnished().await;
    apply(&store, send_to(group, 6, user_id(2), "read it")).await.unwrap();
    let raw = ground.raw().await;
    raw.hold(group).await;
    // Its number is taken before it writes anything.
    raw.run("SELECT pg_current_xact_id()").await;
    raw.run(&format!(
        "UPDATE members SET delivered_seq = 1, read_seq = 1, \
         changed = pg_current_xact_id()::text::bigint \
         WHERE conversation_id = '{group}' AND user_id = '{}';
         UPDATE heads SET changed = pg_current_xact_id()::text::bigint \
         WHERE conversation_id = '{group}'",
        user_id(3)
    ))
    .await;
    // One that does the same waits for it, and is not lost either.
    let reading = {
        let store = store.clone();
        let to = Watermarks { delivered: 1, read: 1 };
        let advance = Advance { conversation_id: group, user_id: user_id(1), to, at: at(9) };
        tokio::spawn(async move { store.advance([advance].into()).await })
    };
    ground.waiting(1).await;
    let chat = kith_testkit::build::write_to(user_id(2), 5, user_id(3), "meanwhile");
    apply(&store, chat).await.unwrap();
    let read = |body: &SyncBody| -> Option<Vec<i64>> {
        let synced = body.conversations.iter().find(|it| it.card.conversation.id == group)?;
        Some(synced.marks.as_ref()?.iter().map(|other| other.marks.read).collect())
    };
    let first = sync(&store, None).await;
    assert_eq!(read(&first), Some(vec![0, 0]));
    raw.run("COMMIT").await;
    reading.await.unwrap().unwrap();
    let second = sync(&store, Some(first.next)).await;
    assert_eq!(read(&second), Some(vec![1, 1]));
}

/// A profile that was written across a sync.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_across_a_sync_is_told_by_the_next() {
    let (ground, store, _) = Ground::furnished().await;
    let raw = ground.raw().await;
    raw.run(&format!(
        "BEGIN; UPDATE users SET display_name = 'Ann', \
         changed = pg_current_xact_id()::text::bigint WHERE id = '{}'",
        user_id(1)
    ))
    .await;
    let first = sync(&store, None).await;
    raw.run("COMMIT").await;
    let second = sync(&store, Some(first.next)).await;
    let names: Vec<_> = second.users.iter().map(|user| user.display_name.as_str()).collect();
    assert!(names.contains(&"Ann"), "{names:?}");
}

/// As after a restore: the rows have numbers that this cluster has not reached.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_younger_cluster_numbers_begin_anew() {
    let (ground, store, _) = Ground::furnished().await;
    let before = store.horizon().await.unwrap();
    let raw = ground.raw().await;
    raw.run("UPDATE store SET changed = 1000000000000").await;
    raw.run("UPDATE heads SET changed = 999999999999").await;
    let again = ground.open().await;
    assert_eq!(ground.number("SELECT count(*) FROM heads WHERE changed > 0").await, 0);
    assert_ne!(again.horizon().await.unwrap().incarnation, before.incarnation);
}

/// Profiles that changed meanwhile concern whoever was away: the others are told together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_who_was_away_for_long_is_no_burden_to_others() {
    let (ground, store, _) = Ground::furnished().await;
    ground.settle().await;
    let long_ago = store.horizon().await.unwrap();
    for n in 10..50 {
        store.register(account(n)).await.unwrap();
    }
    ground.settle().await;
    let now = store.horizon().await.unwrap();
    let asked = [long_ago, now].map(|from| SyncRequest { viewer: user_id(2), from, limit: 100 });
    let told = store.unchanged(&asked).await.unwrap();
    assert_eq!(told.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true]);
}
