use std::sync::{
    Arc, Mutex,
    atomic::{AtomicI64, AtomicUsize, Ordering},
};

use serde_json::{Value, json};

use super::*;
use crate::{
    Tokens,
    testing::{FakeServer, ROOM, conversation, login, message, problem, sync},
};

const SOON: Duration = Duration::from_secs(10);

fn signed_in(server: &FakeServer) -> Client {
    let tokens = Tokens { access: "a1".into(), refresh: "r1".into() };
    Client::new(&server.url).unwrap().with_tokens(tokens)
}

fn quick() -> SocketOptions {
    SocketOptions { longest_wait: Duration::from_millis(200), ..Default::default() }
}

fn to_room(content: &str) -> SendMessage {
    SendMessage { conversation_id: Some(ROOM), content: content.into(), ..Default::default() }
}

/// A server with one conversation, in which this many messages stand.
async fn server_with(last_seq: Arc<AtomicI64>) -> FakeServer {
    FakeServer::start(move |asked| {
        let last = last_seq.load(Ordering::SeqCst);
        if asked.path.starts_with("/v1/ws") {
            return (200, Value::Null);
        }
        if asked.path.starts_with("/v1/sync") {
            return (200, sync("s", &[conversation(ROOM, 1, last, last)]));
        }
        let after = asked.path.split("after=").nth(1).and_then(|rest| rest.split('&').next());
        if let Some(after) = after.and_then(|after| after.parse::<i64>().ok()) {
            let items: Vec<_> = (after + 1..=last).map(|n| message(ROOM, n, n)).collect();
            let page = json!({
                "items": items, "has_before": after > 0, "has_after": false, "has_more": false,
                "version": last,
            });
            return (200, page);
        }
        problem(404, "not_found")
    })
    .await
}

fn caught_up(event: &SocketEvent) -> bool {
    matches!(event, SocketEvent::CaughtUp)
}

async fn next_message(socket: &mut Socket) -> i64 {
    let event = socket.wait_for(SOON, |event| matches!(event, SocketEvent::Message(_))).await;
    match event.unwrap() {
        SocketEvent::Message(message) => message.seq,
        _ => unreachable!("only messages were waited for"),
    }
}

#[tokio::test]
async fn what_was_missed_is_shown_after_the_reconnect() {
    let last_seq = Arc::new(AtomicI64::new(3));
    let mut server = server_with(Arc::clone(&last_seq)).await;
    let mut socket = Socket::connect(signed_in(&server), quick());
    let mut there = server.socket().await;
    assert_eq!(there.token, "a1");
    there.ready().await;
    socket.wait_for(SOON, caught_up).await.unwrap();
    there.say(&json!({"type": "new_message", "message": message(ROOM, 4, 4)})).await;
    assert_eq!(next_message(&mut socket).await, 4);

    last_seq.store(7, Ordering::SeqCst);
    there.close(1012, "retry_after_ms=20").await;
    let lost = socket.wait_for(SOON, |e| matches!(e, SocketEvent::Disconnected { .. })).await;
    let SocketEvent::Disconnected { reason, retry_in } = lost.unwrap() else { unreachable!() };
    assert!(reason.contains("1012"), "{reason}");
    assert_eq!(retry_in, Duration::from_millis(20));

    let mut there = server.socket().await;
    there.ready().await;
    // Comes live before it comes by catching up.
    last_seq.store(8, Ordering::SeqCst);
    there.say(&json!({"type": "new_message", "message": message(ROOM, 8, 8)})).await;
    for expected in 5..=8 {
        assert_eq!(next_message(&mut socket).await, expected);
    }
}

