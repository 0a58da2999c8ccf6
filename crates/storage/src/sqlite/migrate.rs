//! Bringing a database up to this binary, and refusing one that it does not know.

use std::{collections::BTreeSet, fs::File, io::Read, path::Path};

use diesel::{
    connection::SimpleConnection,
    prelude::*,
    sql_types::BigInt,
    sqlite::{Sqlite as Backend, SqliteConnection},
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{
    connection::{self, Purpose},
    error::{Condition, condition, of_message},
};
use crate::migrations::{self, MigrationState};

/// The migrations that this binary knows.
pub(super) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// What every SQLite file begins with (<https://sqlite.org/fileformat.html>, 1.3).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// What `PRAGMA application_id` says in a database of this program: "Kith".
const APPLICATION_ID: i64 = 0x4b69_7468;
/// A file up to this size is checked page by page before it is used; for a larger one that would
/// hold up the start.
const CHECKED_BYTES: u64 = 64 * 1024 * 1024;

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
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
    /// The file or its directory may not be used as it must.
    #[error(
        "cannot use the database {path}: {reason}; see that it exists in a directory that kith may write to"
    )]
    Unreadable {
        /// The file.
        path: String,
        /// What the system says.
        reason: String,
    },
    /// It is not a database, or its pages are damaged.
    #[error(
        "the database {path} is damaged ({reason}): restore it from a backup, or move it away to begin anew"
    )]
    Damaged {
        /// The file.
        path: String,
        /// What was found.
        reason: String,
    },
    /// It belongs to another program.
    #[error("{path} is the database of another program: choose another file")]
    Foreign {
        /// The file.
        path: String,
    },
    /// Another process holds it.
    #[error("the database {path} is in use by another process: stop that one first")]
    Busy {
        /// The file.
        path: String,
    },
    /// A migration failed; what it had done was undone.
    #[error("migrating the database {path} failed: {reason}")]
    Migration {
        /// The file.
        path: String,
        /// What failed.
        reason: String,
    },
    /// A thread could not be started, or the path cannot be used.
    #[error("cannot open the database: {0}")]
    Io(#[from] std::io::Error),
}

/// Checks a database and runs the migrations it lacks. Makes it if it is not there.
pub(super) fn prepare(path: &str) -> Result<(), OpenError> {
    check_header(path)?;
    let mut connection = establish(path)?;
    let connection = &mut connection;
    refuse_unknown(connection, path)?;
    check_pages(connection, path)?;
    migrate(connection, path)
}

/// The migrations of a database and of this binary, in order.
pub(super) fn status(path: &str) -> Result<Vec<MigrationState>, OpenError> {
    let states = known()?;
    if !Path::new(path).exists() {
        return Ok(states);
    }
    check_header(path)?;
    let mut connection = establish(path)?;
    let applied = applied(&mut connection).map_err(|error| database(path, &error))?;
    Ok(migrations::compare(states, applied))
}

fn check_header(path: &str) -> Result<(), OpenError> {
    let mut start = Vec::new();
    let read = match File::open(path) {
        Ok(file) => file.take(MAGIC.len() as u64).read_to_end(&mut start),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => Err(error),
    };
    read.map_err(|error| unreadable(path, error))?;
    if start.is_empty() || start == MAGIC {
        return Ok(());
    }
    Err(OpenError::Damaged {
        path: path.to_owned(),
        reason: String::from("it does not begin as a SQLite database"),
    })
}

fn establish(path: &str) -> Result<SqliteConnection, OpenError> {
    let mut connection =
        SqliteConnection::establish(path).map_err(|error| unreadable(path, error))?;
    connection
        .batch_execute("PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON;")
        .map_err(|error| database(path, &error))?;
    Ok(connection)
}

fn refuse_unknown(connection: &mut SqliteConnection, path: &str) -> Result<(), OpenError> {
    let of_database = |error| database(path, &error);
    let known: BTreeSet<String> = known()?.into_iter().map(|state| state.version).collect();
    let applied = applied(connection).map_err(of_database)?;
    if let Some(found) = applied.iter().rfind(|version| !known.contains(*version)) {
        return Err(OpenError::Newer {
            found: found.clone(),
            known: known.last().cloned().unwrap_or_default(),
        });
    }
    // An empty file, and one whose migrations were all reverted, are anybody's.
    let tables = "SELECT count(*) AS number FROM sqlite_schema \
                  WHERE type = 'table' AND name <> '__diesel_schema_migrations'";
    let application = "SELECT application_id AS number FROM pragma_application_id";
    if number(connection, tables).map_err(of_database)? == 0
        || number(connection, application).map_err(of_database)? == APPLICATION_ID
    {
        return Ok(());
    }
    Err(OpenError::Foreign { path: path.to_owned() })
}

