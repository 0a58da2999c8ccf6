//! Groups and channels: members, roles, settings.

use std::{collections::BTreeSet, sync::Arc};

use kith_domain::{
    Code, UserId,
    conversation::{ConversationPatch, Kind, Posting, Version},
    event::Audience,
    group::{MemberChange, Role},
    text::Description,
};
use kith_ports::{
    HistorySelector, MemberCursor,
    log::{Applied, Change, MemberChanged, Rejected},
};

use super::{
    Stores, World,
    world::{refused, sent},
};
use crate::build::{
    self, at, content, conversation_id, create, group, name, note_id, send_to, user_id,
};

/// Changes of members, without the notes of them.
fn steps(changes: &[MemberChanged]) -> Vec<(MemberChange, Role, Version)> {
    changes.iter().map(|it| (it.change, it.role, it.version)).collect()
}

/// All under version 1.
pub async fn a_group_begins_with_its_members(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let room = group(1, p[0]);
    // Named twice, he is in it once.
    let outcome = world.apply(create(room.clone(), &[p[1], p[2], p[1]])).await.unwrap();
    let Applied::Created(conversation, head) = outcome else {
        panic!("expected a new group, found {outcome:?}");
    };
    assert_eq!(*conversation, kith_domain::conversation::Conversation { member_count: 3, ..room });
    assert_eq!((head.last_seq, head.version, head.last_message_at), (0, 1, None));
    let page = world.stores.conversations.members(p[2], conversation.id, None, 10).await.unwrap();
    let members = page.unwrap().items;
    let mut roles: Vec<_> =
        members.iter().map(|member| (member.user.id, member.role, member.version)).collect();
    roles.sort();
    let expected = [(p[0], Role::Owner, 1), (p[1], Role::Member, 1), (p[2], Role::Member, 1)];
    assert_eq!(roles, expected);
    let card = world.card(p[1], conversation.id).await.unwrap();
    assert_eq!((card.my.first_seq, card.my.role, card.unread.count), (1, Role::Member, 0));
    assert_eq!((card.last_message, card.peer), (None, None));
}

/// The answer to the first may have been lost.
pub async fn making_it_again_changes_nothing(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let command = create(group(1, p[0]), &[p[1]]);
    world.apply(command.clone()).await.unwrap();
    world.send(conversation_id(1), p[0], "hi").await;
    let again = world.apply(command).await.unwrap();
    assert!(matches!(&again, Applied::Created(_, head) if head.version == 2), "{again:?}");
    assert_eq!(refused(world.apply(create(group(1, p[1]), &[])).await), Code::Conflict);
}

/// One epoch for the command, one version for each change.
pub async fn members_come_and_go_each_with_a_version(stores: Stores) {
    let (world, p) = World::people(stores, 4).await;
    let id = world.group(&p[..2]).await;
    world.send(id, p[0], "hi").await;
    let (before, head) = world.head(id).await;
    let changes = vec![
        MemberChange::Joins(p[2], Role::Member),
        MemberChange::Becomes(p[1], Role::Admin),
        MemberChange::Joins(p[3], Role::Admin),
        MemberChange::Leaves(p[2]),
    ];
    let command = world.members_command(p[0], id, &changes).await;
    let outcome = world.apply(command).await.unwrap();
    let Applied::MembersChanged { conversation, head: after, changes: applied, audience } = outcome
    else {
        panic!("expected changed members, found {outcome:?}");
    };
    let roles = [Role::Member, Role::Admin, Role::Admin, Role::Member];
    // Those in between are the notes'.
    let versions = [3, 5, 6, 8];
    let expected: Vec<_> =
        changes.into_iter().zip(roles).zip(versions).map(|((c, r), v)| (c, r, v)).collect();
    assert_eq!(steps(&applied), expected);
    assert_eq!(audience, Audience::Members(id));
    assert_eq!((after.version, after.last_seq), (9, 4));
    assert_eq!(after.member_epoch, head.member_epoch + 1);
    assert_eq!(conversation.member_count, before.member_count + 1);
    assert_eq!(world.head(id).await, ((*conversation).clone(), after));
    assert_eq!(world.card(p[3], id).await.unwrap().my.first_seq, 3);
    assert!(world.card(p[2], id).await.is_none());
}

