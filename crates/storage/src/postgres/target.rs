//! Where a database is and how it is reached, read from its URL.

use std::time::Duration;

use tokio_postgres::config::{Config, Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    migrate::OpenError,
    tls::{self, Verify},
};

/// How long the way to one address may take, before the next one is tried.
const CONNECT: Duration = Duration::from_secs(1);
/// How long it may take to be let in by any of the hosts. The pool waits a little longer.
const ALL_HOSTS: Duration = Duration::from_millis(2_700);
/// After so long without a sign of life, the other side is gone.
const SILENCE: Duration = Duration::from_secs(5);

/// A database and how it is reached.
pub(super) struct Target {
    /// A way to each of its hosts, to be tried in their order.
    pub(super) ways: Vec<Config>,
    pub(super) tls: MakeRustlsConnect,
    /// Host, port and name, to be shown to people.
    pub(super) shown: String,
}

impl Target {
    /// Reads a URL as libpq does, as far as there is a use for it.
    pub(super) fn parse(url: &str) -> Result<Self, OpenError> {
        let (url, options) = split(url)?;
        let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            use std::error::Error as _;
            OpenError::Url(error.source().map_or_else(|| error.to_string(), ToString::to_string))
        })?;
        if config.get_hosts().is_empty() {
            return Err(OpenError::Url(String::from("it names no host")));
        }
        if config.get_user().is_none() {
            return Err(OpenError::Url(String::from("it names no user")));
        }
        let (mode, verify) = match options.mode.as_deref() {
            Some("disable") => (SslMode::Disable, Verify::Nothing),
            None | Some("allow" | "prefer") => (SslMode::Prefer, Verify::Nothing),
            // As libpq does: with a root certificate it is checked, without one it is not.
            Some("require") if options.root.is_some() => (SslMode::Require, Verify::Chain),
            Some("require") => (SslMode::Require, Verify::Nothing),
            Some("verify-ca") if options.root.is_none() => {
                return Err(OpenError::Url(String::from(
                    "sslmode=verify-ca needs sslrootcert; verify-full can do without",
                )));
            }
            Some("verify-ca") => (SslMode::Require, Verify::Chain),
            Some("verify-full") => (SslMode::Require, Verify::ChainAndName),
            Some(other) => {
                return Err(OpenError::Url(format!(
                    "sslmode `{other}` is none of disable, prefer, require, verify-ca, verify-full"
                )));
            }
        };
        if verify == Verify::Chain && options.root.as_deref() == Some(tls::SYSTEM) {
            return Err(OpenError::Url(String::from(
                "sslrootcert=system needs sslmode=verify-full: anybody has a certificate that the system trusts",
            )));
        }
        config.ssl_mode(mode);
        if config.get_application_name().is_none() {
            config.application_name("kith");
        }
        let tls = MakeRustlsConnect::new(tls::client(verify, options.root.as_deref())?);
        let shown = shown(&config);
        Ok(Self { ways: ways(&config), tls, shown })
    }

    /// How long one may take to be let in by a host, before the next one is tried.
    pub(super) fn patience(&self) -> Duration {
        ALL_HOSTS / u32::try_from(self.ways.len()).unwrap_or(1).max(1)
    }
}

/// The way to each host by itself. The driver would try them all, but passes one over only if it does
/// not take the connection, not if it takes it and says nothing.
fn ways(all: &Config) -> Vec<Config> {
    let (hosts, addresses, ports) = (all.get_hosts(), all.get_hostaddrs(), all.get_ports());
    (0..hosts.len())
        .map(|place| {
            let mut one = Config::new();
            match &hosts[place] {
                Host::Tcp(name) => one.host(name),
                Host::Unix(path) => one.host_path(path),
            };
            if let Some(address) = addresses.get(place) {
                one.hostaddr(*address);
            }
            if let Some(port) = ports.get(place).or(ports.first()) {
                one.port(*port);
            }
            if let Some(user) = all.get_user() {
                one.user(user);
            }
            if let Some(password) = all.get_password() {
                one.password(password);
            }
            if let Some(name) = all.get_dbname() {
                one.dbname(name);
            }
            if let Some(options) = all.get_options() {
                one.options(options);
            }
            if let Some(name) = all.get_application_name() {
                one.application_name(name);
            }
            one.ssl_mode(all.get_ssl_mode())
                .ssl_negotiation(all.get_ssl_negotiation())
                .channel_binding(all.get_channel_binding())
                .connect_timeout(CONNECT)
                .keepalives(true)
                .keepalives_idle(SILENCE)
                .keepalives_interval(Duration::from_secs(1))
                .keepalives_retries(3)
                .tcp_user_timeout(SILENCE)
                // After a failover the old server may be there still, as a standby.
                .target_session_attrs(TargetSessionAttrs::ReadWrite);
            one
        })
        .collect()
}

