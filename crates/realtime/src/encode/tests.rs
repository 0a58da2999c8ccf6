use kith_domain::{
    ConnectionId,
    event::{ReactionEvent, ReceiptEvent, TypingEvent},
    receipt::Mark,
    text::{Emoji, Username},
};
use kith_testkit::build::{at, conversation_id, message_id, user_id};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

fn told(it: &Event) -> Value {
    serde_json::from_str(&event(it)).unwrap()
}

#[test]
fn a_reaction_is_told_with_its_version() {
    let reaction = ReactionEvent {
        conversation_id: conversation_id(1),
        message_id: message_id(2),
        seq: 5,
        user_id: user_id(3),
        emoji: Emoji::parse("👍").unwrap(),
        version: 9,
    };
    let added = told(&Event::ReactionAdded(reaction.clone()));
    assert_eq!(
        added,
        json!({
            "type": "reaction_added",
            "conversation_id": conversation_id(1).to_string(),
            "message_id": message_id(2).to_string(),
            "seq": 5,
            "user_id": user_id(3).to_string(),
            "emoji": "👍",
            "version": 9,
        })
    );
    assert_eq!(told(&Event::ReactionRemoved(reaction))["type"], "reaction_removed");
}

#[test]
fn a_receipt_is_told_with_the_message_it_reaches() {
    let receipt = ReceiptEvent {
        conversation_id: conversation_id(1),
        user_id: user_id(3),
        mark: Mark::Delivered,
        seq: 5,
        message_id: Some(message_id(2)),
        at: at(0),
    };
    let update = told(&Event::ReceiptUpdated(receipt.clone()));
    assert_eq!(update["type"], "receipt_update");
    assert_eq!((&update["status"], &update["seq"]), (&json!("delivered"), &json!(5)));
    assert_eq!(update["message_id"], message_id(2).to_string());
    let unknown = ReceiptEvent { mark: Mark::Read, message_id: None, ..receipt };
    let update = told(&Event::ReceiptUpdated(unknown));
    assert_eq!(update["status"], "read");
    assert!(update.get("message_id").is_none());
}

#[test]
fn who_types_is_told_by_name() {
    let typing = TypingEvent {
        conversation_id: conversation_id(1),
        user_id: user_id(3),
        username: Username::parse("cat").unwrap(),
    };
    let started = told(&Event::TypingStarted(typing.clone()));
    assert_eq!((&started["type"], &started["username"]), (&json!("user_typing"), &json!("cat")));
    assert_eq!(told(&Event::TypingStopped(typing))["type"], "user_stopped_typing");
}

#[test]
fn settings_are_told_by_their_conversation_alone() {
    let id = conversation_id(1);
    assert_eq!(
        told(&Event::SettingsUpdated(id)),
        json!({"type": "settings_updated", "conversation_id": id.to_string()})
    );
}

#[test]
fn a_last_seen_that_is_hidden_is_not_told() {
    let offline = |last_seen| told(&Event::UserOffline { user_id: user_id(3), last_seen });
    assert_eq!(offline(None)["last_seen"], Value::Null);
    assert!(offline(Some(at(0)))["last_seen"].is_string());
}

#[test]
fn an_unknown_outcome_says_what_to_do_of_every_command() {
    let origin = Origin { connection: ConnectionId::from_uuid(Uuid::nil()), frame_id: None };
    let frame = reply(&origin, Reply::Failed(Failure::OutcomeUnknown)).unwrap();
    let frame: Value = serde_json::from_str(&frame).unwrap();
    assert_eq!(frame["code"], "outcome_unknown");
    // Receipts, reactions and pins have no id of their own.
    let said = frame["message"].as_str().unwrap();
    assert!(said.contains("the same command again is harmless"), "{said}");
}
