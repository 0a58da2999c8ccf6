//! Killed in the middle of sending: what was acknowledged is there, once.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use kith_client::protocol::rest::{Message, SendMessage};
use serde_json::json;
use uuid::Uuid;

use super::run_within;
use crate::support::{Actor, Home, eventually};

/// How often the server is killed on each database, unless `KITH_FAULT_ROUNDS` says otherwise.
const ROUNDS: usize = 5;
const PEOPLE: usize = 10;
const SENDERS: usize = 50;
/// How many messages a socket has under way at once.
const PIPELINE: usize = 4;

/// What a sender knows of his message.
#[derive(Clone, Debug)]
struct Sent {
    sender: usize,
    conversation: Uuid,
    client_message_id: String,
    content: String,
    /// Its id and number, if it was acknowledged.
    acknowledged: Option<(Uuid, i64)>,
}

fn rounds() -> usize {
    let asked = std::env::var("KITH_FAULT_ROUNDS").ok();
    asked.map_or(ROUNDS, |rounds| rounds.parse().expect("KITH_FAULT_ROUNDS is a number"))
}

#[derive(Default)]
struct Ledger {
    sent: Mutex<HashMap<String, Sent>>,
    acknowledged: AtomicUsize,
}

impl Ledger {
    fn note(&self, sent: Sent) {
        self.sent.lock().unwrap().insert(sent.client_message_id.clone(), sent);
    }

