//! Reactions: given, taken back, shown.

use std::sync::Arc;

use kith_domain::{
    Code, UserId,
    conversation::Kind,
    event::{Audience, ReactionEvent},
    group::{MemberChange, Role},
    message::{MOST_EMOJI, Message, Reaction},
    text::Emoji,
};
use kith_ports::{
    HistorySelector,
    log::{Applied, Command, Rejected},
};

use super::{
    Stores, World,
    world::{duplicate, refused},
};
use crate::build::{at, content, reaction, send_to, user_id};

fn emoji(text: &str) -> Emoji {
    Emoji::parse(text).unwrap()
}

/// What is told of a reaction that changed something.
fn told(outcome: Result<Applied, Rejected>) -> (ReactionEvent, Audience) {
    match outcome.unwrap() {
        Applied::Reacted(Some(told)) => told,
        other => panic!("expected a reaction, found {other:?}"),
    }
}

fn is_nothing(outcome: Result<Applied, Rejected>) -> bool {
    outcome.unwrap() == Applied::Reacted(None)
}

/// The reactions to a message as `viewer` sees it.
async fn shown(world: &World, viewer: UserId, message: &Message) -> Vec<Reaction> {
    world.message_card(viewer, message.id).await.unwrap().message.reactions
}

fn by(text: &str, users: &[UserId]) -> Reaction {
    let count = u32::try_from(users.len()).unwrap();
    Reaction { emoji: emoji(text), count, users: users.to_vec() }
}

/// Each a change of the message with a version of its own; twice is once.
pub async fn a_reaction_is_given_and_taken_back_once(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let group = world.group(&p).await;
    let message = world.send(group, p[0], "hi").await;
    let (event, audience) = told(world.react(p[1], &message, "👍", true).await);
    let expected = ReactionEvent {
        conversation_id: group,
        message_id: message.id,
        seq: 1,
        user_id: p[1],
        emoji: emoji("👍"),
        version: 3,
    };
    assert_eq!((&event, audience), (&expected, Audience::Users(p.clone())));
    assert!(is_nothing(world.react(p[1], &message, "👍", true).await));
    assert!(is_nothing(world.react(p[2], &message, "👍", false).await));
    assert_eq!(world.head(group).await.1.version, 3);
    let card = world.message_card(p[2], message.id).await.unwrap().message;
    assert_eq!(card.reactions, [by("👍", &p[1..2])]);
    // It is the message that has changed, but not its text.
    let Message { version, edited_at, .. } = card;
    assert_eq!((version, edited_at, card.content()), (3, None, Some(&content("hi"))));

    let (event, _) = told(world.react(p[1], &message, "👍", false).await);
    assert_eq!(event, ReactionEvent { version: 4, ..expected });
    assert!(is_nothing(world.react(p[1], &message, "👍", false).await));
    let card = world.message_card(p[2], message.id).await.unwrap().message;
    assert_eq!((card.reactions, card.version), (Vec::new(), 4));
    assert_eq!(world.head(group).await.1.version, 4);
}

/// The emoji that was given first stands first, and he who gave it first.
pub async fn reactions_stand_in_the_order_they_were_given(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let group = world.group(&p).await;
    let (one, two) = (world.send(group, p[0], "1").await, world.send(group, p[0], "2").await);
    let given =
        [(2, &one, "🎉"), (0, &one, "👍"), (1, &two, "👍"), (1, &one, "👍"), (0, &one, "🎉")];
    let batch = given
        .iter()
        .map(|(who, message, emoji)| world.command(group, reaction(message.id, p[*who], emoji)))
        .collect();
    for outcome in world.apply_all(batch).await {
        told(outcome);
    }
    let expected = [by("🎉", &[p[2], p[0]]), by("👍", &p[..2])];
    assert_eq!(shown(&world, p[1], &one).await, expected);
    let (_, page) = world.page(p[0], group, HistorySelector::Newest, 10).await;
    assert_eq!(page.items[0].message.reactions, expected);
    assert_eq!(page.items[1].message.reactions, [by("👍", &p[1..2])]);
    let changes = world.stores.conversations.changes(p[2], group, 3, 10).await.unwrap().unwrap();
    let changed: Vec<_> =
        changes.messages.iter().map(|it| (it.message.seq, &it.message.reactions)).collect();
    assert_eq!(changed, [(2, &page.items[1].message.reactions), (1, &expected.to_vec())]);
    // One who gives it again is the last.
    world.react(p[2], &one, "🎉", false).await.unwrap();
    world.react(p[2], &one, "🎉", true).await.unwrap();
    assert_eq!(shown(&world, p[1], &one).await, [by("👍", &p[..2]), by("🎉", &[p[0], p[2]])]);
}

