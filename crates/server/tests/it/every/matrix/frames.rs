use std::{collections::BTreeSet, time::Duration};

use futures_util::{StreamExt as _, stream};
use kith_client::{Credential, Error, RawSocket};
use serde_json::{Value, json};

use super::{super::run_within, Who, scene::Scene};
use crate::support::TestApp;

/// What a stranger, a removed member, a member, an admin, the owner and a blocked one are answered:
/// the type of the frame, or the code of the error. Nobody has no socket.
type Answers = [&'static str; 6];

/// Every frame that a client may send.
fn frames() -> Vec<(Value, Answers)> {
    let hidden = "not_found";
    let chat = json!("{conversation}");
    let all = |answer| [answer; 6];
    let marks = [hidden, hidden, "ok", "ok", "ok", "ok"];
    let reactions = [hidden, hidden, "ok", "ok", "ok", "blocked"];
    let deletes = [hidden, hidden, "forbidden", "ok", "ok", "forbidden"];
    let none = "not_a_member";
    vec![
        (
            json!({"type": "send_message", "conversation_id": chat, "content": "hi"}),
            [none, none, "message_sent", "message_sent", "message_sent", "blocked"],
        ),
        (
            json!({"type": "edit_message", "message_id": "{own}", "content": "other"}),
            [hidden, hidden, "ok", "ok", "ok", "blocked"],
        ),
        (json!({"type": "delete_message", "message_id": "{theirs}"}), deletes),
        (json!({"type": "add_reaction", "message_id": "{theirs}", "emoji": "🎉"}), reactions),
        (json!({"type": "remove_reaction", "message_id": "{theirs}", "emoji": "👍"}), reactions),
        (json!({"type": "message_delivered", "message_id": "{theirs}"}), marks),
        (json!({"type": "message_delivered", "conversation_id": chat, "seq": 1}), marks),
        (json!({"type": "message_read", "message_id": "{theirs}"}), marks),
        (json!({"type": "message_read", "conversation_id": chat, "seq": 1}), marks),
        (
            json!({"type": "typing_start", "conversation_id": chat}),
            [none, none, "ok", "ok", "ok", "blocked"],
        ),
        // Who does not type is not asked for a right.
        (json!({"type": "typing_stop", "conversation_id": chat}), all("ok")),
        (json!({"type": "sync"}), all("sync")),
        (json!({"type": "authenticate", "token": "{token}"}), all("ok")),
        (json!({"type": "ping"}), all("pong")),
    ]
}

#[test]
fn every_frame_is_answered_as_the_table_says() {
    run_within(Duration::from_secs(120), async {
        let app = &TestApp::start().await;
        let cases = frames().into_iter().flat_map(|(frame, answers)| {
            let asked = Who::ALL.into_iter().skip(1).zip(answers);
            asked.map(move |(who, expected)| (frame.clone(), who, expected))
        });
        let wrong: Vec<String> = stream::iter(cases.enumerate())
            .map(|(number, (frame, who, expected))| async move {
                let scene = Scene::of(app, who, number).await;
                let actor = scene.actor.as_ref().unwrap();
                let mut socket = actor.raw().await;
                let mut frame: Value =
                    serde_json::from_str(&scene.fill(&frame.to_string())).unwrap();
                frame["id"] = json!("it");
                socket.send_json(&frame).await.unwrap();
                let answer = loop {
                    let answer = socket.next_json().await.unwrap();
                    if answer["id"] == "it" {
                        break answer;
                    }
                };
                let what =
                    if answer["type"] == "error" { &answer["code"] } else { &answer["type"] };
                (what != expected).then(|| format!("{frame} by {who:?}: {answer}, not {expected}"))
            })
            .buffer_unordered(8)
            .filter_map(|wrong| async { wrong })
            .collect()
            .await;
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

#[test]
fn nobody_has_a_socket() {
    run_within(Duration::from_secs(20), async {
        let app = TestApp::start().await;
        let scene = Scene::of(&app, Who::SignedOut, 0).await;
        for path in ["/v1/ws".to_owned(), scene.fill("/v1/ws/{conversation}")] {
            let refused = RawSocket::connect(app.url(), &path, Credential::None, &[]).await;
            assert!(matches!(refused, Err(Error::Upgrade { status: 401, .. })), "{path}");
        }
    });
}

#[test]
fn no_frame_is_missing_from_the_table() {
    let source = include_str!("../../../../../protocol/src/frame.rs");
    let (_, frames_there) = source.split_once("pub enum ClientFrame {").unwrap();
    let (frames_there, _) = frames_there.split_once("\n}").unwrap();
    let there: BTreeSet<String> = frames_there
        .lines()
        .filter_map(|line| line.trim().split_once('('))
        .map(|(name, _)| name.to_lowercase())
        .collect();
    let listed: BTreeSet<String> = frames()
        .iter()
        .map(|(frame, _)| frame["type"].as_str().unwrap().replace('_', ""))
        .collect();
    assert_eq!(listed, there);
}
