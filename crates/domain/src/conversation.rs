//! Direct chats, groups and channels: one thing of three kinds, and a member's place in it.

use crate::{
    error::{Code, Refusal},
    group::Role,
    id::{ConversationId, UserId},
    receipt::Watermarks,
    text::{Description, Name},
    time::Timestamp,
};

/// The number of a message in its conversation, dense from 1. 0 stands before the first.
pub type Seq = i64;
/// The number of a durable change of a conversation, dense from 1, the creation.
pub type Version = i64;

/// The kinds of conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Two people, unique for each pair.
    Direct,
    /// Private, by invitation.
    Group,
    /// Listed; anyone may join.
    Channel,
}

impl Kind {
    /// How many members a conversation of this kind may have.
    pub const fn capacity(self) -> u32 {
        match self {
            Self::Direct => 2,
            Self::Group => 1_024,
            Self::Channel => 100_000,
        }
    }
}

/// Who may write in a channel or group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posting {
    /// Every member.
    Everyone,
    /// Admins and owners.
    Admins,
}

/// Up to so many members a conversation tells of receipts, typing and profiles; what each of a
/// larger crowd has read is nobody's concern.
pub const SMALL: u32 = 256;

/// A conversation, without what each member sees differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// Whether it is a direct chat (and whose), a group or a channel.
    pub kind: Kind,
    /// The two people of a direct chat, the lesser id first; `None` for the other kinds.
    pub pair: Option<(UserId, UserId)>,
    /// Its name; direct chats have none.
    pub name: Option<Name>,
    /// What it says of itself.
    pub description: Option<Description>,
    /// Who may write.
    pub posting: Posting,
    /// Who made it.
    pub created_by: UserId,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its name, description or rules last changed.
    pub updated_at: Timestamp,
    /// How many members it has.
    pub member_count: u32,
    /// Counts changes of name, description and rules: the guard of decisions that read them.
    pub settings_epoch: i64,
}

impl Conversation {
    /// The other one of a direct chat.
    pub fn peer_of(&self, user: UserId) -> Option<UserId> {
        match self.pair {
            Some((a, b)) if a == user => Some(b),
            Some((a, b)) if b == user => Some(a),
            _ => None,
        }
    }

    /// Whether it tells of receipts, typing and profiles.
    pub const fn is_small(&self) -> bool {
        self.member_count <= SMALL
    }
}

/// The pair of a direct chat in the order in which it is kept.
///
/// Refused with [`Code::OneSelf`] when both are the same person.
pub fn pair(a: UserId, b: UserId, field: &'static str) -> Result<(UserId, UserId), Refusal> {
    match a.cmp(&b) {
        std::cmp::Ordering::Less => Ok((a, b)),
        std::cmp::Ordering::Greater => Ok((b, a)),
        std::cmp::Ordering::Equal => {
            Err(Refusal::field(field, Code::OneSelf, "you cannot open a chat with yourself"))
        }
    }
}

/// The part of a conversation that every message changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the newest message.
    pub last_seq: Seq,
    /// The number of the newest durable change.
    pub version: Version,
    /// Counts changes of members and roles: the guard of decisions that read them.
    pub member_epoch: i64,
    /// When the newest message was sent.
    pub last_message_at: Option<Timestamp>,
}

/// A member's place in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    /// What the member may do.
    pub role: Role,
    /// The first message the member sees.
    pub first_seq: Seq,
    /// How far the member has received and read. Never before `first_seq - 1`.
    pub marks: Watermarks,
    /// When the member joined.
    pub joined_at: Timestamp,
    /// Notifications are off until then.
    pub muted_until: Option<Timestamp>,
    /// Kept at the top of the inbox.
    pub pinned: bool,
    /// Kept out of the inbox.
    pub archived: bool,
    /// Taken out of the inbox until the next message.
    pub hidden: bool,
}

/// Changes of a group or channel; `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConversationPatch {
    /// The new name.
    pub name: Option<Name>,
    /// The new description; `Some(None)` removes it.
    pub description: Option<Option<Description>>,
    /// Who may write from now on.
    pub posting: Option<Posting>,
}

/// Changes of a member's own settings; `None` leaves one as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SettingsPatch {
    /// Until when notifications are off; `Some(None)` turns them on.
    pub muted_until: Option<Option<Timestamp>>,
    /// Whether it is kept at the top of the inbox.
    pub pinned: Option<bool>,
    /// Whether it is kept out of the inbox.
    pub archived: Option<bool>,
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn user(n: u128) -> UserId {
        UserId::from_uuid(Uuid::from_u128(n))
    }

    #[test]
    fn a_pair_is_ordered() {
        assert_eq!(pair(user(2), user(1), "to").unwrap(), pair(user(1), user(2), "to").unwrap());
    }

    #[test]
    fn nobody_is_his_own_pair() {
        let refusal = pair(user(1), user(1), "user_id").unwrap_err();
        assert_eq!(refusal.code, Code::OneSelf);
        assert_eq!(refusal.fields[0].field, "user_id");
    }
}
