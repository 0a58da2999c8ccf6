//! What happens to the server when its PostgreSQL fails, each time one of the test's own.

mod cut;
mod down;
mod load;
mod pool;
mod refused;
mod tls;

use kith_server::config::Config;
use kith_testkit::postgres::{Options, Server};

use crate::support::TestApp;

/// PostgreSQL on a port of this machine. Whether it keeps what the machine would lose is not the
/// point here: its own crashes it survives without.
fn quick() -> Options {
    Options { durable: false, ..Options::default() }
}

/// A server of Kith on that database.
async fn app_on(server: &Server, change: impl FnOnce(&mut Config)) -> TestApp {
    app_at(server.url("postgres"), change).await
}

/// The same, by another way to it.
async fn app_at(url: String, change: impl FnOnce(&mut Config)) -> TestApp {
    TestApp::with(|config| {
        config.database_url = Some(url.into());
        change(config);
    })
    .await
}
