//! Reading messages and catching up.

use std::collections::BTreeMap;

use kith_domain::{
    MessageId, UserId,
    conversation::{Kind, Seq, Version},
    group::{MemberChange, Role},
};
use kith_ports::HistorySelector::{After, Around, Before, Newest};

use super::{Stores, World, world::messages};
use crate::build::{conversation_id, message_id, user_id};

/// All four ways to ask.
pub async fn pages_of_a_history(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let id = world.group(&p).await;
    let (seqs, page) = world.page(p[0], id, Newest, 5).await;
    assert_eq!((seqs, page.has_before, page.has_after, page.version), (vec![], false, false, 1));
    world.send_many(id, p[0], 10).await;
    let cases: [(_, &[Seq], bool, bool); 10] = [
        (Newest, &[8, 9, 10], true, false),
        (Before(8), &[5, 6, 7], true, true),
        (Before(3), &[1, 2], false, true),
        (Before(1), &[], false, true),
        (Before(99), &[8, 9, 10], true, false),
        (After(0), &[1, 2, 3], false, true),
        (After(8), &[9, 10], true, false),
        (After(10), &[], true, false),
        (Around(5), &[4, 5, 6], true, true),
        (Around(1), &[1, 2, 3], false, true),
    ];
    for (selector, expected, has_before, has_after) in cases {
        let (seqs, page) = world.page(p[1], id, selector, 3).await;
        assert_eq!(seqs, expected, "{selector:?}");
        assert_eq!((page.has_before, page.has_after), (has_before, has_after), "{selector:?}");
        assert_eq!(page.version, 11);
    }
    for (viewer, id) in [(user_id(99), id), (p[0], conversation_id(99))] {
        let page = world.stores.messages.history(viewer, id, Newest, 3).await.unwrap();
        assert_eq!(page, None);
    }
}

/// Backwards, while the other end grows.
pub async fn paging_while_more_arrive_shows_everything_once(stores: Stores) {
    let (world, p) = World::people(stores, 1).await;
    let id = world.group(&p).await;
    world.send_many(id, p[0], 20).await;
    let (mut seen, page) = world.page(p[0], id, Newest, 4).await;
    let mut more = page.has_before;
    while more {
        world.send_many(id, p[0], 3).await;
        let (seqs, page) = world.page(p[0], id, Before(seen[0]), 4).await;
        seen.splice(0..0, seqs);
        more = page.has_before;
    }
    assert_eq!(seen, (1..=20).collect::<Vec<_>>());
}

/// In a group.
pub async fn what_came_before_joining_is_not_seen(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let id = world.group(&p[..2]).await;
    let early = world.send(id, p[0], "early").await;
    world.change_members(id, &[MemberChange::Joins(p[2], Role::Member)]).await;
    let late = world.send(id, p[0], "late").await;
    for selector in [Newest, After(0), Before(99), Around(1)] {
        let (seqs, page) = world.page(p[2], id, selector, 10).await;
        // His coming is the first that he sees.
        assert_eq!((seqs, page.has_before), (vec![2, 3], false), "{selector:?}");
    }
    let store = &world.stores.messages;
    assert!(store.message(p[2], early.id).await.unwrap().is_none());
    assert!(store.message(p[2], late.id).await.unwrap().is_some());
    let changes = world.stores.conversations.changes(p[2], id, 0, 50).await.unwrap().unwrap();
    assert_eq!(messages(&changes.messages)[1..], [(*late).clone()]);
}

/// To its members.
pub async fn a_channel_shows_all_of_it(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let id = world.room(Kind::Channel, &p[..2]).await;
    let early = world.send(id, p[0], "early").await;
    world.change_members(id, &[MemberChange::Joins(p[2], Role::Member)]).await;
    let card = world.card(p[2], id).await.unwrap();
    assert_eq!((card.my.first_seq, card.unread.count), (2, 0));
    assert_eq!(card.last_message.unwrap().message, *early);
    assert_eq!(world.page(p[2], id, Newest, 10).await.0, [1]);
    assert!(world.stores.messages.message(p[2], early.id).await.unwrap().is_some());
}

