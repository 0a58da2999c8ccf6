//! What is SQLite's own: files, migrations, failures, plans.

mod plans;

use std::path::{Path, PathBuf};

use diesel::{connection::SimpleConnection, prelude::*, sql_types::Text, sqlite::SqliteConnection};
use diesel_migrations::MigrationHarness;
use kith_domain::{ConversationId, group::MemberChange, receipt::Watermarks};
use kith_ports::{
    Advance, ConversationStore, HistorySelector, MessageStore, ReceiptStore, StoreError, SyncRead,
    UserStore,
    log::{Applied, Change, Command, ConversationLog},
};
use kith_testkit::build::{self, at, user_id};
use rstest::rstest;
use tempfile::TempDir;

use super::{
    OpenError, Options, Sqlite,
    connection::{self, Purpose},
    migrate,
};

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

struct Database {
    directory: TempDir,
}

impl Database {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("kith.db")
    }

    fn open(&self) -> Sqlite {
        Sqlite::open(&self.path(), Options { readers: 1 }).unwrap()
    }

    fn connection(&self) -> SqliteConnection {
        connection::open(self.path().to_str().unwrap(), Purpose::Write).unwrap()
    }

    fn open_error(&self) -> OpenError {
        Sqlite::open(&self.path(), Options::default()).unwrap_err()
    }
}

fn lines(connection: &mut SqliteConnection, sql: &str) -> Vec<String> {
    let rows: Vec<Line> = diesel::sql_query(sql).load(connection).unwrap();
    rows.into_iter().map(|row| row.line).collect()
}

async fn apply(sqlite: &Sqlite, command: Command) -> Applied {
    sqlite.apply([command].into()).await.unwrap().pop().unwrap().unwrap()
}

/// Three accounts, a group of them and a direct chat of the first two, each with messages.
async fn furnish(sqlite: &Sqlite) -> (ConversationId, ConversationId) {
    for n in 1..=3 {
        sqlite.register(build::account(n)).await.unwrap();
    }
    let group = build::group(1, user_id(1));
    let id = group.id;
    apply(sqlite, build::create(group, &[user_id(2), user_id(3)])).await;
    for n in 1..=5 {
        apply(sqlite, build::send_to(id, n, user_id(1), "hi")).await;
    }
    apply(sqlite, build::write_to(user_id(2), 6, user_id(1), "hi")).await;
    (id, ConversationId::direct(user_id(1), user_id(2)))
}

#[tokio::test]
async fn reopening_keeps_everything() {
    let database = Database::new();
    let sqlite = database.open();
    let (group, _) = furnish(&sqlite).await;
    let before = ConversationStore::card(&sqlite, user_id(2), group).await.unwrap();
    let horizon = sqlite.horizon().await.unwrap();
    drop(sqlite);
    let sqlite = database.open();
    assert_eq!(ConversationStore::card(&sqlite, user_id(2), group).await.unwrap(), before);
    assert_eq!(sqlite.horizon().await.unwrap(), horizon, "the same database");
    apply(&sqlite, build::send_to(group, 9, user_id(1), "more")).await;
    let SyncRead::Body(body) = sqlite.sync(user_id(2), Some(horizon), 10).await.unwrap() else {
        panic!("the token is of this database");
    };
    assert_eq!(body.conversations.len(), 1);
}

#[tokio::test]
async fn closing_finishes_what_waits_and_refuses_what_comes() {
    let database = Database::new();
    let sqlite = database.open();
    let (group, _) = furnish(&sqlite).await;
    let waiting: Vec<_> = (20..60)
        .map(|n| {
            let sqlite = sqlite.clone();
            let command = build::send_to(group, n, user_id(1), "x");
            tokio::spawn(async move { sqlite.apply([command].into()).await })
        })
        .collect();
    tokio::task::yield_now().await;
    let closing = sqlite.clone();
    tokio::task::spawn_blocking(move || closing.close()).await.unwrap();
    let mut stored = 5;
    for task in waiting {
        match task.await.unwrap() {
            Ok(_) => stored += 1,
            Err(StoreError::Unavailable(_)) => {}
            Err(other) => panic!("expected it to be closed, found {other:?}"),
        }
    }
    let error = sqlite.horizon().await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    drop(sqlite);
    let sqlite = database.open();
    let card = ConversationStore::card(&sqlite, user_id(1), group).await.unwrap().unwrap();
    assert_eq!(card.head.last_seq, stored);
}

#[tokio::test]
async fn a_newer_database_is_refused_and_left_alone() {
    let database = Database::new();
    furnish(&database.open()).await;
    database
        .connection()
        .batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('29991231000001')")
        .unwrap();
    let error = database.open_error();
    let OpenError::Newer { found, known } = &error else { panic!("unexpected {error:?}") };
    assert_eq!((found.as_str(), known.as_str()), ("29991231000001", "20261121000002"));
    assert!(error.to_string().contains("run a newer version"));
    let states = Sqlite::migration_status(&database.path()).unwrap();
    let applied: Vec<_> =
        states.iter().map(|state| (state.version.as_str(), state.applied)).collect();
    let expected = [("20261120000001", true), ("20261121000002", true), ("29991231000001", true)];
    assert_eq!(applied, expected);
}

