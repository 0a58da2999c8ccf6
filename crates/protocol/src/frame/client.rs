use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::rest::MessageType;

macro_rules! client_frame {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub struct $name {
            /// The tag, read with the [`Head`](super::Head).
            #[serde(rename = "type", default, skip_serializing)]
            #[cfg_attr(feature = "openapi", schema(ignore))]
            pub kind: serde::de::IgnoredAny,
            /// The client's own mark, echoed in the answer.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub id: Option<String>,
            $($(#[$field_doc])* pub $field: $type,)*
        }
    };
}

client_frame! {
    /// Send a message to exactly one of `conversation_id`, `to`, `group_id`; a socket that carries one
    /// conversation needs none.
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
    /// React to a message.
    AddReaction {
        /// Which message.
        message_id: Uuid,
        /// One emoji.
        emoji: String,
    }
}
client_frame! {
    /// Take a reaction back.
    RemoveReaction {
        /// Which message.
        message_id: Uuid,
        /// One emoji.
        emoji: String,
    }
}
client_frame! {
    /// Say that a device has the messages up to one: `message_id`, or `conversation_id` and `seq`.
    MessageDelivered {
        /// Which; the ones before it count too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message_id: Option<Uuid>,
        /// Or where, together with `seq`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        conversation_id: Option<Uuid>,
        /// Up to which number there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seq: Option<i64>,
    }
}
client_frame! {
    /// Say that the messages up to one have been read: `message_id`, or `conversation_id` and `seq`.
    MessageRead {
        /// Which; the ones before it count too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message_id: Option<Uuid>,
        /// Or where, together with `seq`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        conversation_id: Option<Uuid>,
        /// Up to which number there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seq: Option<i64>,
    }
}
client_frame! {
    /// Say that one types, in exactly one of `conversation_id`, `to`, `group_id`.
    TypingStart {
        /// In this conversation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        conversation_id: Option<Uuid>,
        /// To this person.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Uuid>,
        /// In this group or channel.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group_id: Option<Uuid>,
    }
}
client_frame! {
    /// Say that one types no more, in exactly one of `conversation_id`, `to`, `group_id`.
    TypingStop {
        /// In this conversation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        conversation_id: Option<Uuid>,
        /// To this person.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Uuid>,
        /// In this group or channel.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group_id: Option<Uuid>,
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
