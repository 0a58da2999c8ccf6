//! What everybody saw, against what is stored, after servers, Redis and the ways between them have
//! failed in every order.
//!
//! Six people write to three groups and two direct chats by clients that reconnect, are removed and
//! added again, and listen by plain sockets that keep all they are told. `world` lets things fail,
//! `people` act and record, `verdict` judges.

mod people;
mod record;
mod verdict;
mod world;

use std::{collections::HashMap, sync::Arc, time::Duration};

use kith_client::protocol::rest::Message;
use rand::{SeedableRng as _, rngs::StdRng};
use tokio::sync::watch;
use uuid::Uuid;

use self::{
    people::{Listener, Progress, Sender, Shared, govern, show},
    record::{Brief, Stored, Truth},
    world::World,
};
use super::{acquaint, is_online};
use crate::support::{Actor, SOON, Store, run_on};

const PEOPLE: [&str; 6] = ["ann", "bob", "cleo", "dora", "emil", "fred"];

/// For how long things fail.
fn span() -> Duration {
    let asked = std::env::var("KITH_FAULT_SECONDS").ok();
    let seconds = asked.map_or(20, |it| it.parse().expect("KITH_FAULT_SECONDS is a number"));
    Duration::from_secs(seconds)
}

fn seed() -> u64 {
    let asked = std::env::var("KITH_FAULT_SEED").ok();
    asked.map_or_else(rand::random, |it| it.parse().expect("KITH_FAULT_SEED is a number"))
}

#[test]
fn whatever_fails_nothing_is_lost_or_doubled_or_told_to_strangers() {
    // Reading it all again takes its time.
    run_on(Store::Postgres, span() * 2 + Duration::from_secs(120), async {
        survives(async |world, _| world.suffer(span()).await).await;
    });
}

#[test]
fn servers_are_replaced_one_by_one_and_nobody_misses_anything() {
    run_on(Store::Postgres, Duration::from_secs(120), async {
        survives(async |world, anybody| world.replace_all(anybody).await).await;
    });
}

/// People write and listen while something happens to the servers, and afterwards all is right.
async fn survives(happen: impl AsyncFnOnce(&mut World, &Actor)) {
    let seed = seed();
    println!("KITH_FAULT_SEED={seed}");
    let random = |number: u64| StdRng::seed_from_u64(seed.wrapping_add(number));
    let mut world = World::new(random(0)).await;
    let mut people = Vec::new();
    for name in PEOPLE {
        people.push(Actor::register(&world.nodes()[0].anonymous(), name).await);
    }
    let places = Places::new(&people).await;

    let record = Shared::default();
    let (calm, calmed) = watch::channel(false);
    let (end, ended) = watch::channel(false);
    let (mut listeners, mut clients, mut senders) = (Vec::new(), Vec::new(), Vec::new());
    for (person, number) in people.iter().zip(100..) {
        let progress = Progress::default();
        let device = person.at(&world.way().await);
        let listener = Listener::new(device, Arc::clone(&progress));
        listeners.push((person.id, progress, tokio::spawn(listener.run(ended.clone()))));
        let actor = person.at(&world.way().await);
        let socket = actor.socket();
        let writes = socket.sender();
        clients.push(tokio::spawn(show(socket, ended.clone())));
        let sender = Sender {
            places: places.of(person.id),
            actor,
            record: Arc::clone(&record),
            random: random(number),
            said: 0,
            own: Vec::new(),
        };
        senders.push(tokio::spawn(sender.run(writes, calmed.clone())));
    }
    let others = people[1..].iter().map(|it| it.id).collect();
    let owner = people[0].at(&world.way().await);
    let rule = govern(owner, places.groups.clone(), others, random(200), calmed.clone());
    let rule = tokio::spawn(rule);

    happen(&mut world, &people[0]).await;
    calm.send(true).unwrap();
    world.heal().await;
    let mut faults = Vec::new();
    for sender in senders {
        faults.extend(sender.await.unwrap().err());
    }
    rule.await.unwrap();
    let people: Vec<Actor> = people.iter().map(|it| it.at(world.nodes()[0].url())).collect();
    let truth = places.truth(&world, &people).await;
    for conversation in &truth {
        let last = conversation.messages.last().map_or(0, |it| it.brief.seq);
        for (who, progress, _) in &listeners {
            if conversation.stays(*who).last().is_some_and(|stay| stay.until.is_none()) {
                reached(progress, conversation.id, last).await;
            }
        }
    }
    // Nobody is away who is there.
    are_online(&world, &people, true).await;
    end.send(true).unwrap();
    for ((.., listener), client) in listeners.into_iter().zip(clients) {
        let mut witness = listener.await.unwrap();
        match client.await.unwrap() {
            Ok(shown) => witness.shown = shown,
            Err(fault) => faults.push(fault),
        }
        record.lock().unwrap().witnesses.push(witness);
    }
    // Nobody is there who has gone.
    are_online(&world, &people, false).await;
    let record = record.lock().unwrap();
    faults.extend(verdict::faults(&record, &truth));
    println!("{}", summary(&record, &truth));
    let log = world.log.join("\n");
    assert!(faults.is_empty(), "KITH_FAULT_SEED={seed}\n{log}\n{}", faults.join("\n"));
}