#[test]
fn what_is_no_database_is_refused() {
    let database = Database::new();
    std::fs::write(database.path(), "this is a letter, not a database").unwrap();
    let error = database.open_error();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    assert!(!error.to_string().contains('\n'));
    let kept = std::fs::read_to_string(database.path()).unwrap();
    assert_eq!(kept, "this is a letter, not a database");
}

#[tokio::test]
async fn a_damaged_page_is_found_at_the_start() {
    let database = Database::new();
    let sqlite = database.open();
    furnish(&sqlite).await;
    sqlite.close();
    drop(sqlite);
    let mut bytes = std::fs::read(database.path()).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xA5);
    std::fs::write(database.path(), bytes).unwrap();
    let error = database.open_error();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains("backup"), "{error}");
}

#[test]
fn the_database_of_another_program_is_refused() {
    let database = Database::new();
    let mut connection = SqliteConnection::establish(database.path().to_str().unwrap()).unwrap();
    connection.batch_execute("CREATE TABLE recipes (name TEXT)").unwrap();
    drop(connection);
    let error = database.open_error();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
}

#[test]
fn a_directory_that_is_not_there_is_told() {
    let error = Sqlite::open(Path::new("/nonexistent/kith.db"), Options::default()).unwrap_err();
    assert!(matches!(error, OpenError::Unreadable { .. }), "{error:?}");
}

#[test]
fn the_status_of_a_database_that_is_not_there_makes_none() {
    let database = Database::new();
    let states = Sqlite::migration_status(&database.path()).unwrap();
    let missing = |version, name| crate::MigrationState {
        version: String::from(version),
        name: String::from(name),
        applied: false,
    };
    let expected = [
        missing("20261120000001", "2026-11-20-000001_initial"),
        missing("20261121000002", "2026-11-21-000002_conversing"),
    ];
    assert_eq!(states, expected);
    assert!(!database.path().exists());
}

#[test]
fn migrations_go_up_down_and_up() {
    let database = Database::new();
    drop(database.open());
    let mut connection = database.connection();
    let tables = "SELECT sql AS line FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
    let before = lines(&mut connection, tables);
    connection.revert_all_migrations(migrate::MIGRATIONS).unwrap();
    assert_eq!(lines(&mut connection, tables).len(), 1, "the list of migrations alone");
    drop(connection);
    drop(database.open());
    assert_eq!(lines(&mut database.connection(), tables), before);
}

/// What was before knows no system messages.
#[tokio::test]
async fn notes_are_deleted_messages_when_they_are_taken_back() {
    let database = Database::new();
    let sqlite = database.open();
    let (group, _) = furnish(&sqlite).await;
    let member_epoch = sqlite.snapshot(group, &[]).await.unwrap().unwrap().head.member_epoch;
    let leaving = [MemberChange::Leaves(user_id(2))];
    let change = build::members(user_id(2), &leaving, 900, member_epoch);
    let leaving = Command { conversation_id: group, at: at(9), change };
    sqlite.apply([leaving].into()).await.unwrap().remove(0).unwrap();
    drop(sqlite);
    let mut connection = database.connection();
    let notes = "SELECT kind || ' ' || (content IS NULL) || ' ' || coalesce(deleted_at = created_at, 0) AS line \
                 FROM messages ORDER BY created_at DESC LIMIT 1";
    assert_eq!(lines(&mut connection, notes)[0][..1], *"3");
    connection.revert_last_migration(migrate::MIGRATIONS).unwrap();
    assert_eq!(lines(&mut connection, notes), ["0 1 1"]);
    drop(connection);
    let sqlite = database.open();
    let page =
        sqlite.history(user_id(1), group, HistorySelector::Newest, 1).await.unwrap().unwrap();
    let message = &page.items[0].message;
    assert!(message.deleted_at.is_some() && !message.is_system(), "{message:?}");
}

#[rstest]
#[case("UPDATE members SET role = 9", "members", "role")]
#[case("UPDATE conversations SET kind = 7 WHERE kind = 1", "conversations", "kind")]
#[case("UPDATE messages SET kind = -1", "messages", "kind")]
#[case("UPDATE messages SET content = 'a' || char(0)", "messages", "content")]
#[case("UPDATE messages SET reply_to = 99", "messages", "reply_to")]
#[case("UPDATE messages SET mentions = x'0102'", "messages", "mentions")]
#[case("UPDATE messages SET kind = 3, event = 9", "messages", "event")]
#[tokio::test]
async fn a_corrupt_row_is_named(
    #[case] damage: &str,
    #[case] in_table: &str,
    #[case] column: &str,
) {
    let database = Database::new();
    let sqlite = database.open();
    let (group, _) = furnish(&sqlite).await;
    database.connection().batch_execute(damage).unwrap();
    match ConversationStore::card(&sqlite, user_id(2), group).await.unwrap_err() {
        StoreError::Corrupt { table, id, what } => {
            assert_eq!(table, in_table);
            assert!(!id.is_empty() && what.starts_with(column), "{id}: {what}");
        }
        other => panic!("expected a corrupt row, found {other:?}"),
    }
}

