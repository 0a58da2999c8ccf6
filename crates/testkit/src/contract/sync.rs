//! Healing any absence.

use std::{collections::BTreeSet, sync::Arc};

use kith_domain::{
    ConversationId, UserId,
    conversation::{Kind, SettingsPatch},
    group::{MemberChange, Role},
    user::ProfilePatch,
};
use kith_ports::{
    SyncBody, SyncFrom, SyncRead, SyncStage, SyncedConversation,
    log::{Change, Open},
};

use super::{Stores, World, cards::shows_reading, world::synced};
use crate::build::{at, name, send_to, user_id};

/// All pages of a sync: conversations, removed, users, and where the next one begins.
async fn sync_all(
    world: &World,
    viewer: UserId,
    mut from: Option<SyncFrom>,
    limit: usize,
) -> SyncBody {
    let mut whole: Option<SyncBody> = None;
    loop {
        let page = world.sync(viewer, from, limit).await;
        assert!(page.conversations.len() + page.removed.len() <= limit);
        let (told, more) = (people(&page), page.has_more);
        assert!(told.len() <= 8 * limit - 7, "{told:?}");
        let stage = page.next.resume.as_ref().map(|(_, stage)| *stage);
        assert_eq!(stage.is_some(), more, "{stage:?}");
        if matches!(stage, Some(SyncStage::Conversations(_))) {
            assert!(told.is_empty(), "people come last");
        }
        from = Some(page.next.clone());
        whole = Some(match whole {
            None => page,
            Some(mut whole) => {
                let last = people(&whole).last().copied();
                assert!(told.iter().all(|id| Some(*id) > last), "in the order of their ids");
                whole.conversations.extend(page.conversations);
                whole.removed.extend(page.removed);
                whole.users.extend(page.users);
                whole.correspondents.extend(page.correspondents);
                whole.blocks.extend(page.blocks);
                SyncBody { next: page.next, has_more: more, ..whole }
            }
        });
        match whole {
            Some(whole) if !more => return whole,
            _ => {}
        }
    }
}

/// All people of whom a page tells something.
fn people(body: &SyncBody) -> BTreeSet<UserId> {
    let mut all = user_ids(body);
    all.extend(&body.correspondents);
    all.extend(&body.blocks);
    all
}

fn user_ids(body: &SyncBody) -> BTreeSet<UserId> {
    body.users.iter().map(|user| user.id).collect()
}

fn set(items: &[ConversationId]) -> BTreeSet<ConversationId> {
    items.iter().copied().collect()
}

/// Of what is there now: nothing is named as gone.
pub async fn a_first_sync_brings_everything(stores: Stores) {
    let (world, p) = World::people(stores, 4).await;
    let chat = world.write(p[1], p[0], "hi").await.conversation_id;
    let group = world.group(&p[..2]).await;
    let left = world.group(&p[..2]).await;
    let hidden = world.group(&p[..2]).await;
    let removed = world.group(&p[..2]).await;
    world.group(&p[1..3]).await;
    world.change_members(left, &[MemberChange::Leaves(p[0])]).await;
    world.hide(p[0], hidden).await.unwrap();
    world.remove(removed).await;
    let body = world.sync(p[0], None, 100).await;
    assert_eq!(set(&synced(&body.conversations)), set(&[chat, group]));
    assert!(body.removed.is_empty() && !body.has_more);
    assert_eq!(user_ids(&body), [p[1]].into());
    for synced in &body.conversations {
        let card = world.card(p[0], synced.card.conversation.id).await;
        assert_eq!(Some(&synced.card), card.as_ref());
    }
    let nobody = world.sync(user_id(99), None, 100).await;
    assert!(nobody.conversations.is_empty() && nobody.users.is_empty());
}

