//! Signed-in devices.

use kith_domain::{
    SessionId,
    session::{Device, Session},
};
use kith_ports::StoreError;

use super::{Stores, World};
use crate::build::{at, password_hash, seconds, session, session_id, token_hash, user_id};

fn renewed(session: &Session, second: u64) -> Session {
    Session {
        generation: session.generation + 1,
        last_used_at: at(second),
        expires_at: Session::expiry(session.created_at, at(second)),
        ..session.clone()
    }
}

/// Every field comes back, and a device that told nothing too.
pub async fn a_session_is_stored_whole(stores: Stores) {
    let (world, people) = World::people(stores, 1).await;
    let sessions = &world.stores.sessions;
    let bare = Session { device: Device::default(), ..session(11, people[0]) };
    for session in [session(10, people[0]), bare] {
        sessions.create(session.clone(), token_hash(7), password_hash(1)).await.unwrap();
        let found = sessions.find(session.id).await.unwrap();
        assert_eq!(found, Some((session.clone(), token_hash(7))));
        let found = sessions.find_all(&[session.id, session_id(99)]).await.unwrap();
        assert_eq!(found, [session]);
    }
    assert_eq!(sessions.find(session_id(99)).await.unwrap(), None);
}

/// A password that was changed while it was checked opens nothing, and writes nothing.
pub async fn a_session_needs_the_password_that_was_verified(stores: Stores) {
    let (world, people) = World::people(stores, 2).await;
    let sessions = &world.stores.sessions;
    let create = async |user: u64, verified| {
        let made = sessions.create(session(10, user_id(user)), token_hash(1), verified).await;
        let found = sessions.find(session_id(10)).await.unwrap();
        assert_eq!(made.is_ok(), found.is_some());
        made
    };
    let stale = |made| assert!(matches!(made, Err(StoreError::Stale)), "{made:?}");
    world.stores.users.erase(people[1], at(1)).await.unwrap();
    stale(create(2, password_hash(2)).await);
    stale(create(2, String::new()).await);
    stale(create(99, password_hash(99)).await);
    let new = String::from("new hash");
    let users = &world.stores.users;
    users.set_password(people[0], new.clone(), session_id(1), at(2)).await.unwrap();
    stale(create(1, password_hash(1)).await);
    create(1, new).await.unwrap();
}

/// The second of two that saw the same generation is stale, and writes nothing.
pub async fn renewing_moves_to_the_next_generation_once(stores: Stores) {
    let (world, people) = World::people(stores, 1).await;
    let sessions = &world.stores.sessions;
    let first = session(10, people[0]);
    sessions.create(first.clone(), token_hash(1), password_hash(1)).await.unwrap();
    let second = renewed(&first, 60);
    sessions.renew(1, second.clone(), token_hash(2)).await.unwrap();
    assert_eq!(sessions.find(first.id).await.unwrap(), Some((second.clone(), token_hash(2))));
    let again = sessions.renew(1, renewed(&first, 61), token_hash(3)).await;
    assert!(matches!(again, Err(StoreError::Stale)), "{again:?}");
    assert_eq!(sessions.find(first.id).await.unwrap(), Some((second.clone(), token_hash(2))));

    assert!(sessions.revoke(people[0], first.id, at(70)).await.unwrap());
    let ended = sessions.renew(2, renewed(&second, 80), token_hash(3)).await;
    assert!(matches!(ended, Err(StoreError::Stale)), "{ended:?}");
    let unknown = sessions.renew(1, session(99, people[0]), token_hash(3)).await;
    assert!(matches!(unknown, Err(StoreError::Stale)), "{unknown:?}");
}

/// One of many.
pub async fn renewals_at_once_have_one_winner(stores: Stores) {
    let (world, people) = World::people(stores, 1).await;
    let first = session(10, people[0]);
    world.stores.sessions.create(first.clone(), token_hash(1), password_hash(1)).await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let (sessions, first) = (world.stores.sessions.clone(), first.clone());
            tokio::spawn(async move { sessions.renew(1, renewed(&first, n), token_hash(2)).await })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => won += 1,
            Err(StoreError::Stale) => {}
            Err(other) => panic!("expected it to be stale, found {other:?}"),
        }
    }
    assert_eq!(won, 1);
}

/// The newest used first.
pub async fn ended_sessions_are_not_listed(stores: Stores) {
    let (world, people) = World::people(stores, 2).await;
    let sessions = &world.stores.sessions;
    for (n, used) in [(10, 30), (11, 50), (12, 40), (13, 20)] {
        let session = Session { last_used_at: at(used), ..session(n, people[0]) };
        sessions.create(session, token_hash(1), password_hash(1)).await.unwrap();
    }
    let short = Session { expires_at: at(100), ..session(14, people[0]) };
    sessions.create(short, token_hash(1), password_hash(1)).await.unwrap();
    sessions.revoke(people[0], session_id(13), at(60)).await.unwrap();
    let list = async |second| -> Vec<SessionId> {
        let list = sessions.list(people[0], at(second)).await.unwrap();
        list.into_iter().map(|session| session.id).collect()
    };
    let others = [session_id(11), session_id(12), session_id(10)];
    let oldest = [session_id(14), session_id(1)];
    assert_eq!(list(99).await, [&others[..], &oldest[..]].concat());
    assert_eq!(list(100).await, [&others[..], &oldest[1..]].concat(), "at its end it is over");
}

/// Nobody ends another's, and nothing ends twice.
pub async fn only_ones_own_session_is_ended(stores: Stores) {
    let (world, people) = World::people(stores, 2).await;
    let sessions = &world.stores.sessions;
    assert!(!sessions.revoke(people[1], session_id(1), at(5)).await.unwrap());
    assert!(sessions.revoke(people[0], session_id(1), at(6)).await.unwrap());
    assert!(!sessions.revoke(people[0], session_id(1), at(7)).await.unwrap());
    assert!(!sessions.revoke(people[0], session_id(99), at(7)).await.unwrap());
    let (ended, _) = sessions.find(session_id(1)).await.unwrap().unwrap();
    assert_eq!(ended.revoked_at, Some(at(6)));
    let over = session(10, people[1]);
    sessions.create(over.clone(), token_hash(1), password_hash(2)).await.unwrap();
    let later = over.expires_at.after(seconds(1));
    assert!(!sessions.revoke(people[1], over.id, later).await.unwrap());
}

/// Those that are told are those that lived.
pub async fn all_others_are_ended(stores: Stores) {
    let (world, people) = World::people(stores, 2).await;
    let sessions = &world.stores.sessions;
    for n in 10..13 {
        sessions.create(session(n, people[0]), token_hash(1), password_hash(1)).await.unwrap();
    }
    sessions.revoke(people[0], session_id(12), at(4)).await.unwrap();
    let mut ended = sessions.revoke_others(people[0], session_id(10), at(5)).await.unwrap();
    ended.sort();
    assert_eq!(ended, [session_id(1), session_id(11)]);
    assert_eq!(sessions.revoke_others(people[0], session_id(10), at(6)).await.unwrap(), []);
    assert_eq!(sessions.list(people[0], at(7)).await.unwrap().len(), 1);
    assert_eq!(sessions.list(user_id(2), at(7)).await.unwrap().len(), 1);
}
