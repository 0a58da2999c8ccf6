//! People who send all the while, and send again what was not acknowledged.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use kith_client::{RawSocket, protocol::rest::Message};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{Actor, TestApp, eventually_within};

/// Within this every request is answered, whatever the database does.
const BOUND: Duration = Duration::from_secs(10);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(2);
/// How long one waits before one sends again.
const PAUSE: Duration = Duration::from_millis(50);
/// What a server may say that cannot store.
const FAILURES: [&str; 3] = ["unavailable", "overloaded", "outcome_unknown"];

const PEOPLE: usize = 4;
const SENDERS: usize = 12;

/// What is known of the sends.
#[derive(Default)]
struct Ledger {
    /// Id and number of each acknowledged message, by its conversation and its sender's id of it.
    acknowledged: Mutex<HashMap<(Uuid, String), (Uuid, i64)>>,
    /// How often each sender was acknowledged and refused.
    counts: Mutex<[(u64, u64); SENDERS]>,
    longest: Mutex<Duration>,
    enough: AtomicBool,
}

/// Senders at work.
pub(super) struct Load {
    people: Vec<Actor>,
    conversations: Vec<Uuid>,
    ledger: Arc<Ledger>,
    senders: JoinSet<()>,
}

impl Load {
    /// Has people send, half of them by sockets, half by requests, until [`check`](Self::check).
    pub(super) async fn start(app: &TestApp) -> Self {
        let mut people = Vec::new();
        for n in 0..PEOPLE {
            people.push(app.user(&format!("person{n}")).await);
        }
        let others: Vec<&Actor> = people.iter().skip(1).collect();
        let mut conversations = Vec::new();
        for name in ["one", "two", "three"] {
            conversations.push(people[0].group(name, &others).await);
        }
        let ledger = Arc::<Ledger>::default();
        let mut senders = JoinSet::new();
        for number in 0..SENDERS {
            let sender = Sender {
                number,
                actor: people[number % PEOPLE].clone(),
                conversation: conversations[number % conversations.len()],
                ledger: Arc::clone(&ledger),
            };
            if number % 2 == 0 {
                senders.spawn(sender.by_socket());
            } else {
                senders.spawn(sender.by_rest());
            }
        }
        Self { people, conversations, ledger, senders }
    }

    /// Waits, while nothing can be stored, until each sender has been refused, and sees that nobody
    /// is acknowledged but for what he had under way when it began.
    pub(super) async fn is_stuck(&mut self) {
        let before = *self.ledger.counts.lock().unwrap();
        self.each(|(_, refused)| refused, 1).await;
        let after = *self.ledger.counts.lock().unwrap();
        for (number, (before, after)) in before.iter().zip(after).enumerate() {
            assert!(after.0 <= before.0 + 1, "sender {number} is acknowledged");
        }
    }

    /// Waits until each sender has been acknowledged so often again.
    pub(super) async fn goes_on(&mut self, more: u64) {
        self.each(|(acknowledged, _)| acknowledged, more).await;
    }

    async fn each(&mut self, count: impl Fn((u64, u64)) -> u64, more: u64) {
        let now = || self.ledger.counts.lock().unwrap().map(&count);
        let before = now();
        eventually_within(BOUND + SLACK, "all senders to go on", || async {
            let far = now().iter().zip(before).all(|(now, before)| *now >= before + more);
            far.then_some(())
        })
        .await;
    }

