//! People on different servers talk as if there were one.

use kith_client::{Credential, RawSocket};
use serde_json::json;

use super::{Fleet, correspondents, on_nodes, until};
use crate::support::{Actor, Ask as _, command, eventually, heard, next_of};

#[test]
fn people_on_two_servers_talk() {
    on_nodes(async {
        let mut fleet = Fleet::new().await;
        let (one, other) = fleet.pair().await;
        let ann = Actor::register(&one.anonymous(), "ann").await;
        let bob = Actor::register(&other.anonymous(), "bob").await;
        let group = ann.group("Both", &[&bob]).await;
        let (mut at_one, mut at_other) = (ann.raw().await, bob.raw().await);

        for (number, text) in ["a", "b", "c", "d"].into_iter().enumerate() {
            let sender = if number % 2 == 0 { &ann } else { &bob };
            let sent = sender.send(group, text).await;
            for socket in [&mut at_one, &mut at_other] {
                let frame = next_of(socket, "new_message").await;
                assert_eq!(frame["message"], serde_json::to_value(&sent).unwrap());
            }
        }
        let typing = json!({"type": "typing_start", "conversation_id": group});
        command(&mut at_one, typing).await;
        assert_eq!(next_of(&mut at_other, "user_typing").await["user_id"], json!(ann.id));
        let read = json!({"type": "message_read", "conversation_id": group, "seq": 4});
        command(&mut at_other, read).await;
        let receipt = next_of(&mut at_one, "receipt_update").await;
        assert_eq!((&receipt["user_id"], &receipt["status"]), (&json!(bob.id), &json!("read")));

        // A direct chat that is made by its first message.
        let send = json!({"type": "send_message", "to": bob.id, "content": "you"});
        let sent = command(&mut at_one, send).await;
        let frame = next_of(&mut at_other, "new_message").await;
        assert_eq!(frame["message"], sent["message"]);
    });
}

#[test]
fn who_is_removed_on_one_server_hears_nothing_on_another() {
    on_nodes(async {
        let mut fleet = Fleet::new().await;
        let (one, other) = fleet.pair().await;
        let ann = Actor::register(&one.anonymous(), "ann").await;
        let bob = Actor::register(&other.anonymous(), "bob").await;
        let cleo = Actor::register(&other.anonymous(), "cleo").await;
        let group = ann.group("All", &[&bob, &cleo]).await;
        let (mut bobs, mut cleos) = (bob.raw().await, cleo.raw().await);
        let path = format!("/v1/conversations/{group}/members/{}", bob.id);
        assert_eq!(ann.delete(&path).await.status, 204);
        ann.send(group, "without him").await;
        // She has heard it: so would he have.
        until(&mut cleos, "without him").await;
        let frames = heard(&mut bobs).await;
        assert!(frames.iter().any(|it| it["type"] == "conversation_removed"), "{frames:?}");
        assert!(!frames.iter().any(|it| it["message"]["content"] == "without him"), "{frames:?}");
        // Who comes in again hears it all.
        let members = json!({"user_ids": [bob.id]});
        ann.post(&format!("/v1/conversations/{group}/members"), members).await;
        next_of(&mut bobs, "conversation_created").await;
        ann.send(group, "with him").await;
        until(&mut bobs, "with him").await;
    });
}

#[test]
fn signing_out_on_one_server_closes_sockets_on_another() {
    on_nodes(async {
        let mut fleet = Fleet::new().await;
        let (one, other) = fleet.pair().await;
        let ann = Actor::register(&one.anonymous(), "ann").await;
        let mut away = ann.at(other.url()).raw().await;
        assert_eq!(ann.post("/v1/auth/logout", json!({})).await.status, 204);
        assert_eq!(away.closed().await.unwrap().0, 4401);
        // Its token is not good there any more either.
        let refused =
            async || (ann.at(other.url()).get("/v1/users/me").await.status == 401).then_some(());
        eventually("an end of the session on the other server", refused).await;
    });
}

#[test]
fn a_ticket_is_good_on_any_server_and_once() {
    on_nodes(async {
        let mut fleet = Fleet::new().await;
        let (one, other) = fleet.pair().await;
        let ann = Actor::register(&one.anonymous(), "ann").await;
        let given = ann.post("/v1/auth/ws-ticket", json!({})).await.json;
        let ticket = given["ticket"].as_str().unwrap();
        let open = async |url: &str| {
            RawSocket::connect(url, "/v1/ws", Credential::Ticket(ticket), &[]).await
        };
        open(other.url()).await.unwrap().expect("ready").await.unwrap();
        for url in [one.url(), other.url()] {
            assert_eq!(open(url).await.unwrap_err().status(), Some(401));
        }
    });
}

#[test]
fn failed_logins_are_counted_on_all_servers_together() {
    on_nodes(async {
        let mut fleet = Fleet::new().await;
        let (one, other) = fleet.pair().await;
        Actor::register(&one.anonymous(), "ann").await;
        let wrong = json!({"username": "ann", "password": "not the one"});
        let mut refused = 0;
        for number in 0..14 {
            let server = if number % 2 == 0 { &one } else { &other };
            let login = Some(wrong.clone());
            let answer = server.anonymous().ask("POST", "/v1/auth/login", login).await;
            refused += u32::from(answer.status == 401);
            assert!(matches!(answer.status, 401 | 429), "{answer:?}");
        }
        // An account may be failed on ten times in a minute.
        assert_eq!(refused, 10);
    });
}

#[test]
fn who_is_on_any_server_is_online_on_all() {
    on_nodes(async {
        let mut fleet = Fleet::new().await;
        let (one, other) = fleet.pair().await;
        let (ann, bob, _) = correspondents(&one, &other).await;
        let mut anns = ann.raw().await;
        let bobs = bob.raw().await;
        assert_eq!(next_of(&mut anns, "user_online").await["user_id"], json!(bob.id));
        let seen = ann.get(&format!("/v1/users/{}", bob.id)).await;
        assert_eq!(seen.json["online"], true);
        // On another server too: one of two devices goes, and that is no news.
        let second = bob.at(one.url()).raw().await;
        drop(bobs);
        drop(second);
        let gone = next_of(&mut anns, "user_offline").await;
        assert_eq!(gone["user_id"], json!(bob.id));
        assert!(gone["last_seen"].is_string());
    });
}