#[tokio::test]
async fn what_was_not_acknowledged_is_sent_again_with_the_same_id() {
    let mut server = server_with(Arc::new(AtomicI64::new(0))).await;
    let mut socket = Socket::connect(signed_in(&server), quick());
    let sender = socket.sender();
    let sending = tokio::spawn(async move { sender.send(to_room("hi")).await });
    let mut there = server.socket().await;
    there.ready().await;
    let first = there.hear().await;
    assert_eq!(first["type"], "send_message");
    assert_eq!(first["client_message_id"].as_str().unwrap().len(), 32);
    drop(there);

    let mut there = server.socket().await;
    there.ready().await;
    let second = there.hear().await;
    assert_eq!(first, second);
    let sent = json!({"type": "message_sent", "id": second["id"], "message": message(ROOM, 1, 1)});
    there.say(&sent).await;
    assert_eq!(sending.await.unwrap().unwrap().seq, 1);
    // One's own messages are shown too, once.
    there.say(&sent).await;
    there.say(&json!({"type": "new_message", "message": message(ROOM, 2, 2)})).await;
    assert_eq!(next_message(&mut socket).await, 1);
    assert_eq!(next_message(&mut socket).await, 2);
}

#[tokio::test]
async fn a_refusal_comes_back_to_who_asked() {
    let mut server = server_with(Arc::new(AtomicI64::new(0))).await;
    let socket = Socket::connect(signed_in(&server), quick());
    let mut there = server.socket().await;
    there.ready().await;
    let answering = async {
        let asked = there.hear().await;
        let refused = json!({
            "type": "error", "id": asked["id"], "code": "rate_limited", "message": "slower",
            "retry_after_ms": 250,
        });
        there.say(&refused).await;
        let asked = there.hear().await;
        assert_eq!(asked["type"], "edit_message");
        there.say(&json!({"type": "ok", "id": asked["id"]})).await;
        let asked = there.hear().await;
        assert_eq!(asked["type"], "delete_message");
        drop(there);
    };
    let asking = async {
        let error = socket.send(to_room("hi")).await.unwrap_err();
        assert_eq!(error.code(), Some("rate_limited"));
        socket.edit(Uuid::nil(), "other").await.unwrap();
        let error = socket.delete(Uuid::nil()).await.unwrap_err();
        assert!(matches!(error, Error::Interrupted), "{error}");
    };
    tokio::join!(answering, asking);
}

#[tokio::test]
async fn a_sender_who_never_reads_is_not_held_up_and_misses_nothing() {
    const MESSAGES: i64 = 300;
    let last_seq = Arc::new(AtomicI64::new(0));
    let mut server = server_with(Arc::clone(&last_seq)).await;
    let options = SocketOptions { events: 8, ..quick() };
    let mut socket = Socket::connect(signed_in(&server), options);
    let mut there = server.socket().await;
    there.ready().await;
    let answering = async {
        for seq in 1..=MESSAGES {
            let asked = there.hear().await;
            last_seq.store(seq, Ordering::SeqCst);
            let message = message(ROOM, seq, seq);
            there
                .say(&json!({"type": "message_sent", "id": asked["id"], "message": message}))
                .await;
        }
    };
    let sending = async {
        for _ in 0..MESSAGES {
            socket.send(to_room("hi")).await.unwrap();
        }
    };
    tokio::time::timeout(SOON, async { tokio::join!(answering, sending) }).await.unwrap();
    for expected in 1..=MESSAGES {
        assert_eq!(next_message(&mut socket).await, expected);
    }
}

/// A server whose sockets want `a2`, which a renewal gives, or does not.
async fn picky(renews: bool) -> (FakeServer, Arc<AtomicUsize>) {
    let renewals = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&renewals);
    let server = FakeServer::start(move |asked| match asked.path.split('?').next().unwrap() {
        "/v1/auth/refresh" if renews => {
            counted.fetch_add(1, Ordering::SeqCst);
            (200, login("a2", "r2"))
        }
        "/v1/auth/refresh" => {
            counted.fetch_add(1, Ordering::SeqCst);
            problem(401, "refresh_reused")
        }
        "/v1/ws" if asked.token.as_deref() == Some("a2") => (200, Value::Null),
        "/v1/sync" => (200, sync("s", &[])),
        _ => problem(401, "unauthenticated"),
    })
    .await;
    (server, renewals)
}