#[tokio::test]
async fn a_corrupt_profile_is_named() {
    let database = Database::new();
    let sqlite = database.open();
    furnish(&sqlite).await;
    database.connection().batch_execute("UPDATE users SET display_name = ''").unwrap();
    let error = sqlite.find(&[user_id(1)]).await.map(drop).unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { table: "users", .. }), "{error:?}");
}

#[tokio::test]
async fn a_panicking_job_writes_nothing_and_takes_nobody_down() {
    let database = Database::new();
    let sqlite = database.open();
    let (group, _) = furnish(&sqlite).await;
    let panicked = sqlite
        .transact(|connection| -> super::Work<()> {
            connection.batch_execute("DELETE FROM messages")?;
            panic!("as a test")
        })
        .await;
    assert!(matches!(panicked, Err(StoreError::Other(_))), "{panicked:?}");
    let panicked = sqlite.read(|_| -> super::Work<()> { panic!("as a test") }).await;
    assert!(matches!(panicked, Err(StoreError::Other(_))), "{panicked:?}");
    let page = sqlite.history(user_id(1), group, HistorySelector::Newest, 10).await.unwrap();
    assert_eq!(page.unwrap().items.len(), 5);
    apply(&sqlite, build::send_to(group, 9, user_id(1), "still here")).await;
}

#[tokio::test]
async fn a_full_disk_is_told_and_forgiven() {
    let database = Database::new();
    let sqlite = database.open();
    let (group, _) = furnish(&sqlite).await;
    let limit = |sql: &'static str| {
        let sqlite = sqlite.clone();
        async move { sqlite.transact(|connection| Ok(connection.batch_execute(sql)?)).await }
    };
    // A limit below what there is means: not one page more.
    limit("PRAGMA max_page_count = 1").await.unwrap();
    let text = "x".repeat(3_000);
    let mut stored = 5;
    let error = loop {
        let n = 100 + u64::try_from(stored).unwrap();
        match sqlite.apply([build::send_to(group, n, user_id(1), &text)].into()).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 100, "the disk never filled");
    };
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    let card = ConversationStore::card(&sqlite, user_id(1), group).await.unwrap().unwrap();
    assert_eq!(card.head.last_seq, stored, "reading goes on, nothing half done");
    limit("PRAGMA max_page_count = 4294967294").await.unwrap();
    let sent = apply(&sqlite, build::send_to(group, 999, user_id(1), &text)).await;
    assert!(matches!(sent, Applied::Sent { message, .. } if message.seq == stored + 1));
}

#[tokio::test]
async fn a_deleted_conversation_loses_its_messages_in_the_end() {
    let database = Database::new();
    let sqlite = database.open();
    let (group, _) = furnish(&sqlite).await;
    let batch: Vec<_> = (100..1_300).map(|n| build::send_to(group, n, user_id(1), "x")).collect();
    sqlite.apply(batch.into()).await.unwrap();
    let chat = ConversationId::direct(user_id(1), user_id(2));
    for (conversation_id, n) in [(group, 1_100), (chat, 6)] {
        let change = build::reaction(build::message_id(n), user_id(2), "👍");
        apply(&sqlite, Command { conversation_id, at: at(8), change }).await;
    }
    let advances: Vec<_> = (1..=300)
        .flat_map(|seq| [(group, 2, seq), (group, 3, seq), (chat, 2, seq)])
        .map(|(conversation_id, user, seq)| {
            let to = Watermarks { delivered: seq, read: seq };
            Advance { conversation_id, user_id: user_id(user), to, at: at(8) }
        })
        .collect();
    for batch in advances.chunks(3) {
        sqlite.advance(batch.into()).await.unwrap();
    }
    let change = Change::Remove { member_epoch: 1 };
    apply(&sqlite, Command { conversation_id: group, at: at(9), change }).await;
    let left = async || {
        let count = "SELECT count(*) || ' ' || (SELECT count(*) FROM reactions) || ' ' || \
                     (SELECT count(*) FROM receipts) AS line FROM messages";
        sqlite.read(move |connection| Ok(lines(connection, count))).await.unwrap()[0].clone()
    };
    for _ in 0..500 {
        // Of each those of the chat.
        if left().await == "1 1 2" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{} messages, reactions and advances are left", left().await);
}

#[tokio::test]
async fn what_was_left_to_delete_goes_after_a_restart() {
    let database = Database::new();
    let sqlite = database.open();
    furnish(&sqlite).await;
    drop(sqlite);
    database.connection().batch_execute("UPDATE conversations SET deleted_at = 1").unwrap();
    let sqlite = database.open();
    let count = "SELECT CAST(count(*) AS TEXT) AS line FROM messages";
    for _ in 0..500 {
        if sqlite.read(move |connection| Ok(lines(connection, count))).await.unwrap() == ["0"] {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("messages are left");
}