/// Joining where one is, the role one has, leaving where one is not.
pub async fn what_changes_nothing_is_left_out(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let id = world.group(&p[..2]).await;
    let before = world.head(id).await;
    let nothing = [
        MemberChange::Joins(p[1], Role::Admin),
        MemberChange::Becomes(p[1], Role::Member),
        MemberChange::Becomes(p[2], Role::Admin),
        MemberChange::Leaves(p[2]),
    ];
    assert_eq!(world.change_members(id, &nothing).await, []);
    assert_eq!(world.head(id).await, before);
    world.stores.users.erase(p[2], at(5)).await.unwrap();
    let some = [nothing[3], MemberChange::Joins(p[2], Role::Member), MemberChange::Leaves(p[1])];
    let changed = world.change_members(id, &some).await;
    assert_eq!(steps(&changed), [(some[2], Role::Member, 2)]);
}

/// Two decisions from the same state: the second is to be made anew.
pub async fn a_stale_member_epoch_writes_nothing(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let id = world.group(&p[..2]).await;
    let message = world.send(id, p[0], "hi").await;
    let (conversation, head) = world.head(id).await;
    let member_epoch = head.member_epoch;
    world.change_members(id, &[MemberChange::Joins(p[2], Role::Member)]).await;
    let after = world.head(id).await;
    let stale = [
        build::members(p[0], &[MemberChange::Leaves(p[1])], 1, member_epoch),
        Change::Update {
            by: p[0],
            note: note_id(2),
            patch: ConversationPatch { name: Some(name("New")), ..Default::default() },
            member_epoch,
            settings_epoch: conversation.settings_epoch,
        },
        Change::Delete { message_id: message.id, member_epoch },
        Change::Pin { message_id: message.id, pinned: true, member_epoch },
        Change::Edit { message_id: message.id, content: content("x"), member_epoch },
        Change::Remove { member_epoch },
    ];
    for change in stale {
        assert_eq!(world.apply(world.command(id, change)).await, Err(Rejected::Stale));
    }
    assert_eq!(world.head(id).await, after);
    // Messages do not count: a busy chat would never be administered.
    world.send(id, p[0], "busy").await;
    let change = Change::Remove { member_epoch: after.1.member_epoch };
    world.apply(world.command(id, change)).await.unwrap();
}

/// Names and rules have an epoch of their own.
pub async fn a_stale_settings_epoch_writes_nothing(stores: Stores) {
    let (world, p) = World::people(stores, 1).await;
    let id = world.group(&p).await;
    let (conversation, head) = world.head(id).await;
    let rename = |text| Change::Update {
        by: p[0],
        note: world.new_message_id(),
        patch: ConversationPatch { name: Some(name(text)), ..Default::default() },
        member_epoch: head.member_epoch,
        settings_epoch: conversation.settings_epoch,
    };
    world.apply(world.command(id, rename("First"))).await.unwrap();
    let second = world.apply(world.command(id, rename("Second"))).await;
    assert_eq!(second, Err(Rejected::Stale));
    assert_eq!(world.head(id).await.0.name, Some(name("First")));
}

