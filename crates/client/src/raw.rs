//! One plain WebSocket connection, without any cleverness: what a test sends is what goes out, and
//! what comes is what it gets.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use kith_protocol::frame::{ClientFrame, ServerFrame};
use serde_json::Value;
use tokio::{io::AsyncWriteExt, time::timeout};
use tokio_tungstenite::tungstenite::{
    Error as WsError, Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

use crate::{
    connect::{self, Ws},
    error::{Error, Result},
};

/// How long to wait for what should come, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a socket says who it is.
#[derive(Clone, Copy, Debug, Default)]
pub enum Credential<'a> {
    /// Not at all.
    #[default]
    None,
    /// `Authorization: Bearer …`
    Header(&'a str),
    /// `?token=…`
    Query(&'a str),
    /// `?ticket=…`
    Ticket(&'a str),
    /// `Sec-WebSocket-Protocol: kith.v1, bearer.…`
    Subprotocol(&'a str),
}

/// One connection.
#[derive(Debug)]
pub struct RawSocket {
    socket: Ws,
    patience: Duration,
}

impl RawSocket {
    /// Connects to `path` (`/v1/ws`) of the server at `base_url` (as for REST).
    ///
    /// # Errors
    /// `Upgrade` with the status if the server refuses.
    pub async fn connect(
        base_url: &str,
        path: &str,
        credential: Credential<'_>,
        headers: &[(&str, &str)],
    ) -> Result<Self> {
        let mut url = connect::socket_url(base_url.trim_end_matches('/'), path);
        let mut headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let mut parameter = |name: &str, value: &str| {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.extend([name, "=", value]);
        };
        match credential {
            Credential::None => {}
            Credential::Header(token) => headers.push(connect::bearer(token)),
            Credential::Query(token) => parameter("token", token),
            Credential::Ticket(ticket) => parameter("ticket", ticket),
            Credential::Subprotocol(token) => headers.push(connect::subprotocol(token)),
        }
        let socket = connect::open(&url, &headers).await?;
        Ok(Self { socket, patience: PATIENCE })
    }

    /// Waits no longer than this for anything.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sends a frame of the protocol.
    pub async fn send(&mut self, frame: &ClientFrame) -> Result<()> {
        let text = serde_json::to_string(frame).map_err(Error::transport)?;
        self.send_text(text).await
    }

    /// Sends JSON.
    pub async fn send_json(&mut self, json: &Value) -> Result<()> {
        self.send_text(json.to_string()).await
    }

    /// Sends a text frame.
    pub async fn send_text(&mut self, text: impl Into<String>) -> Result<()> {
        self.send_message(Message::text(text.into())).await
    }

    /// Sends a binary frame.
    pub async fn send_binary(&mut self, bytes: impl Into<Vec<u8>>) -> Result<()> {
        self.send_message(Message::binary(bytes.into())).await
    }

    /// Sends a ping of the WebSocket protocol.
    pub async fn send_ping(&mut self, bytes: impl Into<Vec<u8>>) -> Result<()> {
        self.send_message(Message::Ping(bytes.into().into())).await
    }

    /// Sends one WebSocket frame, masked as it must be: a part of a text that need not be UTF-8,
    /// the first or a continuation, the last or not.
    pub async fn send_fragment(
        &mut self,
        bytes: impl Into<Vec<u8>>,
        first: bool,
        last: bool,
    ) -> Result<()> {
        let opcode = OpCode::Data(if first { Data::Text } else { Data::Continue });
        let frame = Frame::message(bytes.into(), opcode, last);
        self.send_message(Message::Frame(frame)).await
    }

    /// Writes bytes past the WebSocket protocol, right into the connection.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.socket.flush().await.map_err(failure)?;
        let stream = self.socket.get_mut();
        stream.write_all(bytes).await.map_err(Error::transport)?;
        stream.flush().await.map_err(Error::transport)
    }

    /// Sends any WebSocket message.
    async fn send_message(&mut self, message: Message) -> Result<()> {
        let sending = self.socket.send(message);
        timeout(self.patience, sending)
            .await
            .map_err(|_| Error::TimedOut(self.patience))?
            .map_err(failure)
    }

    /// The next text frame as JSON. Pings are answered and passed over.
    ///
    /// # Errors
    /// `TimedOut` if none comes, `Closed` if the server closes instead, `Unexpected` for anything
    /// else.
    pub async fn next_json(&mut self) -> Result<Value> {
        let text = self.next_text().await?;
        serde_json::from_str(&text).map_err(|error| Error::unexpected(format!("{error} in {text}")))
    }

    /// The next frame of the protocol.
    ///
    /// # Errors
    /// As for [`next_json`](Self::next_json).
    pub async fn next_frame(&mut self) -> Result<ServerFrame> {
        let text = self.next_text().await?;
        serde_json::from_str(&text).map_err(|error| Error::unexpected(format!("{error} in {text}")))
    }

    /// The next frame of this `type`, passing over others.
    ///
    /// # Errors
    /// As for [`next_json`](Self::next_json); the time is for all of them together.
    pub async fn expect(&mut self, kind: &str) -> Result<Value> {
        let patience = self.patience;
        let search = async {
            loop {
                let frame = self.next_json().await?;
                if frame["type"] == kind {
                    return Ok(frame);
                }
            }
        };
        timeout(patience, search).await.unwrap_or(Err(Error::TimedOut(patience)))
    }

    /// Whether nothing comes for `span`. Fails with what came instead.
    pub async fn expect_silence(&mut self, span: Duration) -> Result<()> {
        let before = std::mem::replace(&mut self.patience, span);
        let came = self.next_text().await;
        self.patience = before;
        match came {
            Err(Error::TimedOut(_)) => Ok(()),
            Err(other) => Err(other),
            Ok(text) => Err(Error::unexpected(text)),
        }
    }

    /// Waits until the server closes, passing over what comes before: the code and the reason.
    /// 1005 if it gave no code, 1006 if the connection just ended.
    pub async fn closed(&mut self) -> Result<(u16, String)> {
        let patience = self.patience;
        let search = async {
            loop {
                match self.next_text().await {
                    Ok(_) | Err(Error::Unexpected(_)) => {}
                    Err(Error::Closed { code, reason }) => return Ok((code, reason)),
                    Err(other) => return Err(other),
                }
            }
        };
        timeout(patience, search).await.unwrap_or(Err(Error::TimedOut(patience)))
    }

    /// Closes as the protocol wants it.
    pub async fn close(mut self) -> Result<()> {
        timeout(self.patience, self.socket.close(None))
            .await
            .map_err(|_| Error::TimedOut(self.patience))?
            .map_err(failure)
    }

    async fn next_text(&mut self) -> Result<String> {
        let patience = self.patience;
        let search = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                        // The answer to a ping is in the library's buffer.
                        let _ = self.socket.flush().await;
                    }
                    Some(Ok(Message::Close(frame))) => {
                        let _ = self.socket.flush().await;
                        return Err(match frame {
                            Some(frame) => closed(frame.code.into(), frame.reason.as_str()),
                            None => closed(1005, ""),
                        });
                    }
                    Some(Ok(other)) => {
                        return Err(Error::unexpected(format!("{} bytes, not text", other.len())));
                    }
                    Some(Err(error)) => return Err(failure(error)),
                    None => return Err(closed(1006, "")),
                }
            }
        };
        timeout(patience, search).await.unwrap_or(Err(Error::TimedOut(patience)))
    }
}

fn closed(code: u16, reason: &str) -> Error {
    Error::Closed { code, reason: reason.to_owned() }
}

/// A connection that just ends is closed, however it ends.
fn failure(error: WsError) -> Error {
    match error {
        WsError::ConnectionClosed | WsError::AlreadyClosed | WsError::Io(_) => {
            closed(1006, &error.to_string())
        }
        WsError::Protocol(_) => closed(1006, &error.to_string()),
        other => Error::transport(other),
    }
}
