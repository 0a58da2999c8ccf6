//! Bringing a database up to this binary, and refusing one that it does not know.

use std::collections::BTreeSet;

use diesel::{
    pg::Pg,
    sql_types::{BigInt, Bool, Text},
};
use diesel_async::{
    AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _,
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};
use tokio_postgres::error::SqlState;

use super::{
    connection::{self, ConnectFailure, describe},
    target::Target,
};
use crate::migrations::{self, MigrationState};

/// The migrations that this binary knows.
pub(super) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// The lock under which one node at a time migrates: "Kith".
const LOCK: i64 = 0x4b69_7468;
/// How long a node waits while another one migrates.
const LOCK_PATIENCE: &str = "60s";
/// The oldest version of PostgreSQL: the first with functions that are parsed when they are made.
const OLDEST: i64 = 140_000;

/// Transactions of a cluster have ever higher numbers. `store` keeps one that was reached; if it is not
/// reached now, the database was restored on a younger cluster. Then its rows begin anew with 0, and
/// sync tokens from before are refused.
const RENUMBER: &str = "
    DO $$
    DECLARE
        reached bigint := pg_current_xact_id()::text::bigint;
    BEGIN
        IF (SELECT changed FROM store) > reached THEN
            UPDATE users SET changed = 0;
            UPDATE conversations SET changed = 0;
            UPDATE heads SET changed = 0;
            UPDATE members SET changed = 0;
            DELETE FROM changes;
            UPDATE store SET incarnation = uuid_send(gen_random_uuid()), forgotten = 0;
        END IF;
        UPDATE store SET changed = reached;
    END
    $$";

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The URL cannot name a database.
    #[error(
        "the database URL is not good: {0}; write it like postgres://user:password@host:5432/name?sslmode=verify-full"
    )]
    Url(String),
    /// The certificates of authorities cannot be used.
    #[error("cannot use the certificates named in the database URL: {0}")]
    Certificates(String),
    /// The server cannot be reached.
    #[error(
        "cannot reach PostgreSQL at {address}: {reason}; see that it runs there and that the database URL is right"
    )]
    Unreachable {
        /// Where.
        address: String,
        /// What the way there says.
        reason: String,
    },
    /// The server does not let this user in.
    #[error(
        "PostgreSQL at {address} refuses: {reason}; check user, password and database in the database URL"
    )]
    Refused {
        /// Where.
        address: String,
        /// What the server says.
        reason: String,
    },
    /// The way there cannot be trusted, or has no TLS.
    #[error(
        "no trusted way to PostgreSQL at {address}: {reason}; check sslmode and sslrootcert in the database URL"
    )]
    Untrusted {
        /// Where.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server takes no writes.
    #[error("PostgreSQL at {address} takes no writes: name the primary in the database URL")]
    Standby {
        /// Where.
        address: String,
    },
    /// The server is too old.
    #[error("PostgreSQL at {address} is version {found}: kith needs 14 or newer")]
    TooOld {
        /// Where.
        address: String,
        /// Its version.
        found: String,
    },
    /// A newer version of the program has migrated it.
    #[error(
        "the database is at migration {found}, but this version of kith knows only up to {known}: run a newer version"
    )]
    Newer {
        /// The newest migration in the database.
        found: String,
        /// The newest that this binary knows.
        known: String,
    },
    /// It belongs to another program.
    #[error("{address} is the database of another program: choose another database")]
    Foreign {
        /// Where.
        address: String,
    },
    /// A migration failed; what it had done was undone.
    #[error("migrating the database {address} failed: {reason}")]
    Migration {
        /// Where.
        address: String,
        /// What failed.
        reason: String,
    },
}

/// Checks a database and runs the migrations it lacks, while no other node does.
pub(super) async fn prepare(target: &Target) -> Result<(), OpenError> {
    let mut connection = connect(target).await?;
    let failed = |error: diesel::result::Error| failed(target, error);
    // The lock goes with the connection.
    connection
        .batch_execute(&format!(
            "SET statement_timeout = 0;
             SET lock_timeout = '{LOCK_PATIENCE}';
             SELECT pg_advisory_lock({LOCK});
             SET lock_timeout = 0"
        ))
        .await
        .map_err(failed)?;
    refuse_unknown(&mut connection, target).await?;
    warn_of_translations(&mut connection).await.map_err(failed)?;
    let mut harness = AsyncMigrationHarness::new(connection);
    // Diesel's migrations wait without yielding: the runtime is told.
    let migrated = harness.run_pending_migrations(MIGRATIONS).map(drop);
    migrated.map_err(|error| self::failed(target, error))?;
    harness.into_inner().batch_execute(RENUMBER).await.map_err(failed)
}

/// The migrations of a database and of this binary, in order.
pub(super) async fn status(target: &Target) -> Result<Vec<MigrationState>, OpenError> {
    let mut connection = connect(target).await?;
    let applied = applied(&mut connection).await.map_err(|error| failed(target, error))?;
    Ok(migrations::compare(known(target)?, applied))
}

