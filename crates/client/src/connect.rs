//! Opening a WebSocket: address, credentials, handshake.

use std::{sync::Once, time::Duration};

use kith_protocol::frame::{BEARER_PREFIX, SUBPROTOCOL};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{
        Error as WsError,
        client::IntoClientRequest,
        http::{HeaderName, HeaderValue},
    },
};

use crate::error::{Error, Result};

/// An open WebSocket.
pub(crate) type Ws = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(15);

/// Chooses the cryptography of TLS for the process, unless the program has chosen already.
pub(crate) fn choose_cryptography() {
    static ONCE: Once = Once::new();
    // An error says that one was chosen before.
    ONCE.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

/// The address of a socket: that of REST, with another scheme.
pub(crate) fn socket_url(base: &str, path: &str) -> String {
    match base.split_once("://") {
        Some(("https", rest)) => format!("wss://{rest}{path}"),
        Some((_, rest)) => format!("ws://{rest}{path}"),
        None => format!("ws://{base}{path}"),
    }
}

/// The header that carries an access token to where no other header can be set.
pub(crate) fn subprotocol(token: &str) -> (String, String) {
    ("Sec-WebSocket-Protocol".to_owned(), format!("{SUBPROTOCOL}, {BEARER_PREFIX}{token}"))
}

/// The usual header for an access token.
pub(crate) fn bearer(token: &str) -> (String, String) {
    ("Authorization".to_owned(), format!("Bearer {token}"))
}

/// Opens a WebSocket.
pub(crate) async fn open(url: &str, headers: &[(String, String)]) -> Result<Ws> {
    choose_cryptography();
    let mut request =
        url.into_client_request().map_err(|error| Error::Url(format!("{url}: {error}")))?;
    for (name, value) in headers {
        let name = HeaderName::try_from(name.as_str()).map_err(Error::transport)?;
        let value = HeaderValue::try_from(value.as_str()).map_err(Error::transport)?;
        request.headers_mut().append(name, value);
    }
    let opening = Box::pin(connect_async_with_config(request, None, true));
    match tokio::time::timeout(HANDSHAKE, opening).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(error)) => Err(refusal(error)),
        Err(_) => Err(Error::TimedOut(HANDSHAKE)),
    }
}

fn refusal(error: WsError) -> Error {
    match error {
        WsError::Http(response) => Error::Upgrade {
            status: response.status().as_u16(),
            retry_after: response
                .headers()
                .get("retry-after")
                .and_then(|value| value.to_str().ok()?.parse().ok())
                .map(Duration::from_secs),
            problem: response
                .body()
                .as_ref()
                .and_then(|body| serde_json::from_slice(body).ok())
                .map(Box::new),
        },
        other => Error::transport(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_of_a_socket_follows_that_of_rest() {
        assert_eq!(socket_url("http://h:1", "/v1/ws"), "ws://h:1/v1/ws");
        assert_eq!(socket_url("https://h/kith", "/v1/ws"), "wss://h/kith/v1/ws");
    }
}
