//! Settings: flag, then environment, then `kith.toml`, then default.

mod load;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::{NonZeroU64, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use ipnet::IpNet;
use kith_realtime::Cluster;
use kith_storage::postgres::Postgres;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer};
use url::Url;

pub use self::load::{Loaded, load};
use crate::{Failure, database::Place};

/// How the server is to be run.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where it keeps database and secret.
    pub data_dir: PathBuf,
    /// Which database: `sqlite://<path>` or `postgres://…`; SQLite under the data directory if
    /// there is none.
    pub database_url: Option<SecretString>,
    /// How PostgreSQL is used.
    pub postgres: Connections,
    /// The Redis that makes one service of several nodes: `redis://…`, or a cluster,
    /// `redis+cluster://…`; this node is alone if there is none.
    pub redis_url: Option<SecretString>,
    /// How several nodes work together.
    pub nodes: Nodes,
    /// The secret that tokens are made with; one made once and kept if there is none.
    pub jwt_secret: Option<SecretString>,
    /// The secret before it, whose tokens are still good.
    pub jwt_previous_secret: Option<SecretString>,
    /// Where browsers find this server.
    pub public_url: Option<String>,
    /// Other origins whose pages may call it.
    #[serde(deserialize_with = "list")]
    pub cors_origins: Vec<String>,
    /// Proxies whose `X-Forwarded-For` and `X-Request-Id` are believed, as addresses or networks.
    #[serde(deserialize_with = "list")]
    pub trusted_proxies: Vec<String>,
    /// What is logged, and how.
    pub log: Log,
    /// How much one may ask.
    pub limits: Limits,
    /// Sockets.
    pub sockets: Sockets,
    /// The cost of hashing a password.
    pub passwords: Passwords,
    /// How it stops.
    pub shutdown: Shutdown,
}

/// What is logged, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Which events, as `tracing` filters: `info`, `kith_http=debug,info`.
    pub filter: String,
    /// `pretty`, `json`, or `auto`: pretty on a terminal.
    pub format: LogFormat,
}

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Pretty on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Pretty,
    /// For programs, one object a line.
    Json,
}

/// How PostgreSQL is used.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Connections {
    /// The most connections for everything but the lanes.
    pub connections: NonZeroUsize,
    /// How many lanes there are, each with a connection of its own: so many batches of messages are
    /// stored at once.
    pub lanes: NonZeroUsize,
}

/// How several nodes work together.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nodes {
    /// How often the database is asked what other nodes have stored.
    pub tail_ms: NonZeroU64,
    /// After how long a node that says nothing is taken for dead.
    pub lease_ms: NonZeroU64,
}

/// How much one may ask. 0 turns a limit off.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Messages a person may send in a second; five times that at once.
    pub messages_per_second: u32,
    /// Requests a person may make in a second.
    pub requests_per_second: u32,
    /// Failed logins an address may make in a minute; an account is allowed a third of it.
    pub logins_per_minute: u32,
    /// Sockets a person may have.
    pub sockets_per_user: u32,
    /// Sockets an address may have.
    pub sockets_per_address: u32,
}

/// Sockets.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sockets {
    /// How often one is pinged.
    pub heartbeat_seconds: u64,
    /// How many frames may wait for one before it is closed as too slow.
    pub queue: usize,
    /// How long after the last device went a person is away.
    pub offline_grace_ms: u64,
}

/// The cost of hashing a password with argon2id.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Passwords {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub iterations: u32,
}

/// How the server stops.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shutdown {
    /// Over how long sockets are closed.
    pub close_spread_ms: u64,
    /// After how long it ends whatever is still under way.
    pub deadline_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
            data_dir: PathBuf::from("./data"),
            database_url: None,
            postgres: Connections::default(),
            redis_url: None,
            nodes: Nodes::default(),
            jwt_secret: None,
            jwt_previous_secret: None,
            public_url: None,
            cors_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            log: Log::default(),
            limits: Limits::default(),
            sockets: Sockets::default(),
            passwords: Passwords::default(),
            shutdown: Shutdown::default(),
        }
    }
}

impl Default for Connections {
    fn default() -> Self {
        const {
            Self {
                connections: NonZeroUsize::new(16).unwrap(),
                lanes: NonZeroUsize::new(4).unwrap(),
            }
        }
    }
}

