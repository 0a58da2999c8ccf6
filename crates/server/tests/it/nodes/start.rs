//! Servers that start: at the same moment, or alone.

use std::{fs, thread};

use serde_json::json;

use super::{Fleet, is, on_nodes};
use crate::support::{Actor, Home, Process, eventually, run};

#[test]
fn three_that_start_at_once_on_an_empty_database_make_it_once() {
    on_nodes(async {
        let mut fleet = Fleet::on(Home::bare().await);
        let starting: Vec<_> = (0..3)
            .map(|_| {
                let command = fleet.command();
                thread::spawn(move || Process::spawn(command))
            })
            .collect();
        let nodes: Vec<Process> = starting.into_iter().map(|it| it.join().unwrap()).collect();
        for node in &nodes {
            is(node, "ok").await;
            assert!(!node.log().contains("WARN"), "{}", node.log());
        }
        let applied = "SELECT count(*), count(DISTINCT version) FROM __diesel_schema_migrations";
        let applied = &fleet.home.query(applied).await[0];
        let migrations = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations/postgres");
        let known = i64::try_from(fs::read_dir(migrations).unwrap().count()).unwrap();
        assert_eq!((applied.get::<_, i64>(0), applied.get::<_, i64>(1)), (known, known));
        // It is one service.
        let ann = Actor::register(&nodes[0].anonymous(), "ann").await;
        let group = ann.at(nodes[1].url()).group("ours", &[]).await;
        ann.at(nodes[2].url()).send(group, "here").await;
    });
}

#[test]
fn what_all_servers_take_away_is_taken_away_without_a_quarrel() {
    on_nodes(async {
        let mut fleet = Fleet::new().await;
        let nodes = fleet.nodes(3).await;
        let ann = Actor::register(&nodes[0].anonymous(), "ann").await;
        let mut groups = Vec::new();
        for _ in 0..4 {
            let group = ann.group("ours", &[]).await;
            for _ in 0..20 {
                ann.send(group, "soon gone").await;
            }
            groups.push(group);
        }
        // Changes of so long ago are forgotten by whoever comes first.
        let old = "UPDATE changes SET made_at = made_at - interval '2 hours'";
        fleet.home.query(old).await;
        for (group, node) in groups.iter().zip(nodes.iter().cycle()) {
            let path = format!("/v1/groups/{group}");
            assert_eq!(ann.at(node.url()).delete(&path).await.status, 204);
        }
        let gone = async || {
            let left = "SELECT (SELECT count(*) FROM messages) + (SELECT count(*) FROM changes \
                        WHERE made_at < now() - interval '1 hour')";
            let left: i64 = fleet.home.query(left).await[0].get(0);
            (left == 0).then_some(())
        };
        eventually("an end of what is not needed", gone).await;
        for node in &nodes {
            is(node, "ok").await;
            assert!(!node.log().contains("cannot take away"), "{}", node.log());
        }
    });
}

/// One that is alone knows nothing of Redis: it goes nowhere, and complains of nothing.
#[test]
fn a_server_that_is_alone_makes_no_connection_and_no_noise() {
    run(async {
        let home = Home::new().await;
        let mut command = home.kith();
        command.env("KITH_LOG__FILTER", "debug").env("KITH_LOG__FORMAT", "json");
        let process = Process::spawn(command);
        is(&process, "ok").await;
        let ann = Actor::register(&process.anonymous(), "ann").await;
        let bob = Actor::register(&process.anonymous(), "bob").await;
        let chat = ann.open_direct(&bob).await;
        let mut bobs = bob.raw().await;
        ann.send(chat, "hi").await;
        bobs.expect("new_message").await.unwrap();
        assert_eq!(ann.post("/v1/auth/ws-ticket", json!({})).await.status, 201);
        let log = process.log();
        for line in log.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(!["WARN", "ERROR"].contains(&line["level"].as_str().unwrap()), "{line}");
        }
        assert!(!log.to_lowercase().contains("redis"), "{log}");
        #[cfg(target_os = "linux")]
        assert_eq!(process.connections_of_its_own(), Vec::<String>::new());
    });
}
