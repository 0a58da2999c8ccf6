//! Blocks, on every path that reaches a person.

use kith_domain::{
    Code, ConversationId, UserId,
    conversation::Kind,
    group::{MemberChange, Role},
};
use kith_ports::log::{Applied, Change, Entrance, Join, Opening};

use super::{
    Stores, World,
    world::{duplicate, refused, sent},
};
use crate::build::{self, at, conversation_id, create, group, message_id, open, send_to, write_to};

async fn block(world: &World, by: UserId, whom: UserId) {
    assert!(world.stores.blocks.block(by, whom, at(1)).await.unwrap());
}

/// Neither of the two can write, whoever has blocked whom, until it is taken back.
pub async fn nobody_writes_to_one_he_blocked_or_was_blocked_by(stores: Stores) {
    let (world, p) = World::people(stores, 4).await;
    let first = world.write(p[1], p[0], "hi").await;
    let chat = first.conversation_id;
    block(&world, p[1], p[0]).await;
    block(&world, p[2], p[0]).await;
    let blocked = [
        write_to(p[1], 11, p[0], "to the person"),
        send_to(chat, 12, p[0], "to the chat"),
        send_to(chat, 13, p[1], "by the one who blocked"),
        write_to(p[2], 14, p[0], "a first message"),
        write_to(p[0], 15, p[2], "a first message by the one who blocked"),
        open(p[0], p[1]),
        open(p[1], p[0]),
        open(p[0], p[2]),
        open(p[2], p[0]),
    ];
    for command in blocked.clone() {
        assert_eq!(refused(world.apply(command.clone()).await), Code::Blocked, "{command:?}");
    }
    // In one batch, with neighbours.
    let mut batch = blocked.to_vec();
    batch.extend([
        write_to(p[3], 16, p[0], "somebody else"),
        write_to(p[1], 17, p[2], "two whom nobody blocked"),
    ]);
    let mut outcomes = world.apply_all(batch).await;
    for outcome in outcomes.split_off(blocked.len()) {
        sent(outcome);
    }
    for outcome in outcomes {
        assert_eq!(refused(outcome), Code::Blocked);
    }
    assert_eq!(world.head(chat).await.1.version, 2);
    assert!(world.card(p[0], ConversationId::direct(p[0], p[2])).await.is_none());

    world.stores.blocks.unblock(p[1], p[0]).await.unwrap();
    assert_eq!(sent(world.apply(blocked[0].clone()).await).seq, 2);
    let opened = world.apply(open(p[1], p[0])).await.unwrap();
    assert!(matches!(opened, Applied::Opened(_, _, Opening::Unchanged)), "{opened:?}");
}

/// What was said before can be deleted, and nothing else.
pub async fn a_blocked_chat_stays_as_it_is(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let first = world.write(p[1], p[0], "hi").await;
    let second = world.write(p[0], p[1], "ho").await;
    world.react(p[1], &first, "👍", true).await.unwrap();
    let first = world.message_card(p[0], first.id).await.unwrap().message;
    block(&world, p[0], p[1]).await;
    let before = world.head(first.conversation_id).await;
    for outcome in [
        world.edit(&first, "hey").await,
        world.edit(&second, "hey").await,
        world.pin(&first, true).await,
        world.react(p[1], &first, "🎉", true).await,
        world.react(p[1], &first, "👍", false).await,
        world.react(p[0], &second, "👍", true).await,
    ] {
        assert_eq!(refused(outcome), Code::Blocked);
    }
    assert_eq!(world.head(first.conversation_id).await, before);
    world.hide(p[1], first.conversation_id).await.unwrap();
    for message in [&first, &second] {
        let deleted = world.delete(message).await.unwrap();
        assert!(matches!(deleted, Applied::Deleted(_, Some(_))), "{deleted:?}");
    }
}

