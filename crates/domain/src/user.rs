//! Accounts and what others may see of them.

use crate::{
    id::UserId,
    text::{Description, Email, Name, Username},
    time::Timestamp,
};

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The unique name it is found by; `None` once the account is erased and the name free again.
    pub username: Option<Username>,
    /// Where it can be reached; `None` once erased.
    pub email: Option<Email>,
    /// What people see.
    pub display_name: Name,
    /// What it says of itself.
    pub about: Option<Description>,
    /// What it lets others see.
    pub privacy: Privacy,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was erased, if it was.
    pub deleted_at: Option<Timestamp>,
    /// When its last socket closed, if it ever had one.
    pub last_seen: Option<Timestamp>,
}

/// What stands in place of the name of an account that was erased.
pub const DELETED_USER: &str = "Deleted user";

/// What a person lets others see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Privacy {
    /// Who sees online state and last seen.
    pub last_seen: Visibility,
    /// Whether others are told what this person has read.
    pub read_receipts: bool,
}

impl Default for Privacy {
    fn default() -> Self {
        Self { last_seen: Visibility::Everyone, read_receipts: true }
    }
}

/// A circle of people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Everyone with an account.
    Everyone,
    /// Those whom the person has written to in a direct chat.
    Contacts,
    /// Nobody.
    Nobody,
}

impl Visibility {
    /// Whether someone is inside the circle.
    pub const fn admits(self, is_contact: bool) -> bool {
        match self {
            Self::Everyone => true,
            Self::Contacts => is_contact,
            Self::Nobody => false,
        }
    }
}

/// A change of one's own profile; `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfilePatch {
    /// The new display name.
    pub display_name: Option<Name>,
    /// The new text about oneself; `Some(None)` removes it.
    pub about: Option<Option<Description>>,
    /// Who sees last seen from now on.
    pub last_seen: Option<Visibility>,
    /// Whether others are told what one has read, from now on.
    pub read_receipts: Option<bool>,
}

impl User {
    /// Whether the account was erased.
    pub const fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Visibility::Everyone, false, true)]
    #[case(Visibility::Contacts, false, false)]
    #[case(Visibility::Contacts, true, true)]
    #[case(Visibility::Nobody, true, false)]
    fn circles(#[case] circle: Visibility, #[case] is_contact: bool, #[case] admitted: bool) {
        assert_eq!(circle.admits(is_contact), admitted);
    }
}
