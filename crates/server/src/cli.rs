//! The command line.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use serde::Serialize;

use crate::{Failure, VERSION, commands, config};

/// Kith: a chat server in one binary.
#[derive(Debug, Parser)]
#[command(name = "kith", version = VERSION, propagate_version = false)]
pub struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Settings that may be given as flags. They win over `KITH_…`, the file, and the defaults.
#[derive(Debug, Default, Args, Serialize)]
#[command(next_help_heading = "Settings of the server")]
pub struct Flags {
    /// Read this file instead of `kith.toml`.
    #[arg(long, global = true, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Listen here (`KITH_LISTEN`).
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// Keep database and secret here (`KITH_DATA_DIR`).
    #[arg(long, global = true, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// Use this database (`KITH_DATABASE_URL`).
    #[arg(long, global = true, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_url: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (what happens without a subcommand).
    Serve,
    /// Bring the database up to date, or say how it is.
    Migrate {
        #[command(subcommand)]
        action: Option<Migrate>,
    },
    /// Say how the server is configured.
    Config {
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// Ask a running server whether it is well; exit code 0 if it is.
    Healthcheck {
        /// Where it is, if not where this configuration says.
        #[arg(long)]
        url: Option<String>,
    },
    /// Print the OpenAPI document.
    Openapi,
    /// Print the version.
    Version,
    /// Talk from this terminal.
    Chat(commands::chat::Options),
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Migrate {
    /// Apply what is missing.
    Up,
    /// List what is applied and what is missing.
    Status,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum ConfigAction {
    /// Print every setting, secrets hidden, with where it came from.
    Print,
}

/// Runs the program and says how it went.
pub fn run() -> ExitCode {
    match dispatch(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("kith: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cli: Cli) -> Result<(), Failure> {
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => commands::serve::run(&config::load(&cli.flags)?.config),
        Command::Migrate { action } => {
            let config = config::load(&cli.flags)?.config;
            match action.unwrap_or(Migrate::Up) {
                Migrate::Up => commands::migrate::up(&config),
                Migrate::Status => commands::migrate::status(&config),
            }
        }
        Command::Config { action: ConfigAction::Print } => {
            print!("{}", config::load(&cli.flags)?.describe());
            Ok(())
        }
        Command::Healthcheck { url } => {
            commands::healthcheck::run(&config::load(&cli.flags)?.config, url)
        }
        Command::Openapi => {
            let document = kith_http::document().to_pretty_json();
            println!("{}", document.map_err(|error| Failure::Command(error.to_string()))?);
            Ok(())
        }
        Command::Version => {
            println!("kith {VERSION}");
            Ok(())
        }
        Command::Chat(options) => commands::chat::run(&options),
    }
}
