//! `kith`: the program that wires the rooms together.
//!
//! Here alone all rooms are known: what is configured, which adapter stands behind which port, in
//! what order things start and stop. Nothing is decided here about chats.

pub mod cli;
mod commands;
pub mod config;
mod database;
mod error;
mod lifecycle;
mod live;
mod telemetry;
mod wiring;

pub use error::Failure;
pub use lifecycle::Application;

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
