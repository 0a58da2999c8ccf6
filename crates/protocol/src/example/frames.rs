use super::{
    ANN, BOB, EMOJI, FAMILY, MESSAGE, SEALED, SESSION, TOKEN, at, group, id, message, profile, sync,
};
use crate::{
    frame::{
        AddReaction, Authenticate, ClientFrame, DeleteMessage, EditMessage, MemberFrame,
        MessageDelivered, MessageRead, Ping, ReactionFrame, RemoveReaction, SendMessage,
        ServerFrame, SyncRequest, TypingFrame, TypingStart, TypingStop,
    },
    rest,
};

/// Each frame that a client may send, once.
pub fn client_frames() -> Vec<ClientFrame> {
    let mark = || Some("7".to_owned());
    vec![
        ClientFrame::SendMessage(SendMessage {
            id: mark(),
            to: Some(BOB),
            content: "Hello!".to_owned(),
            client_message_id: Some("b8e1".to_owned()),
            ..SendMessage::default()
        }),
        ClientFrame::EditMessage(EditMessage {
            id: mark(),
            message_id: MESSAGE,
            content: "Dinner at nine, @ann?".to_owned(),
            ..EditMessage::default()
        }),
        ClientFrame::DeleteMessage(DeleteMessage {
            id: mark(),
            message_id: MESSAGE,
            ..DeleteMessage::default()
        }),
        ClientFrame::AddReaction(AddReaction {
            id: mark(),
            message_id: MESSAGE,
            emoji: EMOJI.to_owned(),
            ..AddReaction::default()
        }),
        ClientFrame::RemoveReaction(RemoveReaction {
            id: mark(),
            message_id: MESSAGE,
            emoji: EMOJI.to_owned(),
            ..RemoveReaction::default()
        }),
        ClientFrame::MessageDelivered(MessageDelivered {
            message_id: Some(MESSAGE),
            ..MessageDelivered::default()
        }),
        ClientFrame::MessageRead(MessageRead {
            conversation_id: Some(FAMILY),
            seq: Some(42),
            ..MessageRead::default()
        }),
        ClientFrame::TypingStart(TypingStart {
            conversation_id: Some(FAMILY),
            ..TypingStart::default()
        }),
        ClientFrame::TypingStop(TypingStop {
            conversation_id: Some(FAMILY),
            ..TypingStop::default()
        }),
        ClientFrame::Sync(SyncRequest {
            id: mark(),
            since: Some(SEALED.to_owned()),
            ..SyncRequest::default()
        }),
        ClientFrame::Authenticate(Authenticate {
            id: mark(),
            token: TOKEN.to_owned(),
            ..Authenticate::default()
        }),
        ClientFrame::Ping(Ping { id: mark(), ..Ping::default() }),
    ]
}

/// Each frame that the server may send, once.
pub fn server_frames() -> Vec<ServerFrame> {
    let mark = || Some("7".to_owned());
    let reaction = || ReactionFrame {
        conversation_id: FAMILY,
        message_id: MESSAGE,
        seq: 42,
        user_id: ANN,
        emoji: EMOJI.to_owned(),
        version: 59,
    };
    let typing =
        || TypingFrame { conversation_id: FAMILY, user_id: BOB, username: "bob".to_owned() };
    let member = |role| MemberFrame { conversation_id: FAMILY, user_id: BOB, role, version: 60 };
    vec![
        ServerFrame::Ready {
            connection_id: id(8),
            session_id: SESSION,
            user_id: ANN,
            server_time: at(390),
            heartbeat_seconds: 25,
            token_expires_at: at(1_290),
        },
        ServerFrame::MessageSent { id: mark(), message: message() },
        ServerFrame::NewMessage { message: message() },
        ServerFrame::MessageUpdated {
            message: rest::Message {
                content: Some("Dinner at nine, @ann?".to_owned()),
                edited_at: Some(at(430)),
                version: 59,
                ..message()
            },
        },
        ServerFrame::MessageDeleted {
            conversation_id: FAMILY,
            message_id: MESSAGE,
            seq: 42,
            version: 59,
        },
        ServerFrame::ReactionAdded(reaction()),
        ServerFrame::ReactionRemoved(reaction()),
        ServerFrame::ReceiptUpdate {
            conversation_id: FAMILY,
            user_id: ANN,
            status: rest::MessageStatus::Read,
            seq: 42,
            message_id: Some(MESSAGE),
            updated_at: at(460),
        },
        ServerFrame::UserTyping(typing()),
        ServerFrame::UserStoppedTyping(typing()),
        ServerFrame::SettingsUpdated { conversation_id: FAMILY },
        ServerFrame::ConversationCreated { conversation: impersonal() },
        ServerFrame::ConversationUpdated { conversation: impersonal() },
        ServerFrame::ConversationRemoved { conversation_id: FAMILY },
        ServerFrame::MemberAdded(member(rest::Role::Member)),
        ServerFrame::MemberUpdated(member(rest::Role::Admin)),
        ServerFrame::MemberRemoved(member(rest::Role::Admin)),
        ServerFrame::UserOnline { user_id: BOB, last_seen: None },
        ServerFrame::UserOffline { user_id: BOB, last_seen: Some(at(300)) },
        ServerFrame::UserUpdated {
            user: rest::Profile { online: None, last_seen: None, ..profile() },
        },
        ServerFrame::Sync { id: mark(), body: sync() },
        ServerFrame::Pong { id: mark(), sync_token: SEALED.to_owned() },
        ServerFrame::Ok { id: "7".to_owned() },
        ServerFrame::Error {
            id: mark(),
            code: "not_a_member".to_owned(),
            message: "you are not a member of this conversation".to_owned(),
            errors: Vec::new(),
            retry_after_ms: None,
        },
        ServerFrame::TokenExpiring { expires_at: at(1_290) },
        ServerFrame::Resync {},
    ]
}

/// The group as frames carry it.
fn impersonal() -> rest::Conversation {
    rest::Conversation { last_message: None, my: None, ..group() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn types(frames: &[Value]) -> Vec<&str> {
        frames.iter().map(|frame| frame["type"].as_str().unwrap()).collect()
    }

    #[test]
    fn each_frame_is_there_once() {
        let clients: Vec<Value> =
            client_frames().iter().map(|frame| serde_json::to_value(frame).unwrap()).collect();
        let servers: Vec<Value> =
            server_frames().iter().map(|frame| serde_json::to_value(frame).unwrap()).collect();
        for frames in [&clients, &servers] {
            let types = types(frames);
            let different: BTreeSet<&str> = types.iter().copied().collect();
            assert_eq!(different.len(), types.len());
        }
    }

    #[test]
    fn a_servers_frame_is_read_back_as_it_was() {
        for frame in server_frames() {
            let written = serde_json::to_string(&frame).unwrap();
            assert_eq!(serde_json::from_str::<ServerFrame>(&written).unwrap(), frame);
        }
    }
}
