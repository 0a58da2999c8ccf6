//! Whoever was away, for however long, ends where one begins who comes for the first time.
//!
//! In the manner of Zulip's tests of its event system: people do this and that at random, their
//! clients sync now and then, in pages of any size and with more being done between the pages; in
//! the end what a client has made of it must be what a fresh one loads.

mod client;
mod deeds;

use std::hash::{BuildHasher as _, RandomState};

use kith_domain::{UserId, conversation::SettingsPatch, receipt::Watermarks};
use kith_ports::HistorySelector;

use self::{client::Client, deeds::Deeds};
use super::{
    Stores, World,
    world::{messages, sent, synced},
};
use crate::{
    Numbers,
    build::{at, send_to, write_to},
};

/// How many people there are; the first have two clients each.
const PEOPLE: usize = 6;
/// How many things are done.
const DEEDS: usize = 120;

/// The seeds that are tried each time, beside one that is another each time.
const SEEDS: [u64; 2] = [2026, 11];

/// With other deeds for each seed; `KITH_SEED` names one that is to be tried again.
pub async fn old_state_and_a_sync_are_the_fresh_state(stores: Stores) {
    let named = std::env::var("KITH_SEED").ok();
    let seeds = match named {
        Some(seed) => vec![seed.parse().unwrap()],
        // The new one comes first, so that it is the same when it is tried alone.
        None => [RandomState::new().hash_one(())].into_iter().chain(SEEDS).collect(),
    };
    let count = u64::try_from(PEOPLE * seeds.len()).unwrap();
    let (world, people) = World::people(stores, count).await;
    let firsts = (1..).step_by(PEOPLE);
    for ((seed, first), people) in seeds.into_iter().zip(firsts).zip(people.chunks(PEOPLE)) {
        println!("KITH_SEED={seed}");
        try_seed(&world, (first, people), seed).await;
    }
}

async fn try_seed(world: &World, (first, people): (u64, &[UserId]), seed: u64) {
    let mut numbers = Numbers::new(seed);
    let mut clients: Vec<Client> =
        people.iter().chain(&people[..2]).map(|user| Client::new(*user)).collect();
    let mut deeds = Deeds::begin(world, (first, people.to_vec()), numbers.clone()).await;
    for n in 0..DEEDS {
        if n == DEEDS / 2 {
            deeds.make_up(world).await;
        }
        deeds.next(world).await;
        for client in &mut clients {
            // Some look often, some have been away for long.
            if numbers.once_in(6) {
                client.sync_page(world, numbers.below(5) + 1).await;
            }
            if numbers.once_in(6) {
                client.catch_up(world, numbers.below(5) + 1).await;
            }
        }
    }
    println!("{:?}", deeds.done());
    for client in &mut clients {
        // What was begun while things went on is finished, and told anew.
        client.sync(world, numbers.below(5) + 1).await;
        client.sync(world, numbers.below(5) + 1).await;
        client.catch_up(world, numbers.below(5) + 1).await;
        let mut fresh = Client::new(client.user());
        fresh.sync(world, numbers.below(5) + 1).await;
        fresh.catch_up(world, 50).await;
        client.assert_same(world, &fresh).await;
    }
}

/// Times are for people. What is told to whom, and in which order, does not come from them.
pub async fn a_clock_that_steps_back_loses_nothing(stores: Stores) {
    const DAY: u64 = 86_400;
    let (world, p) = World::people(stores, 2).await;
    let id = world.group(&p).await;
    let mut from = None;
    let mut expected = Vec::new();
    let mut seen = Vec::new();
    for (n, now) in (1..).zip([5 * DAY, 4 * DAY, 4 * DAY + 1, DAY, 6 * DAY, 1]) {
        let sending = kith_ports::log::Command { at: at(now), ..send_to(id, n, p[0], "x") };
        expected.push(sent(world.apply(sending).await));
        let seq = i64::try_from(n).unwrap();
        let mut advance = world.advancing(p[1], id, (seq, seq));
        advance.at = at(now);
        let told = world.stores.receipts.advance([advance].into()).await.unwrap();
        assert_eq!(told[0].as_ref().unwrap().after, Watermarks { delivered: seq, read: seq });
        let pinned = Some(n % 2 == 0);
        let patch = SettingsPatch { pinned, ..SettingsPatch::default() };
        world.settle(p[1], id, patch).await.unwrap();

        let body = world.sync(p[1], from, 10).await;
        assert_eq!(synced(&body.conversations), [id]);
        let card = &body.conversations[0].card;
        assert_eq!(card.last_message.as_ref().unwrap().message, *expected[expected.len() - 1]);
        assert_eq!((card.my.pinned, card.my.marks.read), (n % 2 == 0, seq));
        let since = seen.last().map_or(0, |last: &kith_domain::message::Message| last.version);
        let changes = world.stores.conversations.changes(p[1], id, since, 10).await;
        seen.extend(messages(&changes.unwrap().unwrap().messages));
        from = Some(body.next);
        if n == 3 {
            // One who has nothing yet, and one who comes back after a day that is yet to come.
            from = None;
        }
    }
    let expected: Vec<_> = expected.into_iter().map(|message| (*message).clone()).collect();
    assert_eq!(seen, expected);
    let (seqs, page) = world.page(p[1], id, HistorySelector::Newest, 50).await;
    assert_eq!((seqs, messages(&page.items)), ((1..=6).collect(), expected));
    let chat = kith_ports::log::Command { at: at(0), ..write_to(p[1], 99, p[0], "x") };
    let chat = sent(world.apply(chat).await);
    let body = world.sync(p[1], from, 10).await;
    assert_eq!(synced(&body.conversations), [chat.conversation_id]);
}