/// And nothing else; then nothing.
pub async fn a_sync_brings_what_changed_since(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let (one, two, three) =
        (world.group(&p).await, world.group(&p).await, world.group(&p[1..]).await);
    let first = world.sync(p[0], None, 100).await;
    assert_eq!(first.conversations.len(), 2);
    let nothing = world.sync(p[0], Some(first.next.clone()), 100).await;
    assert!(nothing.conversations.is_empty() && nothing.users.is_empty());
    let message = world.send(one, p[1], "hi").await;
    world.send(three, p[1], "not his").await;
    let second = world.sync(p[0], Some(nothing.next), 100).await;
    assert_eq!(synced(&second.conversations), [one]);
    let last = second.conversations[0].card.last_message.clone().unwrap();
    assert_eq!(last.message, *message);
    world.edit(&message, "hi!").await.unwrap();
    world.change_members(two, &[MemberChange::Becomes(p[1], Role::Admin)]).await;
    let third = world.sync(p[0], Some(second.next), 100).await;
    assert_eq!(set(&synced(&third.conversations)), set(&[one, two]));
    let horizon = world.horizon().await;
    assert_eq!(horizon.incarnation, third.next.incarnation);
    world.write(p[0], p[2], "hi").await;
    let fourth = world.sync(p[0], Some(horizon), 100).await;
    assert_eq!(synced(&fourth.conversations), [ConversationId::direct(p[0], p[2])]);
}

/// Whatever the size of a page.
pub async fn a_sync_is_paged_and_resumed(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let mut rooms = BTreeSet::new();
    for _ in 0..7 {
        rooms.insert(world.group(&p).await);
    }
    for limit in [1, 2, 3, 7, 8] {
        let body = sync_all(&world, p[0], None, limit).await;
        assert_eq!(body.conversations.len(), 7, "each once, in pages of {limit}");
        assert_eq!(set(&synced(&body.conversations)), rooms);
        assert_eq!(user_ids(&body), [p[0], p[1]].into_iter().filter(|id| *id != p[0]).collect());
    }
    let start = sync_all(&world, p[0], None, 3).await.next;
    for id in rooms.iter().take(4) {
        world.send(*id, p[1], "hi").await;
    }
    let body = sync_all(&world, p[0], Some(start), 3).await;
    assert_eq!(set(&synced(&body.conversations)), rooms.into_iter().take(4).collect());
}

/// What changes behind the page that was read comes with the next sync.
pub async fn changes_during_a_paged_sync_are_not_lost(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let mut rooms = Vec::new();
    for _ in 0..6 {
        rooms.push(world.group(&p).await);
    }
    rooms.sort();
    let page = world.sync(p[0], None, 2).await;
    assert_eq!(synced(&page.conversations), rooms[..2]);
    // One that was told, one that is to come.
    world.send(rooms[0], p[1], "told already").await;
    world.send(rooms[5], p[1], "not told yet").await;
    let rest = sync_all(&world, p[0], Some(page.next), 2).await;
    assert_eq!(synced(&rest.conversations), rooms[2..]);
    let next = sync_all(&world, p[0], Some(rest.next), 2).await;
    assert!(synced(&next.conversations).contains(&rooms[0]));
}

/// Left, removed from, hidden, deleted; come back, it is there again.
pub async fn what_is_gone_is_named_once(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let mut rooms = Vec::new();
    for _ in 0..5 {
        rooms.push(world.group(&[p[1], p[0]]).await);
    }
    let start = world.sync(p[0], None, 100).await.next;
    world.change_members(rooms[0], &[MemberChange::Leaves(p[0])]).await;
    world.hide(p[0], rooms[1]).await.unwrap();
    world.remove(rooms[2]).await;
    world.change_members(rooms[3], &[MemberChange::Leaves(p[0])]).await;
    world.change_members(rooms[3], &[MemberChange::Joins(p[0], Role::Member)]).await;
    let body = sync_all(&world, p[0], Some(start), 2).await;
    assert_eq!(set(&body.removed), set(&rooms[..3]));
    assert_eq!(body.removed.len(), 3);
    assert_eq!(synced(&body.conversations), [rooms[3]]);
    world.send(rooms[1], p[1], "back").await;
    let body = world.sync(p[0], Some(body.next), 100).await;
    assert_eq!((synced(&body.conversations), body.removed), (vec![rooms[1]], vec![]));
}

