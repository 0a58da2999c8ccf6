use std::{hash::Hash, net::IpAddr, sync::Arc};

use dashmap::{DashMap, mapref::entry::Entry};
use kith_domain::UserId;

/// How many sockets each person and each address has.
#[derive(Debug)]
pub(crate) struct SocketCounts {
    by_user: DashMap<UserId, u32>,
    by_address: DashMap<IpAddr, u32>,
    most_by_user: u32,
    most_by_address: u32,
}

/// One socket's place. It is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    counts: Arc<SocketCounts>,
    user: UserId,
    address: Option<IpAddr>,
}

impl SocketCounts {
    /// The most for each; 0: any number.
    pub(crate) fn new(most_by_user: u32, most_by_address: u32) -> Self {
        Self { by_user: DashMap::new(), by_address: DashMap::new(), most_by_user, most_by_address }
    }

    /// A place for one more socket; `None` if there is none.
    pub(crate) fn enter(self: &Arc<Self>, user: UserId, address: Option<IpAddr>) -> Option<Place> {
        if !count(&self.by_user, user, self.most_by_user) {
            return None;
        }
        if let Some(address) = address
            && !count(&self.by_address, address, self.most_by_address)
        {
            uncount(&self.by_user, user);
            return None;
        }
        Some(Place { counts: Arc::clone(self), user, address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        uncount(&self.counts.by_user, self.user);
        if let Some(address) = self.address {
            uncount(&self.counts.by_address, address);
        }
    }
}

fn count<K: Eq + Hash>(counts: &DashMap<K, u32>, key: K, most: u32) -> bool {
    let mut count = counts.entry(key).or_insert(0);
    if most > 0 && *count >= most {
        return false;
    }
    *count += 1;
    true
}

fn uncount<K: Eq + Hash>(counts: &DashMap<K, u32>, key: K) {
    if let Entry::Occupied(mut count) = counts.entry(key) {
        if *count.get() <= 1 {
            count.remove();
        } else {
            *count.get_mut() -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use uuid::Uuid;

    use super::*;

    #[test]
    fn places_are_counted_and_given_back() {
        let counts = Arc::new(SocketCounts::new(2, 3));
        let user = |n| UserId::from_uuid(Uuid::from_u128(n));
        let here = Some(IpAddr::from(Ipv4Addr::LOCALHOST));
        let first = counts.enter(user(1), here).unwrap();
        let second = counts.enter(user(1), here).unwrap();
        assert!(counts.enter(user(1), here).is_none());
        let third = counts.enter(user(2), here).unwrap();
        assert!(counts.enter(user(3), here).is_none());
        drop(first);
        assert!(counts.enter(user(1), here).is_some());
        drop((second, third));
        assert!(counts.by_user.is_empty() && counts.by_address.is_empty());
    }
}