#[tokio::test]
async fn a_token_that_has_ended_is_renewed_before_connecting_again() {
    let (mut server, renewals) = picky(true).await;
    let mut socket = Socket::connect(signed_in(&server), quick());
    let mut there = server.socket().await;
    assert_eq!(there.token, "a2");
    there.ready().await;
    socket.wait_for(SOON, caught_up).await.unwrap();
    assert_eq!(renewals.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_socket_ends_when_the_session_is_over() {
    let (server, renewals) = picky(false).await;
    let client = signed_in(&server);
    let mut socket = Socket::connect(client.clone(), quick());
    let event = socket.next().await;
    assert!(matches!(event, Some(SocketEvent::SignedOut { .. })), "{event:?}");
    assert_eq!(socket.next().await, None);
    assert!(matches!(socket.send(to_room("hi")).await, Err(Error::Ended)));
    assert_eq!(renewals.load(Ordering::SeqCst), 1);
    assert_eq!(client.tokens(), None);
}

#[tokio::test]
async fn a_socket_that_is_told_to_renew_authenticates_with_the_new_token() {
    let renewals = AtomicUsize::new(1);
    let server = FakeServer::start(move |asked| match asked.path.split('?').next().unwrap() {
        "/v1/auth/refresh" => {
            let n = renewals.fetch_add(1, Ordering::SeqCst) + 1;
            (200, login(&format!("a{n}"), &format!("r{n}")))
        }
        "/v1/ws" => (200, Value::Null),
        "/v1/sync" => (200, sync("s", &[])),
        _ => problem(404, "not_found"),
    });
    let mut server = server.await;
    let _socket = Socket::connect(signed_in(&server), quick());
    let mut there = server.socket().await;
    there.ready().await;
    for token in ["a2", "a3"] {
        there.say(&json!({"type": "token_expiring", "expires_at": "2026-11-20T18:43:39Z"})).await;
        assert_eq!(there.hear().await, json!({"type": "authenticate", "token": token}));
    }
}

#[tokio::test]
async fn a_closed_socket_says_goodbye() {
    let mut server = server_with(Arc::new(AtomicI64::new(0))).await;
    let options = SocketOptions { token_in_subprotocol: false, ..quick() };
    let mut socket = Socket::connect(signed_in(&server), options);
    let mut there = server.socket().await;
    assert_eq!(there.token, "a1");
    there.ready().await;
    socket.wait_for(SOON, caught_up).await.unwrap();
    let heard = Arc::new(Mutex::new(None));
    let note = Arc::clone(&heard);
    let listening = tokio::spawn(async move {
        let farewell = there.farewell().await;
        *note.lock().unwrap() = Some(farewell);
    });
    socket.close().await;
    listening.await.unwrap();
    assert_eq!(*heard.lock().unwrap(), Some(true));
}

#[tokio::test]
async fn a_raw_socket_tells_what_it_got() {
    use crate::raw::{Credential, RawSocket};

    let mut server = server_with(Arc::new(AtomicI64::new(0))).await;
    let mut socket =
        RawSocket::connect(&server.url, "/v1/ws", Credential::Subprotocol("t"), &[("origin", "x")])
            .await
            .unwrap()
            .with_patience(Duration::from_millis(500));
    let mut there = server.socket().await;
    assert_eq!(there.token, "t");
    there.ready().await;
    assert!(matches!(
        socket.next_frame().await.unwrap(),
        kith_protocol::frame::ServerFrame::Ready { .. }
    ));
    there.say(&json!({"type": "pong", "sync_token": "s"})).await;
    there.say(&json!({"type": "ok", "id": "1"})).await;
    assert_eq!(socket.expect("ok").await.unwrap()["id"], "1");
    socket.expect_silence(Duration::from_millis(20)).await.unwrap();
    socket.send_fragment("{\"type\":", true, false).await.unwrap();
    socket.send_fragment("\"ping\"}", false, true).await.unwrap();
    assert_eq!(there.hear().await, json!({"type": "ping"}));
    // A text frame of two bytes, masked with zeros.
    socket.send_bytes(&[0x81, 0x82, 0, 0, 0, 0, b'{', b'}']).await.unwrap();
    assert_eq!(there.hear().await, json!({}));
    there.close(4401, "signed out").await;
    assert_eq!(socket.closed().await.unwrap(), (4401, "signed out".to_owned()));

    let refused = RawSocket::connect(&server.url, "/v1/nowhere", Credential::None, &[]).await;
    assert_eq!(refused.unwrap_err().status(), Some(404));
}
