//! One blocking connection, and the addresses of databases.

use std::{
    fmt::Write,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use tokio::runtime::{self, Runtime};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use super::{Attempt, Failure, cluster::ROLE, nap};

/// Must be opened and used where blocking is allowed; may be dropped anywhere.
pub(super) struct Session {
    client: Client,
    runtime: Option<Runtime>,
    /// The server's major version; 0 if it does not say.
    version: u32,
}

impl Session {
    pub(super) fn open(url: &str) -> Result<Self, Failure> {
        Self::try_open(url)?.attempt(|| String::from("connect to PostgreSQL"))
    }

    /// Waits while the server is starting, stopping or full. What it says then is for the caller.
    pub(super) fn try_open(url: &str) -> Result<Result<Self, tokio_postgres::Error>, Failure> {
        let mut config: Config =
            url.parse().attempt(|| format!("read the address `{url}` of PostgreSQL"))?;
        config.connect_timeout(Duration::from_secs(10)).application_name("kith-testkit");
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.attempt(|| String::from("make a runtime"))?;
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            match runtime.block_on(config.connect(NoTls)) {
                Ok((client, connection)) => {
                    let version = connection.parameter("server_version").and_then(major);
                    let version = version.unwrap_or_default();
                    runtime.spawn(connection);
                    return Ok(Ok(Self { client, runtime: Some(runtime), version }));
                }
                Err(error) => {
                    let busy = matches!(code(&error), Some("57P03" | "53300"));
                    if !busy || Instant::now() > until {
                        return Ok(Err(error));
                    }
                }
            }
            nap(Duration::from_millis(20));
        }
    }

    pub(super) fn version(&self) -> u32 {
        self.version
    }

    /// Runs statements. What they return is ignored.
    pub(super) fn run(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        self.runtime().block_on(self.client.batch_execute(sql))
    }

    /// Whether a query finds a row.
    pub(super) fn finds(&self, sql: &str) -> Result<bool, tokio_postgres::Error> {
        let found = self.runtime().block_on(self.client.simple_query(sql))?;
        Ok(found.iter().any(|message| matches!(message, SimpleQueryMessage::Row(_))))
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("the runtime is taken on drop alone")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A runtime that is merely dropped waits, and panics inside another one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Of `15.18 (Debian 15.18-0+deb12u1)` or `18beta1`: 15, 18.
fn major(version: &str) -> Option<u32> {
    version.split(|it: char| !it.is_ascii_digit()).next()?.parse().ok()
}

/// The SQLSTATE that a server gave, if it was the server who spoke.
pub(super) fn code(error: &tokio_postgres::Error) -> Option<&str> {
    error.code().map(tokio_postgres::error::SqlState::code)
}

/// Opens a session on a thread of its own, so that it works inside a runtime, too.
pub(super) fn apart<T: Send>(
    url: &str,
    work: impl FnOnce(&Session) -> Result<T, tokio_postgres::Error> + Send,
) -> Result<T, Failure> {
    let on_thread = || {
        let session = Session::open(url)?;
        work(&session).attempt(|| String::from("do that on PostgreSQL"))
    };
    thread::scope(|scope| scope.spawn(on_thread).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The address of a database over TCP.
pub(super) fn tcp_url(port: u16, password: Option<&str>, database: &str) -> String {
    let secret = password.map(|it| format!(":{}", encode(it))).unwrap_or_default();
    format!("postgres://{ROLE}{secret}@127.0.0.1:{port}/{}", encode(database))
}

/// The address of a database over a socket, as tokio-postgres and libpq read it.
pub(super) fn socket_url(dir: &Path, port: u16, password: Option<&str>, database: &str) -> String {
    let secret = password.map(|it| format!(":{}", encode(it))).unwrap_or_default();
    let dir = encode(&dir.to_string_lossy());
    format!("postgres://{ROLE}{secret}@/{}?host={dir}&port={port}", encode(database))
}

/// The same server, another database.
pub(super) fn with_database(url: &str, database: &str) -> String {
    let (before, query) = url.split_once('?').unwrap_or((url, ""));
    let start = before.find("://").map_or(0, |at| at + 3);
    let end = before[start..].find('/').map_or(before.len(), |at| start + at);
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{}/{}{mark}{query}", &before[..end], encode(database))
}

fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a string takes everything");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_replaced_whatever_surrounds_it() {
        for (url, expected) in [
            ("postgres://a:b@host:1/old?x=/y", "postgres://a:b@host:1/new?x=/y"),
            ("postgres://a@host", "postgres://a@host/new"),
            ("postgres://a@host?x=y", "postgres://a@host/new?x=y"),
            ("postgres://a@/old?host=/d", "postgres://a@/new?host=/d"),
        ] {
            assert_eq!(with_database(url, "new"), expected);
        }
    }

    #[test]
    fn addresses_survive_what_is_odd() {
        let url = socket_url(Path::new("/a b/%"), 7, Some("p/@:?"), "d");
        let config: Config = url.parse().unwrap();
        assert_eq!(config.get_password(), Some(&b"p/@:?"[..]));
        let dir = tokio_postgres::config::Host::Unix("/a b/%".into());
        assert_eq!((config.get_hosts(), config.get_ports()), (&[dir][..], &[7][..]));
    }
}
