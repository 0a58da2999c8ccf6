//! A member's own settings of a conversation.

use kith_domain::{Code, conversation::SettingsPatch};
use kith_ports::log::Applied;

use super::{
    Stores, World,
    world::{refused, synced},
};
use crate::build::at;

/// What a patch does not name stays; nobody else's view changes.
pub async fn own_settings_change_field_by_field(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let group = world.group(&p).await;
    let before = (world.head(group).await, world.card(p[1], group).await);
    let patches = [
        SettingsPatch { muted_until: Some(Some(at(99))), ..SettingsPatch::default() },
        SettingsPatch { pinned: Some(true), ..SettingsPatch::default() },
        SettingsPatch { archived: Some(true), ..SettingsPatch::default() },
    ];
    for patch in patches {
        assert_eq!(world.settle(p[0], group, patch).await, Ok(Applied::Settled(true)));
    }
    let my = world.card(p[0], group).await.unwrap().my;
    assert_eq!((my.muted_until, my.pinned, my.archived), (Some(at(99)), true, true));
    let back = SettingsPatch { muted_until: Some(None), pinned: Some(false), archived: None };
    assert_eq!(world.settle(p[0], group, back).await, Ok(Applied::Settled(true)));
    let my = world.card(p[0], group).await.unwrap().my;
    assert_eq!((my.muted_until, my.pinned, my.archived), (None, false, true));
    assert_eq!((world.head(group).await, world.card(p[1], group).await), before);
}

/// One's other devices hear of it, the others' not.
pub async fn ones_next_sync_finds_new_settings(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let group = world.group(&p).await;
    let from = world.horizon().await;
    let archive = SettingsPatch { archived: Some(true), ..SettingsPatch::default() };
    world.settle(p[0], group, archive).await.unwrap();
    let body = world.sync(p[0], Some(from.clone()), 10).await;
    assert_eq!(synced(&body.conversations), [group]);
    assert!(body.conversations[0].card.my.archived);
    assert_eq!(synced(&world.sync(p[1], Some(from), 10).await.conversations), []);
    // What is so already is not written.
    let from = world.horizon().await;
    assert_eq!(world.settle(p[0], group, archive).await, Ok(Applied::Settled(false)));
    let nothing = world.settle(p[0], group, SettingsPatch::default()).await;
    assert_eq!(nothing, Ok(Applied::Settled(false)));
    assert_eq!(synced(&world.sync(p[0], Some(from), 10).await.conversations), []);
}

/// Nor do they outlive one's leaving.
pub async fn only_members_have_settings(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let group = world.group(&p[..2]).await;
    let pin = SettingsPatch { pinned: Some(true), ..SettingsPatch::default() };
    assert_eq!(refused(world.settle(p[2], group, pin).await), Code::NotFound);
    world.settle(p[1], group, pin).await.unwrap();
    world.leave(group, p[1]).await;
    assert_eq!(refused(world.settle(p[1], group, pin).await), Code::NotFound);
    let back = kith_domain::group::MemberChange::Joins(p[1], kith_domain::group::Role::Member);
    world.change_members(group, &[back]).await;
    assert!(!world.card(p[1], group).await.unwrap().my.pinned);
    world.remove(group).await;
    assert_eq!(refused(world.settle(p[0], group, pin).await), Code::NotFound);
}
