//! The writing half of a socket, and how its life ends.

use std::{str::Utf8Error, time::Duration};

use actix_ws::{CloseCode, CloseReason, ProtocolError};
use bytestring::ByteString;
use kith_ports::live;
use kith_protocol::frame::{ServerFrame, close};

use super::{commands, guard::TooBig};
use crate::problem::Problem;

/// How long a frame may take to leave before the peer is given up.
const WRITE_PATIENCE: Duration = Duration::from_secs(20);
/// How long a last word may take to leave.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// How a socket's life ends.
pub(super) enum End {
    /// The peer went, with or without a word.
    Gone,
    /// It is told why and closed.
    Close(u16, String),
}

impl End {
    pub(super) fn because(code: u16, reason: &str) -> Self {
        Self::Close(code, reason.to_owned())
    }
}

/// The writing half.
pub(super) struct Peer {
    session: Option<actix_ws::Session>,
}

impl Peer {
    pub(super) const fn new(session: actix_ws::Session) -> Self {
        Self { session: Some(session) }
    }

    pub(super) async fn ping(&mut self) -> Result<(), End> {
        let Some(session) = &mut self.session else { return Err(End::Gone) };
        match tokio::time::timeout(WRITE_PATIENCE, session.ping(b"")).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(End::Gone),
        }
    }

    pub(super) async fn pong(&mut self, payload: &[u8]) -> Result<(), End> {
        let Some(session) = &mut self.session else { return Err(End::Gone) };
        match tokio::time::timeout(WRITE_PATIENCE, session.pong(payload)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(End::Gone),
        }
    }

    pub(super) async fn say(&mut self, frame: ByteString) -> Result<(), End> {
        let Some(session) = &mut self.session else { return Err(End::Gone) };
        match tokio::time::timeout(WRITE_PATIENCE, session.text(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::because(close::TOO_SLOW, "slow reader")),
        }
    }

    pub(super) async fn tell(&mut self, frame: &ServerFrame) -> Result<(), End> {
        self.say(commands::encode(frame)).await
    }

    pub(super) async fn close(&mut self, code: u16, reason: String) {
        if let Some(session) = self.session.take() {
            let reason = CloseReason { code: CloseCode::from(code), description: Some(reason) };
            // Whether or not there is room for it, the connection ends with this.
            let _ = tokio::time::timeout(CLOSE_PATIENCE, session.close(Some(reason))).await;
        }
    }
}

/// The hub's last word.
pub(super) fn ended(reason: live::CloseReason) -> End {
    match reason {
        live::CloseReason::SignedOut => End::because(close::SIGNED_OUT, "signed out"),
        live::CloseReason::TooSlow => End::because(close::TOO_SLOW, "slow reader"),
        live::CloseReason::RightLost => End::because(close::RIGHT_LOST, "right lost"),
        live::CloseReason::Missed => come_back(),
    }
}

/// Many go at once, and come back at different moments.
pub(super) fn come_back() -> End {
    let retry_after = 500 + rand::random_range(0..2_000);
    End::Close(close::RESTART, format!("retry_after_ms={retry_after}"))
}

pub(super) fn failed(problem: &Problem) -> End {
    match problem.status.as_u16() {
        401 => End::because(close::SIGNED_OUT, "signed out"),
        503 => End::because(close::OVERLOADED, &problem.code),
        _ => End::because(1011, &problem.code),
    }
}

/// What came could not be read.
pub(super) fn broken(error: &ProtocolError, too_big: &TooBig) -> End {
    match error {
        _ if too_big.get() => End::because(1009, "too big"),
        ProtocolError::Overflow => End::because(1009, "too big"),
        // The stream tells text that is not UTF-8 in this way, and reserved bits likewise.
        ProtocolError::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            let not_text =
                error.get_ref().and_then(|cause| cause.downcast_ref::<Utf8Error>()).is_some();
            if not_text {
                End::because(1007, "not UTF-8")
            } else {
                End::because(1002, "protocol error")
            }
        }
        ProtocolError::Io(_) => End::Gone,
        _ => End::because(1002, "protocol error"),
    }
}
