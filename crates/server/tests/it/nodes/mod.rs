//! Several servers, each a process of its own, that are one service: on one PostgreSQL, with a Redis
//! between them.

mod faults;
mod history;
mod links;
mod revoked;
mod start;
mod talk;
mod three;

use std::{process::Command, time::Duration};

use kith_client::RawSocket;
use kith_testkit::redis::Redis;
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::{Actor, Home, Process, Proxy, Store, eventually, kith, refuses, run, run_on};

/// No test takes longer.
const PATIENCE: Duration = Duration::from_secs(90);

fn on_nodes<F: Future>(test: F) -> F::Output {
    run_on(Store::Postgres, PATIENCE, test)
}

/// What several servers share.
struct Fleet {
    home: Home,
    redis: Redis,
    dirs: Vec<TempDir>,
}

impl Fleet {
    async fn new() -> Self {
        Self::on(Home::new().await)
    }

    fn on(home: Home) -> Self {
        Self { home, redis: Redis::start(), dirs: Vec::new() }
    }

    /// One more server. Those that say nothing for a while are taken for dead.
    fn command(&mut self) -> Command {
        let dir = tempfile::tempdir().unwrap();
        let mut command = self.home.kith();
        command
            .env("KITH_DATA_DIR", dir.path().join("data"))
            .env("KITH_REDIS_URL", self.redis.url())
            .env("KITH_JWT_SECRET", "0123456789abcdef0123456789abcdef")
            .env("KITH_NODES__TAIL_MS", "200")
            .env("KITH_NODES__LEASE_MS", "1500")
            .env("KITH_SOCKETS__OFFLINE_GRACE_MS", "50");
        self.dirs.push(dir);
        command
    }

    fn node(&mut self) -> Process {
        Process::spawn(self.command())
    }

    /// A way to Redis that can be cut.
    async fn link(&self) -> Proxy {
        Proxy::to(&format!("127.0.0.1:{}", self.redis.port())).await
    }

    /// One more server, which goes to Redis by a way of its own.
    fn command_by(&mut self, link: &Proxy) -> Command {
        let mut command = self.command();
        command.env("KITH_REDIS_URL", format!("redis://{}", link.host()));
        command
    }

    /// So many servers that have found Redis.
    async fn nodes(&mut self, count: usize) -> Vec<Process> {
        let nodes: Vec<Process> = (0..count).map(|_| self.node()).collect();
        for node in &nodes {
            is(node, "ok").await;
        }
        nodes
    }

    /// Two of them.
    async fn pair(&mut self) -> (Process, Process) {
        let mut nodes = self.nodes(2).await.into_iter();
        nodes.next().zip(nodes.next()).unwrap()
    }
}

/// Host and port of a server.
fn host(node: &Process) -> &str {
    node.url().trim_start_matches("http://")
}

/// Two who have written to each other, each on a server, and their chat.
async fn correspondents(one: &Process, other: &Process) -> (Actor, Actor, Uuid) {
    let ann = Actor::register(&one.anonymous(), "ann").await;
    let bob = Actor::register(&other.anonymous(), "bob").await;
    let chat = acquaint(&ann, &bob).await;
    (ann, bob, chat)
}

/// Both write to each other. Their chat.
async fn acquaint(ann: &Actor, bob: &Actor) -> Uuid {
    let chat = ann.open_direct(bob).await;
    bob.send(chat, "hi").await;
    ann.send(chat, "hi").await;
    chat
}

/// The next message with this text, and all frames until then.
async fn until(socket: &mut RawSocket, text: &str) -> (Value, Vec<Value>) {
    let mut before = Vec::new();
    loop {
        let frame = socket.next_json().await.unwrap();
        if frame["message"]["content"] == text {
            return (frame, before);
        }
        before.push(frame);
    }
}

/// Waits until somebody is seen to be there, or not to be.
async fn is_online(viewer: &Actor, of: &Actor, online: bool) {
    let path = format!("/v1/users/{}", of.id);
    let asked = async || (viewer.get(&path).await.json["online"] == online).then_some(());
    eventually(&format!("{} online: {online}, at {}", of.name, viewer.client.base_url()), asked)
        .await;
}

/// Waits until a server says of itself that it is so.
async fn is(node: &Process, status: &str) {
    let client = node.anonymous();
    let asked = async || {
        let answer = crate::support::Ask::ask(&client, "GET", "/health/ready", None).await;
        (answer.json["status"] == status).then_some(())
    };
    eventually(status, asked).await;
}

#[test]
fn what_cannot_be_one_service_is_refused_with_what_to_do() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let with = |settings: &[(&str, &str)]| {
            let mut command = kith(&dir.path().join("data"));
            command.env("KITH_REDIS_URL", "redis://127.0.0.1:1").envs(settings.iter().copied());
            command
        };
        let database = ("KITH_DATABASE_URL", "postgres://kith@127.0.0.1:1/kith");
        let secret = ("KITH_JWT_SECRET", "0123456789abcdef0123456789abcdef");
        refuses(with(&[secret]), "set KITH_DATABASE_URL");
        refuses(with(&[database]), "set KITH_JWT_SECRET");
        let wrong = ("KITH_REDIS_URL", "http://127.0.0.1:1");
        refuses(with(&[database, secret, wrong]), "KITH_REDIS_URL: it is not the URL of a Redis");
    });
}

#[test]
fn a_server_starts_without_its_redis_and_says_so() {
    on_nodes(async {
        let mut fleet = Fleet::new().await;
        fleet.redis.kill();
        let node = fleet.node();
        is(&node, "degraded").await;
        let ann = Actor::register(&node.anonymous(), "ann").await;
        ann.raw().await;
        fleet.redis.go_on();
        is(&node, "ok").await;
    });
}
