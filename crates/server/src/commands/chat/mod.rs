//! `kith chat`: a line-mode client.
//!
//! It shows that a server works, to somebody who has nothing but a terminal. Lines come in, lines
//! go out; both ends may be pipes. It knows the server only as any other client does.

mod book;
mod command;
mod deeds;
mod desk;
mod news;
mod screen;
mod sign_in;
mod talk;
mod text;

use std::{
    io::{self, IsTerminal as _},
    pin::pin,
    time::Duration,
};

use clap::Args;
use kith_client::Client;
use time::UtcOffset;
use tokio::io::{AsyncBufRead, AsyncWrite, BufReader};

use self::{
    desk::Desk,
    screen::{Ends, Screen},
    talk::Talk,
};
use crate::Failure;

/// How long the server may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where and as whom to chat.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The server.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub(crate) server: String,
    /// Your user name; asked for if left out.
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Begin with this person or group.
    #[arg(long, value_name = "PERSON_OR_GROUP")]
    pub(crate) to: Option<String>,
}

/// Talks until the input ends.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    // Before there are threads: the system is asked for it only then.
    let offset = UtcOffset::current_local_offset().unwrap_or(UtcOffset::UTC);
    let ends = Ends {
        typed: io::stdin().is_terminal(),
        looked_at: io::stdin().is_terminal() && io::stdout().is_terminal(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        let input = BufReader::new(tokio::io::stdin());
        let desk = Desk::new(input, Screen::new(tokio::io::stdout(), ends));
        let stop = async {
            // Without the signal, Ctrl-C ends the process as it ends any other.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        chat(options, desk, offset, stop).await
    });
    // A thread may wait for a line that nobody will type.
    runtime.shutdown_background();
    match ended {
        // Whoever read along has enough.
        Err(Failure::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        ended => ended,
    }
}

/// The whole of it, over any two ends.
async fn chat<R, W>(
    options: &Options,
    mut desk: Desk<R, W>,
    offset: UtcOffset,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure>
where
    R: AsyncBufRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let client = reach(&options.server).await?;
    let mut stop = pin!(stop);
    let me = tokio::select! {
        me = sign_in::sign_in(&mut desk, &client, options.name.clone()) => me?,
        () = &mut stop => return Ok(desk.screen.leave().await?),
    };
    let mut talk = Talk::begin(desk, client, &me, offset);
    let ended = Box::pin(talk.run(options.to.as_deref(), stop)).await;
    talk.end(ended).await
}

/// A client of a server that is there.
async fn reach(server: &str) -> Result<Client, Failure> {
    let client = Client::new(server)
        .map_err(|error| Failure::Command(format!("--server {server}: {error}")))?;
    match tokio::time::timeout(PATIENCE, client.health()).await {
        Ok(Ok(_)) => Ok(client),
        Ok(Err(kith_client::Error::Transport(_))) | Err(_) => Err(Failure::Command(format!(
            "nothing answers at {server}: start the server with `kith`, or say where it is with --server"
        ))),
        Ok(Err(error)) => Err(Failure::Command(format!(
            "{server} does not answer as a Kith server should: {}",
            text::explain(&error)
        ))),
    }
}

#[cfg(test)]
mod tests;