/// A retry first, then membership, then the account, then blocks, then what is answered.
pub async fn a_block_is_judged_in_its_turn(stores: Stores) {
    let (world, p) = World::people(stores, 4).await;
    let first = sent(world.apply(write_to(p[1], 1, p[0], "hi")).await);
    let erased = world.write(p[2], p[0], "hi").await.conversation_id;
    for other in [p[1], p[2], p[3]] {
        block(&world, p[0], other).await;
    }
    world.stores.users.erase(p[2], at(5)).await.unwrap();
    let chat = first.conversation_id;
    let answer = |mut command: kith_ports::log::Command| {
        if let Change::Send(send) = &mut command.change {
            send.reply_to = Some(message_id(999));
        }
        command
    };
    let expected = [
        (write_to(p[1], 1, p[0], "another text"), Code::ClientMessageIdReused),
        (send_to(chat, 2, p[3], "by a stranger"), Code::NotAMember),
        (send_to(erased, 3, p[0], "to nobody"), Code::PeerDeleted),
        (write_to(p[2], 4, p[0], "to nobody"), Code::PeerDeleted),
        (answer(send_to(chat, 5, p[0], "to nothing")), Code::Blocked),
        (answer(write_to(p[3], 6, p[0], "to nothing")), Code::Blocked),
    ];
    let batch = expected.iter().map(|(command, _)| command.clone()).collect();
    for (outcome, (command, code)) in world.apply_all(batch).await.into_iter().zip(&expected) {
        assert_eq!(refused(outcome), *code, "{command:?}");
    }
    for (command, code) in expected {
        assert_eq!(refused(world.apply(command.clone()).await), code, "{command:?}");
    }
    assert_eq!(duplicate(world.apply(write_to(p[1], 1, p[0], "hi")).await), first);
}

/// Nobody is brought together with one he blocked; the whole command is refused.
pub async fn nobody_adds_one_he_blocked_or_was_blocked_by(stores: Stores) {
    let (world, p) = World::people(stores, 5).await;
    block(&world, p[1], p[0]).await;
    block(&world, p[0], p[2]).await;
    for other in [p[1], p[2]] {
        let making = create(group(1, p[0]), &[p[3], other]);
        assert_eq!(refused(world.apply(making).await), Code::Blocked);
    }
    assert!(world.card(p[0], conversation_id(1)).await.is_none());
    let id = world.group(&[p[0], p[3]]).await;
    let before = world.head(id).await;
    for other in [p[1], p[2]] {
        let changes =
            [MemberChange::Joins(p[4], Role::Member), MemberChange::Joins(other, Role::Member)];
        let adding = world.members_command(p[0], id, &changes).await;
        assert_eq!(refused(world.apply(adding).await), Code::Blocked);
    }
    assert_eq!(world.head(id).await, before);
    // By another it is no matter, nor among others, nor for one who is in it.
    let changes =
        [MemberChange::Joins(p[1], Role::Member), MemberChange::Joins(p[2], Role::Member)];
    let adding = world.members_command(p[3], id, &changes).await;
    world.apply(adding).await.unwrap();
    let again = world.members_command(p[0], id, &changes).await;
    let nothing = world.apply(again).await.unwrap();
    assert!(matches!(&nothing, Applied::MembersChanged { changes, .. } if changes.is_empty()));
    assert_eq!(world.head(id).await.0.member_count, 4);
}

/// What two share with others goes on.
pub async fn shared_rooms_know_no_blocks(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    for kind in [Kind::Group, Kind::Channel] {
        let room = world.room(kind, &p[..2]).await;
        block(&world, p[1], p[0]).await;
        let message = world.send(room, p[0], "@user_2").await;
        assert_eq!(message.mentions, [p[1]]);
        world.react(p[1], &message, "👍", true).await.unwrap();
        let message = world.message_card(p[0], message.id).await.unwrap().message;
        world.pin(&message, true).await.unwrap();
        let removal = world.members_command(p[0], room, &[MemberChange::Leaves(p[1])]).await;
        world.apply(removal).await.unwrap();
        world.stores.blocks.unblock(p[1], p[0]).await.unwrap();
    }
    block(&world, p[1], p[0]).await;
    // Whoever comes of his own will comes.
    let channel = world.room(Kind::Channel, &p[..1]).await;
    let join = Join { user: p[1], by: Entrance::Open, note: build::note_id(1) };
    world.apply(world.command(channel, Change::Join(join))).await.unwrap();
    assert!(world.card(p[1], channel).await.is_some());
}
