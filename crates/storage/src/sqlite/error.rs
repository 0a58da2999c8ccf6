//! What a failure of SQLite means to the caller of a store.
//!
//! Diesel hands on SQLite's message, not its code. The messages compared here are those of
//! `sqlite3_errstr`, which are part of the library that is built in.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use kith_ports::StoreError;

use crate::failure::Failure;

/// Where in a transaction something failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It never began, or was rolled back: nothing was written.
    Before,
    /// The commit itself failed.
    Commit,
}

/// What `failure` means to the caller.
pub(super) fn meaning(failure: Failure, stage: Stage) -> StoreError {
    match failure {
        Failure::Store(error) => error,
        Failure::Database(DieselError::RollbackErrorOnCommit { commit_error, .. }) => {
            of_database(*commit_error, stage)
        }
        Failure::Database(error) => of_database(error, stage),
    }
}

fn of_database(error: DieselError, stage: Stage) -> StoreError {
    match condition(&error) {
        Condition::Busy => StoreError::Busy,
        // The frames may have reached the disk although the call failed.
        Condition::InputOutput if stage == Stage::Commit => {
            StoreError::OutcomeUnknown(Box::new(error))
        }
        // Of a full disk also at the commit: its mark did not fit, so it is not in the log.
        Condition::Full | Condition::InputOutput | Condition::NoAccess => {
            StoreError::Unavailable(Box::new(error))
        }
        Condition::Damaged => StoreError::Corrupt {
            table: "the database file",
            id: String::from("(unknown page)"),
            what: error.to_string(),
        },
        Condition::Unreadable => StoreError::Corrupt {
            table: "a queried table",
            id: String::from("(unknown row)"),
            what: error.to_string(),
        },
        Condition::Other => StoreError::Other(Box::new(error)),
    }
}

/// The state of the database that an error tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// Locked by another connection for longer than the timeout.
    Busy,
    /// The disk is full.
    Full,
    /// Reading or writing the file failed.
    InputOutput,
    /// The file may not be opened or written.
    NoAccess,
    /// The file is damaged, or no database.
    Damaged,
    /// A value is not of its type.
    Unreadable,
    /// Anything else.
    Other,
}

/// The state that an error tells of.
pub(super) fn condition(error: &DieselError) -> Condition {
    match error {
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, information) => {
            of_message(information.message())
        }
        DieselError::DeserializationError(_) => Condition::Unreadable,
        _ => Condition::Other,
    }
}

/// The state that a message of SQLite tells of.
pub(super) fn of_message(message: &str) -> Condition {
    const MESSAGES: [(&str, Condition); 9] = [
        ("database is locked", Condition::Busy),
        ("database table is locked", Condition::Busy),
        ("database schema is locked", Condition::Busy),
        ("database or disk is full", Condition::Full),
        ("disk I/O error", Condition::InputOutput),
        ("unable to open database file", Condition::NoAccess),
        ("attempt to write a readonly database", Condition::NoAccess),
        ("database disk image is malformed", Condition::Damaged),
        ("file is not a database", Condition::Damaged),
    ];
    MESSAGES
        .iter()
        .find(|(text, _)| message.contains(text))
        .map_or(Condition::Other, |(_, condition)| *condition)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn error(message: &str) -> Failure {
        Failure::Database(DieselError::DatabaseError(
            DatabaseErrorKind::Unknown,
            Box::new(message.to_owned()),
        ))
    }

    #[rstest]
    #[case("database is locked", Stage::Before, "the store is busy")]
    #[case("database or disk is full", Stage::Before, "the store cannot be reached")]
    #[case("database or disk is full", Stage::Commit, "the store cannot be reached")]
    #[case("disk I/O error", Stage::Before, "the store cannot be reached")]
    #[case("disk I/O error", Stage::Commit, "it is unknown whether the write took place")]
    #[case("no such table: x", Stage::Before, "the store failed")]
    fn what_a_failure_means(#[case] message: &str, #[case] stage: Stage, #[case] meant: &str) {
        assert_eq!(meaning(error(message), stage).to_string(), meant);
    }

    #[test]
    fn a_commit_that_could_not_be_rolled_back_is_judged_by_the_commit() {
        let of = |message: &str| match error(message) {
            Failure::Database(error) => Box::new(error),
            Failure::Store(_) => unreachable!(),
        };
        let failure = Failure::Database(DieselError::RollbackErrorOnCommit {
            rollback_error: of("cannot rollback - no transaction is active"),
            commit_error: of("disk I/O error"),
        });
        assert!(matches!(meaning(failure, Stage::Commit), StoreError::OutcomeUnknown(_)));
    }
}
