//! Who may do what: every call and every frame, asked by everyone.
//!
//! A call or a frame that is not in its table fails the tests; so does a line of a table that is no
//! call or frame any more.

mod calls;
mod frames;
mod scene;

/// Everyone who may ask, in the order of the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// Nobody: no token.
    SignedOut,
    /// Somebody who has nothing to do with it.
    Stranger,
    /// One who was a member.
    Removed,
    /// A member.
    Member,
    /// An admin.
    Admin,
    /// The owner.
    Owner,
    /// One whom the other of his direct chat has blocked; the conversation is that chat.
    Blocked,
}

impl Who {
    const ALL: [Self; 7] = [
        Self::SignedOut,
        Self::Stranger,
        Self::Removed,
        Self::Member,
        Self::Admin,
        Self::Owner,
        Self::Blocked,
    ];
}
