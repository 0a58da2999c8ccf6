//! The WebSocket: what goes in, what comes out, and to whom.

use kith_client::{Credential, RawSocket};
use serde_json::{Value, json};
use uuid::Uuid;

use super::run;
use crate::support::{Actor, TestApp};

/// The next frame, which must be of this type.
async fn next(socket: &mut RawSocket, kind: &str) -> Value {
    let frame = socket.next_json().await.unwrap();
    assert_eq!(frame["type"], kind, "{frame}");
    frame
}

/// Nothing has come until now.
async fn nothing_more(socket: &mut RawSocket) {
    socket.send_json(&json!({"type": "ping", "id": "last"})).await.unwrap();
    assert_eq!(next(socket, "pong").await["id"], "last");
}

#[test]
fn a_socket_says_who_it_is_and_takes_all_credentials() {
    run(async {
        let app = TestApp::start().await;
        let ann = app.user("ann").await;
        let (_socket, ready) = ann.raw_with_ready().await;
        assert_eq!(ready["user_id"], json!(ann.id));
        assert_eq!(ready["heartbeat_seconds"], 25);
        let current = ann.client.sessions().await.unwrap();
        assert_eq!(ready["session_id"], json!(current.items[0].id));
        for field in ["connection_id", "server_time", "token_expires_at"] {
            assert!(ready[field].is_string(), "{field}");
        }

        let token = ann.token();
        let ticket = ann.client.ws_ticket().await.unwrap();
        assert_eq!(ticket.expires_in, 30);
        for credential in [
            Credential::Query(&token),
            Credential::Subprotocol(&token),
            Credential::Ticket(&ticket.ticket),
        ] {
            for path in ["/ws", "/v1/ws"] {
                let opened = RawSocket::connect(app.url(), path, credential, &[]).await;
                if matches!(credential, Credential::Ticket(_)) && path == "/v1/ws" {
                    assert_eq!(opened.unwrap_err().status(), Some(401), "a ticket is good once");
                } else {
                    next(&mut opened.unwrap(), "ready").await;
                }
            }
        }
    });
}

#[test]
fn a_message_may_be_sent_to_a_conversation_a_person_or_a_group() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let group = ann.group("ours", &[&bob]).await;
        let (mut anns, mut bobs) = (ann.raw().await, bob.raw().await);

        // To a person: the direct chat is made by the way.
        anns.send_json(&json!({"type": "send_message", "id": "1", "to": bob.id, "content": "hi"}))
            .await
            .unwrap();
        next(&mut anns, "conversation_created").await;
        let sent = next(&mut anns, "message_sent").await;
        assert_eq!((&sent["id"], &sent["message"]["seq"]), (&json!("1"), &json!(1)));
        let created = next(&mut bobs, "conversation_created").await;
        assert_eq!(created["conversation"]["kind"], "direct");
        assert!(created["conversation"].get("my").is_none(), "nothing personal: {created}");
        assert_eq!(next(&mut bobs, "new_message").await["message"], sent["message"]);
        let direct = sent["message"]["conversation_id"].clone();
        assert_eq!(created["conversation"]["id"], direct);
        assert_eq!(direct, json!(bob.open_direct(&ann).await));

        for target in [
            json!({"conversation_id": direct}),
            json!({"conversation_id": group}),
            json!({"group_id": group}),
            json!({"to": bob.id}),
        ] {
            let mut frame = json!({"type": "send_message", "id": "2", "content": "hi again"});
            frame.as_object_mut().unwrap().extend(target.as_object().unwrap().clone());
            anns.send_json(&frame).await.unwrap();
            let sent = next(&mut anns, "message_sent").await;
            assert_eq!(next(&mut bobs, "new_message").await["message"], sent["message"]);
        }

        for (target, code) in [
            (json!({}), "validation_failed"),
            (json!({"conversation_id": group, "to": bob.id}), "validation_failed"),
            (json!({"group_id": direct}), "not_a_member"),
            (json!({"to": ann.id}), "self"),
            (json!({"to": Uuid::from_u128(1)}), "validation_failed"),
            (json!({"conversation_id": Uuid::from_u128(1)}), "not_a_member"),
            (json!({"to": "bob"}), "validation_failed"),
        ] {
            let mut frame = json!({"type": "send_message", "id": "3", "content": "hi"});
            frame.as_object_mut().unwrap().extend(target.as_object().unwrap().clone());
            anns.send_json(&frame).await.unwrap();
            let refused = next(&mut anns, "error").await;
            assert_eq!(
                (&refused["id"], &refused["code"]),
                (&json!("3"), &json!(code)),
                "{frame} {refused}"
            );
        }
        nothing_more(&mut bobs).await;
    });
}

