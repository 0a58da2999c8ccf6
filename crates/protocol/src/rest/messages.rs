use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::present;
use crate::Time;

/// What kind of message it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum MessageType {
    /// Text.
    #[default]
    Text,
    /// A picture.
    Image,
    /// A file.
    File,
    /// The server's own word on what happened here; never sent by clients.
    System,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Message {
    /// Its id.
    pub id: Uuid,
    /// Where it stands.
    pub conversation_id: Uuid,
    /// Its number there, dense from 1.
    pub seq: i64,
    /// The number of its newest change.
    pub version: i64,
    /// Who wrote it.
    pub sender_id: Uuid,
    /// The sender's own id for it.
    pub client_message_id: String,
    /// Its kind.
    pub message_type: MessageType,
    /// Its text; `null` once deleted.
    pub content: Option<String>,
    /// Its attachments, once there are attachments.
    pub attachments: Vec<serde_json::Value>,
    /// The message it answers.
    pub reply_to: Option<ReplyRef>,
    /// The people it mentions.
    pub mentions: Vec<Uuid>,
    /// The reactions to it.
    pub reactions: Vec<Reaction>,
    /// What happened, in a system message.
    pub system: Option<SystemEvent>,
    /// When it was sent.
    pub created_at: Time,
    /// When its text was last changed.
    pub edited_at: Option<Time>,
    /// When it was deleted.
    pub deleted_at: Option<Time>,
    /// When it was pinned.
    pub pinned_at: Option<Time>,
    /// How far your own message has come: what all others have reached; `null` above 256 members.
    /// Not in frames, nor for messages of others.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<MessageStatus>))]
    pub status: Option<Option<MessageStatus>>,
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum MessageStatus {
    /// It is stored.
    Sent,
    /// A device has it.
    Delivered,
    /// It has been read.
    Read,
}

/// The message that another one answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReplyRef {
    /// Its id.
    pub id: Uuid,
    /// Its number.
    pub seq: i64,
    /// Who wrote it.
    pub sender_id: Uuid,
    /// The beginning of its text, where you may see it. Not in frames.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
}

/// One emoji under a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reaction {
    /// The emoji.
    pub emoji: String,
    /// How many gave it.
    pub count: u32,
    /// The first twenty of them.
    pub user_ids: Vec<Uuid>,
}

/// What a system message says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SystemEvent {
    /// What happened.
    pub event: SystemEventKind,
    /// Who did it.
    pub actor_id: Uuid,
    /// To whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<Uuid>,
    /// The new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What happened in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum SystemEventKind {
    /// Somebody was added.
    MemberAdded,
    /// Somebody was removed.
    MemberRemoved,
    /// Somebody left.
    MemberLeft,
    /// It has another name.
    Renamed,
}

/// A message to be sent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SendMessage {
    /// Its text: 1 to 4,000 characters, at most 16 KiB.
    #[cfg_attr(feature = "openapi", schema(example = "Hello!"))]
    pub content: String,
    /// Your own random id for it; sending the same again gives the first message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(example = "7d0c1a52-3f1e"))]
    pub client_message_id: Option<String>,
    /// `text` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_type: Option<MessageType>,
    /// The id of the message it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Uuid>,
}

/// Another text for a message.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Edit {
    /// The new text.
    pub content: String,
}

/// A page of a history, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct History {
    /// The messages.
    pub items: Vec<Message>,
    /// There are messages before the first.
    pub has_before: bool,
    /// There are messages after the last.
    pub has_after: bool,
    /// There is more in the direction asked for; backwards where none was asked for.
    pub has_more: bool,
    /// The version of the conversation: `changes` from there misses nothing.
    pub version: i64,
}

/// Up to which message one has received or read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpTo {
    /// The number of that message.
    pub seq: i64,
}

/// A message that one has read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MessageRead {
    /// Which.
    pub message_id: Uuid,
    /// Always `read`.
    pub status: MessageStatus,
    /// When.
    pub read_at: Time,
}

/// How far a message has come with one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Receipt {
    /// Who.
    pub user_id: Uuid,
    /// How far.
    pub status: MessageStatus,
    /// When a device of his had it, if that is known.
    pub delivered_at: Option<Time>,
    /// When he read it, if that is known.
    pub read_at: Option<Time>,
}