/// Neither what is said nor that it ended.
pub async fn what_goes_on_after_leaving_is_not_told(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let id = world.group(&[p[1], p[0]]).await;
    world.change_members(id, &[MemberChange::Leaves(p[0])]).await;
    let start = world.sync(p[0], None, 100).await.next;
    world.send(id, p[1], "alone").await;
    world.remove(id).await;
    let body = world.sync(p[0], Some(start), 100).await;
    assert!(body.conversations.is_empty() && body.removed.is_empty());
}

/// Of a direct chat or a group, not of a channel.
pub async fn profiles_of_acquaintances_are_synced(stores: Stores) {
    let (world, p) = World::people(stores, 6).await;
    world.write(p[1], p[0], "hi").await;
    world.group(&[p[0], p[2]]).await;
    world.room(Kind::Channel, &[p[0], p[3]]).await;
    let left = world.group(&[p[0], p[4]]).await;
    world.change_members(left, &[MemberChange::Leaves(p[4])]).await;
    let start = world.sync(p[0], None, 100).await;
    assert_eq!(user_ids(&start), [p[1], p[2]].into());
    for id in &p[1..] {
        let patch = ProfilePatch { display_name: Some(name("New")), ..Default::default() };
        world.stores.users.update(*id, patch).await.unwrap();
    }
    let body = world.sync(p[0], Some(start.next), 100).await;
    assert_eq!(user_ids(&body), [p[1], p[2]].into());
    world.stores.users.saw(&[(p[1], at(9))]).await.unwrap();
    let nothing = world.sync(p[0], Some(body.next.clone()), 100).await;
    assert!(nothing.users.is_empty(), "being seen is no change of a profile");
    world.stores.users.erase(p[2], at(9)).await.unwrap();
    let body = world.sync(p[0], Some(body.next), 100).await;
    assert_eq!(user_ids(&body), [p[2]].into());
    assert!(body.users[0].is_deleted());
}

/// What was missed while it was large.
pub async fn profiles_of_a_group_that_grows_small_are_synced(stores: Stores) {
    let (world, p) = World::people(stores, 257).await;
    let id = world.group(&p).await;
    let start = world.sync(p[0], None, 100).await;
    assert!(start.users.is_empty());
    let patch = ProfilePatch { display_name: Some(name("New")), ..Default::default() };
    world.stores.users.update(p[1], patch).await.unwrap();
    let large = world.sync(p[0], Some(start.next), 100).await;
    assert!(large.users.is_empty());
    world.leave(id, p[256]).await;
    let small = world.sync(p[0], Some(large.next), 100).await;
    assert_eq!(small.users.len(), 255);
    assert!(small.users.iter().any(|user| user.id == p[1] && user.display_name == name("New")));
    assert!(world.sync(p[0], Some(small.next), 100).await.users.is_empty());
}

/// As after a restore from a backup.
pub async fn a_token_of_another_database_is_foreign(stores: Stores) {
    let (world, p) = World::people(stores, 1).await;
    let now = world.horizon().await;
    let mut other = now.clone();
    other.incarnation[0] ^= 1;
    let ahead = SyncFrom { since: i64::MAX, ..now.clone() };
    for from in [other, ahead] {
        let read = world.stores.conversations.sync(p[0], Some(from), 10).await.unwrap();
        assert!(matches!(read, SyncRead::Foreign), "{read:?}");
    }
    world.sync(p[0], Some(now), 10).await;
}

/// Whatever commits after a horizon was taken is found from there.
pub async fn a_horizon_misses_nothing_while_others_write(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let mut rooms = Vec::new();
    for _ in 0..20 {
        rooms.push(world.group(&p).await);
    }
    let log = Arc::clone(&world.stores.log);
    let writer = {
        let (rooms, sender) = (rooms.clone(), p[1]);
        tokio::spawn(async move {
            for (n, id) in (0..).zip(rooms) {
                log.apply([send_to(id, n, sender, "x")].into()).await.unwrap();
            }
        })
    };
    let last = |it: &SyncedConversation| (it.card.conversation.id, it.card.head.last_seq);
    let mut from = None;
    let mut seqs = std::collections::BTreeMap::new();
    while !writer.is_finished() {
        let body = world.sync(p[0], from, 100).await;
        seqs.extend(body.conversations.iter().map(last));
        from = Some(body.next);
    }
    writer.await.unwrap();
    let body = world.sync(p[0], from, 100).await;
    seqs.extend(body.conversations.iter().map(last));
    assert_eq!(seqs.len(), 20);
    assert!(seqs.values().all(|seq| *seq == 1), "{seqs:?}");
}

