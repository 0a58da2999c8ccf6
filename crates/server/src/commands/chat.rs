//! `kith chat`: a line-mode client.

use clap::Args;

use crate::Failure;

/// Where and as whom to chat.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub(crate) server: String,
}

/// Talks until the input ends.
pub(crate) fn run(_: Options) -> Result<(), Failure> {
    Ok(())
}
