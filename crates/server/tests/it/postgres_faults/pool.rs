//! All connections busy, or none to be had.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use kith_client::Answer;
use kith_testkit::postgres::{Options, Server};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

use super::{app_on, quick};
use crate::support::{Actor, Ask as _, Tcp, eventually, run, soon};

/// Within this every request is answered.
const BOUND: Duration = Duration::from_secs(10);
/// What needs no pool is answered as if nothing were the matter.
const QUICKLY: Duration = Duration::from_secs(1);

/// A ping of the WebSocket protocol, masked with nothing, and the opcode of what answers it.
const PING: &[u8] = b"\x89\x80\0\0\0\0";
const PONG: u8 = 10;

/// A session of somebody else.
async fn session(server: &Server) -> Result<Client, tokio_postgres::Error> {
    let (client, driver) = tokio_postgres::connect(&server.url("postgres"), NoTls).await?;
    tokio::spawn(driver);
    Ok(client)
}

/// Refused for now, in the way that makes clients come again.
fn is_busy(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
    let code = answer.json["code"].as_str().unwrap();
    assert!(["overloaded", "unavailable"].contains(&code), "{}", answer.text);
}

/// How far a lock is given up.
#[derive(Default)]
struct Lock {
    /// It is about to be.
    loosened: AtomicBool,
    /// It is.
    gone: AtomicBool,
}

/// Asks for what is locked, again and again, until there is an answer.
async fn ask_on(person: Actor, lock: Arc<Lock>, refused: Arc<AtomicUsize>) {
    loop {
        let (asked, was_free) = (Instant::now(), lock.gone.load(Ordering::SeqCst));
        let answer = person.get("/v1/auth/sessions").await;
        assert!(asked.elapsed() < BOUND, "{:?}", asked.elapsed());
        if answer.status == 200 {
            assert!(lock.loosened.load(Ordering::SeqCst), "it was locked");
            return;
        }
        is_busy(&answer);
        // One that was under way may fail yet. None that begins later has to wait for long.
        assert!(!was_free, "{}", answer.text);
        refused.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn with_all_connections_busy_requests_are_refused_in_time_and_messages_go_on() {
    run(async {
        let server = Server::start(quick());
        let app = app_on(&server, |config| {
            config.postgres.connections = NonZeroUsize::new(2).unwrap();
        })
        .await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let group = ann.group("ours", &[&bob]).await;
        let (mut sending, mut hearing) = (ann.raw().await, bob.raw().await);
        let mut other_device = Tcp::open(app.host(), &bob, None).await;
        // `ready`: nothing is asked for it any more.
        other_device.frame().await.unwrap();

        let outside = session(&server).await.unwrap();
        outside.batch_execute("BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE").await.unwrap();
        let (lock, refused) = (Arc::<Lock>::default(), Arc::<AtomicUsize>::default());
        let mut askers = JoinSet::new();
        for _ in 0..8 {
            askers.spawn(ask_on(ann.clone(), Arc::clone(&lock), Arc::clone(&refused)));
        }
        // Inside of a transaction one would always see the same.
        let watching = session(&server).await.unwrap();
        eventually("busy connections", || async {
            let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
            (watching.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 2).then_some(())
        })
        .await;

        let nobody = app.anonymous();
        // Until the first askers were refused, by the server or, their time being up, by PostgreSQL.
        for n in 0.. {
            let asked = Instant::now();
            assert_eq!(nobody.ask("GET", "/health/live", None).await.status, 200);
            other_device.write(PING).await.unwrap();
            while other_device.frame().await.unwrap().0 != PONG {}
            sending.send_json(&frame(group, n)).await.unwrap();
            let sent = sending.expect("message_sent").await.unwrap();
            let heard = hearing.expect("new_message").await.unwrap();
            assert_eq!(sent["message"]["id"], heard["message"]["id"]);
            assert!(asked.elapsed() < QUICKLY, "{:?}", asked.elapsed());
            if refused.load(Ordering::SeqCst) > 8 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // The answer to a `ping` frame has a token in it, which is read: it may be refused.
        let asked = Instant::now();
        sending.send_json(&json!({ "type": "ping", "id": "p" })).await.unwrap();
        let answer = sending.next_json().await.unwrap();
        assert_eq!(answer["id"], "p", "{answer}");
        assert!(answer["type"] == "pong" || answer["code"] == "overloaded", "{answer}");
        let ready = nobody.ask("GET", "/health/ready", None).await;
        assert!([200, 503].contains(&ready.status), "{}", ready.text);
        assert!(asked.elapsed() < BOUND, "{:?}", asked.elapsed());

        lock.loosened.store(true, Ordering::SeqCst);
        outside.batch_execute("COMMIT").await.unwrap();
        lock.gone.store(true, Ordering::SeqCst);
        while let Some(asker) = soon("an answer", askers.join_next()).await {
            asker.unwrap();
        }
        assert_eq!(nobody.ask("GET", "/health/ready", None).await.status, 200);
        assert_eq!(bob.sees(group).await.last_seq, ann.sees(group).await.last_seq);
    });
}

fn frame(group: Uuid, n: u32) -> serde_json::Value {
    json!({ "type": "send_message", "conversation_id": group, "content": n.to_string() })
}

#[test]
fn with_no_connection_to_be_had_it_refuses_and_goes_on_by_itself() {
    run(async {
        let settings = vec![("max_connections".to_owned(), "12".to_owned())];
        let server = Server::start(Options { settings, ..quick() });
        let app = app_on(&server, |_| {}).await;
        let ann = app.user("ann").await;
        let group = ann.group("ours", &[]).await;
        let path = format!("/v1/conversations/{group}/messages");

        // Somebody ends the server's connections, and others take every place there is.
        let guard = session(&server).await.unwrap();
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE application_name = 'kith'";
        eventually("the end of all connections", || async {
            guard.query(end, &[]).await.unwrap().is_empty().then_some(())
        })
        .await;
        let mut others = Vec::new();
        while let Ok(other) = session(&server).await {
            others.push(other);
        }
        let asked = Instant::now();
        let (asking, sending) =
            tokio::join!(ann.get("/v1/users/me"), ann.post(&path, json!({ "content": "hello" })));
        is_busy(&asking);
        is_busy(&sending);
        assert!(asked.elapsed() < BOUND, "{:?}", asked.elapsed());
        let nobody = app.anonymous();
        assert_eq!(nobody.ask("GET", "/health/live", None).await.status, 200);
        assert_eq!(nobody.ask("GET", "/health/ready", None).await.status, 503);

        drop(others);
        eventually("an answer", || async {
            (ann.get("/v1/users/me").await.status == 200).then_some(())
        })
        .await;
        ann.send(group, "hello").await;
        assert_eq!(nobody.ask("GET", "/health/ready", None).await.status, 200);
        assert_eq!(ann.texts(group).await, ["hello"], "what was refused was not stored");
    });
}
