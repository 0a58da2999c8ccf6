//! What a socket's frames mean, without a socket: a frame or a moment in, effects out.

mod read;

use std::time::Duration;

use kith_app::{
    messaging::{Outgoing, Target},
    receipts::UpTo,
};
use kith_domain::{
    MessageId, Timestamp,
    receipt::Mark,
    text::{Content, Emoji},
};
use kith_protocol::{
    frame::{ServerFrame, close},
    rest::FieldProblem,
};
use tokio::time::Instant;

pub(super) use self::read::Scope;
use crate::problem::Problem;

/// So many unreadable frames in a row end the socket.
const BAD_FRAMES: u32 = 10;
/// So many heartbeats may go unanswered.
const MISSED_HEARTBEATS: u32 = 2;
/// The client is told so long before its token ends.
const EXPIRY_WARNING: Duration = Duration::from_secs(60);

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Effect {
    /// Put a message into its lane.
    Send { id: Option<String>, message: Outgoing },
    /// Give a message another text.
    Edit { id: Option<String>, message: MessageId, content: Content },
    /// Delete a message for everyone.
    Delete { id: Option<String>, message: MessageId },
    /// Give a reaction to a message, or take it back.
    React { id: Option<String>, message: MessageId, emoji: Emoji, given: bool },
    /// Move a mark.
    Mark { id: Option<String>, up_to: UpTo, mark: Mark },
    /// Tell others that one types, or does no more.
    Typing { id: Option<String>, target: Target, typing: bool },
    /// Answer what changed since a token.
    Sync { id: Option<String>, since: Option<String> },
    /// Check a newer token of the same session.
    Authenticate { id: Option<String>, token: String },
    /// Answer with a mark in the stream of events.
    Pong { id: Option<String> },
    /// Say something at once.
    Say(Box<ServerFrame>),
    /// Ping the peer.
    Ping,
    /// Hang up.
    Close { code: u16, reason: &'static str },
}

impl Effect {
    /// The client's mark on a command.
    pub(super) fn id(&self) -> Option<String> {
        match self {
            Self::Send { id, .. }
            | Self::Edit { id, .. }
            | Self::Delete { id, .. }
            | Self::React { id, .. }
            | Self::Mark { id, .. }
            | Self::Typing { id, .. }
            | Self::Sync { id, .. }
            | Self::Authenticate { id, .. }
            | Self::Pong { id } => id.clone(),
            Self::Say(_) | Self::Ping | Self::Close { .. } => None,
        }
    }

    /// Whether it changes a message. Such commands of one socket are carried out in their order, and
    /// count as messages.
    pub(super) const fn writes(&self) -> bool {
        matches!(
            self,
            Self::Send { .. } | Self::Edit { .. } | Self::Delete { .. } | Self::React { .. }
        )
    }
}

/// A socket's state.
#[derive(Debug)]
pub(super) struct Session {
    scope: Scope,
    heartbeat: Duration,
    next_ping: Instant,
    unanswered: u32,
    bad_frames: u32,
    expires_at: Timestamp,
    expires: Instant,
    warned: bool,
}

impl Session {
    /// A socket of `scope` opened at `now`, whose token ends at `expires_at`, which is `remaining` from now.
    pub(super) fn new(
        scope: Scope,
        heartbeat: Duration,
        now: Instant,
        expires_at: Timestamp,
        remaining: Duration,
    ) -> Self {
        Self {
            scope,
            heartbeat,
            next_ping: now + heartbeat,
            unanswered: 0,
            bad_frames: 0,
            expires_at,
            expires: now + remaining,
            warned: false,
        }
    }

    /// The token was renewed.
    pub(super) fn renewed(&mut self, now: Instant, expires_at: Timestamp, remaining: Duration) {
        self.expires_at = expires_at;
        self.expires = now + remaining;
        self.warned = false;
    }

    /// The peer gave any sign of life.
    pub(super) fn heard(&mut self) {
        self.unanswered = 0;
    }

    /// When [`tick`](Self::tick) wants to be called next.
    pub(super) fn next_tick(&self) -> Instant {
        let warning = self.expires.checked_sub(EXPIRY_WARNING).unwrap_or(self.expires);
        let expiry = if self.warned { self.expires } else { warning };
        self.next_ping.min(expiry)
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Instant) -> Vec<Effect> {
        if now >= self.expires {
            return vec![Effect::Close { code: close::SIGNED_OUT, reason: "token ended" }];
        }
        let mut effects = Vec::new();
        if !self.warned && now + EXPIRY_WARNING >= self.expires {
            self.warned = true;
            let warning = ServerFrame::TokenExpiring { expires_at: self.expires_at.into() };
            effects.push(Effect::Say(Box::new(warning)));
        }
        if now >= self.next_ping {
            if self.unanswered >= MISSED_HEARTBEATS {
                return vec![Effect::Close { code: close::NO_HEARTBEAT, reason: "no heartbeat" }];
            }
            self.unanswered += 1;
            self.next_ping = now + self.heartbeat;
            effects.push(Effect::Ping);
        }
        effects
    }

    /// A binary frame came.
    pub(super) fn binary() -> Effect {
        Effect::Close { code: close::BAD_FRAMES, reason: "frames are text" }
    }

    /// A text frame came.
    pub(super) fn text(&mut self, text: &str) -> Effect {
        let head = match read::head(text) {
            Ok(head) => head,
            Err(problem) => {
                self.bad_frames += 1;
                if self.bad_frames >= BAD_FRAMES {
                    return Effect::Close { code: close::BAD_FRAMES, reason: "unreadable frames" };
                }
                return refuse(None, &problem);
            }
        };
        self.bad_frames = 0;
        let id = head.id.clone();
        if id.as_ref().is_some_and(|id| id.len() > 64) {
            let problem =
                Problem::field("validation_failed", "id", "too_long", "must have at most 64 bytes");
            return refuse(None, &problem);
        }
        self.scope.read(&head.kind, text).unwrap_or_else(|problem| refuse(id, &problem))
    }
}

/// The frame that refuses a command.
pub(super) fn refusal(id: Option<String>, problem: &Problem) -> ServerFrame {
    let errors: Vec<FieldProblem> = problem.fields.clone();
    ServerFrame::Error {
        id,
        code: problem.code.to_string(),
        message: problem.detail.to_string(),
        errors,
        retry_after_ms: problem
            .retry_after
            .map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1)),
    }
}

fn refuse(id: Option<String>, problem: &Problem) -> Effect {
    Effect::Say(Box::new(refusal(id, problem)))
}

#[cfg(test)]
mod tests;
