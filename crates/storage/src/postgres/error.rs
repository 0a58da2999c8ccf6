//! What a failure of PostgreSQL means to the caller of a store.
//!
//! Diesel tells a few conditions by kind and hands on the message of all others, which the server
//! may have translated. Connections ask for English where they are allowed to (see `connection`),
//! and what a condition means to the connection is found by trying it.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use kith_ports::{Constraint, StoreError};

use crate::failure::Failure;

/// Where in its course a piece of work failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Before anything could be committed: nothing was written.
    Before,
    /// While it was being committed.
    Commit,
}

/// How a piece of work failed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It met another one's work in a circle, or overtook it, and was undone: it may succeed at once.
    Contended,
    /// Anything else.
    Store(StoreError),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Contended => Self::Busy,
            Trouble::Store(error) => error,
        }
    }
}

/// What else was seen of a failure than its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Signs {
    /// Its connection was lost with it.
    pub(super) lost: bool,
    /// It took as long as a statement may take.
    pub(super) slow: bool,
}

/// What `failure` means to the caller.
pub(super) fn meaning(failure: Failure, stage: Stage, signs: Signs) -> Trouble {
    let error = match failure {
        Failure::Store(error) => return error.into(),
        Failure::Database(DieselError::RollbackErrorOnCommit { commit_error, .. }) => *commit_error,
        Failure::Database(error) => error,
    };
    let meant = match condition(&error) {
        Condition::Contended => return Trouble::Contended,
        Condition::Taken(constraint) => StoreError::Conflict(constraint),
        Condition::Cancelled => StoreError::Busy,
        Condition::Unreadable => StoreError::Corrupt {
            table: "a queried table",
            id: String::from("(unknown row)"),
            what: error.to_string(),
        },
        Condition::Gone | Condition::Other if signs.lost => match stage {
            Stage::Before => StoreError::Unavailable(Box::new(error)),
            Stage::Commit => StoreError::OutcomeUnknown(Box::new(error)),
        },
        Condition::Full | Condition::ReadOnly | Condition::Gone => {
            StoreError::Unavailable(Box::new(error))
        }
        Condition::Other if signs.slow => StoreError::Busy,
        Condition::Other => StoreError::Other(Box::new(error)),
    };
    meant.into()
}

/// The state of the database that an error tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    /// A deadlock, or a state that another transaction has changed.
    Contended,
    /// Something unique is taken.
    Taken(Constraint),
    /// It took too long and was cancelled.
    Cancelled,
    /// The disk is full.
    Full,
    /// It is a standby, or has become one.
    ReadOnly,
    /// A value is not of its type.
    Unreadable,
    /// The server cannot be reached, or goes away.
    Gone,
    /// Anything else.
    Other,
}

fn condition(error: &DieselError) -> Condition {
    let DieselError::DatabaseError(kind, information) = error else {
        return match error {
            DieselError::DeserializationError(_) => Condition::Unreadable,
            DieselError::BrokenTransactionManager => Condition::Gone,
            _ => Condition::Other,
        };
    };
    match kind {
        DatabaseErrorKind::UniqueViolation => match information.constraint_name() {
            Some("users_email_key_key") => Condition::Taken(Constraint::Email),
            Some("users_username_key_key") => Condition::Taken(Constraint::Username),
            // Another one has made the same direct chat meanwhile.
            Some("heads_pkey") => Condition::Contended,
            _ => Condition::Other,
        },
        DatabaseErrorKind::SerializationFailure => Condition::Contended,
        DatabaseErrorKind::ReadOnlyTransaction => Condition::ReadOnly,
        DatabaseErrorKind::UnableToSendCommand | DatabaseErrorKind::ClosedConnection => {
            Condition::Gone
        }
        _ => of_message(information.message()),
    }
}

fn of_message(message: &str) -> Condition {
    const MESSAGES: [(&str, Condition); 6] = [
        ("deadlock detected", Condition::Contended),
        ("canceling statement due to", Condition::Cancelled),
        ("No space left on device", Condition::Full),
        ("terminating connection", Condition::Gone),
        ("the database system is", Condition::Gone),
        ("cached plan must not change result type", Condition::Contended),
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

    fn error(kind: DatabaseErrorKind, message: &str) -> Failure {
        Failure::Database(DieselError::DatabaseError(kind, Box::new(message.to_owned())))
    }

    #[rstest]
    #[case(
        "terminating connection due to administrator command",
        Stage::Before,
        true,
        "the store cannot be reached"
    )]
    #[case(
        "terminating connection due to administrator command",
        Stage::Commit,
        true,
        "it is unknown whether the write took place"
    )]
    #[case(
        "Verbindung wird abgebrochen",
        Stage::Commit,
        true,
        "it is unknown whether the write took place"
    )]
    #[case(
        "canceling statement due to statement timeout",
        Stage::Commit,
        false,
        "the store is busy"
    )]
    #[case(
        "could not extend file: No space left on device",
        Stage::Commit,
        false,
        "the store cannot be reached"
    )]
    #[case("deadlock detected", Stage::Commit, false, "the store is busy")]
    #[case("relation \"x\" does not exist", Stage::Commit, false, "the store failed")]
    fn what_a_failure_means(
        #[case] message: &str,
        #[case] stage: Stage,
        #[case] lost: bool,
        #[case] meant: &str,
    ) {
        let failure = error(DatabaseErrorKind::Unknown, message);
        assert_eq!(
            StoreError::from(meaning(failure, stage, Signs { lost, slow: false })).to_string(),
            meant
        );
    }

    #[test]
    fn a_connection_that_is_cut_leaves_a_commit_in_doubt_and_nothing_else() {
        let cut = || error(DatabaseErrorKind::UnableToSendCommand, "connection closed");
        let of = |stage| StoreError::from(meaning(cut(), stage, Signs { lost: true, slow: false }));
        assert!(matches!(of(Stage::Before), StoreError::Unavailable(_)));
        assert!(matches!(of(Stage::Commit), StoreError::OutcomeUnknown(_)));
    }

    #[test]
    fn what_took_too_long_was_cancelled_in_any_language() {
        let failure =
            error(DatabaseErrorKind::Unknown, "storniere Anfrage wegen Zeitüberschreitung");
        let signs = Signs { lost: false, slow: true };
        let meant = StoreError::from(meaning(failure, Stage::Commit, signs));
        assert!(matches!(meant, StoreError::Busy));
    }

    #[test]
    fn overtaking_is_told_apart() {
        let failure = error(DatabaseErrorKind::SerializationFailure, "could not serialize access");
        assert!(matches!(meaning(failure, Stage::Commit, Signs::default()), Trouble::Contended));
    }
}
