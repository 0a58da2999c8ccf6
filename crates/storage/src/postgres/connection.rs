//! How connections are opened.

use std::time::Duration;

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection as _};
use tokio::time::timeout;
use tokio_postgres::Config;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::target::Target;

/// After this the server gives a statement up.
pub(super) const STATEMENT_TIMEOUT: Duration = Duration::from_millis(3_500);

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectFailure {
    /// The server took the connection, and said nothing.
    #[error("the server does not answer")]
    Silent,
    /// The server could not be reached, or refused.
    #[error(transparent)]
    Server(#[from] tokio_postgres::Error),
    /// It could not be set up.
    #[error(transparent)]
    Setup(#[from] ConnectionError),
}

/// Opens a connection to the first host that lets one in and takes writes, and sets it up.
pub(super) async fn open(target: &Target) -> Result<AsyncPgConnection, ConnectFailure> {
    let mut outcome = Err(ConnectFailure::Silent);
    for way in &target.ways {
        let opening = timeout(target.patience(), set_up(way, target.tls.clone())).await;
        outcome = opening.unwrap_or(Err(ConnectFailure::Silent));
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

async fn set_up(way: &Config, tls: MakeRustlsConnect) -> Result<AsyncPgConnection, ConnectFailure> {
    let (client, driver) = way.connect(tls).await?;
    let mut connection = AsyncPgConnection::try_from_client_and_connection(client, driver).await?;
    connection
        .batch_execute(&settings())
        .await
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
    // Told apart are errors by their texts, so they had better be English; only some roles may ask
    // for that.
    let _ = connection.batch_execute("SET lc_messages = 'C'").await;
    Ok(connection)
}

/// The same, for Diesel's pool.
pub(super) async fn open_as_diesel(target: &Target) -> ConnectionResult<AsyncPgConnection> {
    open(target).await.map_err(|failure| match failure {
        ConnectFailure::Server(error) => ConnectionError::BadConnection(describe(&error)),
        ConnectFailure::Setup(error) => error,
        silent @ ConnectFailure::Silent => ConnectionError::BadConnection(silent.to_string()),
    })
}

/// What the server, or the way to it, says.
pub(super) fn describe(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;

    match (error.as_db_error(), error.source()) {
        (Some(error), _) => error.message().to_owned(),
        (None, Some(source)) => source.to_string(),
        (None, None) => error.to_string(),
    }
}

fn settings() -> String {
    let statement_ms = STATEMENT_TIMEOUT.as_millis();
    // A commit is durable when it is answered, whatever the server was told to do by default. Plans
    // are made once: every statement is short, and goes by an index whatever its parameters are.
    format!(
        "SET statement_timeout = {statement_ms};
         SET idle_in_transaction_session_timeout = 10000;
         SET jit = off;
         SET plan_cache_mode = force_generic_plan;
         SET default_transaction_isolation = 'read committed';
         SELECT set_config('synchronous_commit', 'on', false)
         WHERE current_setting('synchronous_commit') = 'off'"
    )
}
