use async_trait::async_trait;
use dashmap::{DashMap, mapref::entry::Entry};
use kith_domain::UserId;
use kith_ports::live::{Found, PresenceBoard};

/// Who is online on this node, in memory.
///
/// A person is on the board from the first device until the grace after the last one is over.
#[derive(Debug, Default)]
pub struct Board {
    devices: DashMap<UserId, u32>,
}

impl Board {
    /// Nobody is online.
    pub fn new() -> Self {
        Self::default()
    }

    /// All who are on it.
    pub(crate) fn all(&self) -> Vec<UserId> {
        self.devices.iter().map(|entry| *entry.key()).collect()
    }
}

#[async_trait]
impl PresenceBoard for Board {
    async fn arrive(&self, user: UserId) -> bool {
        match self.devices.entry(user) {
            Entry::Occupied(mut devices) => {
                *devices.get_mut() += 1;
                false
            }
            Entry::Vacant(place) => {
                place.insert(1);
                true
            }
        }
    }

    async fn leave(&self, user: UserId) -> bool {
        match self.devices.get_mut(&user) {
            Some(mut devices) => {
                *devices = devices.saturating_sub(1);
                *devices == 0
            }
            None => false,
        }
    }

    async fn settle(&self, user: UserId) -> bool {
        self.devices.remove_if(&user, |_, devices| *devices == 0).is_some()
    }

    async fn online(&self, users: &[UserId]) -> Vec<bool> {
        users.iter().map(|user| self.devices.contains_key(user)).collect()
    }

    async fn found(&self) -> Option<Vec<Found>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use kith_testkit::build::user_id;

    use super::*;

    #[tokio::test]
    async fn only_the_first_device_and_the_last_are_news() {
        let board = Board::new();
        let ann = user_id(1);
        assert!(board.arrive(ann).await);
        assert!(!board.arrive(ann).await);
        assert!(!board.leave(ann).await);
        assert!(board.leave(ann).await);
        assert_eq!(board.online(&[ann, user_id(2)]).await, [true, false]);
        assert!(board.settle(ann).await);
        assert_eq!(board.online(&[ann]).await, [false]);
        assert!(!board.settle(ann).await);
    }

    #[tokio::test]
    async fn who_comes_back_within_the_grace_was_never_away() {
        let board = Board::new();
        let ann = user_id(1);
        assert!(board.arrive(ann).await);
        assert!(board.leave(ann).await);
        assert!(!board.arrive(ann).await);
        assert!(!board.settle(ann).await);
        assert_eq!(board.online(&[ann]).await, [true]);
    }
}