async fn connect(target: &Target) -> Result<AsyncPgConnection, OpenError> {
    let mut connection =
        connection::open(target).await.map_err(|failure| unopened(target, &failure))?;
    let version =
        number(&mut connection, "SELECT current_setting('server_version_num')::bigint AS number")
            .await
            .map_err(|error| failed(target, error))?;
    if version < OLDEST {
        return Err(OpenError::TooOld {
            address: target.shown.clone(),
            found: (version / 10_000).to_string(),
        });
    }
    Ok(connection)
}

fn unopened(target: &Target, failure: &ConnectFailure) -> OpenError {
    let address = target.shown.clone();
    match failure {
        ConnectFailure::Server(error) => {
            let reason = describe(error);
            let passing = [
                SqlState::CANNOT_CONNECT_NOW,
                SqlState::TOO_MANY_CONNECTIONS,
                SqlState::ADMIN_SHUTDOWN,
            ];
            match error.code() {
                Some(code) if !passing.contains(code) => OpenError::Refused { address, reason },
                Some(_) => OpenError::Unreachable { address, reason },
                None => without_code(address, error, reason),
            }
        }
        ConnectFailure::Setup(error) => {
            OpenError::Unreachable { address, reason: error.to_string() }
        }
        ConnectFailure::Silent => OpenError::Unreachable { address, reason: failure.to_string() },
    }
}

/// What went wrong before the server could say so. The driver tells by its texts alone.
fn without_code(address: String, error: &tokio_postgres::Error, reason: String) -> OpenError {
    let what = error.to_string();
    if what.contains("TLS") {
        // A certificate's inside says nothing to a person.
        let reason = reason.split(" {").next().unwrap_or_default().to_owned();
        OpenError::Untrusted { address, reason }
    } else if what.starts_with("invalid configuration") || what.starts_with("authentication") {
        OpenError::Refused { address, reason }
    } else if reason.contains("does not allow writes") {
        OpenError::Standby { address }
    } else {
        OpenError::Unreachable { address, reason }
    }
}

async fn refuse_unknown(
    connection: &mut AsyncPgConnection,
    target: &Target,
) -> Result<(), OpenError> {
    let of_database = |error: diesel::result::Error| failed(target, error);
    let known: BTreeSet<String> = known(target)?.into_iter().map(|state| state.version).collect();
    let applied = applied(connection).await.map_err(of_database)?;
    let Some(found) = applied.iter().rfind(|version| !known.contains(*version)) else {
        return Ok(());
    };
    // Other programs keep their migrations in a table of the same name.
    let ours = holds(connection, "SELECT to_regclass('heads') IS NOT NULL AS yes").await;
    if !ours.map_err(of_database)? {
        return Err(OpenError::Foreign { address: target.shown.clone() });
    }
    Err(OpenError::Newer { found: found.clone(), known: known.last().cloned().unwrap_or_default() })
}

/// Failures are told apart by their texts, as far as Diesel does not tell them by kind.
async fn warn_of_translations(connection: &mut AsyncPgConnection) -> diesel::QueryResult<()> {
    let english = "SELECT current_setting('lc_messages') ~* '^(|c|posix|c\\..*|en.*)$' AS yes";
    if !holds(connection, english).await? {
        tracing::warn!(
            "PostgreSQL answers in another language than English, so that some of its failures are \
             not recognised; as its superuser: ALTER ROLE <role of kith> SET lc_messages = 'C'"
        );
    }
    Ok(())
}

fn known(target: &Target) -> Result<Vec<MigrationState>, OpenError> {
    migrations::known::<Pg>(&MIGRATIONS).map_err(|reason| failed(target, reason))
}

fn failed(target: &Target, reason: impl std::fmt::Display) -> OpenError {
    let reason = reason.to_string();
    OpenError::Migration { address: target.shown.clone(), reason: reason.replace('\n', " ") }
}

/// The versions in the database; none where nothing was ever migrated. Writes nothing.
async fn applied(connection: &mut AsyncPgConnection) -> diesel::QueryResult<BTreeSet<String>> {
    #[derive(diesel::QueryableByName)]
    struct Applied {
        #[diesel(sql_type = Text)]
        version: String,
    }

    let ledger = "SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL AS yes";
    if !holds(connection, ledger).await? {
        return Ok(BTreeSet::new());
    }
    let rows: Vec<Applied> = diesel::sql_query("SELECT version FROM __diesel_schema_migrations")
        .load(connection)
        .await?;
    Ok(rows.into_iter().map(|row| row.version).collect())
}

async fn number(connection: &mut AsyncPgConnection, sql: &str) -> diesel::QueryResult<i64> {
    #[derive(diesel::QueryableByName)]
    struct Number {
        #[diesel(sql_type = BigInt)]
        number: i64,
    }

    diesel::sql_query(sql).get_result(connection).await.map(|row: Number| row.number)
}

async fn holds(connection: &mut AsyncPgConnection, sql: &str) -> diesel::QueryResult<bool> {
    #[derive(diesel::QueryableByName)]
    struct Holds {
        #[diesel(sql_type = Bool)]
        yes: bool,
    }

    diesel::sql_query(sql).get_result(connection).await.map(|row: Holds| row.yes)
}
