//! The directory of channels, and who sees their members.

use kith_domain::{
    ConversationId, UserId,
    conversation::{ConversationPatch, Kind},
    group::{MemberChange, Role},
};
use kith_ports::DirectoryCursor;

use super::{Stores, World};
use crate::build::{self, conversation_id, name, user_id};

async fn channel(world: &World, owner: UserId, called: &str) -> ConversationId {
    let room = build::room(world.next(), Kind::Channel, owner);
    let room = kith_domain::conversation::Conversation { name: Some(name(called)), ..room };
    let id = room.id;
    world.apply(build::create(room, &[])).await.unwrap();
    id
}

async fn found(world: &World, prefix: &str) -> Vec<ConversationId> {
    let prefix = Some(prefix.to_owned());
    let page = world.stores.conversations.directory(user_id(1), prefix, None, 50).await.unwrap();
    assert_eq!(page.next, None);
    page.items.into_iter().map(|listing| listing.conversation.id).collect()
}

/// By name without case, those of one name by id; to anyone, with whether he is in it.
pub async fn channels_are_listed_by_name(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let mut expected = Vec::new();
    for called in ["anna", "Berlin", "berlin", "Élodie", "Zoo"] {
        expected.push(channel(&world, p[0], called).await);
    }
    world.group(&p).await;
    world.write(p[1], p[0], "hi").await;
    let gone = channel(&world, p[0], "Away").await;
    world.remove(gone).await;
    // "é" stands behind "z": in the order of the characters, whatever the language.
    expected.swap(3, 4);
    world.change_members(expected[1], &[MemberChange::Joins(p[1], Role::Member)]).await;
    for limit in 1..7 {
        let (mut seen, mut after): (Vec<_>, Option<DirectoryCursor>) = (Vec::new(), None);
        loop {
            let page =
                world.stores.conversations.directory(p[1], None, after, limit).await.unwrap();
            assert!(page.items.len() <= limit);
            seen.extend(page.items);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        let ids: Vec<_> = seen.iter().map(|listing| listing.conversation.id).collect();
        assert_eq!(ids, expected, "pages of {limit}");
        for listing in seen {
            let id = listing.conversation.id;
            assert_eq!(listing.joined, id == expected[1]);
            assert_eq!((listing.conversation.clone(), listing.head), world.head(id).await);
            let alone = world.stores.conversations.listing(p[1], id).await.unwrap();
            assert_eq!(alone, Some(listing));
        }
    }
}

/// Or of the whole name; what it was called before finds it no more.
pub async fn channels_are_found_by_the_start_of_a_word(stores: Stores) {
    let (world, p) = World::people(stores, 1).await;
    let rust = channel(&world, p[0], "Learning Rust").await;
    let chinese = channel(&world, p[0], "学习中文").await;
    let odd = channel(&world, p[0], "100% _fun_").await;
    let cases: [(&str, &[ConversationId]); 10] = [
        ("learn", &[rust]),
        ("RUST", &[rust]),
        ("learning ru", &[rust]),
        ("ust", &[]),
        ("中", &[chinese]),
        ("学习", &[chinese]),
        ("%", &[]),
        ("100%", &[odd]),
        ("_", &[odd]),
        ("", &[odd, rust, chinese]),
    ];
    for (prefix, expected) in cases {
        assert_eq!(found(&world, prefix).await, expected, "{prefix}");
    }
    let patch = ConversationPatch { name: Some(name("Ferris")), ..Default::default() };
    world.update(p[0], rust, patch).await.unwrap();
    assert_eq!((found(&world, "rust").await, found(&world, "ferr").await), (vec![], vec![rust]));
    world.remove(rust).await;
    assert_eq!(found(&world, "ferr").await, []);
}

/// Not a group, not a chat, not what is gone.
pub async fn only_a_channel_has_a_listing(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let group = world.group(&p).await;
    let chat = world.write(p[1], p[0], "hi").await.conversation_id;
    let gone = channel(&world, p[0], "Gone").await;
    world.remove(gone).await;
    for id in [group, chat, gone, conversation_id(99)] {
        assert_eq!(world.stores.conversations.listing(p[0], id).await.unwrap(), None);
    }
    let left = channel(&world, p[0], "Left").await;
    world.change_members(left, &[MemberChange::Joins(p[1], Role::Member)]).await;
    let joined =
        async || world.stores.conversations.listing(p[1], left).await.unwrap().unwrap().joined;
    assert!(joined().await);
    world.leave(left, p[1]).await;
    assert!(!joined().await);
}

/// Page by page; one in charge sees all.
pub async fn a_channel_shows_those_in_charge_of_it(stores: Stores) {
    let (world, p) = World::people(stores, 6).await;
    let id = world.room(Kind::Channel, &p[..5]).await;
    world
        .change_members(
            id,
            &[
                MemberChange::Becomes(p[3], Role::Admin),
                MemberChange::Becomes(p[2], Role::Admin),
                MemberChange::Becomes(p[1], Role::Admin),
            ],
        )
        .await;
    world.leave(id, p[2]).await;
    let listed = async |viewer, limit| {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = world.stores.conversations.members(viewer, id, after, limit).await;
            let page = page.unwrap().unwrap();
            assert!(page.items.len() <= limit);
            seen.extend(page.items.into_iter().map(|member| member.user.id));
            match page.next {
                Some(next) => after = Some(next),
                None => return seen,
            }
        }
    };
    for limit in 1..5 {
        assert_eq!(listed(p[4], limit).await, [p[0], p[1], p[3]], "pages of {limit}");
        assert_eq!(listed(p[1], limit).await, [p[0], p[1], p[3], p[4]]);
    }
    let stranger = world.stores.conversations.members(p[5], id, None, 5).await.unwrap();
    assert_eq!(stranger, None);
}
