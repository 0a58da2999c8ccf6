//! Who wants to hear nothing of whom.

use kith_domain::UserId;

use super::{Stores, World};
use crate::build::{at, user_id};

async fn blocked_by(world: &World, by: UserId) -> Vec<UserId> {
    let page = world.stores.blocks.blocked_by(by, None, 100).await.unwrap();
    assert_eq!(page.next, None);
    page.items
}

/// Once, whatever is done twice.
pub async fn a_block_is_made_and_taken_back(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let blocks = &world.stores.blocks;
    for _ in 0..2 {
        assert!(blocks.block(p[0], p[1], at(1)).await.unwrap());
        assert_eq!(blocked_by(&world, p[0]).await, [p[1]]);
    }
    assert_eq!(blocked_by(&world, p[1]).await, [], "it is one-sided");
    assert!(blocks.block(p[0], p[2], at(2)).await.unwrap());
    for _ in 0..2 {
        blocks.unblock(p[0], p[1]).await.unwrap();
        assert_eq!(blocked_by(&world, p[0]).await, [p[2]]);
    }
    assert!(!blocks.block(p[0], user_id(99), at(1)).await.unwrap());
    world.stores.users.erase(p[1], at(3)).await.unwrap();
    assert!(!blocks.block(p[0], p[1], at(1)).await.unwrap());
    assert_eq!(blocked_by(&world, p[0]).await, [p[2]]);
}

/// In the order of their ids.
pub async fn blocks_are_paged(stores: Stores) {
    let (world, p) = World::people(stores, 8).await;
    for whom in p[1..].iter().rev() {
        world.stores.blocks.block(p[0], *whom, at(1)).await.unwrap();
    }
    for limit in 1..9 {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = world.stores.blocks.blocked_by(p[0], after, limit).await.unwrap();
            assert!(page.items.len() <= limit);
            seen.extend(page.items);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, p[1..], "pages of {limit}");
    }
}

/// In whichever direction.
pub async fn those_are_found_who_have_parted(stores: Stores) {
    let (world, p) = World::people(stores, 5).await;
    let blocks = &world.stores.blocks;
    for (by, whom) in [(p[0], p[1]), (p[2], p[0]), (p[0], p[3]), (p[3], p[0]), (p[1], p[2])] {
        blocks.block(by, whom, at(1)).await.unwrap();
    }
    assert_eq!(blocks.blocked_among(p[0], &p).await.unwrap(), p[1..4]);
    assert_eq!(blocks.blocked_among(p[0], &[p[4], p[2]]).await.unwrap(), [p[2]]);
    assert_eq!(blocks.blocked_among(p[0], &[]).await.unwrap(), []);
    assert_eq!(blocks.blocked_among(p[4], &p).await.unwrap(), []);
}

/// For presence they are strangers to each other; what was written stays written.
pub async fn those_who_have_parted_are_no_contacts(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    for other in &p[1..] {
        world.write(*other, p[0], "hi").await;
        world.write(p[0], *other, "hi").await;
    }
    let users = &world.stores.users;
    let of = async |id| {
        let mut contacts = users.contacts(&[id]).await.unwrap().remove(0);
        let mut correspondents = users.correspondents(id).await.unwrap();
        let mut written = users.have_written_to(id, &p).await.unwrap();
        contacts.sort();
        correspondents.sort();
        written.sort();
        assert_eq!((&contacts, &contacts), (&correspondents, &written));
        contacts
    };
    for (by, whom) in [(p[0], p[1]), (p[1], p[0])] {
        world.stores.blocks.block(by, whom, at(1)).await.unwrap();
        assert_eq!(
            (of(p[0]).await, of(p[1]).await, of(p[2]).await),
            (vec![p[2]], vec![], vec![p[0]])
        );
        let mut acquaintances = users.acquaintances(p[0]).await.unwrap();
        acquaintances.sort();
        assert_eq!(acquaintances, p[1..], "a profile is no secret");
        world.stores.blocks.unblock(by, whom).await.unwrap();
        assert_eq!(of(p[0]).await, p[1..]);
    }
}
