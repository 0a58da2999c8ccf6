//! Removing against sending, again and again.

use std::{collections::HashMap, time::Duration};

use futures_util::future::try_join_all;
use kith_client::{
    RawSocket,
    protocol::rest::{Message, SystemEventKind},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use serde_json::{Value, json};
use uuid::Uuid;

use super::run_within;
use crate::support::{Actor, TestApp, heard};

/// How many crews race at the same time.
const CREWS: usize = 8;
/// How many members of a group are removed.
const MEMBERS: usize = 8;

/// How many removals are tried: some hundred, or as many as the environment says.
fn trials() -> usize {
    let asked = std::env::var("KITH_REMOVAL_TRIALS").ok();
    asked.map_or(640, |number| number.parse().expect("KITH_REMOVAL_TRIALS is a number"))
}

/// Whoever is removed has everything from before his removal, and nothing from after it.
#[test]
fn who_is_removed_while_others_send_gets_all_before_it_and_nothing_after() {
    run_within(Duration::from_secs(600), async {
        let app = TestApp::start().await;
        let groups = trials().div_ceil(CREWS * MEMBERS);
        let seed = rand::random::<u64>();
        println!("seed {seed}");
        let crews = (0..CREWS).map(|number| {
            let app = &app;
            async move {
                let random = StdRng::seed_from_u64(seed.wrapping_add(number as u64));
                let mut crew = Crew::gather(app, number, random).await;
                for _ in 0..groups {
                    crew.race().await;
                }
                Ok::<_, std::convert::Infallible>(())
            }
        });
        let Ok(_) = try_join_all(crews).await;
    });
}

/// One who removes, one who sends, and those who are removed.
struct Crew {
    owner: Actor,
    sender: Actor,
    voice: RawSocket,
    members: Vec<(Actor, RawSocket)>,
    random: StdRng,
}

impl Crew {
    async fn gather(app: &TestApp, number: usize, random: StdRng) -> Self {
        let owner = app.user(&format!("owner{number}")).await;
        let sender = app.user(&format!("sender{number}")).await;
        let voice = sender.raw().await;
        let mut members = Vec::new();
        for place in 0..MEMBERS {
            let member = app.user(&format!("member{number}.{place}")).await;
            let socket = member.raw().await;
            members.push((member, socket));
        }
        Self { owner, sender, voice, members, random }
    }

    /// Removes all members of a new group, in any order, while messages are sent to it and read.
    async fn race(&mut self) {
        let mut all: Vec<&Actor> = self.members.iter().map(|(member, _)| member).collect();
        all.push(&self.sender);
        let group = self.owner.group("here today", &all).await;
        let mut order: Vec<Uuid> = self.members.iter().map(|(member, _)| member.id).collect();
        order.shuffle(&mut self.random);
        let sends = self.random.random_range(1..2 * MEMBERS);
        let pause = Duration::from_micros(self.random.random_range(0..1_500));
        let reads: Vec<usize> =
            (0..MEMBERS).map(|_| self.random.random_range(1..3 * MEMBERS)).collect();
        let owner = &self.owner.client;
        let remove = async {
            for (number, member) in order.into_iter().enumerate() {
                owner.remove_member(group, member).await.unwrap();
                if number % 2 == 0 {
                    owner.read_up_to(group, i64::MAX).await.unwrap();
                }
            }
        };
        let send = async {
            for number in 0..sends {
                let frame = json!({
                    "type": "send_message", "conversation_id": group, "content": number.to_string(),
                });
                self.voice.send_json(&frame).await.unwrap();
                tokio::time::sleep(pause).await;
            }
            heard(&mut self.voice).await
        };
        let read = async {
            for ((_, socket), seq) in self.members.iter_mut().zip(reads) {
                let frame = json!({"type": "message_read", "conversation_id": group, "seq": seq});
                socket.send_json(&frame).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(remove, send, read);

        let history = self.owner.history(group).await;
        let removed = removals(&history);
        assert_eq!((removed.len(), history.len()), (MEMBERS, MEMBERS + sends));
        for (member, socket) in &mut self.members {
            let removal = removed[&member.id];
            let frames = heard(socket).await;
            assert_eq!(
                numbers(&frames, group),
                (1..removal).collect::<Vec<_>>(),
                "{}",
                member.name
            );
            // Nothing of another kind tells of what came later either.
            let later = |frame: &&Value| {
                frame["conversation_id"] == json!(group) && frame["seq"].as_i64() >= Some(removal)
            };
            assert_eq!(frames.iter().find(later), None, "{} was removed at {removal}", member.name);
        }
    }
}

/// At which number of the history each was removed.
fn removals(history: &[Message]) -> HashMap<Uuid, i64> {
    let notes = history.iter().filter_map(|message| Some((message.system.as_ref()?, message.seq)));
    let removals = notes.filter(|(note, _)| note.event == SystemEventKind::MemberRemoved);
    removals.filter_map(|(note, seq)| Some((note.user_id?, seq))).collect()
}

/// The numbers of the messages of a group among what a socket was sent.
fn numbers(frames: &[Value], group: Uuid) -> Vec<i64> {
    let messages = frames.iter().map(|frame| &frame["message"]);
    let here = messages.filter(|message| message["conversation_id"] == json!(group));
    here.filter_map(|message| message["seq"].as_i64()).collect()
}
