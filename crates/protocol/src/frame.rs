//! WebSocket frames: one flat JSON object each, tagged by `type`.

use serde::{Deserialize, Serialize, Serializer, ser};
use uuid::Uuid;

use crate::{
    Time,
    rest::{Conversation, FieldProblem, Message, MessageType, Profile, Role, Sync},
};

/// The subprotocol, named in `Sec-WebSocket-Protocol`.
pub const SUBPROTOCOL: &str = "kith.v1";
/// What stands before a token in `Sec-WebSocket-Protocol`.
pub const BEARER_PREFIX: &str = "bearer.";

/// Why a socket was closed, where RFC 6455 has no number for it.
pub mod close {
    /// The server restarts; the reason says `retry_after_ms=N`.
    pub const RESTART: u16 = 1012;
    /// The server has more than it can take.
    pub const OVERLOADED: u16 = 1013;
    /// A binary frame, or ten unreadable frames in a row.
    pub const BAD_FRAMES: u16 = 4400;
    /// Signed out, or the token ended.
    pub const SIGNED_OUT: u16 = 4401;
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
pub enum ClientFrame {
    /// Send a message.
    SendMessage(SendMessage),
    /// Give a message another text.
    EditMessage(EditMessage),
    /// Delete a message for everyone.
    DeleteMessage(DeleteMessage),
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

macro_rules! client_frame {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// The tag, read with the [`Head`].
            #[serde(rename = "type", default, skip_serializing)]
            pub kind: serde::de::IgnoredAny,
            /// The client's own mark, echoed in the answer.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub id: Option<String>,
            $($(#[$field_doc])* pub $field: $type,)*
        }
    };
}

client_frame! {
    /// Send a message to exactly one of `conversation_id`, `to`, `group_id`.
    SendMessage {
        /// To this conversation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        conversation_id: Option<Uuid>,
        /// To this person: the direct chat, made if it is missing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Uuid>,
        /// To this group or channel.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group_id: Option<Uuid>,
        /// Its text.
        content: String,
        /// Your own random id for it; sending the same again gives the first message.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_message_id: Option<String>,
        /// `text` if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message_type: Option<MessageType>,
        /// The id of the message it answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<Uuid>,
    }
}
client_frame! {
    /// Give a message another text.
    EditMessage {
        /// Which.
        message_id: Uuid,
        /// The new text.
        content: String,
    }
}
client_frame! {
    /// Delete a message for everyone.
    DeleteMessage {
        /// Which.
        message_id: Uuid,
    }
}
client_frame! {
    /// Ask what changed since a token.
    SyncRequest {
        /// The token of the last sync; everything, if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<String>,
    }
}
client_frame! {
    /// Renew the socket before its token ends.
    Authenticate {
        /// A newer access token of the same session.
        token: String,
    }
}
client_frame! {
    /// Ask for a sign of life.
    Ping {}
}

/// What the server says. Except `ready`, `message_sent`, `ok`, `error`, `sync` and `pong`, a frame
/// is the same bytes for every recipient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
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
        /// When.
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
}

/// A change of one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::rest::{Kind, My, Posting};

    fn written(frame: &ServerFrame) -> Value {
        serde_json::to_value(frame).unwrap()
    }

    fn group() -> Conversation {
        Conversation {
            id: Uuid::from_u128(1),
            kind: Kind::Group,
            name: Some("Family".to_owned()),
            description: None,
            avatar_url: None,
            created_by: Uuid::from_u128(2),
            created_at: Time::from_micros(0),
            updated_at: Time::from_micros(0),
            member_count: 3,
            posting: Posting::Everyone,
            last_seq: 41,
            version: 57,
            last_message_at: None,
            last_message: None,
            peer: None,
            my: Some(My {
                role: Role::Owner,
                first_seq: 1,
                read_seq: 40,
                delivered_seq: 41,
                unread_count: 1,
                unread_mentions: 0,
                muted_until: None,
                pinned: false,
                archived: false,
                hidden: false,
            }),
            members: None,
        }
    }

    #[test]
    fn a_conversation_in_a_frame_holds_nothing_personal() {
        let frame = ServerFrame::ConversationCreated { conversation: group() };
        assert_eq!(
            written(&frame),
            json!({
                "type": "conversation_created",
                "conversation": {
                    "id": "00000000-0000-0000-0000-000000000001",
                    "kind": "group",
                    "name": "Family",
                    "description": null,
                    "avatar_url": null,
                    "created_by": "00000000-0000-0000-0000-000000000002",
                    "created_at": "1970-01-01T00:00:00.000000Z",
                    "updated_at": "1970-01-01T00:00:00.000000Z",
                    "member_count": 3,
                    "posting": "everyone",
                    "last_seq": 41,
                    "version": 57,
                    "last_message_at": null,
                }
            })
        );
        let read: ServerFrame = serde_json::from_value(written(&frame)).unwrap();
        let expected = Conversation { my: None, ..group() };
        assert_eq!(read, ServerFrame::ConversationCreated { conversation: expected });
    }

    #[test]
    fn a_conversation_in_rest_says_null_for_what_is_not_there() {
        let body = serde_json::to_value(group()).unwrap();
        assert_eq!((&body["peer"], &body["last_message"]), (&Value::Null, &Value::Null));
        assert!(body.as_object().unwrap().contains_key("peer"));
        assert_eq!(body["my"]["unread_count"], 1);
    }

    #[test]
    fn an_error_says_no_more_than_there_is_to_say() {
        let frame = ServerFrame::Error {
            id: Some("7".to_owned()),
            code: "not_a_member".to_owned(),
            message: "you are not a member of this conversation".to_owned(),
            errors: Vec::new(),
            retry_after_ms: None,
        };
        assert_eq!(
            written(&frame),
            json!({
                "type": "error",
                "id": "7",
                "code": "not_a_member",
                "message": "you are not a member of this conversation",
            })
        );
    }

    #[test]
    fn a_client_frame_is_flat_and_tagged() {
        let frame = ClientFrame::SendMessage(SendMessage {
            to: Some(Uuid::from_u128(3)),
            content: "hi".to_owned(),
            ..SendMessage::default()
        });
        let written = serde_json::to_value(&frame).unwrap();
        assert_eq!(
            written,
            json!({
                "type": "send_message",
                "to": "00000000-0000-0000-0000-000000000003",
                "content": "hi",
            })
        );
        let read: SendMessage = serde_json::from_value(written).unwrap();
        assert_eq!(read.content, "hi");
    }
}
