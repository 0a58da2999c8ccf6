//! Logs: pretty on a terminal, JSON otherwise.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{EnvFilter, fmt};

use crate::{
    Failure,
    config::{Log, LogFormat},
};

/// Starts logging to standard output.
pub(crate) fn start(log: &Log) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&log.filter).map_err(|error| {
        Failure::Config(format!(
            "KITH_LOG__FILTER: {:?} is not a filter like `info` or `kith_http=debug,info`: {error}",
            log.filter
        ))
    })?;
    let pretty = match log.format {
        LogFormat::Auto => io::stdout().is_terminal(),
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    let started = if pretty {
        let ansi = io::stdout().is_terminal();
        fmt().with_env_filter(filter).with_target(false).with_ansi(ansi).try_init()
    } else {
        fmt().with_env_filter(filter).json().flatten_event(true).with_span_list(false).try_init()
    };
    started.map_err(|error| Failure::Config(format!("logging cannot be started: {error}")))
}
