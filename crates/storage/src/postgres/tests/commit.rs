//! Connections that are cut while something is committed.

use std::sync::Arc;

use kith_domain::{ConversationId, message::Message};
use kith_ports::{
    ConversationStore as _, StoreError,
    log::{Applied, Change, Command, ConversationLog as _},
};
use kith_testkit::build::{self, at, send_to, user_id};

use super::{
    super::Postgres,
    ground::{Ground, apply, applying, options, sent},
    proxy::{Proxy, Rule},
};

/// The statement, to its end: the level of a transaction is a word that begins like it.
const COMMIT: &str = "COMMIT\0";

/// A store behind a proxy, whose connections are open.
async fn behind(ground: &Ground, group: ConversationId) -> (Proxy, Postgres, Arc<Message>) {
    let proxy = Proxy::new(ground.database.url());
    let store = Postgres::open(&proxy.url(), options(1, 1)).await.unwrap();
    let outcome = apply(&store, send_to(group, 1, user_id(1), "hi")).await;
    let message = Arc::clone(sent(&outcome));
    (proxy, store, message)
}

/// A send that is committed and whose answer is lost: sent again, it is a duplicate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_whose_answer_is_lost_is_in_doubt_until_it_is_sent_again() {
    let (ground, _, group) = Ground::furnished().await;
    let (proxy, store, _) = behind(&ground, group).await;
    let raw = ground.raw().await;
    raw.hold(group).await;
    let send = send_to(group, 2, user_id(2), "did you hear?");
    let applying = applying(&store, vec![send.clone()]);
    ground.waiting(1).await;
    proxy.set(Rule::CutAnswer);
    raw.run("COMMIT").await;
    let answer = applying.await.unwrap();
    assert!(matches!(answer, Err(StoreError::OutcomeUnknown(_))), "{answer:?}");
    assert!(proxy.has_cut());
    let Applied::Duplicate(message, _) = apply(&store, send).await.unwrap() else {
        panic!("it was stored");
    };
    assert_eq!((message.id, message.seq), (build::message_id(2), 2));
    ground.assert_dense(group, 2, 3).await;
}

/// The same of a transaction of several statements, cut at the last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_in_doubt() {
    let (ground, _, group) = Ground::furnished().await;
    let (proxy, store, first) = behind(&ground, group).await;
    let batch = batch(&store, group, &first).await;
    proxy.set(Rule::CutAnswerTo(COMMIT));
    let answer = store.apply(batch.clone().into()).await;
    assert!(matches!(answer, Err(StoreError::OutcomeUnknown(_))), "{answer:?}");
    assert!(proxy.has_cut());
    // The server may be at it still; whoever tries again waits for the lock.
    let outcomes = store.apply(batch.into()).await.unwrap();
    let Ok(Applied::Duplicate(message, _)) = &outcomes[0] else {
        panic!("it was stored, and not {:?}", outcomes[0]);
    };
    assert_eq!((message.id, message.seq), (build::message_id(2), 2));
    // It was edited, and is so again: to the same text.
    assert!(matches!(&outcomes[1], Ok(Applied::Revised(_, Some(_)))), "{:?}", outcomes[1]);
    ground.assert_dense(group, 2, 5).await;
}

/// As far as the caller can tell it is the same; but nothing was committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_never_arrives_is_in_doubt_too() {
    let (ground, _, group) = Ground::furnished().await;
    let (proxy, store, first) = behind(&ground, group).await;
    let batch = batch(&store, group, &first).await;
    proxy.set(Rule::CutBefore(COMMIT));
    let answer = store.apply(batch.clone().into()).await;
    assert!(matches!(answer, Err(StoreError::OutcomeUnknown(_))), "{answer:?}");
    assert!(proxy.has_cut());
    let outcomes = store.apply(batch.into()).await.unwrap();
    assert_eq!((sent(&outcomes[0]).id, sent(&outcomes[0]).seq), (build::message_id(2), 2));
    assert!(matches!(outcomes[1], Ok(Applied::Revised(..))), "{:?}", outcomes[1]);
    ground.assert_dense(group, 2, 4).await;
}

/// Before that, it is known that nothing was written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_before_the_commit_is_unavailable() {
    let (ground, _, group) = Ground::furnished().await;
    let (proxy, store, first) = behind(&ground, group).await;
    let batch = batch(&store, group, &first).await;
    for text in ["UPDATE messages", "BEGIN"] {
        proxy.set(Rule::CutBefore(text));
        let answer = store.apply(batch.clone().into()).await;
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
        assert!(proxy.has_cut());
        ground.assert_dense(group, 1, 2).await;
    }
}

/// A message and an edit.
async fn batch(store: &Postgres, group: ConversationId, first: &Message) -> Vec<Command> {
    let member_epoch = store.snapshot(group, &[]).await.unwrap().unwrap().head.member_epoch;
    let change =
        Change::Edit { message_id: first.id, content: build::content("edited"), member_epoch };
    vec![
        send_to(group, 2, user_id(2), "did you hear?"),
        Command { conversation_id: group, at: at(3), change },
    ]
}