    fn acknowledge(&self, message: &Message) {
        let mut all = self.sent.lock().unwrap();
        let sent = all.get_mut(&message.client_message_id).expect("it was sent");
        assert_eq!(message.content.as_deref(), Some(&*sent.content));
        let place = (message.id, message.seq);
        assert!(sent.acknowledged.is_none_or(|before| before == place), "{sent:?} {message:?}");
        if sent.acknowledged.replace(place).is_none() {
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Somebody who sends until the server is gone.
struct Sender {
    round: usize,
    number: usize,
    actor: Actor,
    who: usize,
    conversation: Uuid,
    ledger: Arc<Ledger>,
}

impl Sender {
    fn next(&self, n: usize) -> Sent {
        let client_message_id = format!("r{}-s{}-{n}", self.round, self.number);
        let sent = Sent {
            sender: self.who,
            conversation: self.conversation,
            content: format!("message {client_message_id}"),
            client_message_id,
            acknowledged: None,
        };
        self.ledger.note(sent.clone());
        sent
    }

    async fn by_rest(self) {
        for n in 0.. {
            let sent = self.next(n);
            match self.actor.client.send(self.conversation, &body(&sent)).await {
                Ok(message) => self.ledger.acknowledge(&message),
                Err(_) => return,
            }
        }
    }

    async fn by_socket(self) {
        let Ok((mut socket, _)) = self.actor.try_raw().await else { return };
        let mut n = 0;
        loop {
            while n < PIPELINE {
                if self.say(&mut socket, n).await.is_err() {
                    return;
                }
                n += 1;
            }
            let Ok(answer) = socket.expect("message_sent").await else { return };
            let message: Message = serde_json::from_value(answer["message"].clone()).unwrap();
            self.ledger.acknowledge(&message);
            if self.say(&mut socket, n).await.is_err() {
                return;
            }
            n += 1;
        }
    }

    async fn say(&self, socket: &mut kith_client::RawSocket, n: usize) -> kith_client::Result<()> {
        let sent = self.next(n);
        let frame = json!({
            "type": "send_message", "conversation_id": sent.conversation,
            "content": sent.content, "client_message_id": sent.client_message_id,
        });
        socket.send_json(&frame).await
    }
}

fn body(sent: &Sent) -> SendMessage {
    SendMessage {
        content: sent.content.clone(),
        client_message_id: Some(sent.client_message_id.clone()),
        ..Default::default()
    }
}

/// What is stored is what the senders know, once each, numbered without a gap.
async fn check(people: &[Actor], conversations: &[Uuid], ledger: &Ledger) {
    let mut stored = HashMap::new();
    for conversation in conversations {
        let history = people[0].history(*conversation).await;
        for (message, seq) in history.iter().zip(1..) {
            assert_eq!(message.seq, seq, "numbers are dense");
            let twice = stored.insert(message.client_message_id.clone(), message.clone());
            assert!(twice.is_none(), "stored twice: {message:?}");
        }
    }
    let sent = ledger.sent.lock().unwrap().clone();
    for message in stored.values() {
        let known = &sent[&message.client_message_id];
        assert_eq!(message.content.as_deref(), Some(&*known.content));
        assert_eq!(message.sender_id, people[known.sender].id);
        assert_eq!(message.conversation_id, known.conversation);
    }
    for known in sent.values() {
        let Some(place) = known.acknowledged else { continue };
        let message = stored.get(&known.client_message_id);
        let message = message.unwrap_or_else(|| panic!("acknowledged and lost: {known:?}"));
        assert_eq!((message.id, message.seq), place);
    }
}

/// Sends again what nobody knows the outcome of, twice, and some of what is acknowledged.
async fn settle(people: &[Actor], ledger: &Arc<Ledger>, settled: &mut HashSet<String>) {
    let sent = ledger.sent.lock().unwrap().clone();
    let mut tasks = tokio::task::JoinSet::new();
    for (n, (id, known)) in sent.into_iter().enumerate() {
        if !settled.insert(id) || known.acknowledged.is_some() && n % 10 != 0 {
            continue;
        }
        let (actor, ledger) = (people[known.sender].clone(), Arc::clone(ledger));
        tasks.spawn(async move {
            for _ in 0..2 {
                let again = actor.client.send(known.conversation, &body(&known)).await.unwrap();
                ledger.acknowledge(&again);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

#[test]
fn killed_among_fifty_senders_it_keeps_every_acknowledged_message_once() {
    // Rounds beyond the usual few take their time.
    run_within(Duration::from_secs(60 + 5 * rounds() as u64), async {
        let home = Home::new().await;
        let mut process = home.start();
        let mut people = Vec::new();
        for n in 0..PEOPLE {
            people.push(Actor::register(&process.anonymous(), &format!("person{n}")).await);
        }
        let everyone: Vec<&Actor> = people.iter().skip(1).collect();
        let mut conversations = Vec::new();
        for name in ["one", "two", "three"] {
            conversations.push(people[0].group(name, &everyone).await);
        }
        conversations.push(people[0].open_direct(&people[1]).await);

        let ledger = Arc::<Ledger>::default();
        let mut settled = HashSet::new();
        for round in 0..rounds() {
            let before = ledger.acknowledged.load(Ordering::Relaxed);
            let mut senders = tokio::task::JoinSet::new();
            for number in 0..SENDERS {
                let who = number % PEOPLE;
                let conversation = match number {
                    // The direct chat is for two.
                    0 | 1 => conversations[3],
                    _ => conversations[number % 3],
                };
                let (actor, ledger) = (people[who].clone(), Arc::clone(&ledger));
                let sender = Sender { round, number, actor, who, conversation, ledger };
                if number % 2 == 0 {
                    senders.spawn(sender.by_socket());
                } else {
                    senders.spawn(sender.by_rest());
                }
            }
            // Killed at another moment in each round, but always among many.
            let enough = before + 100 + round * 37;
            eventually("acknowledgements", || async {
                (ledger.acknowledged.load(Ordering::Relaxed) >= enough).then_some(())
            })
            .await;
            process.kill();
            let ended = tokio::time::timeout(Duration::from_secs(15), senders.join_all()).await;
            ended.expect("senders see that the server is gone");

            process = home.start();
            people = people.iter().map(|actor| actor.at(process.url())).collect();
            settle(&people, &ledger, &mut settled).await;
        }
        check(&people, &conversations, &ledger).await;
        let unknown =
            ledger.sent.lock().unwrap().values().filter(|it| it.acknowledged.is_none()).count();
        assert_eq!(unknown, 0, "every outcome is known in the end");
    });
}