/// Who may change it is decided from this.
pub async fn a_message_with_its_context(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let id = world.group(&p[..2]).await;
    let message = world.send(id, p[1], "hi").await;
    world.change_members(id, &[MemberChange::Becomes(p[1], Role::Admin)]).await;
    let context = world.stores.messages.message(p[0], message.id).await.unwrap().unwrap();
    assert_eq!(context.message, *message);
    assert_eq!((context.my_role, context.sender_role), (Role::Owner, Some(Role::Admin)));
    let (conversation, head) = world.head(id).await;
    assert_eq!((context.conversation, context.member_epoch), (conversation, head.member_epoch));
    assert!(world.stores.messages.message(p[2], message.id).await.unwrap().is_none());
    assert!(world.stores.messages.message(p[0], message_id(99)).await.unwrap().is_none());
    world.change_members(id, &[MemberChange::Leaves(p[1])]).await;
    let context = world.stores.messages.message(p[0], message.id).await.unwrap().unwrap();
    assert_eq!(context.sender_role, None);
}

/// In the order of ids, everywhere, without tombstones.
pub async fn messages_of_one_sender(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let (one, two) = (world.group(&p).await, world.group(&p).await);
    let mut expected = Vec::new();
    for n in 0..6 {
        let id = if n % 2 == 0 { one } else { two };
        let message = world.send(id, p[0], "x").await;
        world.send(id, p[1], "other").await;
        if n == 2 {
            world.delete(&message).await.unwrap();
        } else {
            expected.push((id, message.id));
        }
    }
    expected.sort_by_key(|(_, id)| *id);
    let mut seen: Vec<(_, MessageId)> = Vec::new();
    loop {
        let after = seen.last().map(|(_, id)| *id);
        let page = world.stores.messages.sent_by(p[0], after, 2).await.unwrap();
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    assert_eq!(seen, expected);
}

/// New, edited and deleted ones, each as it is now, by version.
pub async fn changes_since_a_version(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let id = world.group(&p).await;
    let first = world.send(id, p[0], "one").await;
    let second = world.send(id, p[0], "two").await;
    let third = world.send(id, p[0], "three").await;
    let since = third.version;
    world.edit(&first, "one!").await.unwrap();
    world.send(id, p[1], "four").await;
    let fifth = world.send(id, p[1], "five").await;
    world.delete(&second).await.unwrap();
    world.edit(&fifth, "five!").await.unwrap();
    let changes = world.stores.conversations.changes(p[1], id, since, 50).await.unwrap().unwrap();
    let listed: Vec<_> =
        changes.messages.iter().map(|card| (card.message.seq, card.message.version)).collect();
    assert_eq!(listed, [(1, 5), (4, 6), (2, 8), (5, 9)]);
    assert_eq!((changes.version, changes.has_more, changes.reset), (9, false, false));
    assert_eq!(changes.card, world.card(p[1], id).await.unwrap());
    assert!(changes.members.is_empty());
    let none = world.stores.conversations.changes(p[1], id, 9, 50).await.unwrap().unwrap();
    assert_eq!((none.version, none.has_more, none.reset), (9, false, false));
    assert!(none.messages.is_empty() && none.members.is_empty());
    for (viewer, id) in [(user_id(99), id), (p[0], conversation_id(99))] {
        assert!(world.stores.conversations.changes(viewer, id, 0, 9).await.unwrap().is_none());
    }
}

/// Asked from where the last page ended, nothing is missed and nothing comes twice.
pub async fn changes_page_by_page(stores: Stores) {
    let (world, p) = World::people(stores, 6).await;
    let id = world.group(&p[..4]).await;
    for n in 0..8 {
        let message = world.send(id, p[0], "x").await;
        if n % 3 == 0 {
            world.edit(&message, "y").await.unwrap();
        }
        if n == 4 {
            world.change_members(id, &[MemberChange::Joins(p[4], Role::Member)]).await;
            world.change_members(id, &[MemberChange::Leaves(p[1])]).await;
        }
    }
    let (_, head) = world.head(id).await;
    let whole = world.stores.conversations.changes(p[0], id, 0, 1_000).await.unwrap().unwrap();
    assert_eq!((whole.version, whole.has_more), (head.version, false));
    for limit in 1..6 {
        let (mut since, mut messages, mut members): (Version, _, _) = (0, vec![], vec![]);
        loop {
            let changes = world.stores.conversations.changes(p[0], id, since, limit).await;
            let page = changes.unwrap().unwrap();
            assert!(page.version > since && !page.reset);
            since = page.version;
            messages.extend(page.messages);
            members.extend(page.members);
            if !page.has_more {
                break;
            }
        }
        assert_eq!(since, head.version);
        assert_eq!((&messages, &members), (&whole.messages, &whole.members), "pages of {limit}");
    }
}

/// Then the newest page is worth more.
pub async fn changes_are_reset_for_one_far_behind(stores: Stores) {
    let (world, p) = World::people(stores, 1).await;
    let id = world.group(&p).await;
    world.send_many(id, p[0], 1_002).await;
    let changes = async |since| {
        world.stores.conversations.changes(p[0], id, since, 10).await.unwrap().unwrap()
    };
    let far = changes(2).await;
    assert!(far.reset && !far.has_more && far.messages.is_empty() && far.members.is_empty());
    assert_eq!(far.version, 1_003);
    let near = changes(3).await;
    assert!(!near.reset && near.has_more);
    assert_eq!(near.messages.len(), 10);
    assert!(changes(1_004).await.reset, "from the future: another history");
    assert!(changes(-1).await.reset);
}

/// One who left is marked, and comes with the version of his leaving.
pub async fn changes_of_members_are_marked(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let id = world.group(&p[..2]).await;
    let change = [MemberChange::Joins(p[2], Role::Admin), MemberChange::Leaves(p[1])];
    world.change_members(id, &change).await;
    let changes = world.stores.conversations.changes(p[0], id, 1, 50).await.unwrap().unwrap();
    let listed: Vec<_> = changes
        .members
        .iter()
        .map(|member| (member.user.id, member.role, member.version, member.left))
        .collect();
    // Between the two, and after them, the history notes it.
    assert_eq!(listed, [(p[2], Role::Admin, 2, false), (p[1], Role::Member, 4, true)]);
    assert!(world.stores.conversations.changes(p[1], id, 1, 50).await.unwrap().is_none());
}

/// Those in charge and oneself only, unless one is in charge.
pub async fn changes_do_not_list_a_channels_members(stores: Stores) {
    let (world, p) = World::people(stores, 4).await;
    let id = world.room(Kind::Channel, &p).await;
    world.change_members(id, &[MemberChange::Becomes(p[1], Role::Admin)]).await;
    let seen_by = async |viewer| {
        let changes = world.stores.conversations.changes(viewer, id, 0, 50).await;
        let mut seen: Vec<_> =
            changes.unwrap().unwrap().members.into_iter().map(|member| member.user.id).collect();
        seen.sort();
        seen
    };
    assert_eq!(seen_by(p[2]).await, [p[0], p[1], p[2]]);
    assert_eq!(seen_by(p[0]).await, p);
}

/// A newcomer has not known them.
pub async fn changes_do_not_name_who_left_before_one_joined(stores: Stores) {
    let (world, p) = World::people(stores, 5).await;
    let id = world.group(&p[..4]).await;
    let left = async |viewer| -> Vec<UserId> {
        let changes = world.stores.conversations.changes(viewer, id, 0, 50).await;
        let members = changes.unwrap().unwrap().members;
        members.into_iter().filter(|member| member.left).map(|member| member.user.id).collect()
    };
    world.change_members(id, &[MemberChange::Leaves(p[1])]).await;
    world.send(id, p[0], "between").await;
    world.change_members(id, &[MemberChange::Joins(p[4], Role::Member)]).await;
    assert_eq!((left(p[0]).await, left(p[4]).await), (vec![p[1]], vec![]));
    world.change_members(id, &[MemberChange::Leaves(p[2])]).await;
    assert_eq!((left(p[0]).await, left(p[4]).await), (vec![p[1], p[2]], vec![p[2]]));
    // Whoever hid it knew those who left while he was in it.
    world.send(id, p[0], "more").await;
    world.hide(p[4], id).await.unwrap();
    world.change_members(id, &[MemberChange::Leaves(p[3])]).await;
    assert_eq!(left(p[4]).await, [p[2], p[3]]);
    // One who comes back begins anew.
    world.send(id, p[0], "alone").await;
    world.change_members(id, &[MemberChange::Joins(p[2], Role::Member)]).await;
    assert_eq!((left(p[0]).await, left(p[2]).await), (vec![p[1], p[3]], vec![]));
}

/// Hiding moves the first message one sees, and another role the version of one's place: neither is
/// another joining.
pub async fn who_hides_a_chat_still_hears_who_left(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let id = world.group(&p).await;
    world.send_many(id, p[0], 4).await;
    let since = world.head(id).await.1.version;
    world.leave(id, p[2]).await;
    world.send_many(id, p[0], 10).await;
    world.hide(p[1], id).await.unwrap();
    world.send(id, p[0], "and back").await;
    world.change_members(id, &[MemberChange::Becomes(p[1], Role::Admin)]).await;
    let changes = world.stores.conversations.changes(p[1], id, since, 50).await;
    let changes = changes.unwrap().unwrap();
    let members: Vec<_> = changes.members.iter().map(|it| (it.user.id, it.left)).collect();
    assert_eq!(members, [(p[2], true), (p[1], false)]);
    assert!(!changes.reset, "in a group all see all members");
    assert_eq!(changes.messages.len(), 1);
}

/// For those who may not list its members; of those who never were in charge they hear nothing.
pub async fn one_no_longer_in_charge_is_gone_from_a_channel(stores: Stores) {
    let (world, p) = World::people(stores, 6).await;
    let id = world.room(Kind::Channel, &p[..5]).await;
    let mut since = BTreeMap::new();
    let mut seen_by = async |viewer: UserId| -> Vec<_> {
        let from = since.get(&viewer).copied().unwrap_or(1);
        let changes = world.stores.conversations.changes(viewer, id, from, 50).await;
        let changes = changes.unwrap().unwrap();
        assert!(!changes.reset);
        since.insert(viewer, changes.version);
        let members = changes.members.into_iter();
        members.map(|it| (it.user.id, it.role, it.left)).collect()
    };
    let becomes = |role| [MemberChange::Becomes(p[1], role)];
    let (admin, member) = (Role::Admin, Role::Member);
    world.change_members(id, &becomes(admin)).await;
    assert_eq!(seen_by(p[3]).await, [(p[1], admin, false)]);
    world.change_members(id, &becomes(member)).await;
    assert_eq!(seen_by(p[3]).await, [(p[1], member, true)]);
    assert_eq!(seen_by(p[0]).await, [(p[1], member, false)], "who lists members sees him stay");
    // He is in charge, leaves, and comes back as one of many.
    world.change_members(id, &becomes(admin)).await;
    assert_eq!(seen_by(p[3]).await, [(p[1], admin, false)]);
    world.leave(id, p[1]).await;
    world.change_members(id, &[MemberChange::Joins(p[1], member)]).await;
    assert_eq!(seen_by(p[3]).await, [(p[1], member, true)]);
    // He is in charge no more, and then leaves.
    world.change_members(id, &becomes(admin)).await;
    assert_eq!(seen_by(p[3]).await, [(p[1], admin, false)]);
    world.change_members(id, &becomes(member)).await;
    world.leave(id, p[1]).await;
    assert_eq!(seen_by(p[3]).await, [(p[1], member, true)]);
    // Of many one comes, another goes, and comes back.
    world.change_members(id, &[MemberChange::Joins(p[5], member)]).await;
    world.leave(id, p[2]).await;
    assert_eq!(seen_by(p[3]).await, []);
    world.change_members(id, &[MemberChange::Joins(p[2], member)]).await;
    assert_eq!(seen_by(p[3]).await, []);
    let all: Vec<_> = seen_by(p[0]).await.into_iter().map(|(id, _, left)| (id, left)).collect();
    assert_eq!(all, [(p[1], true), (p[5], false), (p[2], false)]);
}

/// There one's own role decides which members one sees, and those others did not change.
pub async fn another_role_in_a_channel_is_a_reset(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let (channel, group) = (world.room(Kind::Channel, &p).await, world.group(&p).await);
    let changes = async |viewer, id, since| {
        world.stores.conversations.changes(viewer, id, since, 50).await.unwrap().unwrap()
    };
    for role in [Role::Admin, Role::Member] {
        for id in [channel, group] {
            let since = world.head(id).await.1.version;
            world.change_members(id, &[MemberChange::Becomes(p[1], role)]).await;
            let own = changes(p[1], id, since).await;
            assert_eq!(own.reset, id == channel);
            assert_eq!((own.version, own.has_more), (since + 1, false));
            assert!(!changes(p[1], id, since + 1).await.reset, "once it is loaded anew");
            assert!(!changes(p[2], id, since).await.reset, "others see as much as before");
        }
    }
    // One who comes back begins with what there is: his coming is no other role.
    world.leave(channel, p[2]).await;
    world.change_members(channel, &[MemberChange::Joins(p[2], Role::Member)]).await;
    let version = world.head(channel).await.1.version;
    assert!(!changes(p[2], channel, version - 1).await.reset);
    // But he sees another list than the one he may still hold.
    world.leave(channel, p[2]).await;
    world.change_members(channel, &[MemberChange::Joins(p[2], Role::Admin)]).await;
    assert!(changes(p[2], channel, version).await.reset);
}