impl Default for Nodes {
    fn default() -> Self {
        const {
            Self {
                tail_ms: NonZeroU64::new(1_000).unwrap(),
                lease_ms: NonZeroU64::new(10_000).unwrap(),
            }
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Auto }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages_per_second: 100,
            requests_per_second: 200,
            logins_per_minute: 30,
            sockets_per_user: 50,
            sockets_per_address: 1_000,
        }
    }
}

impl Default for Sockets {
    fn default() -> Self {
        Self { heartbeat_seconds: 25, queue: 1_024, offline_grace_ms: 3_000 }
    }
}

impl Default for Passwords {
    fn default() -> Self {
        let cost = kith_security::PasswordCost::default();
        Self { memory_kib: cost.memory_kib, iterations: cost.iterations }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { close_spread_ms: 2_000, deadline_seconds: 20 }
    }
}

impl Config {
    /// Where the database is.
    ///
    /// # Errors
    /// A URL of a kind that this server does not know.
    pub(crate) fn database(&self) -> Result<Place, Failure> {
        let Some(url) = &self.database_url else {
            return Ok(Place::Sqlite(self.data_dir.join("kith.db")));
        };
        let url = url.expose_secret();
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Postgres::check(url)?;
            return Ok(Place::Postgres(url.to_owned()));
        }
        match url.strip_prefix("sqlite:") {
            Some(path) if !path.trim_start_matches("//").is_empty() => {
                Ok(Place::Sqlite(path.strip_prefix("//").unwrap_or(path).into()))
            }
            _ => Err(Failure::Config(
                "KITH_DATABASE_URL must be `postgres://<user>:<password>@<host>/<database>` or `sqlite://<path>`; leave it out for SQLite under the data directory".to_owned(),
            )),
        }
    }

    /// The proxies that are believed, as networks.
    ///
    /// # Errors
    /// One that is neither an address nor a network.
    pub fn proxies(&self) -> Result<Vec<IpNet>, Failure> {
        let parse = |text: &String| {
            let net = text.parse::<IpNet>();
            net.or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
                Failure::Config(format!(
                    "KITH_TRUSTED_PROXIES: {text:?} is neither an address like 10.0.0.1 nor a network like 10.0.0.0/8"
                ))
            })
        };
        self.trusted_proxies.iter().map(parse).collect()
    }

    /// Checks what can only be checked when all is known.
    ///
    /// # Errors
    /// The first setting that is wrong, with what would be right.
    pub fn check(&self) -> Result<(), Failure> {
        let database = self.database()?;
        self.proxies()?;
        if let Some(url) = &self.redis_url {
            Cluster::check(url.expose_secret())
                .map_err(|error| Failure::Config(format!("KITH_REDIS_URL: {error}")))?;
            if matches!(database, Place::Sqlite(_)) {
                return Err(Failure::Config(
                    "KITH_REDIS_URL makes one service of several nodes, which share a PostgreSQL: set KITH_DATABASE_URL to it, or leave KITH_REDIS_URL out".to_owned(),
                ));
            }
            if self.jwt_secret.is_none() {
                return Err(Failure::Config(
                    "several nodes need one secret: set KITH_JWT_SECRET to the same value on all of them, as from `openssl rand -hex 32`".to_owned(),
                ));
            }
        }
        let origins = self.cors_origins.iter().map(|origin| ("KITH_CORS_ORIGINS", origin));
        let public = self.public_url.iter().map(|url| ("KITH_PUBLIC_URL", url));
        for (name, text) in origins.chain(public) {
            let is_origin = Url::parse(text)
                .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
            if !is_origin {
                return Err(Failure::Config(format!(
                    "{name}: {text:?} is not an origin like https://chat.example.org"
                )));
            }
        }
        if self.sockets.heartbeat_seconds == 0 || self.sockets.queue == 0 {
            return Err(Failure::Config(
                "KITH_SOCKETS__HEARTBEAT_SECONDS and KITH_SOCKETS__QUEUE must be at least 1"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// How long it may take to stop.
    pub fn stop_deadline(&self) -> Duration {
        Duration::from_secs(self.shutdown.deadline_seconds)
    }
}

/// A list, or in the environment a text with commas.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        Many(Vec<String>),
        One(String),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::Many(items) => items,
        OneOrMany::One(text) => text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect(),
    })
}