    /// Ends the senders, and looks at everything there is: numbered without a gap, each message
    /// once, every acknowledged one there. Returns how long the slowest answer took.
    pub(super) async fn check(mut self) -> Duration {
        self.ledger.enough.store(true, Ordering::Relaxed);
        while let Some(ended) = self.senders.join_next().await {
            ended.unwrap();
        }
        let mut stored = HashMap::new();
        for conversation in &self.conversations {
            let history = self.people[0].history(*conversation).await;
            for (message, seq) in history.iter().zip(1..) {
                assert_eq!(message.seq, seq, "numbers are dense");
                let key = (*conversation, message.client_message_id.clone());
                let twice = stored.insert(key, (message.id, message.seq));
                assert_eq!(twice, None, "stored twice: {message:?}");
            }
        }
        // The senders ended with nothing in doubt, so that nobody sent what is not acknowledged.
        assert_eq!(stored, *self.ledger.acknowledged.lock().unwrap());
        let longest = *self.ledger.longest.lock().unwrap();
        assert!(longest < BOUND + SLACK, "{longest:?}");
        longest
    }
}

struct Sender {
    number: usize,
    actor: Actor,
    conversation: Uuid,
    ledger: Arc<Ledger>,
}

impl Sender {
    fn is_done(&self) -> bool {
        self.ledger.enough.load(Ordering::Relaxed)
    }

    fn message(&self, n: usize) -> Value {
        let id = format!("s{}-{n}", self.number);
        json!({ "content": format!("message {id}"), "client_message_id": id })
    }

    async fn by_rest(self) {
        let path = format!("/v1/conversations/{}/messages", self.conversation);
        for n in 0.. {
            if self.is_done() {
                return;
            }
            let message = self.message(n);
            loop {
                let asked = Instant::now();
                let answer = self.in_time(self.actor.post(&path, message.clone())).await;
                if matches!(answer.status, 200 | 201) {
                    self.acknowledged(&answer.json, asked);
                    break;
                }
                assert_eq!(answer.status, 503, "{}", answer.text);
                assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
                self.refused(&answer.json, asked);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn by_socket(self) {
        let mut socket = self.actor.raw().await;
        for n in 0.. {
            if self.is_done() {
                return;
            }
            let mut frame = self.message(n);
            frame["type"] = json!("send_message");
            frame["conversation_id"] = json!(self.conversation);
            for attempt in 0.. {
                frame["id"] = json!(format!("{n}.{attempt}"));
                let asked = Instant::now();
                socket.send_json(&frame).await.unwrap();
                let answer = self.in_time(answer_to(&mut socket, &frame["id"])).await;
                if answer["type"] == "message_sent" {
                    self.acknowledged(&answer["message"], asked);
                    break;
                }
                assert_eq!(answer["type"], "error", "{answer}");
                self.refused(&answer, asked);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Waits for an answer, which comes whatever the database does.
    async fn in_time<T>(&self, answer: impl Future<Output = T>) -> T {
        let answer = tokio::time::timeout(BOUND + SLACK, answer).await;
        answer.unwrap_or_else(|_| panic!("sender {} has no answer", self.number))
    }

    fn acknowledged(&self, message: &Value, asked: Instant) {
        let message: Message = serde_json::from_value(message.clone()).unwrap();
        let (key, place) =
            ((self.conversation, message.client_message_id), (message.id, message.seq));
        let before = self.ledger.acknowledged.lock().unwrap().insert(key, place);
        assert_eq!(before, None, "one is acknowledged once: it is not sent after that");
        self.ledger.counts.lock().unwrap()[self.number].0 += 1;
        self.answered(asked);
    }

    fn refused(&self, problem: &Value, asked: Instant) {
        let code = problem["code"].as_str().unwrap();
        assert!(FAILURES.contains(&code), "{problem}");
        self.ledger.counts.lock().unwrap()[self.number].1 += 1;
        self.answered(asked);
    }

    fn answered(&self, asked: Instant) {
        let mut longest = self.ledger.longest.lock().unwrap();
        *longest = asked.elapsed().max(*longest);
    }
}

/// The frame that answers the one with this id; others' messages come in between.
async fn answer_to(socket: &mut RawSocket, id: &Value) -> Value {
    loop {
        let frame = socket.next_json().await.unwrap();
        if frame["id"] == *id {
            return frame;
        }
    }
}
