//! How the store fails, each time because of something real.

use kith_domain::text::{Email, Username};
use kith_ports::{
    Constraint, ConversationStore, HistorySelector, MessageStore as _, SessionStore, StoreError,
    UserStore as _,
    log::{Change, Command, ConversationLog as _},
};
use kith_testkit::build::{self, at, send_to, user_id};
use rstest::rstest;

use super::ground::{Ground, PATIENCE, Raw, apply, applying, sent};

const END_ALL: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                       WHERE datname = current_database() AND application_name = 'kith'";

/// Ends the connections of stores.
async fn end_all(raw: &Raw) {
    raw.run(END_ALL).await;
}

/// What was not yet committed was not written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_whose_connection_ends_is_unavailable() {
    let (ground, store, group) = Ground::furnished().await;
    let (raw, knife) = (ground.raw().await, ground.raw().await);
    raw.hold(group).await;
    let change = Change::Hide { member: user_id(3) };
    let batch = vec![
        send_to(group, 1, user_id(1), "hi"),
        Command { conversation_id: group, at: at(2), change },
    ];
    let applying = applying(&store, batch.clone());
    ground.waiting(1).await;
    end_all(&knife).await;
    let answer = applying.await.unwrap();
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    raw.run("ROLLBACK").await;
    ground.assert_dense(group, 0, 1).await;
    let outcomes = store.apply(batch.into()).await.unwrap();
    assert_eq!(sent(&outcomes[0]).seq, 1, "on a new connection");
}

/// A single statement commits by itself: whether it did cannot be told from outside.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_whose_connection_ends_is_in_doubt() {
    let (ground, store, group) = Ground::furnished().await;
    let (raw, knife) = (ground.raw().await, ground.raw().await);
    raw.hold(group).await;
    let applying = applying(&store, vec![send_to(group, 1, user_id(1), "hi")]);
    ground.waiting(1).await;
    end_all(&knife).await;
    let answer = applying.await.unwrap();
    assert!(matches!(answer, Err(StoreError::OutcomeUnknown(_))), "{answer:?}");
    raw.run("ROLLBACK").await;
    let again = apply(&store, send_to(group, 1, user_id(1), "hi")).await;
    assert_eq!(sent(&again).seq, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_whose_connection_ends_is_unavailable() {
    let (ground, store, group) = Ground::furnished().await;
    let (raw, knife) = (ground.raw().await, ground.raw().await);
    raw.run("BEGIN; LOCK TABLE members, sessions IN ACCESS EXCLUSIVE MODE").await;
    let snapshot = {
        let store = store.clone();
        tokio::spawn(
            async move { ConversationStore::card(&store, user_id(1), group).await.map(drop) },
        )
    };
    let query = {
        let store = store.clone();
        tokio::spawn(
            async move { SessionStore::find(&store, build::session_id(1)).await.map(drop) },
        )
    };
    ground.waiting(2).await;
    end_all(&knife).await;
    for read in [snapshot, query] {
        let answer = read.await.unwrap();
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    }
    raw.run("ROLLBACK").await;
    assert!(ConversationStore::card(&store, user_id(1), group).await.unwrap().is_some());
}

/// Whoever gets a connection that ended while nobody used it is told to try again, at most.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_ended_are_replaced() {
    let (ground, store, group) = Ground::furnished().await;
    assert!(ConversationStore::card(&store, user_id(1), group).await.unwrap().is_some());
    end_all(&ground.raw().await).await;
    let read = async {
        loop {
            match ConversationStore::card(&store, user_id(1), group).await {
                Ok(card) => break card,
                Err(StoreError::Unavailable(_)) => {}
                Err(other) => panic!("unexpected {other:?}"),
            }
        }
    };
    assert!(tokio::time::timeout(PATIENCE, read).await.unwrap().is_some());
    let write = async {
        while let Err(error) = store.apply([send_to(group, 1, user_id(1), "hi")].into()).await {
            assert!(error.is_transient(), "{error:?}");
        }
    };
    tokio::time::timeout(PATIENCE, write).await.unwrap();
    ground.assert_dense(group, 1, 2).await;
}

