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
        receipts: None,
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
