//! Coming in of one's own will: into channels, and by invites.

use std::sync::Arc;

use kith_domain::{
    Code, ConversationId, Timestamp, UserId,
    conversation::Kind,
    event::Audience,
    group::{MemberChange, Role},
    invite::Invite,
    message::{Body, SystemEvent},
    text::InviteCode,
};
use kith_ports::log::{Applied, Change, Command, Entrance, Join, MemberChanged, Rejected};

use super::{Stores, World, world::refused};
use crate::build::{at, conversation_id, user_id};

fn code(n: u64) -> InviteCode {
    InviteCode::parse(&format!("code-of-an-invite-{n}")).unwrap()
}

/// Makes the `n`th invite.
async fn invite(
    world: &World,
    n: u64,
    (conversation_id, created_by): (ConversationId, UserId),
    expires_at: Option<Timestamp>,
    max_uses: Option<u32>,
) -> Entrance {
    let (code, created_at, uses) = (code(n), at(1), 0);
    let invite = Invite {
        code: code.clone(),
        conversation_id,
        created_by,
        created_at,
        expires_at,
        max_uses,
        uses,
    };
    assert!(world.stores.invites.create(invite).await.unwrap());
    Entrance::Invite(code)
}

async fn uses(world: &World, n: u64) -> u32 {
    world.stores.invites.find(code(n)).await.unwrap().unwrap().uses
}

fn join(world: &World, id: ConversationId, user: UserId, by: &Entrance) -> Command {
    let join = Join { user, by: by.clone(), note: world.new_message_id() };
    world.command(id, Change::Join(join))
}

/// What came of joining, and who is told.
fn joined(outcome: Result<Applied, Rejected>) -> (Vec<MemberChanged>, Audience) {
    match outcome.unwrap() {
        Applied::MembersChanged { changes, audience, .. } => (changes, audience),
        other => panic!("expected a new member, found {other:?}"),
    }
}

/// Without being asked; its admins and owners are told.
pub async fn anyone_joins_a_channel(stores: Stores) {
    let (world, p) = World::people(stores, 5).await;
    let channel = world.room(Kind::Channel, &p[..3]).await;
    world.change_members(channel, &[MemberChange::Becomes(p[1], Role::Admin)]).await;
    world.send(channel, p[0], "news").await;
    let (before, head) = world.head(channel).await;
    let (changes, audience) =
        joined(world.apply(join(&world, channel, p[3], &Entrance::Open)).await);
    let change = MemberChange::Joins(p[3], Role::Member);
    let expected =
        MemberChanged { change, role: Role::Member, version: head.version + 1, note: None };
    assert_eq!((changes, audience), (vec![expected], Audience::Users(p[..2].to_vec())));
    let (after, now) = world.head(channel).await;
    assert_eq!(after.member_count, before.member_count + 1);
    assert_eq!((now.member_epoch, now.version), (head.member_epoch + 1, head.version + 1));
    let card = world.card(p[3], channel).await.unwrap();
    assert_eq!((card.my.first_seq, card.unread.count, card.my.role), (2, 0, Role::Member));
    // Once more it changes nothing.
    let (changes, _) = joined(world.apply(join(&world, channel, p[3], &Entrance::Open)).await);
    assert_eq!((changes, world.head(channel).await), (vec![], (after, now)));
}

/// As they are when it happens, also within a batch.
pub async fn those_in_charge_of_a_channel_are_told(stores: Stores) {
    let (world, p) = World::people(stores, 5).await;
    let channel = world.room(Kind::Channel, &p[..4]).await;
    world.change_members(channel, &[MemberChange::Becomes(p[1], Role::Admin)]).await;
    let changes = [
        MemberChange::Becomes(p[2], Role::Owner),
        MemberChange::Becomes(p[1], Role::Member),
        MemberChange::Leaves(p[3]),
    ];
    let batch = vec![
        world.members_command(p[0], channel, &changes).await,
        join(&world, channel, p[4], &Entrance::Open),
    ];
    for outcome in world.apply_all(batch).await {
        assert_eq!(joined(outcome).1, Audience::Users(vec![p[0], p[2]]));
    }
}

/// Of what is no channel, or is gone, nobody learns by trying.
pub async fn only_channels_are_open(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let group = world.group(&p[..1]).await;
    let chat = world.write(p[1], p[0], "hi").await.conversation_id;
    let gone = world.room(Kind::Channel, &p[..1]).await;
    world.remove(gone).await;
    for id in [group, chat, gone, conversation_id(99)] {
        let outcome = world.apply(join(&world, id, p[2], &Entrance::Open)).await;
        assert_eq!(refused(outcome), Code::NotFound);
    }
    let channel = world.room(Kind::Channel, &p[..1]).await;
    world.stores.users.erase(p[2], at(5)).await.unwrap();
    for nobody in [p[2], user_id(99)] {
        let outcome = world.apply(join(&world, channel, nobody, &Entrance::Open)).await;
        assert_eq!(refused(outcome), Code::NotFound);
    }
}