#[test]
fn every_other_device_gets_one_copy_and_the_sending_one_an_answer() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let ann_too = ann.device().await;
        let group = ann.group("ours", &[&bob]).await;
        let mut sending = ann.raw().await;
        let mut others =
            vec![ann.raw().await, ann_too.raw().await, bob.raw().await, bob.raw().await];

        for n in 0..20 {
            let text = format!("message {n}");
            sending
                .send_json(&json!({
                    "type": "send_message", "id": format!("mark-{n}"), "conversation_id": group,
                    "content": text, "client_message_id": format!("c-{n}"),
                }))
                .await
                .unwrap();
            let sent = next(&mut sending, "message_sent").await;
            assert_eq!(sent["id"], format!("mark-{n}"));
            assert_eq!(sent["message"]["seq"], n + 1);
            assert_eq!(sent["message"]["client_message_id"], format!("c-{n}"));
            assert_eq!(sent["message"]["sender_id"], json!(ann.id));
            for socket in &mut others {
                let heard = next(socket, "new_message").await;
                assert_eq!(heard, json!({"type": "new_message", "message": sent["message"]}));
            }
        }
        // By REST, all sockets are others.
        ann.send(group, "from elsewhere").await;
        others.push(sending);
        for socket in &mut others {
            assert_eq!(next(socket, "new_message").await["message"]["content"], "from elsewhere");
            nothing_more(socket).await;
        }
    });
}

#[test]
fn edits_and_deletions_reach_everyone() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let group = ann.group("ours", &[&bob]).await;
        let sent = ann.send(group, "helo").await;
        let (mut anns, mut bobs) = (ann.raw().await, bob.raw().await);

        anns.send_json(&json!({
            "type": "edit_message", "id": "e", "message_id": sent.id, "content": "hello",
        }))
        .await
        .unwrap();
        let mine = next(&mut anns, "message_updated").await;
        assert_eq!(next(&mut anns, "ok").await["id"], "e");
        let theirs = next(&mut bobs, "message_updated").await;
        assert_eq!(mine, theirs);
        let message = &theirs["message"];
        assert_eq!((&message["content"], &message["seq"]), (&json!("hello"), &json!(sent.seq)));
        assert!(message["edited_at"].is_string());
        assert_eq!(message["version"], json!(sent.version + 1));

        bobs.send_json(&json!({
            "type": "edit_message", "id": "x", "message_id": sent.id, "content": "mine",
        }))
        .await
        .unwrap();
        let refused = next(&mut bobs, "error").await;
        assert_eq!((&refused["id"], &refused["code"]), (&json!("x"), &json!("forbidden")));

        anns.send_json(&json!({"type": "delete_message", "id": "d", "message_id": sent.id}))
            .await
            .unwrap();
        next(&mut anns, "message_deleted").await;
        assert_eq!(next(&mut anns, "ok").await["id"], "d");
        assert_eq!(
            next(&mut bobs, "message_deleted").await,
            json!({
                "type": "message_deleted", "conversation_id": group, "message_id": sent.id,
                "seq": sent.seq, "version": sent.version + 2,
            })
        );
        // A second time changes nothing, and is told to nobody.
        anns.send_json(&json!({"type": "delete_message", "id": "d", "message_id": sent.id}))
            .await
            .unwrap();
        assert_eq!(next(&mut anns, "ok").await["id"], "d");
        anns.send_json(&json!({
            "type": "edit_message", "id": "e", "message_id": sent.id, "content": "hello",
        }))
        .await
        .unwrap();
        assert_eq!(next(&mut anns, "error").await["code"], "message_deleted");
        nothing_more(&mut bobs).await;

        let tombstone = bob.client.message(sent.id).await.unwrap();
        assert_eq!((tombstone.content, tombstone.seq), (None, sent.seq));
        assert!(tombstone.deleted_at.is_some());
    });
}

#[test]
fn a_pong_marks_the_place_up_to_which_everything_was_heard() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let group = ann.group("ours", &[&bob]).await;
        let mut socket = bob.raw().await;
        ann.send(group, "before").await;
        app.settled().await;
        socket.send_json(&json!({"type": "ping", "id": "p"})).await.unwrap();
        next(&mut socket, "new_message").await;
        let pong = next(&mut socket, "pong").await;
        assert_eq!(pong["id"], "p");
        let token = pong["sync_token"].as_str().unwrap();

        let quiet = bob.client.sync(Some(token), None).await.unwrap();
        assert!(quiet.conversations.is_empty(), "{:?}", quiet.conversations);
        ann.send(group, "after").await;
        let after = bob.client.sync(Some(token), None).await.unwrap();
        assert_eq!(after.conversations.len(), 1);
        assert_eq!(after.conversations[0].last_seq, 2);
        // Another's token is not for oneself.
        let foreign = ann.client.sync(Some(token), None).await.unwrap_err();
        assert_eq!((foreign.status(), foreign.code()), (Some(400), Some("invalid_cursor")));

        socket.send_json(&json!({"type": "ping"})).await.unwrap();
        next(&mut socket, "new_message").await;
        assert!(next(&mut socket, "pong").await.get("id").is_none());
    });
}

