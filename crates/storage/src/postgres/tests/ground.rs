//! A database of a test's own, and connections to it that are not the store's.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use kith_domain::{ConversationId, message::Message};
use kith_ports::{
    StoreResult, UserStore,
    log::{Applied, Command, ConversationLog, Rejected},
};
use kith_testkit::{
    build::{self, user_id},
    postgres::{Database, database},
};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

use super::super::{Options, Postgres};

/// All that the state of an empty database depends on.
const MIGRATIONS: &str = concat!(
    include_str!("../../../../../migrations/postgres/2026-11-20-000001_initial/up.sql"),
    include_str!("../../../../../migrations/postgres/2026-11-21-000002_conversing/up.sql"),
    include_str!("../../../../../migrations/postgres/2026-11-21-000003_tail/up.sql"),
);

/// How long a test waits for what must happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A database.
pub(super) struct Ground {
    pub(super) database: Database,
    watch: Raw,
}

impl Ground {
    /// An empty one.
    pub(super) async fn new() -> Self {
        let database = database(MIGRATIONS, async |url| {
            Postgres::open(&url, options(1, 1)).await.unwrap().close();
        })
        .await;
        let watch = Raw::open(database.url()).await;
        Self { database, watch }
    }

    /// One with the accounts 1 to 3 and a group of them, of which the first is the owner.
    pub(super) async fn furnished() -> (Self, Postgres, ConversationId) {
        let ground = Self::new().await;
        let store = ground.open().await;
        for n in 1..=3 {
            store.register(build::account(n)).await.unwrap();
        }
        let group = build::group(1, user_id(1));
        let id = group.id;
        apply(&store, build::create(group, &[user_id(2), user_id(3)])).await.unwrap();
        (ground, store, id)
    }

    /// A store, as a node has one.
    pub(super) async fn open(&self) -> Postgres {
        self.open_with(2, 4).await
    }

    /// A store with so many connections, and so many for the lanes.
    pub(super) async fn open_with(&self, connections: usize, lanes: usize) -> Postgres {
        Postgres::open(self.database.url(), options(connections, lanes)).await.unwrap()
    }

    /// A connection of nobody's.
    pub(super) async fn raw(&self) -> Raw {
        Raw::open(self.database.url()).await
    }

    /// Waits until so many statements of stores wait for a lock.
    pub(super) async fn waiting(&self, count: usize) {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                       AND application_name = 'kith' AND wait_event_type = 'Lock'";
        let count = i64::try_from(count).unwrap();
        self.until(&format!("SELECT ({waiting}) >= {count}")).await;
    }

    /// Waits until a query answers yes.
    pub(super) async fn until(&self, sql: &str) {
        let yes = async {
            while !self.watch.get::<bool>(sql).await {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, yes).await.unwrap_or_else(|_| panic!("never: {sql}"));
    }

    /// Waits until no transaction is under way that is older than now, in any database of the server:
    /// some tests hold one for a while.
    pub(super) async fn settle(&self) {
        let now = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint";
        let now = self.number(now).await;
        let oldest = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint";
        while self.number(oldest).await < now {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// What a query answers.
    pub(super) async fn number(&self, sql: &str) -> i64 {
        self.watch.get(sql).await
    }

    /// Whether a conversation's numbers are dense: its messages, and those up to its version.
    pub(super) async fn assert_dense(&self, id: ConversationId, messages: i64, versions: i64) {
        let head = "SELECT last_seq FROM heads WHERE conversation_id";
        assert_eq!(self.number(&format!("{head} = '{id}'")).await, messages, "last_seq");
        let head = "SELECT version FROM heads WHERE conversation_id";
        assert_eq!(self.number(&format!("{head} = '{id}'")).await, versions, "version");
        let stored = format!(
            "SELECT count(*) FILTER (WHERE seq BETWEEN 1 AND {messages}) FROM messages \
             WHERE conversation_id = '{id}'"
        );
        assert_eq!(self.number(&stored).await, messages, "rows");
    }
}

/// How a store is opened.
pub(super) fn options(connections: usize, lanes: usize) -> Options {
    let [connections, lanes] = [connections, lanes].map(|it| NonZeroUsize::new(it).unwrap());
    Options { connections, lanes }
}

/// A connection of nobody's. Dropped, what it began is undone.
pub(super) struct Raw(Client);

impl Raw {
    pub(super) async fn open(url: &str) -> Self {
        let (client, driver) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(driver);
        Self(client)
    }

    /// Runs statements.
    pub(super) async fn run(&self, sql: &str) {
        self.0.batch_execute(sql).await.unwrap_or_else(|error| panic!("{error:?}: {sql}"));
    }

    /// What a query answers.
    pub(super) async fn get<T: for<'a> tokio_postgres::types::FromSql<'a>>(&self, sql: &str) -> T {
        let row = self.0.query_one(sql, &[]).await;
        row.unwrap_or_else(|error| panic!("{error:?}: {sql}")).get(0)
    }

    /// What a query answers, line by line.
    pub(super) async fn lines(&self, sql: &str) -> Vec<String> {
        let rows = self.0.query(sql, &[]).await;
        let rows = rows.unwrap_or_else(|error| panic!("{error:?}: {sql}"));
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Begins a transaction that holds the head of a conversation.
    pub(super) async fn hold(&self, id: ConversationId) {
        self.run(&format!(
            "BEGIN; SELECT FROM heads WHERE conversation_id = '{id}' FOR NO KEY UPDATE"
        ))
        .await;
    }
}

/// Applies one command, which the store does not fail at.
pub(super) async fn apply(store: &Postgres, command: Command) -> Result<Applied, Rejected> {
    store.apply([command].into()).await.unwrap().pop().unwrap()
}

/// What came of a batch, or how the store failed.
pub(super) type Answers = StoreResult<Vec<Result<Applied, Rejected>>>;

/// Begins to apply a batch.
pub(super) fn applying(store: &Postgres, batch: Vec<Command>) -> JoinHandle<Answers> {
    let store = store.clone();
    tokio::spawn(async move { store.apply(batch.into()).await })
}

/// The message of an outcome that must be a new one.
#[track_caller]
pub(super) fn sent(outcome: &Result<Applied, Rejected>) -> &Arc<Message> {
    match outcome {
        Ok(Applied::Sent { message, .. }) => message,
        other => panic!("expected a new message, found {other:?}"),
    }
}
