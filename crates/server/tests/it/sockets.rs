//! The WebSocket: what goes in, what comes out, and to whom.

use kith_client::{Credential, Error, RawSocket, Selector, protocol::rest::SendMessage};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Actor, SOON, Tcp, TestApp, eventually, run, say};

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
fn unreadable_frames_are_refused_and_ten_in_a_row_end_the_socket() {
    run(async {
        let app = TestApp::start().await;
        let ann = app.user("ann").await;
        let mut socket = ann.raw().await;
        for text in
            ["", "{", "null", "[]", "{}", "\"ping\"", r#"{"type": 7}"#, "{} {}", r#"["ping"]"#]
        {
            socket.send_text(text).await.unwrap();
            let refused = next(&mut socket, "error").await;
            assert_eq!(refused["code"], "malformed_frame", "{text}");
        }
        // Read, but wrong: these are not counted.
        for (text, id, code) in [
            (r#"{"type":"fly","id":"1"}"#, json!("1"), "unknown_type"),
            (r#"{"type":"ping","id":"2","x":1}"#, json!("2"), "unknown_field"),
            (r#"{"type":"edit_message","id":"3","content":"x"}"#, json!("3"), "validation_failed"),
            (r#"{"type":"ping","id":"a\u0000"}"#, json!("a\u{0}"), "invalid_text"),
        ] {
            socket.send_text(text).await.unwrap();
            let refused = next(&mut socket, "error").await;
            assert_eq!((&refused["id"], &refused["code"]), (&id, &json!(code)), "{text}");
        }
        nothing_more(&mut socket).await;

        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        for n in 0..10 {
            socket.send_text(if n == 0 { &deep } else { "{" }).await.unwrap();
        }
        for _ in 0..9 {
            assert_eq!(next(&mut socket, "error").await["code"], "malformed_frame");
        }
        assert_eq!(socket.closed().await.unwrap().0, 4400);
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
fn what_breaks_the_protocol_is_closed_with_its_code() {
    run(async {
        let app = TestApp::start().await;
        let ann = app.user("ann").await;
        let bob = app.user("bob").await;
        let mut bystander = bob.raw().await;

        let mut socket = ann.raw().await;
        socket.send_binary(b"hello".to_vec()).await.unwrap();
        assert_eq!(socket.closed().await.unwrap().0, 4400, "binary");

        let mut socket = ann.raw().await;
        socket.send_fragment(b"\xff\xfe".to_vec(), true, true).await.unwrap();
        assert_eq!(socket.closed().await.unwrap().0, 1007, "not UTF-8");

        let mut socket = ann.raw().await;
        socket.send_fragment(b"\xff".to_vec(), true, false).await.unwrap();
        socket.send_fragment(b"\xfe".to_vec(), false, true).await.unwrap();
        assert_eq!(socket.closed().await.unwrap().0, 1007, "not UTF-8, in pieces");

        let mut socket = ann.raw().await;
        // The server may hang up before all of it is written.
        let _ = socket.send_text("x".repeat(1024 * 1024)).await;
        assert_eq!(socket.closed().await.unwrap().0, 1009, "1 MiB");

        let mut socket = ann.raw().await;
        let mut header = vec![0x81, 0x80 | 127];
        header.extend((1u64 << 40).to_be_bytes());
        header.extend([1, 2, 3, 4]);
        socket.send_bytes(&header).await.unwrap();
        assert_eq!(socket.closed().await.unwrap().0, 1009, "a terabyte announced");

        let mut socket = ann.raw().await;
        for n in 0..200 {
            if socket.send_fragment(Vec::new(), n == 0, false).await.is_err() {
                break;
            }
        }
        assert_eq!(socket.closed().await.unwrap().0, 1009, "empty pieces without end");

        let mut socket = ann.raw().await;
        for n in 0..5 {
            let _ = socket.send_fragment(vec![b'x'; 30_000], n == 0, false).await;
        }
        assert_eq!(socket.closed().await.unwrap().0, 1009, "long in pieces");

        let mut tcp = Tcp::open(app.host(), &ann, None).await;
        tcp.write(b"\x81\x0f{\"type\":\"ping\"}").await.unwrap();
        assert_eq!(tcp.closed().await, 1002, "unmasked");

        let mut tcp = Tcp::open(app.host(), &ann, None).await;
        tcp.write(b"\xc1\x80\x01\x02\x03\x04").await.unwrap();
        assert_eq!(tcp.closed().await, 1002, "a reserved bit");

        nothing_more(&mut bystander).await;
    });
}

#[test]
fn a_message_in_pieces_is_one_message() {
    run(async {
        let app = TestApp::start().await;
        let ann = app.user("ann").await;
        let mut socket = ann.raw().await;
        let text = r#"{"type":"ping","id":"grün"}"#.as_bytes();
        // In the middle of a letter, with a ping between.
        let cut = text.iter().position(|byte| *byte > 127).unwrap() + 1;
        socket.send_fragment(text[..cut].to_vec(), true, false).await.unwrap();
        socket.send_ping(b"still here".to_vec()).await.unwrap();
        socket.send_fragment(text[cut..].to_vec(), false, true).await.unwrap();
        assert_eq!(next(&mut socket, "pong").await["id"], "grün");
    });
}

#[test]
fn pages_of_other_sites_may_not_open_sockets() {
    run(async {
        let app = TestApp::with(|config| {
            config.cors_origins = vec!["https://chat.example.org".to_owned()];
            config.public_url = Some("https://kith.example.org/".to_owned());
        })
        .await;
        let ann = app.user("ann").await;
        let token = ann.token();
        let own = app.url().to_owned();
        for (origin, allowed) in [
            (own.as_str(), true),
            ("https://chat.example.org", true),
            ("https://kith.example.org", true),
            ("https://evil.example.org", false),
            ("http://chat.example.org", false),
            ("https://chat.example.org.evil.org", false),
            ("http://127.0.0.1", false),
            ("null", false),
        ] {
            let headers = [("Origin", origin)];
            let opened =
                RawSocket::connect(app.url(), "/v1/ws", Credential::Query(&token), &headers).await;
            match opened {
                Ok(mut socket) if allowed => drop(next(&mut socket, "ready").await),
                Err(error) if !allowed => {
                    let told = (error.status(), error.code());
                    assert_eq!(told, (Some(403), Some("origin_not_allowed")), "{origin}");
                }
                other => panic!("{origin}: {other:?}"),
            }
        }
    });
}

#[test]
fn the_subprotocol_is_answered_without_the_token() {
    run(async {
        let app = TestApp::start().await;
        let ann = app.user("ann").await;
        let headers = format!("Sec-WebSocket-Protocol: kith.v1, bearer.{}\r\n", ann.token());
        let tcp = Tcp::upgrade(app.host(), "/v1/ws", &headers, None).await;
        assert!(tcp.head.starts_with("http/1.1 101"), "{}", tcp.head);
        assert!(tcp.head.contains("\r\nsec-websocket-protocol: kith.v1\r\n"), "{}", tcp.head);
        assert!(!tcp.head.contains("bearer"), "{}", tcp.head);
    });
}

#[test]
fn a_person_may_have_so_many_sockets() {
    run(async {
        let app = TestApp::with(|config| config.limits.sockets_per_user = 2).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let first = ann.raw().await;
        let _second = ann.raw().await;
        let token = ann.token();
        let refused =
            RawSocket::connect(app.url(), "/v1/ws", Credential::Header(&token), &[]).await;
        match refused.map(drop) {
            Err(Error::Upgrade { status: 429, problem: Some(problem), .. }) => {
                assert_eq!(problem.code, "rate_limited");
            }
            other => panic!("{other:?}"),
        }
        let _others = bob.raw().await;
        first.close().await.unwrap();
        eventually("a place for another socket", || async {
            let again =
                RawSocket::connect(app.url(), "/v1/ws", Credential::Header(&token), &[]).await;
            again.ok()
        })
        .await;
    });
}

#[test]
fn an_address_may_have_so_many_sockets() {
    run(async {
        let app = TestApp::with(|config| config.limits.sockets_per_address = 2).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let _both = (ann.raw().await, bob.raw().await);
        let token = ann.token();
        let refused =
            RawSocket::connect(app.url(), "/v1/ws", Credential::Header(&token), &[]).await;
        assert_eq!(refused.unwrap_err().status(), Some(429));
    });
}

#[test]
fn who_answers_no_heartbeat_is_let_go() {
    run(async {
        let app = TestApp::with(|config| config.sockets.heartbeat_seconds = 1).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let mut answering = bob.raw().await;
        let mut silent = Tcp::open(app.host(), &ann, None).await;
        // Whoever answers is still there then. Reading answers the pings.
        let (code, quiet) = tokio::join!(silent.closed(), answering.expect_silence(SOON / 2));
        assert_eq!(code, 4408);
        quiet.unwrap();
        nothing_more(&mut answering).await;
    });
}

#[test]
fn a_slow_reader_is_let_go_and_holds_up_nobody() {
    run(async {
        let app = TestApp::with(|config| config.sockets.queue = 32).await;
        let (ann, bob, slow) =
            (app.user("ann").await, app.user("bob").await, app.user("slow").await);
        let group = ann.group("ours", &[&bob, &slow]).await;
        let mut stalled = Tcp::open(app.host(), &slow, Some(4_096)).await;
        let mut listening = bob.raw().await;
        let text = "x".repeat(4_000);
        // More than the system takes on for a peer that reads nothing.
        for n in 0..1_500 {
            let message = SendMessage { client_message_id: Some(n.to_string()), ..say(&*text) };
            ann.client.send(group, &message).await.unwrap();
            let heard = listening.expect("new_message").await.unwrap();
            assert_eq!(heard["message"]["client_message_id"], n.to_string());
        }
        // What was on its way still comes, then the end.
        let code = stalled.closed().await;
        assert!(matches!(code, 4413 | 1006), "{code}");
        let page = slow.client.history(group, Selector::Newest, Some(1)).await.unwrap();
        assert_eq!(page.items[0].seq, 1_500, "nothing is lost for one who comes back");
    });
}

#[test]
fn who_sends_too_much_is_told_so_and_far_too_much_ends_the_socket() {
    run(async {
        let app = TestApp::with(|config| config.limits.messages_per_second = 1).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let group = ann.group("ours", &[&bob]).await;
        let mut socket = ann.raw().await;
        for n in 0..200 {
            let frame = json!({
                "type": "send_message", "id": n.to_string(), "conversation_id": group,
                "content": "x",
            });
            if socket.send_json(&frame).await.is_err() {
                break;
            }
        }
        let mut refused = 0;
        let code = loop {
            match socket.next_json().await {
                Ok(frame) if frame["type"] == "message_sent" => {}
                Ok(frame) => {
                    assert_eq!(
                        (&frame["type"], &frame["code"]),
                        (&json!("error"), &json!("rate_limited"))
                    );
                    assert!(frame["retry_after_ms"].as_u64().unwrap() > 0);
                    refused += 1;
                }
                Err(Error::Closed { code, .. }) => break code,
                Err(other) => panic!("{other}"),
            }
        };
        assert_eq!(code, 4429);
        assert!((20..=80).contains(&refused), "{refused}");
        let sent = eventually("what was within the rate", || async {
            Some(bob.texts(group).await.len()).filter(|sent| *sent >= 5)
        })
        .await;
        assert!(sent <= 10, "{sent}");

        let path = format!("/v1/conversations/{group}/messages");
        let by_rest = ann.post(&path, json!({"content": "x"})).await;
        assert_eq!((by_rest.status, &by_rest.json["code"]), (429, &json!("rate_limited")));
        assert!(by_rest.headers.contains_key("retry-after"));
        // Another's rate is another's.
        bob.send(group, "I sent nothing yet").await;
    });
}

#[test]
fn who_asks_too_much_is_told_when_to_ask_again() {
    run(async {
        let app = TestApp::with(|config| config.limits.requests_per_second = 5).await;
        let ann = app.user("ann").await;
        let refused = eventually("a refusal", || async {
            let answer = ann.get("/v1/users/me").await;
            (answer.status != 200).then_some(answer)
        })
        .await;
        assert_eq!((refused.status, &refused.json["code"]), (429, &json!("rate_limited")));
        assert!(refused.headers.contains_key("retry-after"));
        let patient = ann.client.clone().with_patience(SOON);
        patient.me().await.unwrap();
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