/// What a patch does not name stays.
pub async fn settings_change_field_by_field(stores: Stores) {
    let (world, p) = World::people(stores, 1).await;
    let id = world.group(&p).await;
    let about = Description::parse("what it is for").unwrap();
    let patches = [
        ConversationPatch { description: Some(Some(about.clone())), ..Default::default() },
        ConversationPatch { posting: Some(Posting::Admins), ..Default::default() },
        ConversationPatch { name: Some(name("New")), ..Default::default() },
    ];
    for (n, patch) in (2..).zip(patches) {
        let (conversation, head) = world.head(id).await;
        let command = world.command(
            id,
            Change::Update {
                by: p[0],
                note: note_id(1),
                patch,
                member_epoch: head.member_epoch,
                settings_epoch: conversation.settings_epoch,
            },
        );
        let asked_at = command.at;
        let outcome = world.apply(command).await.unwrap();
        let Applied::Updated { conversation: updated, head: after, changed: true, note } = outcome
        else {
            panic!("expected new settings, found {outcome:?}");
        };
        assert_eq!(note.is_some(), updated.name != conversation.name);
        assert_eq!(updated.settings_epoch, conversation.settings_epoch + 1);
        assert_eq!((updated.updated_at, after.version), (asked_at, n));
        assert_eq!(after.member_epoch, head.member_epoch);
        let (stored, head) = world.head(id).await;
        assert_eq!(stored, *updated);
        assert_eq!(head.version, after.version + i64::from(note.is_some()));
    }
    let (conversation, _) = world.head(id).await;
    assert_eq!(conversation.name, Some(name("New")));
    assert_eq!(conversation.description, Some(about));
    assert_eq!(conversation.posting, Posting::Admins);
}

/// There is nothing to tell, and no epoch moves under those who decide.
pub async fn settings_that_are_so_already_change_nothing(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let whole = ConversationPatch {
        name: Some(name("Kin")),
        description: Some(Some(Description::parse("what it is for").unwrap())),
        posting: Some(Posting::Admins),
    };
    for kind in [Kind::Group, Kind::Channel] {
        let id = world.room(kind, &p).await;
        world.update(p[0], id, whole.clone()).await.unwrap();
        let (before, start) = (world.head(id).await, world.horizon().await);
        let name_alone = ConversationPatch { name: whole.name.clone(), ..Default::default() };
        for patch in [whole.clone(), name_alone, ConversationPatch::default()] {
            let same = world.update(p[0], id, patch).await.unwrap();
            let (conversation, head) = (Arc::new(before.0.clone()), before.1);
            let nothing = Applied::Updated { conversation, head, changed: false, note: None };
            assert_eq!(same, nothing);
        }
        assert_eq!(world.head(id).await, before);
        assert!(world.sync(p[1], Some(start), 10).await.conversations.is_empty());
        let other = ConversationPatch { posting: Some(Posting::Everyone), ..whole.clone() };
        let changed = world.update(p[0], id, other).await.unwrap();
        assert!(
            matches!(changed, Applied::Updated { changed: true, note: None, .. }),
            "{changed:?}"
        );
    }
}

/// From the very next command of the batch on.
pub async fn a_removed_member_sends_nothing(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let id = world.group(&p).await;
    let removal = world.members_command(p[0], id, &[MemberChange::Leaves(p[1])]).await;
    let batch = vec![
        send_to(id, 1, p[1], "before"),
        removal,
        send_to(id, 2, p[1], "after"),
        send_to(id, 3, p[0], "among us"),
    ];
    let mut outcomes = world.apply_all(batch).await.into_iter();
    assert_eq!(sent(outcomes.next().unwrap()).seq, 1);
    outcomes.next().unwrap().unwrap();
    assert_eq!(refused(outcomes.next().unwrap()), Code::NotAMember);
    let last = sent(outcomes.next().unwrap());
    // The second tells that he was removed.
    assert_eq!((last.seq, last.version), (3, 5));
    let history = world.stores.messages.history(p[1], id, HistorySelector::Newest, 9).await;
    assert_eq!(history.unwrap(), None);
}

