use diesel::prelude::*;
use kith_domain::{
    conversation::{Head, Membership},
    group::Role,
    receipt::{Mark, Watermarks},
};
use kith_ports::StoreError;

use super::unknown;
use crate::{
    schema::members,
    types::{Key, Moment},
};

/// A member's place in a conversation, kept when he leaves.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = members, check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
pub(crate) struct MemberRow {
    pub(crate) conversation_id: Key,
    pub(crate) user_id: Key,
    pub(crate) role: i16,
    pub(crate) joined_at: Moment,
    pub(crate) first_seq: i64,
    pub(crate) left_seq: Option<i64>,
    pub(crate) version: i64,
    pub(crate) delivered_seq: i64,
    pub(crate) delivered_at: Option<Moment>,
    pub(crate) read_seq: i64,
    pub(crate) read_at: Option<Moment>,
    pub(crate) muted_until: Option<Moment>,
    pub(crate) pinned: bool,
    pub(crate) archived: bool,
    pub(crate) hidden: bool,
    pub(crate) joined_seq: Option<i64>,
    pub(crate) joined_version: Option<i64>,
}

impl MemberRow {
    /// The member's role.
    pub(crate) fn role(&self) -> Result<Role, StoreError> {
        role(self.role).ok_or_else(|| {
            let key = format!("({}, {})", self.conversation_id.0, self.user_id.0);
            unknown("members", key, "role", self.role)
        })
    }

    /// The member's place while `head` is the conversation's.
    pub(crate) fn membership(&self, head: &Head) -> Result<Membership, StoreError> {
        Ok(Membership {
            role: self.role()?,
            first_seq: self.first_seq,
            marks: self.own_marks(),
            joined_at: self.joined_at.into(),
            muted_until: self.muted_until.map(Into::into),
            pinned: self.pinned,
            archived: self.archived,
            hidden: self.is_hidden(head.last_seq),
        })
    }

    /// The first message that came after he did, whatever he has hidden since.
    pub(crate) fn joined_seq(&self) -> i64 {
        self.joined_seq.unwrap_or(self.first_seq)
    }

    /// The number of the change that brought him.
    pub(crate) fn joined_version(&self) -> i64 {
        self.joined_version.unwrap_or(1)
    }

    /// Whether he is in charge, or was.
    pub(crate) fn has_been_in_charge(&self) -> bool {
        self.role > 0 || self.version > self.joined_version()
    }

    /// The marks as the member sees them himself: what came before his first message, because he
    /// joined later or has hidden it, is nothing for him to read. Others see how far he came.
    fn own_marks(&self) -> Watermarks {
        self.marks().merged(Watermarks::starting_after(self.first_seq - 1))
    }

    /// How far the member has received and read.
    pub(crate) const fn marks(&self) -> Watermarks {
        Watermarks { delivered: self.delivered_seq, read: self.read_seq }
    }

    /// Whether it is out of the inbox while `last_seq` is the newest message. The next message
    /// brings it back without a write: it is no longer before the first one the member sees.
    pub(crate) const fn is_hidden(&self, last_seq: i64) -> bool {
        self.hidden && last_seq < self.first_seq
    }
}

/// The number that stands for a role. Their order is that of power.
pub(crate) const fn role_number(role: Role) -> i16 {
    match role {
        Role::Member => 0,
        Role::Admin => 1,
        Role::Owner => 2,
    }
}

const fn role(number: i16) -> Option<Role> {
    match number {
        0 => Some(Role::Member),
        1 => Some(Role::Admin),
        2 => Some(Role::Owner),
        _ => None,
    }
}

/// The number that stands for a watermark.
pub(crate) const fn mark_number(mark: Mark) -> i16 {
    match mark {
        Mark::Delivered => 1,
        Mark::Read => 2,
    }
}