/// All are counted, the first are named.
pub async fn the_first_who_gave_an_emoji_are_named(stores: Stores) {
    let (world, p) = World::people(stores, 23).await;
    let group = world.group(&p).await;
    let message = world.send(group, p[0], "hi").await;
    let batch = p.iter().rev().map(|who| world.command(group, reaction(message.id, *who, "👍")));
    for outcome in world.apply_all(batch.collect()).await {
        told(outcome);
    }
    let [found] = shown(&world, p[0], &message).await.try_into().unwrap();
    let first: Vec<UserId> = p.iter().rev().take(Reaction::NAMED).copied().collect();
    assert_eq!((found.count, found.users), (23, first));
}

/// A few dozen, then no other; those that are there can still be given.
pub async fn different_emoji_are_bounded(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let group = world.group(&p).await;
    let message = world.send(group, p[0], "hi").await;
    let most = u32::try_from(MOST_EMOJI).unwrap();
    let face = |n: u32| char::from_u32(0x1F600 + n).unwrap().to_string();
    let give = |who: UserId, n: u32| -> Command {
        world.command(group, reaction(message.id, who, &face(n)))
    };
    let batch: Vec<_> = (0..=most).map(|n| give(p[0], n)).collect();
    let mut outcomes = world.apply_all(batch).await;
    assert_eq!(refused(outcomes.pop().unwrap()), Code::TooManyReactions);
    for outcome in outcomes {
        told(outcome);
    }
    assert_eq!(refused(world.apply(give(p[1], most)).await), Code::TooManyReactions);
    told(world.apply(give(p[1], 7)).await);
    assert_eq!(shown(&world, p[1], &message).await.len(), MOST_EMOJI);
    // Room is made by the last who takes one back.
    told(world.react(p[0], &message, &face(7), false).await);
    assert_eq!(refused(world.apply(give(p[1], most)).await), Code::TooManyReactions);
    told(world.react(p[1], &message, &face(7), false).await);
    told(world.apply(give(p[1], most)).await);
    assert_eq!(world.head(group).await.1.version, 2 + 50 + 4);
}

/// And they alone are told.
pub async fn one_reacts_to_what_one_sees(stores: Stores) {
    let (world, p) = World::people(stores, 5).await;
    let group = world.group(&p[..3]).await;
    let message = world.send(group, p[0], "hi").await;
    let changes = [MemberChange::Leaves(p[1]), MemberChange::Joins(p[3], Role::Member)];
    world.change_members(group, &changes).await;
    world.hide(p[2], group).await.unwrap();
    for (who, why) in [
        (p[1], "has left"),
        (p[2], "has hidden it"),
        (p[3], "came later"),
        (p[4], "was never in it"),
        (user_id(99), "is nobody"),
    ] {
        assert_eq!(refused(world.react(who, &message, "👍", true).await), Code::NotFound, "{why}");
    }
    let (_, audience) = told(world.react(p[0], &message, "👍", true).await);
    assert_eq!(audience, Audience::Users(vec![p[0]]));
    let channel = world.room(Kind::Channel, &p[..1]).await;
    let message = world.send(channel, p[0], "hi").await;
    world.change_members(channel, &[MemberChange::Joins(p[1], Role::Member)]).await;
    let (_, audience) = told(world.react(p[1], &message, "👍", true).await);
    assert_eq!(audience, Audience::Members(channel));
    world.stores.users.erase(p[1], at(9)).await.unwrap();
    assert_eq!(refused(world.react(p[1], &message, "👍", false).await), Code::NotFound);
}