/// Nothing of a removed member comes after his removal.
pub async fn removal_and_sends_at_once_never_cross(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let id = world.group(&p).await;
    let sender = {
        let (log, p) = (Arc::clone(&world.stores.log), p.clone());
        tokio::spawn(async move {
            let mut newest = 0;
            for n in 0..200 {
                let outcome = log.apply([send_to(id, n, p[1], "x")].into()).await.unwrap();
                match outcome.into_iter().next().unwrap() {
                    Ok(Applied::Sent { message, .. }) => newest = message.version,
                    Ok(other) => panic!("expected a message, found {other:?}"),
                    Err(_) => break,
                }
            }
            newest
        })
    };
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let removal = world.change_members(id, &[MemberChange::Leaves(p[1])]).await[0].version;
    let newest = sender.await.unwrap();
    assert!(newest < removal, "sent at {newest}, removed at {removal}");
    let (_, head) = world.head(id).await;
    assert_eq!(head.version, head.last_seq + 2, "creation, messages and a note, removal");
}

/// What was said meanwhile is not his.
pub async fn one_who_comes_back_begins_anew(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let id = world.group(&p).await;
    world.send(id, p[0], "one").await;
    world.change_members(id, &[MemberChange::Leaves(p[1])]).await;
    world.send(id, p[0], "two").await;
    let changed = world.change_members(id, &[MemberChange::Joins(p[1], Role::Admin)]).await;
    let card = world.card(p[1], id).await.unwrap();
    // The second message told that he went, the fourth that he is back: he sees that one.
    assert_eq!((card.my.first_seq, card.my.marks.read, card.my.role), (4, 3, Role::Admin));
    let newest = card.last_message.map(|card| card.message);
    assert_eq!((card.unread.count, newest.as_ref()), (0, changed[0].note.as_deref()));
    let five = world.send(id, p[0], "five").await;
    let (seqs, page) = world.page(p[1], id, HistorySelector::Newest, 10).await;
    assert_eq!((seqs, page.has_before), (vec![4, 5], false));
    let card = world.card(p[1], id).await.unwrap();
    let newest = card.last_message.map(|card| card.message);
    assert_eq!((card.unread.count, newest), (1, Some((*five).clone())));
    assert_eq!(card.conversation.member_count, 2);
}

/// With its messages, at once.
pub async fn a_deleted_group_is_gone_for_all(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let id = world.group(&p).await;
    let message = world.send(id, p[1], "hi").await;
    world.send_many(id, p[0], 600).await;
    world.remove(id).await;
    let stores = &world.stores;
    assert!(world.card(p[0], id).await.is_none());
    assert!(stores.conversations.snapshot(id, &[p[0]]).await.unwrap().is_none());
    assert!(stores.conversations.members(p[0], id, None, 9).await.unwrap().is_none());
    assert!(stores.conversations.changes(p[0], id, 0, 9).await.unwrap().is_none());
    assert!(stores.conversations.members_named(id, &p).await.unwrap().is_empty());
    assert_eq!(refused(world.hide(p[0], id).await), Code::NotFound);
    let history = stores.messages.history(p[0], id, HistorySelector::Newest, 9).await.unwrap();
    assert!(history.is_none());
    assert!(stores.messages.message(p[1], message.id).await.unwrap().is_none());
    assert!(stores.messages.sent_by(p[1], None, 9).await.unwrap().is_empty());
    assert!(stores.conversations.topics(&[p[0]]).await.unwrap()[0].is_empty());
    for sender in [p[0], p[1]] {
        assert_eq!(refused(world.apply(send_to(id, 1, sender, "?")).await), Code::NotAMember);
    }
    let again = world.command(id, Change::Remove { member_epoch: 1 });
    assert_eq!(refused(world.apply(again).await), Code::NotFound);
}

