//! From events to frames: once for each event, whatever the number of sockets.

use std::sync::Arc;

use bytestring::ByteString;
use kith_domain::{event::Event, presence::Presence};
use kith_ports::live::{Dispatch, Failure, Origin, Outgoing, Reply};
use kith_protocol::{frame::ServerFrame, rest};

use crate::shard::{Delivery, News};

/// Encodes what is to be delivered: here, once, before it is handed to the workers.
pub(crate) fn encode_into(deliveries: &mut Vec<Delivery>, dispatch: Dispatch) {
    match dispatch {
        Dispatch::Event { event, audience, origin } => {
            let acknowledged = origin.as_ref().map(|origin| origin.connection);
            if let Some(origin) = origin {
                let reply = match &event {
                    Event::MessageSent(message) => Reply::Sent(Arc::clone(message)),
                    _ => Reply::Done,
                };
                reply_into(deliveries, &origin, reply);
            }
            let news = News {
                frame: self::event(&event),
                conversation: event.conversation_id(),
                passing: event.is_passing(),
                acknowledged,
            };
            deliveries.push(Delivery::Event { news, audience });
        }
        Dispatch::Reply { origin, reply } => reply_into(deliveries, &origin, reply),
        Dispatch::Topic { conversation_id, member_epoch, change } => {
            deliveries.push(Delivery::Topic { conversation_id, member_epoch, change });
        }
        Dispatch::Close { user_id, session_id, reason } => {
            deliveries.push(Delivery::Close { user_id, session_id, reason });
        }
    }
}

fn reply_into(deliveries: &mut Vec<Delivery>, origin: &Origin, reply: Reply) {
    // A lane of messages answers each of its commands once, and those are counted by the socket. What
    // else is told to one socket is not: that a receipt is kept, and what is carried out beside it.
    let counted = matches!(reply, Reply::Sent(_) | Reply::Refused(_) | Reply::Failed(_));
    if let Some(frame) = self::reply(origin, reply) {
        let answer = if counted { Outgoing::Answer(frame) } else { Outgoing::Frame(frame) };
        deliveries.push(Delivery::Reply(origin.connection, answer));
    }
}

/// The frame that tells an event.
pub(crate) fn event(event: &Event) -> ByteString {
    frame(&match event {
        Event::MessageSent(message) => ServerFrame::NewMessage { message: message.as_ref().into() },
        Event::MessageUpdated(message) => {
            ServerFrame::MessageUpdated { message: message.as_ref().into() }
        }
        Event::MessageDeleted { conversation_id, message_id, seq, version } => {
            ServerFrame::MessageDeleted {
                conversation_id: *conversation_id.as_uuid(),
                message_id: *message_id.as_uuid(),
                seq: *seq,
                version: *version,
            }
        }
        Event::ReactionAdded(reaction) => ServerFrame::ReactionAdded(reaction.into()),
        Event::ReactionRemoved(reaction) => ServerFrame::ReactionRemoved(reaction.into()),
        Event::ReceiptUpdated(receipt) => ServerFrame::ReceiptUpdate {
            conversation_id: *receipt.conversation_id.as_uuid(),
            user_id: *receipt.user_id.as_uuid(),
            status: receipt.mark.into(),
            seq: receipt.seq,
            message_id: receipt.message_id.map(|id| *id.as_uuid()),
            updated_at: receipt.at.into(),
        },
        Event::TypingStarted(typing) => ServerFrame::UserTyping(typing.into()),
        Event::TypingStopped(typing) => ServerFrame::UserStoppedTyping(typing.into()),
        Event::SettingsUpdated(id) => {
            ServerFrame::SettingsUpdated { conversation_id: *id.as_uuid() }
        }
        Event::ConversationCreated(conversation, head) => {
            ServerFrame::ConversationCreated { conversation: (conversation.as_ref(), head).into() }
        }
        Event::ConversationUpdated(conversation, head) => {
            ServerFrame::ConversationUpdated { conversation: (conversation.as_ref(), head).into() }
        }
        Event::ConversationRemoved(id) => {
            ServerFrame::ConversationRemoved { conversation_id: *id.as_uuid() }
        }
        Event::MemberAdded(member) => ServerFrame::MemberAdded(member.into()),
        Event::MemberUpdated(member) => ServerFrame::MemberUpdated(member.into()),
        Event::MemberRemoved(member) => ServerFrame::MemberRemoved(member.into()),
        Event::UserOnline(user) => {
            ServerFrame::UserOnline { user_id: *user.as_uuid(), last_seen: None }
        }
        Event::UserOffline { user_id, last_seen } => ServerFrame::UserOffline {
            user_id: *user_id.as_uuid(),
            last_seen: last_seen.map(Into::into),
        },
        Event::UserUpdated(user) => {
            ServerFrame::UserUpdated { user: (user.as_ref(), Presence::Hidden).into() }
        }
    })
}

/// The frame that answers a command; none where nothing is to be said.
pub(crate) fn reply(origin: &Origin, reply: Reply) -> Option<ByteString> {
    let id = origin.frame_id.as_deref().map(str::to_owned);
    Some(match reply {
        Reply::Frame(encoded) => encoded,
        Reply::Sent(message) => {
            frame(&ServerFrame::MessageSent { id, message: (&*message).into() })
        }
        Reply::Done => frame(&ServerFrame::Ok { id: id? }),
        Reply::Refused(refusal) => frame(&ServerFrame::Error {
            id,
            code: refusal.code.to_string(),
            message: refusal.detail.to_string(),
            errors: refusal.fields.iter().map(rest::FieldProblem::from).collect(),
            retry_after_ms: None,
        }),
        Reply::Failed(failure) => {
            let (code, message, retry_after_ms) = match failure {
                Failure::Overloaded => {
                    ("overloaded", "the server has more than it can take: try again", Some(1_000))
                }
                Failure::Unavailable => {
                    ("unavailable", "the database cannot be reached: try again", Some(1_000))
                }
                Failure::OutcomeUnknown => (
                    "outcome_unknown",
                    "it may have happened or not: the same command again is harmless and tells; a message needs the same client_message_id",
                    Some(1_000),
                ),
                Failure::Internal => ("internal", "the server failed", None),
            };
            frame(&ServerFrame::Error {
                id,
                code: code.to_owned(),
                message: message.to_owned(),
                errors: Vec::new(),
                retry_after_ms,
            })
        }
    })
}

fn frame(frame: &ServerFrame) -> ByteString {
    // Frames hold strings, numbers and lists: nothing that JSON cannot say.
    serde_json::to_string(frame).unwrap_or_default().into()
}

#[cfg(test)]
mod tests;
