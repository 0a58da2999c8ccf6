//! Which store stands behind the ports: what the database's URL says.

use std::{num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration};

use kith_app::messaging::LaneOptions;
use kith_ports::{
    BlockStore, ConversationStore, InviteStore, MessageStore, ReceiptStore, SessionStore,
    UserStore, log::ConversationLog, tail::ChangeTail,
};
use kith_storage::{
    MigrationState,
    postgres::{self, Postgres},
    sqlite::{self, Sqlite},
};

use crate::{Failure, config::Config, lifecycle::private};

/// Where the data is. Not to be shown: a URL may hold a password.
pub(crate) enum Place {
    /// In a file.
    Sqlite(PathBuf),
    /// On a server, at this URL.
    Postgres(String),
}

/// An open database.
#[derive(Clone)]
pub(crate) enum Database {
    Sqlite(Sqlite),
    Postgres(Postgres, LaneOptions),
}

/// All that is stored in one database, by port.
pub(crate) struct Stores {
    pub(crate) users: Arc<dyn UserStore>,
    pub(crate) sessions: Arc<dyn SessionStore>,
    pub(crate) conversations: Arc<dyn ConversationStore>,
    pub(crate) messages: Arc<dyn MessageStore>,
    pub(crate) receipts: Arc<dyn ReceiptStore>,
    pub(crate) blocks: Arc<dyn BlockStore>,
    pub(crate) invites: Arc<dyn InviteStore>,
    pub(crate) log: Arc<dyn ConversationLog>,
}

impl Database {
    /// Opens the configured database, making it or bringing it up to date first.
    pub(crate) async fn open(config: &Config) -> Result<Self, Failure> {
        match config.database()? {
            Place::Sqlite(path) => {
                private(&path)?;
                Ok(Self::Sqlite(Sqlite::open(&path, sqlite::Options::default())?))
            }
            Place::Postgres(url) => {
                let lanes = config.postgres.lanes;
                let options = postgres::Options { connections: config.postgres.connections, lanes };
                let store = Postgres::open(&url, options).await?;
                Ok(Self::Postgres(store, lanes_of(lanes)))
            }
        }
    }

    /// The migrations that the configured database has, and those it lacks. Changes nothing.
    pub(crate) async fn migrations(config: &Config) -> Result<Vec<MigrationState>, Failure> {
        Ok(match config.database()? {
            Place::Sqlite(path) => Sqlite::migration_status(&path)?,
            Place::Postgres(url) => Postgres::migration_status(&url).await?,
        })
    }

    /// The stores in it.
    pub(crate) fn stores(&self) -> Stores {
        match self {
            Self::Sqlite(store) => Stores::of(Arc::new(store.clone())),
            Self::Postgres(store, _) => Stores::of(Arc::new(store.clone())),
        }
    }

    /// The lanes that suit it.
    pub(crate) fn lanes(&self) -> LaneOptions {
        match self {
            Self::Sqlite(_) => LaneOptions::default(),
            Self::Postgres(_, lanes) => *lanes,
        }
    }

    /// What other nodes have stored in it; `None` where there can be no others.
    pub(crate) fn tail(&self) -> Option<Arc<dyn ChangeTail>> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(store, _) => Some(Arc::new(store.clone())),
        }
    }

    /// What it has to be told to do now and then. It never ends by itself.
    pub(crate) async fn upkeep(&self) {
        match self {
            // Its threads look after it.
            Self::Sqlite(_) => std::future::pending().await,
            Self::Postgres(store, _) => store.upkeep().await,
        }
    }

    /// Takes nothing more. SQLite finishes what it was given, and blocks until then.
    pub(crate) fn close(&self) {
        match self {
            Self::Sqlite(store) => store.close(),
            Self::Postgres(store, _) => store.close(),
        }
    }
}

impl Stores {
    fn of<S>(store: Arc<S>) -> Self
    where
        S: UserStore
            + SessionStore
            + ConversationStore
            + MessageStore
            + ReceiptStore
            + BlockStore
            + InviteStore
            + ConversationLog
            + 'static,
    {
        Self {
            users: store.clone(),
            sessions: store.clone(),
            conversations: store.clone(),
            messages: store.clone(),
            receipts: store.clone(),
            blocks: store.clone(),
            invites: store.clone(),
            log: store,
        }
    }
}

/// A server that does not answer is given up after 4 s; with that, nobody waits longer than 10 s.
fn lanes_of(lanes: NonZeroUsize) -> LaneOptions {
    LaneOptions { lanes: lanes.get(), patience: Duration::from_secs(5), ..LaneOptions::default() }
}
