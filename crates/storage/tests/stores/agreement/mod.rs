//! A batch, its commands one by one, and the other database: the rules of sending stand in several
//! places, and say the same.

mod commands;

use std::{collections::BTreeSet, fmt::Write as _};

use kith_domain::{
    ConversationId, UserId,
    conversation::{Kind, Posting},
    group::{MemberChange, Role},
};
use kith_ports::log::{Applied, Change, Command, Rejected};
use kith_testkit::{
    Numbers,
    build::{self, at, user_id},
    contract::{Stores, World},
};

use self::commands::{Known, message};

const PEOPLE: u64 = 6;
/// There is no such account.
const NOBODY: u64 = 99;

/// A group, a group where admins post, a channel, and one that is not there.
fn rooms() -> [ConversationId; 4] {
    [1, 2, 3, 9].map(build::conversation_id)
}

/// What is compared of an outcome: all that others hear of it.
fn told(outcome: &Result<Applied, Rejected>) -> String {
    match outcome {
        Ok(Applied::Sent { message, conversation }) => format!("sent {message:?} {conversation:?}"),
        Ok(Applied::Duplicate(message, _)) => format!("duplicate {message:?}"),
        other => format!("{other:?}"),
    }
}

/// What came of a command, in a word.
fn kind(outcome: &Result<Applied, Rejected>) -> &'static str {
    match outcome {
        Ok(Applied::Sent { .. }) => "sent",
        Ok(Applied::Duplicate(..)) => "duplicate",
        Ok(Applied::Revised(_, Some(_))) => "revised",
        Ok(Applied::Reacted(Some(_))) => "reacted",
        Ok(Applied::Deleted(_, Some(_))) => "deleted",
        Ok(Applied::Opened(..)) => "opened",
        Ok(Applied::MembersChanged { changes, .. }) if !changes.is_empty() => "members changed",
        Ok(Applied::Updated { note: Some(_), .. }) => "renamed",
        Ok(Applied::Settled(true)) => "settled",
        Ok(Applied::Hidden(_)) => "hidden",
        Ok(_) => "nothing",
        Err(Rejected::Refused(refusal)) => match refusal.fields.as_slice() {
            [field] => field.code.as_str(),
            _ => refusal.code.as_str(),
        },
        Err(Rejected::Stale) => "stale",
    }
}

/// What everybody sees of every conversation.
async fn seen(world: &World) -> String {
    let mut text = String::new();
    let people: Vec<UserId> = (1..=PEOPLE).map(user_id).collect();
    let chats = people.iter().flat_map(|a| people.iter().map(|b| ConversationId::direct(*a, *b)));
    let all: Vec<ConversationId> = rooms().into_iter().chain(chats).collect();
    for viewer in &people {
        for id in &all {
            writeln!(text, "{viewer} {id} {:?}", world.card(*viewer, *id).await).unwrap();
        }
    }
    text
}

async fn furnished(stores: Stores) -> World {
    let (world, people) = World::people(stores, PEOPLE).await;
    let admins = kith_domain::conversation::Conversation {
        posting: Posting::Admins,
        ..build::room(2, Kind::Group, people[0])
    };
    for room in
        [build::room(1, Kind::Group, people[0]), admins, build::room(3, Kind::Channel, people[1])]
    {
        world.apply(build::create(room, &people[1..5])).await.unwrap();
    }
    // Each has blocked the next.
    for n in 1..PEOPLE {
        world.stores.blocks.block(user_id(n), user_id(n + 1), at(1)).await.unwrap();
    }
    world
}

/// Somebody goes or comes back, hides a room, blocks somebody or does so no more, or loses his
/// account.
async fn change(world: &World, round: u64) {
    let turn = round / 4;
    let (user, group) = (user_id(2 + turn / 2 % 3), build::conversation_id(1));
    let change = if turn.is_multiple_of(2) {
        MemberChange::Leaves(user)
    } else {
        MemberChange::Joins(user, Role::Member)
    };
    let member_epoch = world.head(group).await.1.member_epoch;
    let members = build::members(user, &[change], round, member_epoch);
    let command = |change| Command { conversation_id: group, at: at(50_000 + round), change };
    world.apply(command(members)).await.unwrap();
    world.apply_all(vec![command(Change::Hide { member: user_id(1) })]).await;
    let (by, whom) = (user_id(1 + turn % PEOPLE), user_id(1 + turn * 2 % PEOPLE));
    if by != whom {
        world.stores.blocks.block(by, whom, at(1)).await.unwrap();
        world.stores.blocks.unblock(user_id(1 + turn % 5), user_id(2 + turn % 5)).await.unwrap();
    }
    if round == 24 {
        world.stores.users.erase(user_id(5), at(60_000)).await.unwrap();
    }
}

/// What can come of the commands.
const ALL: [&str; 22] = [
    "blocked",
    "client_message_id_reused",
    "deleted",
    "duplicate",
    "forbidden",
    "hidden",
    "invalid_value",
    "members changed",
    "message_deleted",
    "not_a_member",
    "not_found",
    "nothing",
    "opened",
    "peer_deleted",
    "reacted",
    "renamed",
    "revised",
    "self",
    "sent",
    "settled",
    "stale",
    "unknown_user",
];

/// Batches of messages, with other commands between them in every other one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_its_commands_one_by_one_and_the_other_database_agree() {
    let (together, _a) = super::postgres::make().await;
    let (single, _b) = super::postgres::make().await;
    let (other, _c) = super::sqlite::make();
    let (together, single, other) =
        (furnished(together).await, furnished(single).await, furnished(other).await);
    let mut numbers = Numbers::new(1);
    let mut n = 10;
    let (mut all_sent, mut kinds) = (Vec::<Command>::new(), BTreeSet::new());
    let mut known = Known::default();
    for round in 0..60 {
        known.read(&other).await;
        let mut batch = Vec::new();
        for _ in 0..=numbers.below(30) {
            n += 1;
            let command = if round % 2 == 1 && numbers.once_in(2) {
                known.command(&mut numbers, n)
            } else {
                let sent = message(&mut numbers, n, &all_sent);
                all_sent.push(sent.clone());
                sent
            };
            batch.push(command);
        }
        let mut one_by_one = Vec::new();
        for command in batch.clone() {
            one_by_one.push(single.apply(command).await);
        }
        let at_once = together.apply_all(batch.clone()).await;
        let elsewhere = other.apply_all(batch.clone()).await;
        for (place, command) in batch.iter().enumerate() {
            let expected = told(&elsewhere[place]);
            kinds.insert(kind(&elsewhere[place]));
            assert_eq!(told(&at_once[place]), expected, "round {round}, {place}: {command:?}");
            assert_eq!(told(&one_by_one[place]), expected, "round {round}, {place}: {command:?}");
        }
        known.learn(&elsewhere);
        if round % 4 == 0 {
            let expected = seen(&other).await;
            assert_eq!(seen(&together).await, expected, "round {round}");
            assert_eq!(seen(&single).await, expected, "round {round}");
            for world in [&together, &single, &other] {
                change(world, round).await;
            }
        }
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ALL, "everything that can come of them");
}