/// Not that it is there, nor that it is not; once it was shown, it can be gone.
pub async fn a_chat_that_only_the_other_opened_is_not_told(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let chat = ConversationId::direct(p[0], p[1]);
    let open = async |by, peer| {
        let command = world.command(chat, Change::Open(Open { by, peer }));
        world.apply(command).await.unwrap();
    };
    let told = async |viewer, from: &SyncFrom| {
        let body = world.sync(viewer, Some(from.clone()), 100).await;
        (synced(&body.conversations), body.removed)
    };
    let start = world.horizon().await;
    open(p[0], p[1]).await;
    assert_eq!(told(p[0], &start).await, (vec![chat], vec![]));
    assert_eq!(told(p[1], &start).await, (vec![], vec![]));
    world.hide(p[1], chat).await.unwrap();
    assert_eq!(told(p[1], &start).await, (vec![], vec![]), "he had nothing to hide");
    open(p[1], p[0]).await;
    assert_eq!(told(p[1], &start).await, (vec![chat], vec![]));
    for viewer in [p[0], p[1]] {
        world.hide(viewer, chat).await.unwrap();
        assert_eq!(told(viewer, &start).await, (vec![], vec![chat]), "it was shown before");
    }
    world.send(chat, p[0], "hi").await;
    assert_eq!(told(p[1], &start).await, (vec![chat], vec![]));
}

/// Of all others in a small conversation, as the viewer may see them; whatever moves is found.
pub async fn a_sync_brings_the_marks_of_others(stores: Stores) {
    let (world, p) = World::people(stores, 4).await;
    let id = world.group(&p[..3]).await;
    world.send(id, p[0], "one").await;
    world.send(id, p[0], "two").await;
    let mut from = world.horizon().await;
    let mut next = async |viewer| {
        let whole = world.sync(viewer, None, 10).await;
        let since = world.sync(viewer, Some(from.clone()), 10).await;
        assert_eq!(since.conversations, whole.conversations, "it is found, and the same");
        from = since.next;
        let marks = whole.conversations.into_iter().next().unwrap().marks.unwrap();
        marks.iter().map(|of| (of.user_id, of.marks.delivered, of.marks.read)).collect::<Vec<_>>()
    };
    world.advance(p[1], id, (2, 1)).await.unwrap();
    assert_eq!(next(p[2]).await, [(p[0], 2, 2), (p[1], 2, 1)]);
    shows_reading(&world, p[1], false).await;
    assert_eq!(next(p[2]).await, [(p[0], 2, 2), (p[1], 2, 0)]);
    shows_reading(&world, p[2], false).await;
    assert_eq!(next(p[2]).await, [(p[0], 2, 0), (p[1], 2, 0)], "who hides his sees nobody's");
    shows_reading(&world, p[2], true).await;
    shows_reading(&world, p[1], true).await;
    assert_eq!(next(p[2]).await, [(p[0], 2, 2), (p[1], 2, 1)]);
    world.change_members(id, &[MemberChange::Joins(p[3], Role::Member)]).await;
    assert_eq!(next(p[2]).await[2], (p[3], 2, 2));
    world.leave(id, p[1]).await;
    assert_eq!(next(p[3]).await, [(p[0], 2, 2), (p[2], 0, 0)]);
    let same = world.sync(p[3], Some(from.clone()), 10).await;
    assert!(same.conversations.is_empty());
    // What he hides or shows already is no news.
    shows_reading(&world, p[2], true).await;
    assert!(world.sync(p[3], Some(from), 10).await.conversations.is_empty());
}

