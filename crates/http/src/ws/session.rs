//! What a socket's frames mean, without a socket: a frame or a moment in, effects out.

use std::time::Duration;

use kith_app::messaging::{Outgoing, Target};
use kith_domain::{ConversationId, MessageId, Timestamp, UserId, text::Content};
use kith_protocol::{
    frame::{self, Head, ServerFrame, close},
    rest::FieldProblem,
};
use tokio::time::Instant;

use crate::{
    extract::{Form, is_object, parse_json},
    problem::Problem,
    routes::messages::Draft,
};

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

/// A socket's state.
#[derive(Debug)]
pub(super) struct Session {
    heartbeat: Duration,
    next_ping: Instant,
    unanswered: u32,
    bad_frames: u32,
    expires_at: Timestamp,
    expires: Instant,
    warned: bool,
}

impl Session {
    /// A socket opened at `now`, whose token ends at `expires_at`, which is `remaining` from now.
    pub(super) fn new(
        heartbeat: Duration,
        now: Instant,
        expires_at: Timestamp,
        remaining: Duration,
    ) -> Self {
        Self {
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
        let head: Head = match parse_json_loosely(text) {
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
        read(&head, text).unwrap_or_else(|problem| refuse(id, &problem))
    }
}

/// Reads what every frame has, whatever else is in it.
fn parse_json_loosely(text: &str) -> Result<Head, Problem> {
    let head = is_object(text.as_bytes()).then(|| serde_json::from_str(text).ok()).flatten();
    head.ok_or_else(|| {
        Problem::new(
            actix_web::http::StatusCode::BAD_REQUEST,
            "malformed_frame",
            "a frame is one JSON object with a `type`",
        )
    })
}

fn read(head: &Head, text: &str) -> Result<Effect, Problem> {
    let json = text.as_bytes();
    Ok(match head.kind.as_str() {
        "send_message" => {
            let frame: frame::SendMessage = parse_json(json)?;
            let message = Draft {
                content: &frame.content,
                client_message_id: frame.client_message_id.as_deref(),
                message_type: frame.message_type,
                reply_to: frame.reply_to,
            }
            .read(target(&frame)?)?;
            Effect::Send { id: frame.id, message }
        }
        "edit_message" => {
            let frame: frame::EditMessage = parse_json(json)?;
            let mut form = Form::default();
            let content = form.take("content", Content::parse(&frame.content));
            let Some(content) = content else { return Err(form.into_problem()) };
            let message = MessageId::from_uuid(frame.message_id);
            Effect::Edit { id: frame.id, message, content }
        }
        "delete_message" => {
            let frame: frame::DeleteMessage = parse_json(json)?;
            Effect::Delete { id: frame.id, message: MessageId::from_uuid(frame.message_id) }
        }
        "sync" => {
            let frame: frame::SyncRequest = parse_json(json)?;
            Effect::Sync { id: frame.id, since: frame.since }
        }
        "authenticate" => {
            let frame: frame::Authenticate = parse_json(json)?;
            Effect::Authenticate { id: frame.id, token: frame.token }
        }
        "ping" => {
            let frame: frame::Ping = parse_json(json)?;
            Effect::Pong { id: frame.id }
        }
        _ => {
            return Err(Problem::field(
                "unknown_type",
                "type",
                "unknown_type",
                "is not a command; see docs/api.md for those there are",
            ));
        }
    })
}

fn target(frame: &frame::SendMessage) -> Result<Target, Problem> {
    match (frame.conversation_id, frame.to, frame.group_id) {
        (Some(id), None, None) => Ok(Target::Conversation(ConversationId::from_uuid(id))),
        (None, Some(user), None) => Ok(Target::Person(UserId::from_uuid(user))),
        (None, None, Some(id)) => Ok(Target::Group(ConversationId::from_uuid(id))),
        _ => Err(Problem::field(
            "validation_failed",
            "conversation_id",
            "required",
            "give exactly one of `conversation_id`, `to`, `group_id`",
        )),
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