/// And how many owners there are.
pub async fn a_snapshot_names_who_was_asked_for(stores: Stores) {
    let (world, p) = World::people(stores, 4).await;
    let id = world.group(&p[..3]).await;
    world
        .change_members(id, &[MemberChange::Becomes(p[1], Role::Owner), MemberChange::Leaves(p[2])])
        .await;
    let snapshot = world.stores.conversations.snapshot(id, &p[1..]).await.unwrap().unwrap();
    assert_eq!(snapshot.owners, 2);
    assert_eq!(snapshot.members.len(), 1);
    assert_eq!(snapshot.role_of(p[1]), Some(Role::Owner));
    assert_eq!((snapshot.role_of(p[2]), snapshot.role_of(p[3])), (None, None));
    let unknown = world.stores.conversations.snapshot(conversation_id(99), &p).await.unwrap();
    assert_eq!(unknown, None);
}

/// Those who joined together are told apart by their ids.
pub async fn members_are_paged_by_joining_with_ties(stores: Stores) {
    let (world, p) = World::people(stores, 9).await;
    let id = world.group(&p[..5]).await;
    for late in &p[5..] {
        world.change_members(id, &[MemberChange::Joins(*late, Role::Member)]).await;
    }
    world.change_members(id, &[MemberChange::Leaves(p[6])]).await;
    let mut seen: Vec<UserId> = Vec::new();
    let mut after: Option<MemberCursor> = None;
    loop {
        let page = world.stores.conversations.members(p[0], id, after, 2).await.unwrap().unwrap();
        assert!(page.items.len() <= 2 && page.items.iter().all(|member| !member.left));
        seen.extend(page.items.iter().map(|member| member.user.id));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen.len(), 8, "each once: {seen:?}");
    assert_eq!(seen.iter().copied().collect::<BTreeSet<_>>().len(), 8);
    assert_eq!(seen[5..], [p[5], p[7], p[8]], "later ones last");
    for stranger in [p[6], user_id(99)] {
        let page = world.stores.conversations.members(stranger, id, None, 2).await.unwrap();
        assert_eq!(page, None);
    }
}

/// Those who are in it now.
pub async fn members_are_named(stores: Stores) {
    let (world, p) = World::people(stores, 4).await;
    let id = world.group(&p[..3]).await;
    world.change_members(id, &[MemberChange::Leaves(p[2])]).await;
    let named = world.stores.conversations.members_named(id, &p[1..]).await.unwrap();
    assert_eq!(named.iter().map(|member| member.user.id).collect::<Vec<_>>(), [p[1]]);
    assert_eq!(named[0].role, Role::Member);
    assert!(world.stores.conversations.members_named(id, &[]).await.unwrap().is_empty());
}

/// With the epoch that events are compared with.
pub async fn topics_are_groups_and_channels(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    world.write(p[1], p[0], "hi").await;
    let left = world.group(&p).await;
    let group = world.group(&p).await;
    let channel = world.room(Kind::Channel, &p).await;
    world.change_members(left, &[MemberChange::Leaves(p[1])]).await;
    let mut expected = Vec::new();
    for id in [group, channel] {
        expected.push((id, world.head(id).await.1.member_epoch));
    }
    let topics = world.stores.conversations.topics(&[p[1], p[1]]).await.unwrap();
    assert_eq!(topics[0], topics[1]);
    let topics = &topics[0];
    let mut found: Vec<_> =
        topics.iter().map(|topic| (topic.conversation_id, topic.member_epoch)).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

/// Nor a name, and it cannot be deleted for the other.
pub async fn a_direct_chat_has_no_members_to_change(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let chat = world.write(p[1], p[0], "hi").await.conversation_id;
    let member_epoch = world.head(chat).await.1.member_epoch;
    for change in [
        build::members(p[0], &[MemberChange::Joins(p[2], Role::Member)], 1, member_epoch),
        Change::Update {
            by: p[0],
            note: note_id(2),
            patch: ConversationPatch::default(),
            member_epoch,
            settings_epoch: 1,
        },
        Change::Remove { member_epoch },
    ] {
        assert_eq!(refused(world.apply(world.command(chat, change)).await), Code::WrongKind);
    }
}