/// They who came or went in the same batch are told as they are now.
pub async fn an_audience_knows_what_its_batch_did(stores: Stores) {
    let (world, p) = World::people(stores, 4).await;
    let group = world.group(&p[..3]).await;
    let message = world.send(group, p[0], "hi").await;
    let changes = [MemberChange::Leaves(p[1]), MemberChange::Joins(p[3], Role::Member)];
    let batch = vec![
        world.members_command(p[0], group, &changes).await,
        world.command(group, kith_ports::log::Change::Hide { member: p[2] }),
        world.command(group, reaction(message.id, p[0], "👍")),
    ];
    let (_, audience) = told(world.apply_all(batch).await.pop().unwrap());
    assert_eq!(audience, Audience::Users(vec![p[0]]));
}

/// With its text.
pub async fn a_deleted_message_loses_its_reactions(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let group = world.group(&p).await;
    let message = world.send(group, p[0], "hi").await;
    world.react(p[1], &message, "👍", true).await.unwrap();
    let Applied::Deleted(tombstone, Some(_)) = world.delete(&message).await.unwrap() else {
        panic!("expected it to be deleted now");
    };
    assert_eq!(tombstone.reactions, []);
    for given in [true, false] {
        let outcome = world.react(p[1], &message, "👍", given).await;
        assert_eq!(refused(outcome), Code::MessageDeleted);
    }
    assert_eq!(world.message_card(p[1], message.id).await.unwrap().message, *tombstone);
}

/// Whatever else changes of it, and whoever asks for it again.
pub async fn a_message_is_told_with_its_reactions(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let group = world.group(&p).await;
    let send = send_to(group, 1, p[0], "hi");
    world.apply(send.clone()).await.unwrap();
    let message = duplicate(world.apply(send.clone()).await);
    world.react(p[1], &message, "👍", true).await.unwrap();
    let expected = [by("👍", &p[1..])];
    let again = duplicate(world.apply(send).await);
    assert_eq!(again.reactions, expected);
    let Applied::Revised(edited, _) = world.edit(&again, "ho").await.unwrap() else {
        panic!("expected an edited message");
    };
    let Applied::Revised(pinned, _) = world.pin(&edited, true).await.unwrap() else {
        panic!("expected a pinned message");
    };
    for message in [&edited, &pinned] {
        assert_eq!(message.reactions, expected);
    }
    assert_eq!(world.message_card(p[0], pinned.id).await.unwrap().message, *pinned);
    // A decision that was made before a reaction holds.
    world.react(p[0], &message, "👍", true).await.unwrap();
    for outcome in [world.edit(&pinned, "hey").await, world.pin(&message, false).await] {
        let Applied::Revised(message, Some(_)) = outcome.unwrap() else {
            panic!("expected a changed message");
        };
        assert_eq!(message.reactions, [by("👍", &[p[1], p[0]])]);
    }
}

/// From many tasks: one is new, and versions stay dense.
pub async fn a_reaction_from_many_tasks_is_one(stores: Stores) {
    let (world, p) = World::people(stores, 4).await;
    let group = world.group(&p).await;
    let message = world.send(group, p[0], "hi").await;
    let tasks: Vec<_> = (0..16)
        .map(|n: usize| {
            let log = Arc::clone(&world.stores.log);
            let command = world.command(group, reaction(message.id, p[n % 4], "👍"));
            tokio::spawn(async move { log.apply([command].into()).await.unwrap().pop().unwrap() })
        })
        .collect();
    let mut versions = Vec::new();
    for task in tasks {
        match task.await.unwrap().unwrap() {
            Applied::Reacted(told) => versions.extend(told.map(|(event, _)| event.version)),
            other => panic!("expected a reaction, found {other:?}"),
        }
    }
    versions.sort_unstable();
    assert_eq!(versions, [3, 4, 5, 6]);
    let [found] = shown(&world, p[0], &message).await.try_into().unwrap();
    assert_eq!((found.count, found.users.len()), (4, 4));
}