#[test]
fn a_sync_frame_answers_what_get_sync_does() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let group = ann.group("ours", &[&bob]).await;
        ann.send(group, "hello").await;
        let mut socket = bob.raw().await;
        app.settled().await;
        socket.send_json(&json!({"type": "sync", "id": "s"})).await.unwrap();
        let mut frame = next(&mut socket, "sync").await;
        let by_rest = bob.get("/v1/sync").await.json;
        let token = frame["token"].clone();
        for key in ["type", "id", "token"] {
            assert!(frame.as_object_mut().unwrap().remove(key).is_some(), "{key}");
        }
        let mut expected = by_rest;
        expected.as_object_mut().unwrap().remove("token");
        assert_eq!(frame, expected);
        assert_eq!(frame["conversations"][0]["my"]["unread_count"], 1);

        socket.send_json(&json!({"type": "sync", "since": token})).await.unwrap();
        let later = next(&mut socket, "sync").await;
        assert_eq!((&later["conversations"], &later["has_more"]), (&json!([]), &json!(false)));
        socket.send_json(&json!({"type": "sync", "since": "edited", "id": "x"})).await.unwrap();
        let refused = next(&mut socket, "error").await;
        assert_eq!((&refused["id"], &refused["code"]), (&json!("x"), &json!("invalid_cursor")));
    });
}

#[test]
fn a_socket_is_renewed_with_a_token_of_its_own_session_only() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let device = ann.device().await;
        let mut socket = ann.raw().await;
        let authenticate = |token: &str| json!({"type": "authenticate", "id": "a", "token": token});

        let renewed = ann.client.refresh().await.unwrap();
        socket.send_json(&authenticate(&renewed.access)).await.unwrap();
        assert_eq!(next(&mut socket, "ok").await["id"], "a");
        for (token, code) in [
            (device.token(), "validation_failed"),
            (bob.token(), "validation_failed"),
            (renewed.refresh, "unauthenticated"),
            ("nonsense".to_owned(), "unauthenticated"),
        ] {
            socket.send_json(&authenticate(&token)).await.unwrap();
            assert_eq!(next(&mut socket, "error").await["code"], code);
        }
        nothing_more(&mut socket).await;
    });
}

#[test]
fn a_frame_that_is_refused_names_the_field() {
    run(async {
        let app = TestApp::start().await;
        let ann = app.user("ann").await;
        let group = ann.group("ours", &[]).await;
        let mut socket = ann.raw().await;
        for (field, value, code) in [
            ("content", json!(""), "required"),
            ("content", json!("x".repeat(4_001)), "too_long"),
            ("content", json!("a\u{0}b"), "invalid_text"),
            ("content", json!(7), "invalid_value"),
            ("client_message_id", json!("x".repeat(65)), "too_long"),
            ("message_type", json!("system"), "invalid_value"),
            ("message_type", json!("song"), "invalid_value"),
            ("reply_to", json!("nothing"), "invalid_value"),
            ("seq", json!(1), "unknown_field"),
            ("sender_id", json!(ann.id), "unknown_field"),
            ("attachment_ids", json!([]), "unknown_field"),
        ] {
            let mut frame =
                json!({"type": "send_message", "conversation_id": group, "content": "x"});
            frame[field] = value;
            socket.send_json(&frame).await.unwrap();
            let refused = next(&mut socket, "error").await;
            let named = &refused["errors"][0];
            assert_eq!(
                (&named["field"], &named["code"]),
                (&json!(field), &json!(code)),
                "{frame} {refused}"
            );
        }
        assert_eq!(ann.texts(group).await, Vec::<String>::new());
    });
}

#[test]
fn events_of_a_conversation_come_in_the_order_of_its_versions() {
    run(async {
        let app = TestApp::start().await;
        let people = [app.user("ann").await, app.user("bob").await, app.user("cat").await];
        let group = people[0].group("ours", &[&people[1], &people[2]]).await;
        let mut socket = people[0].raw().await;
        let start = people[0].sees(group).await.version;
        let mut tasks = tokio::task::JoinSet::new();
        for person in people.clone() {
            tasks.spawn(busy(person, group));
        }
        let versions = async {
            let mut versions = Vec::new();
            while versions.len() < 3 * 3 * 20 {
                let frame = socket.next_json().await.unwrap();
                let version = frame["message"]["version"].as_i64().or(frame["version"].as_i64());
                versions.push(version.unwrap());
            }
            versions
        };
        let versions = versions.await;
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        let expected: Vec<i64> = (start + 1..).take(versions.len()).collect();
        assert_eq!(versions, expected);
    });
}

/// Sends, edits and deletes.
async fn busy(person: Actor, group: Uuid) {
    for n in 0..20 {
        let sent = person.send(group, &format!("{n}")).await;
        person.client.edit(sent.id, &format!("{n}!")).await.unwrap();
        person.client.delete(sent.id).await.unwrap();
    }
}
