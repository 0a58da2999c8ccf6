//! A batch, its messages one by one, and the other database: the rules of sending stand in several
//! places, and say the same.

use std::{collections::BTreeSet, fmt::Write as _};

use kith_domain::{
    ConversationId, UserId,
    conversation::{Kind, Posting},
    group::{MemberChange, Role},
    message::{Digest, MessageKind},
};
use kith_ports::log::{Applied, Change, Command, Rejected};
use kith_testkit::{
    build::{self, at, user_id},
    contract::{Stores, World},
};

/// Random numbers that are the same on each run (Marsaglia, "Xorshift RNGs", 2003).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

const PEOPLE: u64 = 6;
/// There is no such account.
const NOBODY: u64 = 99;

/// A group, a group where admins post, a channel, and one that is not there.
fn rooms() -> [ConversationId; 4] {
    [1, 2, 3, 9].map(build::conversation_id)
}

/// A message of anybody to anywhere, often with a client id that was used before, often in answer to
/// something; or one of those before once more, with the same text or another.
fn message(numbers: &mut Numbers, n: u64, before: &[Command]) -> Command {
    if !before.is_empty() && numbers.below(6) == 0 {
        let any = numbers.below(u64::try_from(before.len()).unwrap());
        let mut again = before[usize::try_from(any).unwrap()].clone();
        if let Change::Send(send) = &mut again.change {
            send.id = build::message_id(n);
            if numbers.below(3) == 0 {
                send.content = build::content("something else");
                send.digest = Digest::of(MessageKind::Text, &send.content, send.reply_to);
            }
        }
        return again;
    }
    let who = |numbers: &mut Numbers| match numbers.below(PEOPLE + 1) {
        0 => user_id(NOBODY),
        n => user_id(n),
    };
    let sender = who(numbers);
    let text = ["hi", "ho"][usize::try_from(numbers.below(2)).unwrap()];
    let mut command = if numbers.below(3) == 0 {
        build::write_to(who(numbers), n, sender, text)
    } else {
        build::send_to(rooms()[usize::try_from(numbers.below(4)).unwrap()], n, sender, text)
    };
    if let Change::Send(send) = &mut command.change {
        if numbers.below(4) == 0 {
            let used = numbers.below(n);
            send.client_message_id = build::client_message_id(&format!("c-{used}"));
        }
        if numbers.below(3) == 0 {
            send.reply_to = Some(build::message_id(numbers.below(n + 2)));
            send.digest = Digest::of(MessageKind::Text, &send.content, send.reply_to);
        }
    }
    command
}

/// What is compared of an outcome: all that others hear of it.
fn told(outcome: &Result<Applied, Rejected>) -> String {
    match outcome {
        Ok(Applied::Sent { message, conversation }) => format!("sent {message:?} {conversation:?}"),
        Ok(Applied::Duplicate(message, _)) => format!("duplicate {message:?}"),
        other => format!("{other:?}"),
    }
}

/// What came of a send, in a word.
fn kind(outcome: &Result<Applied, Rejected>) -> String {
    match outcome {
        Ok(Applied::Sent { .. }) => String::from("sent"),
        Ok(Applied::Duplicate(..)) => String::from("duplicate"),
        Err(Rejected::Refused(refusal)) => match refusal.fields.as_slice() {
            [field] => field.code.to_string(),
            _ => refusal.code.to_string(),
        },
        other => format!("{other:?}"),
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
    world
}

/// Somebody goes or comes back, or loses his account.
async fn change(world: &World, round: u64) {
    let turn = round / 4;
    let (user, group) = (user_id(2 + turn / 2 % 3), build::conversation_id(1));
    let change = if turn.is_multiple_of(2) {
        MemberChange::Leaves(user)
    } else {
        MemberChange::Joins(user, Role::Member)
    };
    let member_epoch = world.head(group).await.1.member_epoch;
    let members = Change::Members { changes: vec![change], member_epoch };
    let command = Command { conversation_id: group, at: at(50_000 + round), change: members };
    world.apply(command).await.unwrap();
    if round == 24 {
        world.stores.users.erase(user_id(5), at(60_000)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_its_messages_one_by_one_and_the_other_database_agree() {
    let (together, _a) = super::postgres::make().await;
    let (single, _b) = super::postgres::make().await;
    let (other, _c) = super::sqlite::make();
    let (together, single, other) =
        (furnished(together).await, furnished(single).await, furnished(other).await);
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut n = 10;
    let (mut all_sent, mut kinds) = (Vec::<Command>::new(), BTreeSet::new());
    for round in 0..40 {
        let start = all_sent.len();
        for _ in 0..=numbers.below(30) {
            n += 1;
            let next = message(&mut numbers, n, &all_sent);
            all_sent.push(next);
        }
        let batch = all_sent[start..].to_vec();
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
        if round % 4 == 0 {
            let expected = seen(&other).await;
            assert_eq!(seen(&together).await, expected, "round {round}");
            assert_eq!(seen(&single).await, expected, "round {round}");
            for world in [&together, &single, &other] {
                change(world, round).await;
            }
        }
    }
    let all = [
        "client_message_id_reused",
        "duplicate",
        "forbidden",
        "invalid_value",
        "not_a_member",
        "peer_deleted",
        "self",
        "sent",
        "unknown_user",
    ];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), all, "everything that can come of a send");
}