/// For a connection one waits for a while, in each pool for itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_free_connection_is_busy() {
    let (ground, furnisher, group) = Ground::furnished().await;
    furnisher.close();
    let store = ground.open_with(1, 1).await;
    let raw = ground.raw().await;
    raw.run("BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE").await;
    raw.run(&format!("SELECT FROM heads WHERE conversation_id = '{group}' FOR NO KEY UPDATE"))
        .await;
    let reading = {
        let store = store.clone();
        tokio::spawn(
            async move { SessionStore::find(&store, build::session_id(1)).await.map(drop) },
        )
    };
    let sending = applying(&store, vec![send_to(group, 1, user_id(1), "first")]);
    ground.waiting(2).await;
    let (read, sent) = tokio::join!(
        ConversationStore::card(&store, user_id(1), group),
        store.apply([send_to(group, 2, user_id(1), "second")].into())
    );
    assert!(matches!(read, Err(StoreError::Busy)), "{read:?}");
    assert!(matches!(sent, Err(StoreError::Busy)), "{sent:?}");
    raw.run("ROLLBACK").await;
    reading.await.unwrap().unwrap();
    sending.await.unwrap().unwrap();
    ground.assert_dense(group, 1, 2).await;
}

/// Each statement is given up by the server, whatever waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_waits_too_long_is_busy() {
    let (ground, store, group) = Ground::furnished().await;
    let raw = ground.raw().await;
    raw.run("BEGIN; LOCK TABLE members, sessions IN ACCESS EXCLUSIVE MODE").await;
    let (snapshot, query) = tokio::join!(
        ConversationStore::card(&store, user_id(1), group),
        SessionStore::find(&store, build::session_id(1))
    );
    assert!(matches!(snapshot, Err(StoreError::Busy)), "{snapshot:?}");
    assert!(matches!(query, Err(StoreError::Busy)), "{query:?}");
    raw.run("ROLLBACK").await;
    assert!(ConversationStore::card(&store, user_id(1), group).await.unwrap().is_some());
}

/// Two register at once: what the second wants was free when he looked.
#[rstest]
#[case("email_key", Constraint::Email)]
#[case("username_key", Constraint::Username)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_race_for_a_name_is_told_by_what_was_taken(
    #[case] column: &str,
    #[case] constraint: Constraint,
) {
    let ground = Ground::new().await;
    let store = ground.open().await;
    let raw = ground.raw().await;
    let user = build::user(1);
    let key = match constraint {
        Constraint::Email => user.email.as_ref().map(Email::key),
        Constraint::Username => user.username.as_ref().map(Username::key),
    };
    raw.run(&format!(
        "BEGIN; INSERT INTO users (id, {column}, display_name, last_seen_visibility, \
         read_receipts, changed, created_at) \
         VALUES ('{}', '{}', 'Quick', 0, true, 0, now())",
        user_id(9),
        key.unwrap()
    ))
    .await;
    let registering = {
        let store = store.clone();
        tokio::spawn(async move { store.register(build::account(1)).await })
    };
    ground.waiting(1).await;
    raw.run("COMMIT").await;
    match registering.await.unwrap() {
        Err(StoreError::Conflict(found)) => assert_eq!(found, constraint),
        other => panic!("expected a conflict, found {other:?}"),
    }
    assert_eq!(ground.number("SELECT count(*) FROM users").await, 1);
    assert_eq!(ground.number("SELECT count(*) FROM sessions").await, 0);
    store.register(build::account(2)).await.unwrap();
}

#[rstest]
#[case("UPDATE members SET role = 9", "members", "role")]
#[case("UPDATE conversations SET kind = 7", "conversations", "kind")]
#[case("UPDATE conversations SET posting = -1", "conversations", "posting")]
#[case("UPDATE messages SET kind = 99", "messages", "kind")]
#[case("UPDATE messages SET content = E'a\\u0001' || repeat('x', 99999)", "messages", "content")]
#[case("UPDATE messages SET reply_to = 99", "messages", "reply_to")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_corrupt_row_is_named(
    #[case] damage: &str,
    #[case] in_table: &str,
    #[case] column: &str,
) {
    let (ground, store, group) = Ground::furnished().await;
    sent(&apply(&store, send_to(group, 1, user_id(1), "hi")).await);
    ground.raw().await.run(damage).await;
    let page = store.history(user_id(1), group, HistorySelector::Newest, 10).await.map(drop);
    let card = ConversationStore::card(&store, user_id(1), group).await.map(drop).unwrap_err();
    if in_table == "messages" {
        assert!(matches!(page, Err(StoreError::Corrupt { .. })), "{page:?}");
    }
    match card {
        StoreError::Corrupt { table, id, what } => {
            assert_eq!(table, in_table);
            assert!(!id.is_empty() && what.starts_with(column), "{id}: {what}");
        }
        other => panic!("expected a corrupt row, found {other:?}"),
    }
}
