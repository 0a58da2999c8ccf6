//! Migrations can be taken back, one by one.

use kith_domain::group::MemberChange;
use kith_ports::{ConversationStore as _, HistorySelector, MessageStore as _, log::Command};
use kith_testkit::build::{self, at, user_id};

use super::ground::{Ground, Raw, apply};

/// A migration's way there and back.
struct Migration {
    up: &'static str,
    down: &'static str,
}

macro_rules! migration {
    ($name:literal) => {
        Migration {
            up: include_str!(concat!("../../../../../migrations/postgres/", $name, "/up.sql")),
            down: include_str!(concat!("../../../../../migrations/postgres/", $name, "/down.sql")),
        }
    };
}

const MIGRATIONS: [Migration; 3] = [
    migration!("2026-11-20-000001_initial"),
    migration!("2026-11-21-000002_conversing"),
    migration!("2026-11-21-000003_tail"),
];

/// Every column, index and function.
async fn describe(raw: &Raw) -> Vec<String> {
    let all = "SELECT format('%s.%s %s', relname, attname, format_type(atttypid, atttypmod)) \
               FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid \
               WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace \
               AND attnum > 0 AND NOT attisdropped \
               UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' \
               UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc \
               WHERE pronamespace = 'public'::regnamespace ORDER BY 1";
    raw.lines(all).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_migration_leaves_nothing_when_it_is_taken_back() {
    let ground = Ground::new().await;
    let raw = ground.raw().await;
    for migration in MIGRATIONS.iter().rev() {
        raw.run(migration.down).await;
    }
    let mut before = vec![describe(&raw).await];
    for migration in MIGRATIONS {
        raw.run(migration.up).await;
        before.push(describe(&raw).await);
    }
    while let Some(there) = before.pop() {
        assert_eq!(describe(&raw).await, there, "{} migrations", before.len());
        if let Some(last) = before.len().checked_sub(1) {
            raw.run(MIGRATIONS[last].down).await;
        }
    }
}

/// What was before knows no system messages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notes_are_deleted_messages_when_they_are_taken_back() {
    let (ground, store, group) = Ground::furnished().await;
    let member_epoch = store.snapshot(group, &[]).await.unwrap().unwrap().head.member_epoch;
    let change = build::members(user_id(3), &[MemberChange::Leaves(user_id(3))], 1, member_epoch);
    apply(&store, Command { conversation_id: group, at: at(2), change }).await.unwrap();
    store.close();
    let raw = ground.raw().await;
    let [_, conversing, tail] = &MIGRATIONS;
    raw.run(&format!("BEGIN; {} {} COMMIT", tail.down, conversing.down)).await;
    let notes = "SELECT format('%s %s %s %s', kind, content IS NULL, deleted_at = created_at, revised) \
                 FROM messages";
    assert_eq!(raw.lines(notes).await, ["0 t t t"]);
    raw.run(&format!("BEGIN; {} {} COMMIT", conversing.up, tail.up)).await;
    let store = ground.open().await;
    let page =
        store.history(user_id(1), group, HistorySelector::Newest, 10).await.unwrap().unwrap();
    let message = &page.items[0].message;
    assert!(message.deleted_at.is_some() && !message.is_system(), "{message:?}");
}
