//! `kith serve`.

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::{Application, Failure, VERSION, config::Config, telemetry};

/// Runs the server until it is asked to stop (SIGTERM, SIGINT).
#[tokio::main]
pub(crate) async fn run(config: &Config) -> Result<(), Failure> {
    telemetry::start(&config.log)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let application = Application::build(config).await?;
    info!(version = VERSION, data_dir = %config.data_dir.display(), "kith starts");
    application
        .run_until(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
        .await
}
