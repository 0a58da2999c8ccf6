//! From a frame's text to the command it is.

use kith_app::{messaging::Target, receipts::UpTo};
use kith_domain::{
    ConversationId, MessageId, UserId,
    receipt::Mark,
    text::{Content, Emoji},
};
use kith_protocol::frame::{self, Head};
use uuid::Uuid;

use super::Effect;
use crate::{
    extract::{Form, is_object, parse_json, seq},
    problem::Problem,
    routes::messages::Draft,
};

/// Whose frames they are, and what they may be about.
#[derive(Clone, Copy, Debug)]
pub(in crate::ws) struct Scope {
    /// Whose.
    pub(in crate::ws) user: UserId,
    /// The one conversation that the socket carries: what names none is about it, and what names
    /// another is refused.
    pub(in crate::ws) only: Option<ConversationId>,
}

/// Reads what every frame has, whatever else is in it.
pub(super) fn head(text: &str) -> Result<Head, Problem> {
    let head = is_object(text.as_bytes()).then(|| serde_json::from_str(text).ok()).flatten();
    head.ok_or_else(|| {
        Problem::new(
            actix_web::http::StatusCode::BAD_REQUEST,
            "malformed_frame",
            "a frame is one JSON object with a `type`",
        )
    })
}

impl Scope {
    /// The command in a frame of this type.
    pub(super) fn read(&self, kind: &str, text: &str) -> Result<Effect, Problem> {
        let json = text.as_bytes();
        match kind {
            "send_message" => self.send(parse_json(json)?),
            "edit_message" => edit(parse_json(json)?),
            "delete_message" => {
                let frame: frame::DeleteMessage = parse_json(json)?;
                Ok(Effect::Delete { id: frame.id, message: MessageId::from_uuid(frame.message_id) })
            }
            "add_reaction" => {
                let frame: frame::AddReaction = parse_json(json)?;
                react(frame.id, frame.message_id, &frame.emoji, true)
            }
            "remove_reaction" => {
                let frame: frame::RemoveReaction = parse_json(json)?;
                react(frame.id, frame.message_id, &frame.emoji, false)
            }
            "message_delivered" => {
                let frame: frame::MessageDelivered = parse_json(json)?;
                let up_to = self.up_to(frame.message_id, frame.conversation_id, frame.seq)?;
                Ok(Effect::Mark { id: frame.id, up_to, mark: Mark::Delivered })
            }
            "message_read" => {
                let frame: frame::MessageRead = parse_json(json)?;
                let up_to = self.up_to(frame.message_id, frame.conversation_id, frame.seq)?;
                Ok(Effect::Mark { id: frame.id, up_to, mark: Mark::Read })
            }
            "typing_start" => {
                let frame: frame::TypingStart = parse_json(json)?;
                let target = self.target(frame.conversation_id, frame.to, frame.group_id)?;
                Ok(Effect::Typing { id: frame.id, target, typing: true })
            }
            "typing_stop" => {
                let frame: frame::TypingStop = parse_json(json)?;
                let target = self.target(frame.conversation_id, frame.to, frame.group_id)?;
                Ok(Effect::Typing { id: frame.id, target, typing: false })
            }
            "sync" => {
                let frame: frame::SyncRequest = parse_json(json)?;
                Ok(Effect::Sync { id: frame.id, since: frame.since })
            }
            "authenticate" => {
                let frame: frame::Authenticate = parse_json(json)?;
                Ok(Effect::Authenticate { id: frame.id, token: frame.token })
            }
            "ping" => {
                let frame: frame::Ping = parse_json(json)?;
                Ok(Effect::Pong { id: frame.id })
            }
            _ => Err(Problem::field(
                "unknown_type",
                "type",
                "unknown_type",
                "is not a command; see docs/api.md for those there are",
            )),
        }
    }

    fn send(&self, frame: frame::SendMessage) -> Result<Effect, Problem> {
        let target = self.target(frame.conversation_id, frame.to, frame.group_id)?;
        let draft = Draft {
            content: &frame.content,
            client_message_id: frame.client_message_id.as_deref(),
            message_type: frame.message_type,
            reply_to: frame.reply_to,
        };
        let message = draft.read(target)?;
        Ok(Effect::Send { id: frame.id, message })
    }

    /// Where to: exactly one of three, or none where the socket knows.
    fn target(
        &self,
        conversation: Option<Uuid>,
        to: Option<Uuid>,
        group: Option<Uuid>,
    ) -> Result<Target, Problem> {
        let (field, target) = match (conversation, to, group, self.only) {
            (Some(id), None, None, _) => {
                ("conversation_id", Target::Conversation(ConversationId::from_uuid(id)))
            }
            (None, Some(user), None, _) => ("to", Target::Person(UserId::from_uuid(user))),
            (None, None, Some(id), _) => ("group_id", Target::Group(ConversationId::from_uuid(id))),
            (None, None, None, Some(only)) => return Ok(Target::Conversation(only)),
            _ => {
                return Err(Problem::field(
                    "validation_failed",
                    "conversation_id",
                    "required",
                    "give exactly one of `conversation_id`, `to`, `group_id`",
                ));
            }
        };
        self.admit(field, target.conversation(self.user)?)?;
        Ok(target)
    }

    /// How far: up to a message, or up to a number in a conversation.
    fn up_to(
        &self,
        message: Option<Uuid>,
        conversation: Option<Uuid>,
        number: Option<i64>,
    ) -> Result<UpTo, Problem> {
        let named = conversation.map(ConversationId::from_uuid);
        match (message, named.or(self.only), number) {
            (Some(id), _, None) if named.is_none() => Ok(UpTo::Message(MessageId::from_uuid(id))),
            (None, Some(place), Some(number)) => {
                self.admit("conversation_id", place)?;
                Ok(UpTo::Seq(place.into(), seq("seq", number)?))
            }
            _ => Err(Problem::field(
                "validation_failed",
                "message_id",
                "required",
                "give either `message_id`, or `conversation_id` and `seq`",
            )),
        }
    }

    fn admit(&self, field: &'static str, place: ConversationId) -> Result<(), Problem> {
        if self.only.is_none_or(|only| only == place) {
            return Ok(());
        }
        Err(Problem::field(
            "other_conversation",
            field,
            "other_conversation",
            "is not the conversation that this socket carries: `/ws` carries all of them",
        ))
    }
}

fn edit(frame: frame::EditMessage) -> Result<Effect, Problem> {
    let mut form = Form::default();
    let content = form.take("content", Content::parse(&frame.content));
    let Some(content) = content else { return Err(form.into_problem()) };
    Ok(Effect::Edit { id: frame.id, message: MessageId::from_uuid(frame.message_id), content })
}

fn react(id: Option<String>, message: Uuid, emoji: &str, given: bool) -> Result<Effect, Problem> {
    let mut form = Form::default();
    let Some(emoji) = form.take("emoji", Emoji::parse(emoji)) else {
        return Err(form.into_problem());
    };
    Ok(Effect::React { id, message: MessageId::from_uuid(message), emoji, given })
}
