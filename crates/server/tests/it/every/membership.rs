//! Who is not in a conversation gets nothing from it and puts nothing into it.

use kith_client::{Credential, Error, RawSocket, protocol::rest::SendMessage};
use serde_json::{Value, json};
use uuid::Uuid;

use super::run;
use crate::support::{Actor, TestApp};

/// Everything one may ask of a conversation and a message in it, by REST, and what one is answered
/// who may not know of them.
fn questions(chat: Uuid, message: Uuid, someone: Uuid) -> Vec<(&'static str, String, Value, u16)> {
    let mut all = Vec::new();
    for base in ["conversations", "chats", "groups"] {
        let path = format!("/v1/{base}/{chat}");
        all.extend([
            ("GET", path.clone(), Value::Null, 404),
            ("PATCH", path.clone(), json!({"name": "mine"}), 404),
            ("DELETE", path.clone(), Value::Null, 404),
            ("GET", format!("{path}/messages"), Value::Null, 404),
            ("GET", format!("{path}/messages?around=1"), Value::Null, 404),
            ("POST", format!("{path}/messages"), json!({"content": "let me in"}), 403),
            ("GET", format!("{path}/changes?since=0"), Value::Null, 404),
            ("GET", format!("{path}/members"), Value::Null, 404),
            ("POST", format!("{path}/members"), json!({"user_id": someone}), 404),
            ("PATCH", format!("{path}/members/{someone}"), json!({"role": "admin"}), 404),
            ("DELETE", format!("{path}/members/{someone}"), Value::Null, 404),
        ]);
    }
    all.extend([
        ("POST", format!("/v1/groups/{chat}/leave"), Value::Null, 404),
        ("DELETE", format!("/v1/groups/{chat}/leave"), Value::Null, 404),
        ("GET", format!("/v1/messages?conversation_id={chat}"), Value::Null, 404),
        ("GET", format!("/v1/messages/{message}"), Value::Null, 404),
        ("PATCH", format!("/v1/messages/{message}"), json!({"content": "mine"}), 404),
        ("DELETE", format!("/v1/messages/{message}"), Value::Null, 404),
    ]);
    all
}

async fn gets_nothing(who: &Actor, chat: Uuid, message: Uuid, someone: Uuid) {
    for (method, path, body, status) in questions(chat, message, someone) {
        let answer = who.ask(method, &path, (!body.is_null()).then_some(body)).await;
        assert_eq!(answer.status, status, "{} {method} {path}: {}", who.name, answer.text);
        let code = if status == 403 { "not_a_member" } else { "not_found" };
        assert_eq!(answer.json["code"], code, "{method} {path}");
    }
    let inbox = who.get("/v1/conversations").await;
    assert_eq!(inbox.json["items"], json!([]), "{}", who.name);
    let sync = who.get("/v1/sync").await;
    assert_eq!(sync.json["conversations"], json!([]), "{}", who.name);

    let mut socket = who.raw().await;
    for (frame, code) in [
        (json!({"type": "send_message", "conversation_id": chat, "content": "x"}), "not_a_member"),
        (json!({"type": "send_message", "group_id": chat, "content": "x"}), "not_a_member"),
        (json!({"type": "edit_message", "message_id": message, "content": "x"}), "not_found"),
        (json!({"type": "delete_message", "message_id": message}), "not_found"),
    ] {
        socket.send_json(&frame).await.unwrap();
        let answer = socket.next_json().await.unwrap();
        assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!(code)), "{frame}");
    }
}

#[test]
fn strangers_and_removed_members_get_nothing_and_send_nothing() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob, eve) = (app.user("ann").await, app.user("bob").await, app.user("eve").await);
        let (left, removed) = (app.user("left").await, app.user("removed").await);
        let group = ann.group("ours", &[&bob, &left, &removed]).await;
        let sent = ann.send(group, "hello").await;
        let theirs = left.send(group, "mine, once").await;
        left.client.leave(group).await.unwrap();
        ann.client.remove_member(group, removed.id).await.unwrap();

        gets_nothing(&eve, group, sent.id, bob.id).await;
        gets_nothing(&removed, group, sent.id, bob.id).await;
        // Not even what he wrote himself.
        gets_nothing(&left, group, theirs.id, bob.id).await;

        let direct = ann.open_direct(&bob).await;
        let sent = ann.send(direct, "just us").await;
        gets_nothing(&eve, direct, sent.id, bob.id).await;

        // What does not exist answers alike.
        gets_nothing(&eve, Uuid::from_u128(7), Uuid::from_u128(8), bob.id).await;
        let page = bob.texts(group).await;
        assert_eq!(page, ["hello", "mine, once"]);
    });
}

#[test]
fn a_removed_member_hears_of_his_removal_and_then_nothing() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob, eve) = (app.user("ann").await, app.user("bob").await, app.user("eve").await);
        let group = ann.group("ours", &[&bob]).await;
        let (mut bobs, mut eves) = (bob.raw().await, eve.raw().await);

        ann.client.remove_member(group, bob.id).await.unwrap();
        let removed = bobs.next_json().await.unwrap();
        assert_eq!(
            (&removed["type"], &removed["user_id"]),
            (&json!("member_removed"), &json!(bob.id))
        );
        assert_eq!(bobs.next_json().await.unwrap()["type"], "conversation_removed");

        let sent = ann.send(group, "he is gone").await;
        ann.client.edit(sent.id, "he is gone!").await.unwrap();
        ann.client.delete(sent.id).await.unwrap();
        ann.client.update_conversation(group, &rename("ours again")).await.unwrap();
        ann.client.add_members(group, &[app.user("dan").await.id]).await.unwrap();
        // What came before a pong has been sent: had there been anything, it would stand before it.
        for socket in [&mut bobs, &mut eves] {
            socket.send_json(&json!({"type": "ping"})).await.unwrap();
            assert_eq!(socket.next_json().await.unwrap()["type"], "pong");
        }
    });
}

fn rename(name: &str) -> kith_client::protocol::rest::ConversationPatch {
    kith_client::protocol::rest::ConversationPatch {
        name: Some(name.to_owned()),
        ..Default::default()
    }
}

#[test]
fn a_socket_needs_a_token_and_a_send_a_right() {
    run(async {
        let app = TestApp::start().await;
        let ann = app.user("ann").await;
        for credential in [
            Credential::None,
            Credential::Header("nonsense"),
            Credential::Query("nonsense"),
            Credential::Ticket("nonsense"),
            Credential::Subprotocol("nonsense"),
        ] {
            let refused = RawSocket::connect(app.url(), "/v1/ws", credential, &[]).await;
            match refused.map(drop) {
                Err(Error::Upgrade { status: 401, problem: Some(problem), .. }) => {
                    assert_eq!(problem.code, "unauthenticated");
                }
                other => panic!("{credential:?}: {other:?}"),
            }
        }
        let message = SendMessage { content: "hello?".to_owned(), ..Default::default() };
        let refused = app.anonymous().send(Uuid::from_u128(1), &message).await.unwrap_err();
        assert_eq!(refused.status(), Some(401));
        let refused = ann.client.send(Uuid::from_u128(1), &message).await.unwrap_err();
        assert_eq!((refused.status(), refused.code()), (Some(403), Some("not_a_member")));
    });
}
