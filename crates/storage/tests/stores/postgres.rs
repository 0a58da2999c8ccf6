//! The contract of the stores, on PostgreSQL.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use kith_storage::postgres::{Options, Postgres};
use kith_testkit::{
    contract::{Settled, Stores},
    postgres::{Database, database},
};
use tokio_postgres::NoTls;

/// All that the state of an empty database depends on.
const MIGRATIONS: &str = concat!(
    include_str!("../../../../migrations/postgres/2026-11-20-000001_initial/up.sql"),
    include_str!("../../../../migrations/postgres/2026-11-21-000002_conversing/up.sql"),
    include_str!("../../../../migrations/postgres/2026-11-21-000003_tail/up.sql"),
);

/// A few connections: many tests share the server.
fn options() -> Options {
    let few = NonZeroUsize::new(4).unwrap();
    Options { connections: few, lanes: few }
}

/// A database of its own, which goes when the test ends.
pub(crate) async fn make() -> (Stores, Database) {
    let database = database(MIGRATIONS, async |url| {
        Postgres::open(&url, options()).await.unwrap().close();
    })
    .await;
    let postgres = Arc::new(Postgres::open(database.url(), options()).await.unwrap());
    let stores = Stores {
        users: postgres.clone(),
        sessions: postgres.clone(),
        conversations: postgres.clone(),
        messages: postgres.clone(),
        receipts: postgres.clone(),
        blocks: postgres.clone(),
        invites: postgres.clone(),
        log: postgres,
        settled: settled(database.url()).await,
    };
    (stores, database)
}

/// Waits until no transaction is under way that is older than now, in any database of the server.
async fn settled(url: &str) -> Settled {
    let (client, driver) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(driver);
    let client = Arc::new(client);
    Arc::new(move || {
        let client = Arc::clone(&client);
        Box::pin(async move {
            let now = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint";
            let now: i64 = client.query_one(now, &[]).await.unwrap().get(0);
            let oldest = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint";
            while client.query_one(oldest, &[]).await.unwrap().get::<_, i64>(0) < now {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
    })
}

kith_testkit::contract_tests!(make().await);
