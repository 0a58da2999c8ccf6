//! WebSocket frames: one flat JSON object each, tagged by `type`.

mod client;

use serde::{Deserialize, Serialize, Serializer, ser};
use uuid::Uuid;

pub use self::client::{
    AddReaction, Authenticate, DeleteMessage, EditMessage, MessageDelivered, MessageRead, Ping,
    RemoveReaction, SendMessage, SyncRequest, TypingStart, TypingStop,
};
use crate::{
    Time,
    rest::{Conversation, FieldProblem, Message, MessageStatus, Profile, Role, Sync},
};

/// The subprotocol, named in `Sec-WebSocket-Protocol`.
pub const SUBPROTOCOL: &str = "kith.v1";
/// What stands before a token in `Sec-WebSocket-Protocol`.
pub const BEARER_PREFIX: &str = "bearer.";

/// Why a socket was closed, where RFC 6455 has no number for it.
pub mod close {
    /// The server restarts, or may have missed events; the reason says `retry_after_ms=N`.
    pub const RESTART: u16 = 1012;
    /// The server has more than it can take.
    pub const OVERLOADED: u16 = 1013;
    /// A binary frame, or ten unreadable frames in a row.
    pub const BAD_FRAMES: u16 = 4400;
    /// Signed out, or the token ended.
    pub const SIGNED_OUT: u16 = 4401;
    /// The person is no more in the one conversation that the socket carries.
    pub const RIGHT_LOST: u16 = 4403;
    /// Both heartbeats went unanswered.
    pub const NO_HEARTBEAT: u16 = 4408;
    /// The reader could not keep up: sync after connecting again.
    pub const TOO_SLOW: u16 = 4413;
    /// Ten times more than the limits allow.
    pub const RATE_LIMITED: u16 = 4429;
}

/// What a client says.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ClientFrame {
    /// Send a message.
    SendMessage(SendMessage),
    /// Give a message another text.
    EditMessage(EditMessage),
    /// Delete a message for everyone.
    DeleteMessage(DeleteMessage),
    /// React to a message.
    AddReaction(AddReaction),
    /// Take a reaction back.
    RemoveReaction(RemoveReaction),
    /// Say that a device has the messages up to one.
    MessageDelivered(MessageDelivered),
    /// Say that the messages up to one have been read.
    MessageRead(MessageRead),
    /// Say that one types.
    TypingStart(TypingStart),
    /// Say that one types no more.
    TypingStop(TypingStop),
    /// Ask what changed since a token.
    Sync(SyncRequest),
    /// Renew the socket with a newer token of the same session.
    Authenticate(Authenticate),
    /// Ask for a sign of life.
    Ping(Ping),
}

/// The head of any client frame.
#[derive(Clone, Debug, Deserialize)]
pub struct Head {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// The client's own mark, echoed in the answer.
    #[serde(default)]
    pub id: Option<String>,
}

