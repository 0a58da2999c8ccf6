//! Direct chats that two nodes make at once.

use kith_domain::ConversationId;
use kith_ports::{
    UserStore as _,
    log::{Applied, Opening},
};
use kith_testkit::build::{self, open, user_id, write_to};
use rstest::rstest;

use super::{
    super::Postgres,
    ground::{Ground, Raw, applying, sent},
};

/// Two nodes and some people who have no chats yet.
async fn two_nodes(people: u64) -> (Ground, Postgres, Postgres) {
    let ground = Ground::new().await;
    let (here, there) = (ground.open().await, ground.open().await);
    for n in 1..=people {
        here.register(build::account(n)).await.unwrap();
    }
    (ground, here, there)
}

/// Makes the chat of the first two as another node would, in a transaction that does not end yet: who
/// makes it meanwhile waits.
async fn make_slowly(raw: &Raw) {
    let chat = ConversationId::direct(user_id(1), user_id(2));
    let (one, two) = (user_id(1), user_id(2));
    raw.run(&format!(
        "BEGIN;
         INSERT INTO conversations (id, kind, posting, user_a, user_b, created_by, created_at,
             updated_at, member_count, settings_epoch, changed)
         VALUES ('{chat}', 0, 0, '{one}', '{two}', '{one}', now(), now(), 2, 1, 0);
         INSERT INTO heads (conversation_id, last_seq, version, member_epoch, changed)
         VALUES ('{chat}', 0, 1, 1, 0);
         INSERT INTO members (conversation_id, user_id, role, joined_at, first_seq, version,
             delivered_seq, read_seq, pinned, archived, hidden, changed)
         SELECT '{chat}', id, 0, now(), 1, 1, 0, 0, false, false, false, 0
         FROM users WHERE id IN ('{one}', '{two}')"
    ))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_first_messages_meet_in_one_chat() {
    let (ground, here, there) = two_nodes(2).await;
    let raw = ground.raw().await;
    make_slowly(&raw).await;
    let both = [
        applying(&here, vec![write_to(user_id(2), 1, user_id(1), "hi")]),
        applying(&there, vec![write_to(user_id(1), 2, user_id(2), "hi")]),
    ];
    ground.waiting(2).await;
    raw.run("ROLLBACK").await;
    let mut numbers = Vec::new();
    for applying in both {
        let outcomes = applying.await.unwrap().unwrap();
        numbers.push((sent(&outcomes[0]).seq, sent(&outcomes[0]).version));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [(1, 2), (2, 3)]);
    ground.assert_dense(ConversationId::direct(user_id(1), user_id(2)), 2, 3).await;
    assert_eq!(ground.number("SELECT count(*) FROM members").await, 2);
}

/// Each batch makes what the other one makes, too, in the other order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_of_first_messages_in_opposite_orders() {
    let (ground, here, there) = two_nodes(9).await;
    for n in (2..=9).step_by(2) {
        let batch = |from: u64| -> Vec<_> {
            [n, n + 1].map(|to| write_to(user_id(to), from + to, user_id(1), "x")).into()
        };
        let (first, mut second) = (batch(100), batch(200));
        second.reverse();
        let both = [applying(&here, first), applying(&there, second)];
        for applying in both {
            applying.await.unwrap().unwrap().iter().for_each(|outcome| {
                sent(outcome);
            });
        }
        for to in [n, n + 1] {
            ground.assert_dense(ConversationId::direct(user_id(1), user_id(to)), 2, 3).await;
        }
    }
}

/// Whoever comes second finds it.
#[rstest]
#[case::opening(false)]
#[case::writing(true)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_who_makes_what_another_has_made_meanwhile_finds_it(#[case] writes: bool) {
    let (ground, here, _) = two_nodes(2).await;
    let raw = ground.raw().await;
    make_slowly(&raw).await;
    let command = if writes {
        write_to(user_id(2), 1, user_id(1), "hi")
    } else {
        open(user_id(1), user_id(2))
    };
    let applying = applying(&here, vec![command]);
    ground.waiting(1).await;
    raw.run("COMMIT").await;
    let outcomes = applying.await.unwrap().unwrap();
    if writes {
        assert_eq!(sent(&outcomes[0]).seq, 1);
    } else {
        let found = matches!(outcomes[0], Ok(Applied::Opened(_, _, Opening::Unchanged)));
        assert!(found, "{outcomes:?}");
    }
    let messages = i64::from(writes);
    let chat = ConversationId::direct(user_id(1), user_id(2));
    ground.assert_dense(chat, messages, 1 + messages).await;
}

/// Both open it: one makes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_open_a_chat_meet_in_it() {
    let (ground, here, there) = two_nodes(2).await;
    let raw = ground.raw().await;
    make_slowly(&raw).await;
    let both = [
        applying(&here, vec![open(user_id(1), user_id(2))]),
        applying(&there, vec![open(user_id(2), user_id(1))]),
    ];
    ground.waiting(2).await;
    raw.run("ROLLBACK").await;
    let mut made = 0;
    for applying in both {
        match &applying.await.unwrap().unwrap()[0] {
            Ok(Applied::Opened(_, _, Opening::Made)) => made += 1,
            // To the other it does not show before he opens it.
            Ok(Applied::Opened(_, _, Opening::Shown)) => {}
            other => panic!("expected an open chat, found {other:?}"),
        }
    }
    assert_eq!(made, 1);
    ground.assert_dense(ConversationId::direct(user_id(1), user_id(2)), 0, 1).await;
    assert_eq!(ground.number("SELECT count(*) FROM members").await, 2);
}