/// Like the own marks: on another device they are found.
pub async fn own_settings_and_marks_are_found(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let id = world.group(&p).await;
    world.send(id, p[0], "one").await;
    let start = world.horizon().await;
    let patch = SettingsPatch { pinned: Some(true), ..SettingsPatch::default() };
    world.settle(p[1], id, patch).await.unwrap();
    let body = world.sync(p[1], Some(start.clone()), 10).await;
    assert!(body.conversations[0].card.my.pinned);
    assert!(world.sync(p[0], Some(start), 10).await.conversations.is_empty(), "it is his own");
    world.advance(p[1], id, (1, 1)).await.unwrap();
    let body = world.sync(p[1], Some(body.next), 10).await;
    assert_eq!(body.conversations[0].card.unread.count, 0);
}

/// Profiles, correspondents and blocks, each once, whatever the size of a page.
pub async fn people_come_page_by_page(stores: Stores) {
    let (world, p) = World::people(stores, 9).await;
    world.group(&[p[0], p[1], p[5]]).await;
    world.group(&[p[0], p[2]]).await;
    for other in [p[3], p[4], p[7]] {
        world.write(other, p[0], "hi").await;
    }
    for whom in [p[4], p[6], p[8]] {
        world.stores.blocks.block(p[0], whom, at(1)).await.unwrap();
    }
    world.stores.blocks.block(p[7], p[0], at(1)).await.unwrap();
    let mut start = None;
    for limit in [1, 2, 3, 4, 50] {
        let body = sync_all(&world, p[0], None, limit).await;
        assert_eq!(body.conversations.len(), 5, "pages of {limit}");
        assert_eq!(user_ids(&body), [p[1], p[2], p[3], p[4], p[5], p[7]].into());
        assert_eq!(body.users.len(), 6, "each once");
        assert_eq!(body.correspondents, [p[3]], "not those who have parted");
        assert_eq!(body.blocks, [p[4], p[6], p[8]]);
        start = Some(body.next);
    }
    world.stores.blocks.unblock(p[0], p[8]).await.unwrap();
    let patch = ProfilePatch { display_name: Some(name("New")), ..Default::default() };
    world.stores.users.update(p[5], patch).await.unwrap();
    for limit in [1, 2, 50] {
        let body = sync_all(&world, p[0], start.clone(), limit).await;
        assert_eq!((body.conversations.len(), user_ids(&body)), (0, [p[5]].into()));
        assert_eq!((body.correspondents, body.blocks), (vec![p[3]], vec![p[4], p[6]]));
    }
}

/// More of them than a page has, at each size.
pub async fn many_people_come_page_by_page(stores: Stores) {
    let (world, p) = World::people(stores, 26).await;
    world.group(&p).await;
    for limit in [2, 3] {
        let (mut from, mut pages, mut seen) = (None, 0, Vec::new());
        loop {
            let body = world.sync(p[0], from, limit).await;
            seen.extend(body.users.iter().map(|user| user.id));
            (from, pages) = (Some(body.next), pages + 1);
            if !body.has_more {
                break;
            }
        }
        assert_eq!(seen, p[1..], "each once and in order, pages of {limit}");
        assert!(pages > 1, "pages of {limit}");
    }
}

/// A profile that changes behind the page that was read comes with the next sync.
pub async fn people_who_change_during_a_paged_sync_are_not_lost(stores: Stores) {
    let (world, p) = World::people(stores, 5).await;
    world.group(&p).await;
    let mut page = world.sync(p[0], None, 1).await;
    while !page.users.iter().any(|user| user.id == p[2]) {
        assert!(page.has_more);
        page = world.sync(p[0], Some(page.next), 1).await;
    }
    let patch = ProfilePatch { display_name: Some(name("New")), ..Default::default() };
    world.stores.users.update(p[1], patch).await.unwrap();
    let rest = sync_all(&world, p[0], Some(page.next), 1).await;
    assert_eq!(user_ids(&rest), [p[3], p[4]].into());
    let next = sync_all(&world, p[0], Some(rest.next), 1).await;
    assert!(user_ids(&next).contains(&p[1]));
}