fn check_pages(connection: &mut SqliteConnection, path: &str) -> Result<(), OpenError> {
    #[derive(QueryableByName)]
    struct Finding {
        #[diesel(sql_type = diesel::sql_types::Text)]
        quick_check: String,
    }

    if std::fs::metadata(path).map_or(0, |file| file.len()) > CHECKED_BYTES {
        return Ok(());
    }
    let findings: Vec<Finding> = diesel::sql_query("PRAGMA quick_check(1)")
        .load(connection)
        .map_err(|error| database(path, &error))?;
    match findings.first() {
        Some(finding) if finding.quick_check != "ok" => Err(OpenError::Damaged {
            path: path.to_owned(),
            reason: finding.quick_check.replace('\n', " "),
        }),
        _ => Ok(()),
    }
}

fn migrate(connection: &mut SqliteConnection, path: &str) -> Result<(), OpenError> {
    let migrated = connection.run_pending_migrations(MIGRATIONS).map(|_| ());
    migrated.map_err(|error| {
        let reason = error.to_string();
        match of_message(&reason) {
            Condition::Busy => OpenError::Busy { path: path.to_owned() },
            Condition::NoAccess => unreadable(path, reason),
            _ => OpenError::Migration { path: path.to_owned(), reason },
        }
    })
}

fn known() -> Result<Vec<MigrationState>, OpenError> {
    migrations::known::<Backend>(&MIGRATIONS)
        .map_err(|reason| OpenError::Migration { path: String::from("(embedded)"), reason })
}

/// The versions in the database; none where nothing was ever migrated. Writes nothing.
fn applied(connection: &mut SqliteConnection) -> QueryResult<BTreeSet<String>> {
    #[derive(QueryableByName)]
    struct Applied {
        #[diesel(sql_type = diesel::sql_types::Text)]
        version: String,
    }

    let ledger = "SELECT count(*) AS number FROM sqlite_schema \
                  WHERE type = 'table' AND name = '__diesel_schema_migrations'";
    if number(connection, ledger)? == 0 {
        return Ok(BTreeSet::new());
    }
    let rows: Vec<Applied> =
        diesel::sql_query("SELECT version FROM __diesel_schema_migrations").load(connection)?;
    Ok(rows.into_iter().map(|row| row.version).collect())
}

fn number(connection: &mut SqliteConnection, sql: &str) -> QueryResult<i64> {
    #[derive(QueryableByName)]
    struct Number {
        #[diesel(sql_type = BigInt)]
        number: i64,
    }

    diesel::sql_query(sql).get_result(connection).map(|row: Number| row.number)
}

/// What an error of the database means to one who opens it.
pub(super) fn database(path: &str, error: &diesel::result::Error) -> OpenError {
    let path = path.to_owned();
    let reason = error.to_string();
    match condition(error) {
        Condition::Busy => OpenError::Busy { path },
        Condition::NoAccess | Condition::Full | Condition::InputOutput => {
            OpenError::Unreadable { path, reason }
        }
        Condition::Damaged | Condition::Unreadable | Condition::Other => {
            OpenError::Damaged { path, reason }
        }
    }
}

/// The error of a file that may not be used.
pub(super) fn unreadable(path: &str, reason: impl std::fmt::Display) -> OpenError {
    OpenError::Unreadable { path: path.to_owned(), reason: reason.to_string() }
}

/// Opens a prepared database and reads its one row, so that damage shows now rather than later.
pub(super) fn probe(path: &str) -> Result<(), OpenError> {
    use crate::schema::store;

    let mut connection =
        connection::open(path, Purpose::Checkpoint).map_err(|error| unreadable(path, error))?;
    let incarnation: Vec<u8> = store::table
        .select(store::incarnation)
        .get_result(&mut connection)
        .map_err(|error| database(path, &error))?;
    debug_assert_eq!(incarnation.len(), 16);
    Ok(())
}
