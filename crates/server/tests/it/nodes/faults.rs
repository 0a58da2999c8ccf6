//! Redis goes and comes; a server dies, or stands still.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Fleet, correspondents, is, on_nodes, until};
use crate::support::{Actor, next_of};

/// What others have stored is heard of within this, whatever became of Redis.
pub(super) const LATE: Duration = Duration::from_secs(3);

#[test]
fn without_redis_all_is_stored_and_heard_a_little_later() {
    on_nodes(async {
        let mut fleet = Fleet::new().await;
        let (one, other) = fleet.pair().await;
        let ann = Actor::register(&one.anonymous(), "ann").await;
        let bob = Actor::register(&other.anonymous(), "bob").await;
        let group = ann.group("Both", &[&bob]).await;
        let chat = ann.open_direct(&bob).await;
        let mut bobs = bob.raw().await;
        ann.send(group, "before").await;
        next_of(&mut bobs, "new_message").await;
        fleet.redis.kill();
        for node in [&one, &other] {
            is(node, "degraded").await;
        }
        for number in 0..5 {
            let sent = ann.send(if number % 2 == 0 { group } else { chat }, "meanwhile").await;
            let start = Instant::now();
            let frame = next_of(&mut bobs, "new_message").await;
            assert_eq!(frame["message"], serde_json::to_value(&sent).unwrap());
            assert!(start.elapsed() < LATE);
        }
        // A member who comes meanwhile hears the rest.
        let cleo = Actor::register(&other.anonymous(), "cleo").await;
        let mut cleos = cleo.raw().await;
        let members = json!({"user_ids": [cleo.id]});
        ann.post(&format!("/v1/conversations/{group}/members"), members).await;
        next_of(&mut cleos, "conversation_created").await;
        ann.send(group, "welcome").await;
        until(&mut cleos, "welcome").await;
        fleet.redis.go_on();
        for node in [&one, &other] {
            is(node, "ok").await;
        }
        ann.send(group, "after").await;
        until(&mut bobs, "after").await;
    });
}

#[test]
fn what_another_server_stored_is_behind_a_pong_until_it_is_told() {
    on_nodes(async {
        let mut fleet = Fleet::new().await;
        let (one, other) = fleet.pair().await;
        let ann = Actor::register(&one.anonymous(), "ann").await;
        let bob = Actor::register(&other.anonymous(), "bob").await;
        let group = ann.group("Both", &[&bob]).await;
        let mut bobs = bob.raw().await;
        fleet.redis.kill();
        is(&other, "degraded").await;
        let mut overtaken = 0;
        for number in 0..10 {
            let text = number.to_string();
            let sent = ann.send(group, &text).await;
            bobs.send_json(&json!({"type": "ping"})).await.unwrap();
            let mut told = false;
            let token = loop {
                let frame = bobs.next_json().await.unwrap();
                told |= frame["message"]["content"] == text;
                if let Some(token) = frame["sync_token"].as_str() {
                    break token.to_owned();
                }
            };
            if !told {
                overtaken += 1;
                let missed = bob.client.sync(Some(&token), None).await.unwrap();
                assert_eq!(missed.conversations[0].last_seq, sent.seq);
                until(&mut bobs, &text).await;
            }
        }
        assert!(overtaken > 0, "each was told before a ping was answered");
    });
}

#[test]
fn a_server_that_is_killed_takes_nobodys_presence_and_no_message_with_it() {
    on_nodes(async {
        let mut fleet = Fleet::new().await;
        let (one, other) = fleet.pair().await;
        let (ann, bob, chat) = correspondents(&one, &other).await;
        let mut anns = ann.raw().await;
        let bobs = bob.raw().await;
        assert_eq!(next_of(&mut anns, "user_online").await["user_id"], json!(bob.id));
        other.kill();
        drop(bobs);
        let gone = next_of(&mut anns, "user_offline").await;
        assert_eq!(gone["user_id"], json!(bob.id));
        assert!(gone["last_seen"].is_string());
        let bob = bob.at(one.url());
        let mut bobs = bob.raw().await;
        assert_eq!(next_of(&mut anns, "user_online").await["user_id"], json!(bob.id));
        ann.send(chat, "again").await;
        assert_eq!(next_of(&mut bobs, "new_message").await["message"]["content"], "again");
    });
}

#[test]
fn a_server_that_stood_still_brings_no_ghosts_back() {
    on_nodes(async {
        let mut fleet = Fleet::new().await;
        let (one, other) = fleet.pair().await;
        let (ann, bob, chat) = correspondents(&one, &other).await;
        let mut anns = ann.raw().await;
        let mut bobs = bob.raw().await;
        assert_eq!(next_of(&mut anns, "user_online").await["user_id"], json!(bob.id));
        other.pause();
        assert_eq!(next_of(&mut anns, "user_offline").await["user_id"], json!(bob.id));
        let sent = ann.send(chat, "while it stood still").await;
        other.go_on();
        // Its sockets are let go, whoever is behind them. Who lives comes back, and misses nothing.
        let mut last = Value::Null;
        let end = loop {
            match bobs.next_json().await {
                Ok(frame) => last = frame,
                Err(end) => break end,
            }
        };
        assert_eq!(last["type"], "resync");
        assert!(matches!(end, kith_client::Error::Closed { code: 1012, .. }), "{end}");
        let seen = ann.get(&format!("/v1/users/{}", bob.id)).await;
        assert_eq!(seen.json["online"], false);
        assert!(bob.texts(chat).await.contains(&sent.content.unwrap()));
        let mut bobs = bob.raw().await;
        assert_eq!(next_of(&mut anns, "user_online").await["user_id"], json!(bob.id));
        ann.send(chat, "after").await;
        assert_eq!(next_of(&mut bobs, "new_message").await["message"]["content"], "after");
    });
}