/// What the URL says of TLS; its driver knows only a part of it.
#[derive(Debug, Default, PartialEq, Eq)]
struct TlsOptions {
    mode: Option<String>,
    root: Option<String>,
}

/// Takes what concerns TLS out of a URL.
fn split(url: &str) -> Result<(String, TlsOptions), OpenError> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(OpenError::Url(String::from("it does not begin with postgres://")));
    }
    let mut options = TlsOptions::default();
    // A password may hold anything that is not escaped; what comes after the last `@` does not.
    let host = url.rfind('@').unwrap_or_default();
    let Some((host, query)) = url[host..].split_once('?') else {
        return Ok((url.to_owned(), options));
    };
    let base = &url[..url.len() - query.len() - 1];
    debug_assert!(base.ends_with(host));
    let mut rest = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        match form_urlencoded::parse(part.as_bytes()).next() {
            Some((key, value)) if key == "sslmode" => options.mode = Some(value.into_owned()),
            Some((key, value)) if key == "sslrootcert" => options.root = Some(value.into_owned()),
            _ => rest.push(part),
        }
    }
    let url = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
    Ok((url, options))
}

fn shown(config: &Config) -> String {
    let ports = config.get_ports();
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(place, host)| match host {
            Host::Tcp(name) => {
                let port = ports.get(place).or(ports.first()).copied().unwrap_or(5432);
                format!("{name}:{port}")
            }
            Host::Unix(path) => path.display().to_string(),
        })
        .collect();
    let name = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("{}/{name}", hosts.join(","))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("postgres://kith:secret@db.example.org/chat", "db.example.org:5432/chat")]
    #[case("postgresql://kith@[::1]:5433/chat?sslmode=disable", "::1:5433/chat")]
    #[case("postgres://kith@a:1,b:2/chat?sslmode=verify-full", "a:1,b:2/chat")]
    #[case("postgres://kith@/chat?host=/run/postgresql", "/run/postgresql/chat")]
    #[case("postgres://kith@localhost?connect_timeout=1", "localhost:5432/kith")]
    #[case("postgres://kith:what%3F@localhost/chat?sslmode=require", "localhost:5432/chat")]
    fn good_urls_are_shown_without_secrets(#[case] url: &str, #[case] shown: &str) {
        assert_eq!(Target::parse(url).map(|target| target.shown).unwrap(), shown);
    }

    #[rstest]
    #[case("mysql://kith@localhost/chat", "postgres://")]
    #[case("postgres://kith@localhost/chat?sslmode=perhaps", "verify-full")]
    #[case("postgres://kith@localhost/chat?sslmode=verify-ca", "sslrootcert")]
    #[case("postgres://kith@localhost/chat?sslmode=require&sslrootcert=system", "verify-full")]
    #[case("postgres://localhost:none/chat", "port")]
    #[case("postgres://localhost/chat", "user")]
    #[case("postgres://kith@/chat", "host")]
    #[case("postgres://kith@localhost/chat?colour=red", "colour")]
    #[case("postgres://kith@localhost/chat?sslmode=verify-full&sslrootcert=/none.pem", "/none.pem")]
    fn bad_urls_are_told_what_is_wrong(#[case] url: &str, #[case] said: &str) {
        let error = Target::parse(url).err().unwrap().to_string();
        assert!(error.contains(said), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}
