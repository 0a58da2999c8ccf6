//! Who is there, and who is told.

use std::time::Duration;

use kith_client::RawSocket;
use serde_json::{Value, json};

use super::run;
use crate::support::{Actor, TestApp, eventually};

/// Two who have written to each other.
async fn friends(app: &TestApp) -> (Actor, Actor) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let chat = ann.open_direct(&bob).await;
    ann.send(chat, "hello").await;
    bob.send(chat, "hello").await;
    (ann, bob)
}

async fn nothing_more(socket: &mut RawSocket) {
    socket.send_json(&json!({"type": "ping"})).await.unwrap();
    let next = socket.next_json().await.unwrap();
    assert_eq!(next["type"], "pong", "{next}");
}

async fn presence(viewer: &Actor, of: &Actor) -> (Value, Value) {
    let profile = viewer.get(&format!("/v1/users/{}", of.id)).await.json;
    (profile["online"].clone(), profile["last_seen"].clone())
}

#[test]
fn those_one_has_written_to_are_told_of_coming_and_going() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = friends(&app).await;
        let stranger = app.user("eve").await;
        // She has written to Ann; Ann has not answered.
        let chat = stranger.open_direct(&ann).await;
        stranger.send(chat, "hi").await;
        let (mut bobs, mut eves) = (bob.raw().await, stranger.raw().await);
        assert_eq!(presence(&bob, &ann).await, (json!(false), Value::Null));

        let first = ann.raw().await;
        let online = bobs.next_json().await.unwrap();
        assert_eq!(online, json!({"type": "user_online", "user_id": ann.id, "last_seen": null}));
        assert_eq!(presence(&bob, &ann).await, (json!(true), Value::Null));
        // A second device changes nothing, nor does its going.
        let second = ann.raw().await;
        first.close().await.unwrap();
        nothing_more(&mut bobs).await;
        assert_eq!(presence(&bob, &ann).await.0, json!(true));

        second.close().await.unwrap();
        let offline = bobs.next_json().await.unwrap();
        assert_eq!(
            (&offline["type"], &offline["user_id"]),
            (&json!("user_offline"), &json!(ann.id))
        );
        let last_seen = offline["last_seen"].clone();
        assert!(last_seen.is_string());
        assert_eq!(presence(&bob, &ann).await, (json!(false), last_seen.clone()));
        nothing_more(&mut eves).await;

        let sync = bob.get("/v1/sync").await.json;
        let of_ann =
            sync["presence"].as_array().unwrap().iter().find(|it| it["user_id"] == json!(ann.id));
        assert_eq!(of_ann.unwrap()["last_seen"], last_seen);

        // It is remembered.
        let app = app.restart().await;
        assert_eq!(presence(&bob.at(app.url()), &ann).await, (json!(false), last_seen));
    });
}

#[test]
fn a_short_break_is_no_going() {
    run(async {
        let app = TestApp::with(|config| config.sockets.offline_grace_ms = 2_000).await;
        let (ann, bob) = friends(&app).await;
        let first = ann.raw().await;
        let mut bobs = bob.raw().await;
        first.close().await.unwrap();
        let _again = ann.raw().await;
        bobs.expect_silence(Duration::from_millis(2_500)).await.unwrap();
        assert_eq!(presence(&bob, &ann).await.0, json!(true));
    });
}

#[test]
fn who_shows_himself_to_nobody_is_hidden() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = friends(&app).await;
        let set = ann.patch("/v1/users/me", json!({"last_seen_visibility": "nobody"})).await;
        assert_eq!(set.json["last_seen_visibility"], "nobody", "{}", set.text);
        let mut bobs = bob.raw().await;
        let socket = ann.raw().await;
        assert_eq!(presence(&bob, &ann).await, (Value::Null, Value::Null));
        let inbox = bob.get("/v1/conversations").await.json;
        assert_eq!(inbox["items"][0]["peer"]["online"], Value::Null);
        let sync = bob.get("/v1/sync").await.json;
        assert_eq!(
            sync["presence"][0],
            json!({"user_id": ann.id, "online": null, "last_seen": null})
        );
        socket.close().await.unwrap();
        // Longer than the grace.
        bobs.expect_silence(Duration::from_millis(300)).await.unwrap();
        assert_eq!(presence(&bob, &ann).await, (Value::Null, Value::Null));
    });
}

#[test]
fn contacts_alone_may_see_what_is_for_contacts() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = friends(&app).await;
        let stranger = app.user("eve").await;
        let chat = stranger.open_direct(&ann).await;
        stranger.send(chat, "hi").await;
        ann.patch("/v1/users/me", json!({"last_seen_visibility": "contacts"})).await;
        let _socket = ann.raw().await;
        assert_eq!(presence(&bob, &ann).await.0, json!(true));
        assert_eq!(presence(&stranger, &ann).await, (Value::Null, Value::Null));
        assert_eq!(presence(&ann, &ann).await.0, json!(true));
    });
}

#[test]
fn a_broken_connection_is_a_going_too() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = friends(&app).await;
        let socket = ann.raw().await;
        eventually("ann is there", || async {
            (presence(&bob, &ann).await.0 == true).then_some(())
        })
        .await;
        // Without a word.
        drop(socket);
        eventually("ann is gone", || async {
            (presence(&bob, &ann).await.0 == false).then_some(())
        })
        .await;
    });
}
