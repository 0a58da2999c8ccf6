//! Online, last seen, and for whom.

use crate::{time::Timestamp, user::User};

/// What one person may know of another's presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Not for this viewer to know.
    Hidden,
    /// At least one socket is open.
    Online,
    /// No socket is open.
    Offline {
        /// When the last one closed; `None` if there never was one.
        last_seen: Option<Timestamp>,
    },
}

impl Presence {
    /// What a viewer sees of `user`. `is_contact` says whether `user` has written to the viewer in
    /// a direct chat.
    pub fn of(user: &User, online: bool, is_contact: bool) -> Self {
        if user.is_deleted() || !user.privacy.last_seen.admits(is_contact) {
            Self::Hidden
        } else if online {
            Self::Online
        } else {
            Self::Offline { last_seen: user.last_seen }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        id::UserId,
        text::Name,
        user::{Privacy, Visibility},
    };

    fn user(last_seen: Visibility) -> User {
        User {
            id: UserId::from_uuid(Uuid::from_u128(1)),
            username: None,
            email: None,
            display_name: Name::parse("Ann").unwrap(),
            about: None,
            privacy: Privacy { last_seen, read_receipts: true },
            created_at: Timestamp::from_micros(0),
            deleted_at: None,
            last_seen: Some(Timestamp::from_micros(7)),
        }
    }

    #[test]
    fn who_is_hidden_is_neither_online_nor_last_seen() {
        assert_eq!(Presence::of(&user(Visibility::Nobody), true, true), Presence::Hidden);
        assert_eq!(Presence::of(&user(Visibility::Contacts), true, false), Presence::Hidden);
    }

    #[test]
    fn who_is_seen_is_online_or_was_seen_last() {
        assert_eq!(Presence::of(&user(Visibility::Everyone), true, false), Presence::Online);
        assert_eq!(
            Presence::of(&user(Visibility::Contacts), false, true),
            Presence::Offline { last_seen: Some(Timestamp::from_micros(7)) }
        );
    }

    #[test]
    fn an_erased_account_has_no_presence() {
        let erased =
            User { deleted_at: Some(Timestamp::from_micros(9)), ..user(Visibility::Everyone) };
        assert_eq!(Presence::of(&erased, true, true), Presence::Hidden);
    }
}
