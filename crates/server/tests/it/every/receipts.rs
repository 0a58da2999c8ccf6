//! Who has received and read what, and who is told.

use kith_client::protocol::rest::{MePatch, MessageStatus};
use serde_json::{Value, json};
use uuid::Uuid;

use super::run;
use crate::support::{Actor, TestApp, command, heard, next_of, say};

async fn status(sender: &Actor, message: Uuid) -> Option<MessageStatus> {
    let status = sender.client.message(message).await.unwrap().status;
    status.expect("a message of one's own has one, or null")
}

async fn unread(reader: &Actor, conversation: Uuid) -> u32 {
    reader.sees(conversation).await.my.unwrap().unread_count
}

fn of_type<'f>(frames: &'f [Value], kind: &str) -> Vec<&'f Value> {
    frames.iter().filter(|frame| frame["type"] == kind).collect()
}

#[test]
fn a_message_is_sent_then_delivered_then_read() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let chat = ann.open_direct(&bob).await;
        let sent = ann.client.send(chat, &say("hi")).await.unwrap();
        assert_eq!(sent.status, Some(Some(MessageStatus::Sent)));
        let (mut anns, mut bobs) = (ann.raw().await, bob.raw().await);
        let mut other_device = bob.device().await.raw().await;

        let done = json!({"type": "message_delivered", "message_id": sent.id});
        assert_eq!(command(&mut bobs, done).await["type"], "ok");
        let told = next_of(&mut anns, "receipt_update").await;
        assert_eq!((&told["status"], &told["seq"]), (&json!("delivered"), &json!(1)));
        assert_eq!(told["user_id"], json!(bob.id));
        assert_eq!(told["message_id"], json!(sent.id));
        assert_eq!(status(&ann, sent.id).await, Some(MessageStatus::Delivered));
        assert_eq!(unread(&bob, chat).await, 1);

        let read = bob.client.read(sent.id).await.unwrap();
        assert_eq!((read.message_id, read.status), (sent.id, MessageStatus::Read));
        let told = next_of(&mut anns, "receipt_update").await;
        assert_eq!((&told["status"], &told["seq"]), (&json!("read"), &json!(1)));
        assert_eq!(status(&ann, sent.id).await, Some(MessageStatus::Read));
        assert_eq!(bob.client.message(sent.id).await.unwrap().status, None);
        // All his devices know that there is nothing unread.
        assert_eq!(unread(&bob, chat).await, 0);
        let told = heard(&mut other_device).await;
        let told = of_type(&told, "receipt_update");
        assert_eq!(told.last().unwrap()["status"], "read", "{told:?}");

        let receipts = ann.client.receipts(sent.id).await.unwrap().items;
        assert_eq!(receipts.len(), 1);
        assert_eq!((receipts[0].user_id, receipts[0].status), (bob.id, MessageStatus::Read));
        assert!(receipts[0].delivered_at <= receipts[0].read_at);
        assert!(receipts[0].delivered_at.is_some());
    });
}

#[test]
fn marks_go_no_further_than_there_are_messages_and_never_back() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let group = ann.group("ours", &[&bob]).await;
        for text in ["1", "2", "3"] {
            ann.send(group, text).await;
        }
        let my = bob.client.delivered_up_to(group, 2).await.unwrap();
        assert_eq!((my.delivered_seq, my.read_seq, my.unread_count), (2, 0, 3));
        let my = bob.client.read_up_to(group, 99).await.unwrap();
        assert_eq!((my.delivered_seq, my.read_seq, my.unread_count), (3, 3, 0));
        let my = bob.client.read_up_to(group, 1).await.unwrap();
        assert_eq!((my.delivered_seq, my.read_seq), (3, 3));
        bob.client.leave(group).await.unwrap();
        for path in ["read", "delivered"] {
            let path = format!("/v1/conversations/{group}/{path}");
            assert_eq!(bob.ask("PUT", &path, Some(json!({"seq": 3}))).await.status, 404);
        }
    });
}

#[test]
fn in_a_group_a_message_has_come_as_far_as_with_the_slowest() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob, cat) = (app.user("ann").await, app.user("bob").await, app.user("cat").await);
        let group = ann.group("ours", &[&bob, &cat]).await;
        let sent = ann.send(group, "hi").await;
        bob.client.read(sent.id).await.unwrap();
        assert_eq!(status(&ann, sent.id).await, Some(MessageStatus::Sent));
        cat.client.delivered_up_to(group, sent.seq).await.unwrap();
        assert_eq!(status(&ann, sent.id).await, Some(MessageStatus::Delivered));
        cat.client.read(sent.id).await.unwrap();
        assert_eq!(status(&ann, sent.id).await, Some(MessageStatus::Read));
        // One who comes later was never meant.
        let dan = app.user("dan").await;
        ann.client.add_members(group, &[dan.id]).await.unwrap();
        assert_eq!(status(&ann, sent.id).await, Some(MessageStatus::Read));
        let receipts = ann.client.receipts(sent.id).await.unwrap().items;
        assert_eq!(receipts.len(), 2, "{receipts:?}");
    });
}

