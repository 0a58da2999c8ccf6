//! The program as a process: how it stops, and what it logs.

use std::time::{Duration, Instant};

use kith_client::{Credential, RawSocket};
use serde_json::{Value, json};

use super::run;
use crate::support::{Actor, Home, PASSWORD, Process, as_told, eventually, say};

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn asked_to_stop_it_sends_clients_away_in_order_and_loses_nothing() {
    run(async {
        let home = Home::new().await;
        let mut process = home.start();
        let (ann, bob) = (
            Actor::register(&process.anonymous(), "ann").await,
            Actor::register(&process.anonymous(), "bob").await,
        );
        let group = ann.group("ours", &[&bob]).await;
        let mut sockets = Vec::new();
        for _ in 0..5 {
            sockets.push(bob.raw().await);
        }
        // Somebody sends all the while.
        let sending = tokio::spawn({
            let ann = ann.clone();
            async move {
                let mut acknowledged = Vec::new();
                for n in 0.. {
                    let message = say(format!("{n}"));
                    match ann.client.send(group, &message).await {
                        Ok(message) => acknowledged.push(message),
                        Err(_) => break,
                    }
                }
                acknowledged
            }
        });
        eventually("some messages", || async {
            (ann.sees(group).await.last_seq > 20).then_some(())
        })
        .await;

        let asked = Instant::now();
        process.terminate();
        for mut socket in sockets {
            let (code, reason) = socket.closed().await.unwrap();
            assert_eq!(code, 1012, "{reason}");
            let wait: u64 = reason.strip_prefix("retry_after_ms=").unwrap().parse().unwrap();
            assert!((1..=10_000).contains(&wait), "{wait}");
        }
        let status = process.ended(PATIENCE).await;
        assert_eq!(status.code(), Some(0), "{}", process.log());
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
        let acknowledged = sending.await.unwrap();
        assert!(!process.log().contains("not everything ended in time"), "{}", process.log());

        let process = home.start();
        let bob = bob.at(process.url());
        let last = bob.sees(group).await.last_seq;
        let sent = i64::try_from(acknowledged.len()).unwrap();
        assert!((sent..=sent + 1).contains(&last), "{sent} acknowledged, {last} stored");
        for message in acknowledged.iter().rev().take(5) {
            let stored = bob.client.message(message.id).await.unwrap();
            assert_eq!(as_told(stored), as_told(message.clone()));
        }
    });
}

#[test]
fn the_log_tells_of_connections_and_never_of_tokens() {
    for format in ["json", "pretty"] {
        run(async {
            let home = Home::new().await;
            let mut command = home.kith();
            command
                .env("KITH_LOG__FORMAT", format)
                .env("KITH_LOG__FILTER", "debug,kith_http=trace,kith_app=trace,actix_http=trace");
            let mut process = Process::spawn(command);
            let ann = Actor::register(&process.anonymous(), "ann").await;
            let (access, ticket) = (ann.token(), ann.client.ws_ticket().await.unwrap().ticket);
            let refresh = ann.client.tokens().unwrap().refresh;
            for credential in [
                Credential::Query(&access),
                Credential::Ticket(&ticket),
                Credential::Subprotocol(&access),
                Credential::Header(&access),
            ] {
                let mut socket =
                    RawSocket::connect(process.url(), "/v1/ws", credential, &[]).await.unwrap();
                socket.expect("ready").await.unwrap();
                assert_eq!(ann.get(&format!("/v1/sync?token={access}")).await.status, 400);
                socket.close().await.unwrap();
            }
            let group = ann.group("ours", &[]).await;
            ann.send(group, "a secret between us").await;
            let newer = ann.client.refresh().await.unwrap();
            ann.client.logout().await.unwrap();
            process.wait_for_line("client connected");
            process.wait_for_line("client disconnected");
            process.terminate();
            process.ended(PATIENCE).await;

            let log = process.log();
            assert_eq!(log.matches("client connected").count(), 4, "{log}");
            assert_eq!(log.matches("client disconnected").count(), 4, "{log}");
            let secrets = [
                &*access,
                &ticket,
                &refresh,
                &newer.access,
                &newer.refresh,
                PASSWORD,
                "a secret between us",
            ];
            for secret in secrets {
                // Nor the end of it, which alone is secret in a token.
                let tail = &secret[secret.len().saturating_sub(16)..];
                let told = log.lines().find(|line| line.contains(tail));
                assert_eq!(told, None, "{format}");
            }
            if format == "json" {
                for line in log.lines() {
                    assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
                }
                let line: Value =
                    serde_json::from_str(&process.wait_for_line("client connected")).unwrap();
                assert_eq!(line["span"]["user_id"], json!(ann.id), "{line}");
            }
        });
    }
}
