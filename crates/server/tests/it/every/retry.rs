//! The same message sent again: it is there once.

use kith_client::protocol::rest::SendMessage;
use serde_json::{Value, json};
use uuid::Uuid;

use super::run;
use crate::support::{Actor, TestApp};

fn marked(id: &str, text: &str) -> Value {
    json!({ "content": text, "client_message_id": id })
}

async fn by_socket(actor: &Actor, conversation: Uuid, id: &str, text: &str) -> Value {
    let mut socket = actor.raw().await;
    let frame = json!({
        "type": "send_message", "id": "mark", "conversation_id": conversation, "content": text,
        "client_message_id": id,
    });
    socket.send_json(&frame).await.unwrap();
    loop {
        let frame = socket.next_json().await.unwrap();
        if frame["id"] == "mark" {
            return frame;
        }
    }
}

/// A message of a REST answer, as a frame tells it.
fn told(mut message: Value) -> Value {
    message.as_object_mut().unwrap().remove("status").unwrap();
    message
}

#[test]
fn a_message_sent_again_is_answered_with_the_first_one() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let chat = ann.open_direct(&bob).await;
        let path = format!("/v1/conversations/{chat}/messages");

        let first = ann.post(&path, marked("c-1", "hello")).await;
        assert_eq!(first.status, 201, "{}", first.text);
        let again = ann.post(&path, marked("c-1", "hello")).await;
        assert_eq!((again.status, &again.json), (200, &first.json));
        let heard = by_socket(&ann, chat, "c-1", "hello").await;
        assert_eq!(
            (&heard["type"], &heard["message"]),
            (&json!("message_sent"), &told(first.json))
        );

        let other = ann.post(&path, marked("c-1", "something else")).await;
        assert_eq!((other.status, &other.json["code"]), (409, &json!("client_message_id_reused")));
        let refused = by_socket(&ann, chat, "c-1", "something else").await;
        assert_eq!(
            (&refused["type"], &refused["code"]),
            (&json!("error"), &json!("client_message_id_reused"))
        );

        // Another sender's, and another conversation's, are other messages.
        assert_eq!(bob.post(&path, marked("c-1", "hello")).await.status, 201);
        let group = ann.group("elsewhere", &[]).await;
        let there = format!("/v1/conversations/{group}/messages");
        assert_eq!(ann.post(&there, marked("c-1", "hello")).await.status, 201);
        assert_eq!(ann.texts(chat).await, ["hello", "hello"]);
    });
}

#[test]
fn a_message_sent_again_after_a_restart_is_answered_with_the_first_one() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let chat = ann.open_direct(&bob).await;
        let path = format!("/v1/conversations/{chat}/messages");
        let by_rest = ann.post(&path, marked("c-1", "one")).await.json;
        let by_frame = by_socket(&ann, chat, "c-2", "two").await["message"].clone();

        let app = app.restart().await;
        let ann = ann.at(app.url());
        let again = ann.post(&path, marked("c-2", "two")).await;
        assert_eq!((again.status, told(again.json)), (200, by_frame));
        assert_eq!(by_socket(&ann, chat, "c-1", "one").await["message"], told(by_rest));
        assert_eq!(ann.post(&path, marked("c-1", "two")).await.status, 409);
        assert_eq!(ann.texts(chat).await, ["one", "two"]);
    });
}

#[test]
fn the_same_message_sent_from_many_sides_at_once_is_there_once() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let chat = ann.open_direct(&bob).await;
        let message = SendMessage {
            content: "hello".to_owned(),
            client_message_id: Some("c-1".to_owned()),
            ..Default::default()
        };
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (client, message) = (ann.client.clone(), message.clone());
            tasks.spawn(async move { client.send(chat, &message).await.unwrap().id });
            let device = ann.clone();
            tasks.spawn(async move {
                let sent = by_socket(&device, chat, "c-1", "hello").await;
                sent["message"]["id"].as_str().unwrap().parse().unwrap()
            });
        }
        let mut ids = tasks.join_all().await;
        ids.dedup();
        assert_eq!(ids.len(), 1, "{ids:?}");
        assert_eq!(bob.texts(chat).await, ["hello"]);
    });
}

#[test]
fn a_deleted_message_sent_again_stays_deleted_and_a_refused_one_is_judged_anew() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let group = ann.group("ours", &[&bob]).await;
        let path = format!("/v1/conversations/{group}/messages");

        let sent = bob.post(&path, marked("c-1", "oops")).await;
        let id = sent.json["id"].as_str().unwrap().to_owned();
        assert_eq!(bob.delete(&format!("/v1/messages/{id}")).await.status, 204);
        let again = bob.post(&path, marked("c-1", "oops")).await;
        assert_eq!((again.status, &again.json["id"]), (200, &json!(id)));
        assert_eq!(again.json["content"], Value::Null);

        ann.client.remove_member(group, bob.id).await.unwrap();
        let refused = bob.post(&path, marked("c-2", "still here?")).await;
        assert_eq!((refused.status, &refused.json["code"]), (403, &json!("not_a_member")));
        // What was sent before leaving is still answered.
        assert_eq!(bob.post(&path, marked("c-1", "oops")).await.status, 200);
        ann.client.add_members(group, &[bob.id]).await.unwrap();
        assert_eq!(bob.post(&path, marked("c-2", "still here?")).await.status, 201);
    });
}
