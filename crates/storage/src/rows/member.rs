use diesel::prelude::*;
use kith_domain::{
    conversation::{Head, Membership},
    group::Role,
    receipt::Watermarks,
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
            marks: self.marks(),
            joined_at: self.joined_at.into(),
            muted_until: self.muted_until.map(Into::into),
            pinned: self.pinned,
            archived: self.archived,
            hidden: self.is_hidden(head.last_seq),
        })
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
