//! `kith healthcheck`.

use std::time::Duration;

use kith_client::Client;

use crate::{Failure, config::Config};

/// How long a healthy server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks a running server whether it is ready.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(config: &Config, url: Option<String>) -> Result<(), Failure> {
    let url = url.unwrap_or_else(|| {
        let mut address = config.listen;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        format!("http://{address}")
    });
    let failed = |reason: String| Failure::Command(format!("{url} is not well: {reason}"));
    let client = Client::new(&url).map_err(|error| failed(error.to_string()))?;
    match tokio::time::timeout(PATIENCE, client.ready()).await {
        Ok(Ok(health)) => {
            println!("{}", health.status);
            Ok(())
        }
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed("no answer".to_owned())),
    }
}
