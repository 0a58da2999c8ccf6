//! The subcommands.

pub(crate) mod chat;
pub(crate) mod healthcheck;
pub(crate) mod migrate;
pub(crate) mod serve;
