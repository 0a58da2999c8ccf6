//! Where a server has its data.

use std::{fmt::Write as _, fs, num::NonZeroUsize, path::PathBuf, process::Command};

use kith_server::config::Config;
use kith_storage::postgres::{Options, Postgres};
use kith_testkit::postgres::{Database, database};
use tempfile::TempDir;
use tokio_postgres::{NoTls, Row};

use super::{Process, eventually, kith};

/// Enough for a test: many of them share the server.
const CONNECTIONS: NonZeroUsize = NonZeroUsize::new(4).unwrap();
const LANES: NonZeroUsize = NonZeroUsize::new(2).unwrap();

tokio::task_local! {
    static STORE: Store;
}

/// The kind of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Sqlite,
    Postgres,
}

impl Store {
    /// Runs a test whose servers have their data in such a database.
    pub(super) fn with<F: Future>(self, test: F) -> impl Future<Output = F::Output> {
        STORE.scope(self, test)
    }

    /// Which one the test runs on.
    fn of_this_test() -> Self {
        STORE.try_with(|store| *store).expect("a test makes its servers in its own task")
    }
}

/// A data directory and a database that nobody else has. They go when it is dropped: not before
/// the server that works there has ended.
#[derive(Debug)]
pub(crate) struct Home {
    database: Option<Database>,
    dir: TempDir,
}

impl Home {
    /// An empty one, in the kind of database that this test runs on.
    pub(crate) async fn new() -> Self {
        let database = match Store::of_this_test() {
            Store::Sqlite => None,
            Store::Postgres => Some(empty().await),
        };
        Self { database, dir: tempfile::tempdir().expect("a directory can be made") }
    }

    /// One on PostgreSQL with nothing in it, not even tables.
    pub(crate) async fn bare() -> Self {
        let database = database("nothing", async |_| {}).await;
        Self {
            database: Some(database),
            dir: tempfile::tempdir().expect("a directory can be made"),
        }
    }

    /// The data directory. It is not made yet.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Waits until everything is over that is under way now, in all databases beside this one:
    /// what was changed until then is in the next sync, and not in the one after it.
    pub(super) async fn settled(&self) {
        if self.database.is_none() {
            return;
        }
        let number = async |function: &str| {
            let asked = format!("SELECT {function}(pg_current_snapshot())::text::bigint");
            self.query(&asked).await[0].get::<_, i64>(0)
        };
        let now = number("pg_snapshot_xmax").await;
        let over = async || (number("pg_snapshot_xmin").await >= now).then_some(());
        eventually("the end of all transactions", over).await;
    }

    /// What the database holds, past the server. PostgreSQL alone.
    pub(crate) async fn query(&self, sql: &str) -> Vec<Row> {
        let database = self.database.as_ref().expect("a database of PostgreSQL");
        let (client, driver) = tokio_postgres::connect(database.url(), NoTls).await.unwrap();
        let driver = tokio::spawn(driver);
        let rows = client.query(sql, &[]).await.unwrap();
        drop(client);
        driver.await.unwrap().unwrap();
        rows
    }

    /// The settings that lead a server here.
    pub(super) fn config(&self) -> Config {
        let mut config = Config { data_dir: self.data_dir(), ..Config::default() };
        config.database_url = self.database.as_ref().map(|it| it.url().into());
        (config.postgres.connections, config.postgres.lanes) = (CONNECTIONS, LANES);
        config
    }

    /// The program, led here by its environment.
    pub(crate) fn kith(&self) -> Command {
        let mut command = kith(&self.data_dir());
        if let Some(database) = &self.database {
            command
                .env("KITH_DATABASE_URL", database.url())
                .env("KITH_POSTGRES__CONNECTIONS", CONNECTIONS.to_string())
                .env("KITH_POSTGRES__LANES", LANES.to_string());
        }
        command
    }

    /// Starts a server here, in a process of its own.
    pub(crate) fn start(&self) -> Process {
        Process::spawn(self.kith())
    }
}

/// A database on PostgreSQL with all tables and nothing in them.
async fn empty() -> Database {
    database(&migrations(), async |url| {
        let options = Options { connections: CONNECTIONS, lanes: LANES };
        Postgres::open(&url, options).await.expect("an empty database is migrated").close();
    })
    .await
}

/// All that the state of an empty database depends on.
fn migrations() -> String {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations/postgres");
    let entries = fs::read_dir(dir).expect("there are migrations");
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.expect("they can be listed").path().join("up.sql")).collect();
    paths.sort();
    paths.iter().fold(String::new(), |mut all, path| {
        let text = fs::read_to_string(path).expect("a migration can be read");
        writeln!(all, "-- {}\n{text}", path.display()).expect("a string takes everything");
        all
    })
}