/// What the server says. Except `ready`, `message_sent`, `ok`, `error`, `sync` and `pong`, a frame
/// is the same bytes for every recipient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ServerFrame {
    /// The first frame: from now on nothing is missed.
    Ready {
        /// This socket.
        connection_id: Uuid,
        /// The session it is signed in with.
        session_id: Uuid,
        /// The account.
        user_id: Uuid,
        /// The server's time.
        server_time: Time,
        /// Seconds between the server's pings.
        heartbeat_seconds: u64,
        /// When the token ends.
        token_expires_at: Time,
    },
    /// Your message is durable.
    MessageSent {
        /// Your mark.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// The message, numbered.
        message: Message,
    },
    /// A message.
    NewMessage {
        /// The message.
        message: Message,
    },
    /// A message has another text, or is pinned or not any more.
    MessageUpdated {
        /// The message.
        message: Message,
    },
    /// A message was deleted for everyone.
    MessageDeleted {
        /// Where.
        conversation_id: Uuid,
        /// Which.
        message_id: Uuid,
        /// Its number.
        seq: i64,
        /// The number of the change.
        version: i64,
    },
    /// Somebody has reacted to a message.
    ReactionAdded(ReactionFrame),
    /// Somebody has taken a reaction back.
    ReactionRemoved(ReactionFrame),
    /// Somebody has received or read what you wrote; or you have, on another device.
    ReceiptUpdate {
        /// Where.
        conversation_id: Uuid,
        /// Who.
        user_id: Uuid,
        /// `delivered` or `read`.
        status: MessageStatus,
        /// Everything up to this number.
        seq: i64,
        /// The message of this number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message_id: Option<Uuid>,
        /// When.
        updated_at: Time,
    },
    /// Somebody types.
    UserTyping(TypingFrame),
    /// Somebody types no more.
    UserStoppedTyping(TypingFrame),
    /// Your own settings of a conversation changed on another device.
    SettingsUpdated {
        /// Which.
        conversation_id: Uuid,
    },
    /// A conversation that is new for you.
    ConversationCreated {
        /// The conversation, without what is personal.
        #[serde(serialize_with = "without_what_is_personal")]
        conversation: Conversation,
    },
    /// A conversation's name, description or rules changed.
    ConversationUpdated {
        /// The conversation, without what is personal.
        #[serde(serialize_with = "without_what_is_personal")]
        conversation: Conversation,
    },
    /// A conversation is not yours any more, or you hid it.
    ConversationRemoved {
        /// Which.
        conversation_id: Uuid,
    },
    /// Somebody came in.
    MemberAdded(MemberFrame),
    /// Somebody has another role.
    MemberUpdated(MemberFrame),
    /// Somebody went.
    MemberRemoved(MemberFrame),
    /// Somebody you know has come online.
    UserOnline {
        /// Who.
        user_id: Uuid,
        /// Always `null`: he is here.
        last_seen: Option<Time>,
    },
    /// Somebody you know has gone.
    UserOffline {
        /// Who.
        user_id: Uuid,
        /// When; `null` where that is hidden.
        last_seen: Option<Time>,
    },
    /// Somebody's profile changed.
    UserUpdated {
        /// The profile, without presence.
        user: Profile,
    },
    /// The answer to `sync`.
    Sync {
        /// Your mark.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// The body of `GET /sync`.
        #[serde(flatten)]
        body: Sync,
    },
    /// The answer to `ping`.
    Pong {
        /// Your mark.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// A sync token: what came before it has been sent to this socket.
        sync_token: String,
    },
    /// Any other command is done.
    Ok {
        /// Your mark.
        id: String,
    },
    /// A command is refused; the socket stays.
    Error {
        /// Your mark.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// The stable code, as in REST.
        code: String,
        /// For a person.
        message: String,
        /// The fields at fault.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        errors: Vec<FieldProblem>,
        /// When trying again makes sense.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
    /// The token ends soon: `authenticate` with a newer one.
    TokenExpiring {
        /// When.
        expires_at: Time,
    },
    /// The server may have missed events, and closes the socket: come back and `sync`.
    Resync {},
}

/// A reaction given or taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReactionFrame {
    /// Where.
    pub conversation_id: Uuid,
    /// To which message.
    pub message_id: Uuid,
    /// Its number.
    pub seq: i64,
    /// Who.
    pub user_id: Uuid,
    /// The emoji.
    pub emoji: String,
    /// The number of the change.
    pub version: i64,
}

/// Somebody who types, or does no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TypingFrame {
    /// Where.
    pub conversation_id: Uuid,
    /// Who.
    pub user_id: Uuid,
    /// His unique name.
    pub username: String,
}

/// A change of one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemberFrame {
    /// Where.
    pub conversation_id: Uuid,
    /// Who.
    pub user_id: Uuid,
    /// His role, the last one if he went.
    pub role: Role,
    /// The number of the change.
    pub version: i64,
}

/// A frame is the same for every recipient.
fn without_what_is_personal<S: Serializer>(
    conversation: &Conversation,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut value = serde_json::to_value(conversation).map_err(ser::Error::custom)?;
    if let Some(fields) = value.as_object_mut() {
        for personal in ["last_message", "peer", "my"] {
            fields.remove(personal);
        }
    }
    value.serialize(serializer)
}

#[cfg(test)]
mod tests;