#[test]
fn who_hides_his_reading_does_not_see_that_of_others() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let chat = ann.open_direct(&bob).await;
        let hidden = MePatch { read_receipts: Some(false), ..Default::default() };
        bob.client.update_me(&hidden).await.unwrap();
        let (mut anns, mut bobs) = (ann.raw().await, bob.raw().await);
        let mut other_device = bob.device().await.raw().await;

        let hers = ann.send(chat, "read this").await;
        bob.client.read(hers.id).await.unwrap();
        let told = next_of(&mut anns, "receipt_update").await;
        assert_eq!(told["status"], "delivered");
        assert_eq!(status(&ann, hers.id).await, Some(MessageStatus::Delivered));
        let receipts = ann.client.receipts(hers.id).await.unwrap().items;
        assert_eq!((receipts[0].status, receipts[0].read_at), (MessageStatus::Delivered, None));
        // His own devices know.
        assert_eq!(unread(&bob, chat).await, 0);
        let told = heard(&mut other_device).await;
        let own = of_type(&told, "receipt_update");
        assert!(own.iter().any(|told| told["status"] == "read"), "{told:?}");

        let his = bob.send(chat, "and you?").await;
        ann.client.read(his.id).await.unwrap();
        assert_eq!(status(&bob, his.id).await, Some(MessageStatus::Delivered));
        let told = heard(&mut bobs).await;
        let hers = of_type(&told, "receipt_update");
        let hers: Vec<_> = hers.iter().filter(|told| told["user_id"] == json!(ann.id)).collect();
        assert!(hers.iter().all(|told| told["status"] == "delivered"), "{hers:?}");

        // Whoever shows it again is shown what was read meanwhile.
        let shown = MePatch { read_receipts: Some(true), ..Default::default() };
        bob.client.update_me(&shown).await.unwrap();
        assert_eq!(status(&bob, his.id).await, Some(MessageStatus::Read));
    });
}

#[test]
fn reading_is_told_to_those_whose_messages_were_read_once_a_second() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob, cat) = (app.user("ann").await, app.user("bob").await, app.user("cat").await);
        let group = ann.group("ours", &[&bob, &cat]).await;
        for number in 0..10 {
            ann.send(group, &number.to_string()).await;
        }
        let (mut anns, mut cats) = (ann.raw().await, cat.raw().await);
        let began = std::time::Instant::now();
        for seq in 1..=10 {
            bob.client.read_up_to(group, seq).await.unwrap();
        }
        let took = began.elapsed().as_secs();
        let mut told = Vec::new();
        while told.last() != Some(&json!(10)) {
            told.push(next_of(&mut anns, "receipt_update").await["seq"].clone());
        }
        assert!(told.len() as u64 <= 2 + took, "{told:?}");
        // Cat has written nothing.
        let heard = heard(&mut cats).await;
        assert!(of_type(&heard, "receipt_update").is_empty(), "{heard:?}");
    });
}

#[test]
fn a_crowd_is_told_nothing() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let mut crowd = vec![bob.id];
        for number in 0..255 {
            crowd.push(app.user(&format!("someone{number}")).await.id);
        }
        let group = json!({"name": "crowd", "members": crowd});
        let group = ann.post("/v1/groups", group).await.json;
        assert_eq!(group["member_count"], 257);
        let group: Uuid = group["id"].as_str().unwrap().parse().unwrap();
        let sent = ann.client.send(group, &say("hi")).await.unwrap();
        assert_eq!(sent.status, Some(None), "null, not left out");
        let (mut anns, mut bobs) = (ann.raw().await, bob.raw().await);
        let typing = json!({"type": "typing_start", "conversation_id": group});
        assert_eq!(command(&mut bobs, typing).await["type"], "ok");
        let read = json!({"type": "message_read", "message_id": sent.id});
        assert_eq!(command(&mut bobs, read).await["type"], "ok");
        // Typing in another chat is told, and before it nothing was.
        let chat = bob.open_direct(&ann).await;
        bob.send(chat, "psst").await;
        command(&mut bobs, json!({"type": "typing_start", "to": ann.id})).await;
        let mut told = Vec::new();
        while told.last() != Some(&json!("user_typing")) {
            told.push(anns.next_json().await.unwrap()["type"].clone());
        }
        assert_eq!(told, ["conversation_created", "new_message", "user_typing"]);
        // His own mark is kept, without a time.
        assert_eq!(unread(&bob, group).await, 0);
        assert_eq!(status(&ann, sent.id).await, None);
        let receipts = ann.client.receipts(sent.id).await.unwrap().items;
        let his = receipts.iter().find(|receipt| receipt.user_id == bob.id).unwrap();
        assert_eq!((his.status, his.read_at), (MessageStatus::Read, None));
        let sync = ann.client.sync(None, None).await.unwrap();
        let synced = sync.conversations.iter().find(|it| it.id == group).unwrap();
        assert_eq!(synced.receipts, None);
    });
}

#[test]
fn a_sync_tells_how_far_others_have_read() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let chat = ann.open_direct(&bob).await;
        let sent = ann.send(chat, "hi").await;
        let token = ann.client.sync(None, None).await.unwrap().token;
        bob.client.read(sent.id).await.unwrap();
        let sync = ann.client.sync(Some(&token), None).await.unwrap();
        let marks = sync.conversations[0].receipts.as_ref().unwrap();
        assert_eq!((marks[0].user_id, marks[0].read_seq), (bob.id, 1));
    });
}