/// Waits until the first of these people sees the others there, or away, on every node.
async fn are_online(world: &World, people: &[Actor], online: bool) {
    for node in world.nodes() {
        for one in &people[1..] {
            is_online(&people[0].at(node.url()), one, online).await;
        }
    }
}

/// How much was seen, so that nobody takes nothing for something.
fn summary(record: &record::Record, truth: &[Truth]) -> String {
    let messages: usize = truth.iter().map(|it| it.messages.len()).sum();
    let notes = truth.iter().flat_map(|it| &it.messages).filter(|it| it.note.is_some()).count();
    let connections = || record.witnesses.iter().flat_map(|it| &it.connections);
    format!(
        "{} sends acknowledged; {messages} messages stored, {notes} of them notes; {} connections, \
         {} frames",
        record.sent.len(),
        connections().count(),
        connections().map(|it| it.frames.len()).sum::<usize>(),
    )
}

/// Waits until a listener has come so far. If he never does, the verdict says what he lacks.
async fn reached(progress: &Progress, conversation: Uuid, seq: i64) {
    let deadline = tokio::time::Instant::now() + SOON;
    let has = || {
        let seen = progress.lock().unwrap();
        seen.as_ref().is_some_and(|seen| seen.get(&conversation).is_some_and(|it| *it >= seq))
    };
    while !has() && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Where people meet.
struct Places {
    /// Who began each of them.
    founders: HashMap<Uuid, Vec<Uuid>>,
    groups: Vec<Uuid>,
}

impl Places {
    /// The first of these people owns all groups, and is acquainted with all.
    async fn new(people: &[Actor]) -> Self {
        let (mut founders, mut groups) = (HashMap::new(), Vec::new());
        for members in [&[1, 2, 3, 4, 5][..], &[1, 2], &[3, 4, 5]] {
            let members: Vec<&Actor> = members.iter().map(|it| &people[*it]).collect();
            let group = people[0].group("a group", &members).await;
            let all = members.iter().map(|it| it.id).chain([people[0].id]);
            founders.insert(group, all.collect());
            groups.push(group);
        }
        for one in &people[1..] {
            let chat = acquaint(&people[0], one).await;
            founders.insert(chat, vec![people[0].id, one.id]);
        }
        Self { founders, groups }
    }

    /// Those where somebody may be.
    fn of(&self, who: Uuid) -> Vec<Uuid> {
        let own = self.founders.iter().filter(|(_, founders)| founders.contains(&who));
        let mut places: Vec<Uuid> = own.map(|(id, _)| *id).chain(self.groups.clone()).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// What is stored, once nobody writes any more.
    async fn truth(&self, world: &World, people: &[Actor]) -> Vec<Truth> {
        let log = world
            .fleet
            .home
            .query(
                "SELECT one.id::text, one.before, one.version FROM changes CROSS JOIN LATERAL
                 unnest(conversations, befores, versions) AS one (id, before, version)",
            )
            .await;
        let heads = "SELECT conversation_id::text, version FROM heads";
        let heads = world.fleet.home.query(heads).await;
        let mut truth = Vec::new();
        for (id, founders) in &self.founders {
            let name = id.to_string();
            let of_it = log.iter().filter(|row| row.get::<_, &str>(0) == name);
            let head = heads.iter().find(|row| row.get::<_, &str>(0) == name).unwrap();
            let messages = people[0].history(*id).await;
            truth.push(Truth {
                id: *id,
                founders: founders.iter().copied().collect(),
                messages: messages.into_iter().map(stored).collect(),
                steps: of_it.map(|row| (row.get(1), row.get(2))).collect(),
                version: head.get(1),
            });
        }
        truth
    }
}

fn stored(message: Message) -> Stored {
    Stored {
        brief: Brief::from(&message),
        sender: message.sender_id,
        client_message_id: message.client_message_id,
        note: message.system,
    }
}
