//! The WebSocket as a transport: what may be opened, what is read at all, and who is let go.
//!
//! Of the database this needs no more than accounts and plain sends, so it runs on one.

use kith_client::{Credential, Error, RawSocket, Selector, protocol::rest::SendMessage};
use serde_json::{Value, json};

use crate::support::{SOON, Tcp, TestApp, eventually, run, say};

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