/// It counts him, and the history tells that he came.
pub async fn an_invite_lets_one_in(stores: Stores) {
    let (world, p) = World::people(stores, 4).await;
    let group = world.group(&p[..2]).await;
    let open = invite(&world, 1, (group, p[0]), None, None).await;
    let (changes, audience) = joined(world.apply(join(&world, group, p[2], &open)).await);
    assert_eq!(audience, Audience::Members(group));
    let note = changes[0].note.as_ref().unwrap();
    assert_eq!(note.body, Body::Noted(SystemEvent::MemberAdded(p[2])));
    assert_eq!((note.sender_id, note.seq, note.version), (p[2], 1, 3));
    assert_eq!(changes[0].version, 2);
    assert_eq!(uses(&world, 1).await, 1);
    // One who is in already does not use it, even if it is spent.
    let spent = invite(&world, 2, (group, p[0]), Some(at(2)), Some(1)).await;
    let before = world.head(group).await;
    for way in [&open, &spent] {
        let (changes, _) = joined(world.apply(join(&world, group, p[2], way)).await);
        assert_eq!(changes, []);
    }
    assert_eq!((uses(&world, 1).await, uses(&world, 2).await), (1, 0));
    assert_eq!(world.head(group).await, before);
    // Who was removed may come back by it.
    world.change_members(group, &[MemberChange::Leaves(p[2])]).await;
    assert_eq!(joined(world.apply(join(&world, group, p[2], &open)).await).0.len(), 1);
    assert_eq!(uses(&world, 1).await, 2);
    let channel = world.room(Kind::Channel, &p[..1]).await;
    let open = invite(&world, 3, (channel, p[0]), None, None).await;
    let (changes, audience) = joined(world.apply(join(&world, channel, p[3], &open)).await);
    assert_eq!((changes[0].note.as_ref(), audience), (None, Audience::Users(vec![p[0]])));
}

/// Ended, spent, for another place, taken back, unknown: all the same.
pub async fn an_invite_that_is_no_good_is_not_found(stores: Stores) {
    let (world, p) = World::people(stores, 4).await;
    let (group, other) = (world.group(&p[..1]).await, world.group(&p[..1]).await);
    let here = (group, p[0]);
    let ended = invite(&world, 1, here, Some(at(2)), None).await;
    let spent = invite(&world, 2, here, None, Some(1)).await;
    let elsewhere = invite(&world, 3, (other, p[0]), None, None).await;
    let revoked = invite(&world, 4, here, None, None).await;
    assert!(world.stores.invites.revoke(p[0], group, code(4)).await.unwrap());
    let unknown = Entrance::Invite(code(5));
    joined(world.apply(join(&world, group, p[1], &spent)).await);
    let before = world.head(group).await;
    for way in [&ended, &spent, &elsewhere, &revoked, &unknown] {
        let outcome = world.apply(join(&world, group, p[2], way)).await;
        assert_eq!(refused(outcome), Code::NotFound, "{way:?}");
    }
    assert_eq!(world.head(group).await, before);
    assert_eq!((uses(&world, 1).await, uses(&world, 2).await, uses(&world, 3).await), (0, 1, 0));
    // To the last moment it is good.
    let mut in_time = join(&world, group, p[2], &invite(&world, 6, here, Some(at(9)), None).await);
    in_time.at = Timestamp::from_micros(at(9).as_micros() - 1);
    joined(world.apply(in_time).await);
    let mut late = join(&world, group, p[3], &Entrance::Invite(code(6)));
    late.at = at(9);
    assert_eq!(refused(world.apply(late).await), Code::NotFound);
    // A group that was deleted takes its invites along.
    world.remove(group).await;
    assert_eq!(world.stores.invites.find(code(6)).await.unwrap(), None);
}

/// Two in one batch, and many at once.
pub async fn the_last_use_of_an_invite_lets_one_in(stores: Stores) {
    let (world, p) = World::people(stores, 12).await;
    let group = world.group(&p[..1]).await;
    let way = invite(&world, 1, (group, p[0]), None, Some(1)).await;
    let batch = vec![join(&world, group, p[1], &way), join(&world, group, p[2], &way)];
    let mut outcomes = world.apply_all(batch).await.into_iter();
    assert_eq!(joined(outcomes.next().unwrap()).0.len(), 1);
    assert_eq!(refused(outcomes.next().unwrap()), Code::NotFound);

    let way = invite(&world, 2, (group, p[0]), None, Some(3)).await;
    let tasks: Vec<_> = p[2..]
        .iter()
        .map(|user| {
            let (log, command) = (Arc::clone(&world.stores.log), join(&world, group, *user, &way));
            tokio::spawn(async move { log.apply([command].into()).await.unwrap().pop().unwrap() })
        })
        .collect();
    let mut came = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => came += 1,
            outcome => assert_eq!(refused(outcome), Code::NotFound),
        }
    }
    assert_eq!((came, uses(&world, 2).await), (3, 3));
    assert_eq!(world.head(group).await.0.member_count, 5);
}
