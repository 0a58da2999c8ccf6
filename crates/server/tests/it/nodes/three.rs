//! Three servers.

use serde_json::{Value, json};

use super::{Fleet, acquaint, is_online, on_nodes, until};
use crate::support::{Actor, heard, next_of};

#[test]
fn three_servers_are_one() {
    on_nodes(async {
        let mut fleet = Fleet::new().await;
        let nodes = fleet.nodes(3).await;
        let ann = Actor::register(&nodes[0].anonymous(), "ann").await;
        let bob = Actor::register(&nodes[1].anonymous(), "bob").await;
        let cleo = Actor::register(&nodes[2].anonymous(), "cleo").await;
        let group = ann.group("All", &[&bob, &cleo]).await;
        acquaint(&ann, &bob).await;
        // Everybody is at every server.
        let mut sockets = Vec::new();
        for node in &nodes {
            for actor in [&ann, &bob, &cleo] {
                sockets.push((actor.id, actor.at(node.url()).raw().await));
            }
        }
        for (sender, text) in [(&ann, "a"), (&bob, "b"), (&cleo, "c")] {
            let sent = sender.send(group, text).await;
            for (_, socket) in &mut sockets {
                let (frame, before) = until(socket, text).await;
                assert_eq!(frame["message"], serde_json::to_value(&sent).unwrap());
                let again = |it: &&Value| it["message"]["id"] == json!(sent.id);
                assert_eq!(before.iter().find(again), None);
            }
        }

        // Removed at the third, he is gone from all.
        let path = format!("/v1/conversations/{group}/members/{}", bob.id);
        assert_eq!(ann.at(nodes[2].url()).delete(&path).await.status, 204);
        let without = ann.at(nodes[1].url()).send(group, "without him").await;
        for (who, socket) in &mut sockets {
            if *who == bob.id {
                next_of(socket, "conversation_removed").await;
            } else {
                let (frame, _) = until(socket, "without him").await;
                assert_eq!(frame["message"]["seq"], json!(without.seq));
            }
        }
        for (_, socket) in sockets.iter_mut().filter(|(who, _)| *who == bob.id) {
            let later = heard(socket).await;
            let of_it = |it: &&Value| it["message"]["conversation_id"] == json!(group);
            assert_eq!(later.iter().find(of_it), None);
        }

        // He is there for as long as one of his three sockets is, wherever it is.
        for node in &nodes {
            let viewer = ann.at(node.url());
            is_online(&viewer, &bob, true).await;
        }
        let mut anns = ann.raw().await;
        let of_bob: Vec<usize> =
            (0..sockets.len()).rev().filter(|place| sockets[*place].0 == bob.id).collect();
        for (left, place) in (0..of_bob.len()).rev().zip(of_bob) {
            sockets.swap_remove(place).1.close().await.unwrap();
            if left > 0 {
                is_online(&ann, &bob, true).await;
            }
        }
        let news = next_of(&mut anns, "user_offline").await;
        assert_eq!(news["user_id"], json!(bob.id));
        for node in &nodes {
            is_online(&ann.at(node.url()), &bob, false).await;
        }
    });
}
