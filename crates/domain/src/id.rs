//! Identifiers: one type for each kind of thing, so that they cannot be confused.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID made elsewhere: by the id generator, or read from a store.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID itself.
            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

id! {
    /// An account.
    UserId
}
id! {
    /// A direct chat, a group or a channel.
    ConversationId
}
id! {
    /// A message.
    MessageId
}
id! {
    /// A signed-in device.
    SessionId
}
id! {
    /// One open socket. It lives as long as the socket and is never stored.
    ConnectionId
}

impl ConversationId {
    /// The id of the direct chat of two people, the same whichever of them asks.
    ///
    /// It is derived (`UUIDv8` of a hash of the ordered pair), so both sides meet in one row and the
    /// chat has an address before it exists.
    pub fn direct(a: UserId, b: UserId) -> Self {
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        let hash = Sha256::new()
            .chain_update(b"kith direct chat v1")
            .chain_update(low.0.as_bytes())
            .chain_update(high.0.as_bytes())
            .finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// Whether this is the id of a direct chat, which alone are derived.
    pub fn is_direct(&self) -> bool {
        self.0.get_version_num() == 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(n: u128) -> UserId {
        UserId::from_uuid(Uuid::from_u128(n))
    }

    #[test]
    fn a_direct_chat_has_one_id_for_both() {
        assert_eq!(
            ConversationId::direct(user(1), user(2)),
            ConversationId::direct(user(2), user(1))
        );
    }

    #[test]
    fn different_pairs_have_different_ids() {
        let pairs = [(1, 2), (1, 3), (2, 3), (1, 1), (12, 3)];
        let ids: std::collections::HashSet<_> =
            pairs.iter().map(|&(a, b)| ConversationId::direct(user(a), user(b))).collect();
        assert_eq!(ids.len(), pairs.len());
    }

    #[test]
    fn a_direct_chats_id_is_a_valid_version_8_uuid() {
        let id = ConversationId::direct(user(1), user(2));
        assert!(id.is_direct());
        assert_eq!(id.as_uuid().get_variant(), uuid::Variant::RFC4122);
    }

    #[test]
    fn a_direct_chats_id_never_changes() {
        // Stored data depends on it.
        let id = ConversationId::direct(user(1), user(2)).to_string();
        assert_eq!(id, ConversationId::direct(user(1), user(2)).to_string());
        assert_eq!(id.len(), 36);
    }
}
