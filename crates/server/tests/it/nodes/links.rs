//! One server's link to Redis breaks, while the others keep theirs.

use std::time::Instant;

use kith_client::RawSocket;
use serde_json::json;

use super::{Fleet, acquaint, correspondents, faults::LATE, is, is_online, on_nodes};
use crate::support::{Actor, Process, Proxy, next_of};

#[test]
fn a_server_whose_link_is_cut_is_a_little_late_and_heals() {
    on_nodes(breaks(Proxy::cut));
}

#[test]
fn a_server_whose_link_is_dead_but_open_is_a_little_late_and_heals() {
    on_nodes(breaks(Proxy::deafen));
}

async fn breaks(fail: fn(&Proxy)) {
    let mut fleet = Fleet::new().await;
    let link = fleet.link().await;
    let (one, other) = (fleet.node(), Process::spawn(fleet.command_by(&link)));
    for node in [&one, &other] {
        is(node, "ok").await;
    }
    let (ann, bob, chat) = correspondents(&one, &other).await;
    let group = ann.group("Both", &[&bob]).await;
    let cleo = Actor::register(&other.anonymous(), "cleo").await;
    let dora = Actor::register(&other.anonymous(), "dora").await;
    for friend in [&cleo, &dora] {
        acquaint(&ann, friend).await;
    }
    let (mut anns, mut bobs) = (ann.raw().await, bob.raw().await);
    let cleos = cleo.raw().await;
    for friend in [&bob, &cleo] {
        is_online(&ann, friend, true).await;
    }

    fail(&link);
    // Before it is noticed, and after.
    for round in 0..3 {
        for place in [group, chat] {
            heard_of(&ann, &mut bobs, place).await;
            heard_of(&bob, &mut anns, place).await;
        }
        if round == 0 {
            is(&other, "degraded").await;
        }
    }
    is(&one, "ok").await;
    // One goes and one comes, and there is no way to say so.
    drop(cleos);
    is_online(&bob, &cleo, false).await;
    let _doras = dora.raw().await;

    link.cut();
    link.mend();
    is(&other, "ok").await;
    is_online(&ann, &bob, true).await;
    is_online(&ann, &dora, true).await;
    is_online(&ann, &cleo, false).await;
    is_online(&bob, &ann, true).await;
    heard_of(&ann, &mut bobs, group).await;
    heard_of(&bob, &mut anns, chat).await;
    // What only Redis carries.
    let typing = json!({"type": "typing_start", "conversation_id": group});
    anns.send_json(&typing).await.unwrap();
    assert_eq!(next_of(&mut bobs, "user_typing").await["user_id"], json!(ann.id));
}

/// What somebody sends is stored, and heard elsewhere in time. What was said before may come too.
async fn heard_of(sender: &Actor, listener: &mut RawSocket, place: uuid::Uuid) {
    let sent = sender.send(place, "here").await;
    let start = Instant::now();
    let frame = loop {
        let frame = next_of(listener, "new_message").await;
        if frame["message"]["conversation_id"] == json!(place)
            && frame["message"]["seq"].as_i64() >= Some(sent.seq)
        {
            break frame;
        }
    };
    assert_eq!(frame["message"], serde_json::to_value(&sent).unwrap());
    assert!(start.elapsed() < LATE);
}

/// The break lies between two looks at the lease.
#[test]
fn who_comes_or_goes_in_a_short_break_is_known_after_it() {
    on_nodes(async {
        let mut fleet = Fleet::new().await;
        let link = fleet.link().await;
        let (mut one, mut other) = (fleet.command(), fleet.command_by(&link));
        for command in [&mut one, &mut other] {
            command.env("KITH_NODES__LEASE_MS", "3000");
        }
        let (one, other) = (Process::spawn(one), Process::spawn(other));
        for node in [&one, &other] {
            is(node, "ok").await;
        }
        let (ann, bob, _) = correspondents(&one, &other).await;
        let cleo = Actor::register(&other.anonymous(), "cleo").await;
        acquaint(&ann, &cleo).await;
        let bobs = bob.raw().await;
        let mut anns = ann.raw().await;
        is_online(&ann, &bob, true).await;
        link.cut();
        is(&other, "degraded").await;
        drop(bobs);
        let _cleos = cleo.raw().await;
        is_online(&cleo, &bob, false).await;
        link.mend();
        is(&other, "ok").await;
        // That comes with the next look, and the end of what the lease was held for before.
        is_online(&ann, &cleo, true).await;
        is_online(&ann, &bob, false).await;
        let mut told = Vec::new();
        while told.len() < 2 {
            let frame = anns.next_json().await.unwrap();
            if frame["type"] == "user_online" || frame["type"] == "user_offline" {
                told.push((frame["type"].clone(), frame["user_id"].clone()));
            }
        }
        told.sort_by_key(|(kind, _)| kind.to_string());
        let expected =
            [(json!("user_offline"), json!(bob.id)), (json!("user_online"), json!(cleo.id))];
        assert_eq!(told, expected);
    });
}
