use std::{io, net::SocketAddr, path::PathBuf};

use kith_security::SecretError;
use kith_storage::{postgres, sqlite};

/// Why the program cannot do what it was asked to: one line, with what to do.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A setting is wrong.
    #[error("{0}")]
    Config(String),
    /// Somebody else listens there.
    #[error("{0} is in use: stop the program that listens there, or set another KITH_LISTEN")]
    PortInUse(SocketAddr),
    /// One may not listen there.
    #[error("cannot listen on {0}: {1}; set another KITH_LISTEN")]
    Listen(SocketAddr, #[source] io::Error),
    /// The data directory cannot be used.
    #[error(
        "cannot use the data directory {}: {reason}; make it writable, or set another KITH_DATA_DIR",
        path.display()
    )]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        reason: io::Error,
    },
    /// Another server works in the data directory.
    #[error("another kith is running on {}: stop it, or set another KITH_DATA_DIR", .0.display())]
    Locked(PathBuf),
    /// The secret cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The database cannot be used.
    #[error(transparent)]
    Sqlite(#[from] sqlite::OpenError),
    /// The database cannot be used.
    #[error(transparent)]
    Postgres(#[from] postgres::OpenError),
    /// A part of the server ended by itself.
    #[error("{0} ended unexpectedly; the server stops rather than go on half alive")]
    Crashed(&'static str),
    /// What a subcommand was asked for did not work.
    #[error("{0}")]
    Command(String),
    /// The system refused something.
    #[error("{0}")]
    Io(#[from] io::Error),
}
