//! Pinned messages.

use kith_domain::{Code, event::Audience, message::Message};
use kith_ports::log::{Applied, Rejected};

use super::{Stores, World, world::refused};

fn pinned(outcome: Result<Applied, Rejected>) -> (Message, Option<Audience>) {
    match outcome.unwrap() {
        Applied::Revised(message, audience) => ((*message).clone(), audience),
        other => panic!("expected a pin, found {other:?}"),
    }
}

/// A change of the message under a version of its own; twice is once.
pub async fn a_message_is_pinned_and_unpinned_once(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let group = world.group(&p).await;
    let message = world.send(group, p[0], "hi").await;
    let (first, audience) = pinned(world.pin(&message, true).await);
    assert_eq!((first.version, first.pinned_at.is_some(), first.edited_at), (3, true, None));
    assert_eq!(audience, Some(Audience::Users(p.clone())));
    assert_eq!(world.message_card(p[1], message.id).await.unwrap().message, first);
    assert_eq!(pinned(world.pin(&first, true).await), (first.clone(), None));
    assert_eq!(world.head(group).await.1.version, 3);
    // Decided on what it was before: what it is now counts.
    let (second, audience) = pinned(world.pin(&message, false).await);
    assert_eq!((second.version, second.pinned_at, audience.is_some()), (4, None, true));
    assert_eq!(pinned(world.pin(&second, false).await), (second.clone(), None));
    assert_eq!(world.message_card(p[1], message.id).await.unwrap().message, second);
}

/// It has nothing to show.
pub async fn a_deleted_message_is_not_pinned(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let message = world.write(p[1], p[0], "hi").await;
    let (first, _) = pinned(world.pin(&message, true).await);
    let Applied::Deleted(tombstone, Some(_)) = world.delete(&first).await.unwrap() else {
        panic!("expected it to be deleted now");
    };
    assert_eq!(tombstone.pinned_at, None);
    assert_eq!(refused(world.pin(&tombstone, true).await), Code::MessageDeleted);
    assert_eq!(refused(world.edit(&tombstone, "alive?").await), Code::MessageDeleted);
    assert_eq!(world.message_card(p[1], message.id).await.unwrap().message, *tombstone);
}
