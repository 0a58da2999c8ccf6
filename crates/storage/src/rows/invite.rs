use diesel::prelude::*;
use kith_domain::{invite::Invite, text::InviteCode};
use kith_ports::StoreError;

use super::corrupt;
use crate::{
    schema::invites,
    types::{Key, Moment},
};

/// An invite into a group or channel.
#[derive(Debug, Insertable, Queryable, Selectable)]
#[diesel(table_name = invites, check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
pub(crate) struct InviteRow {
    pub(crate) code: String,
    pub(crate) conversation_id: Key,
    pub(crate) created_by: Key,
    pub(crate) created_at: Moment,
    pub(crate) expires_at: Option<Moment>,
    pub(crate) max_uses: Option<i32>,
    pub(crate) uses: i32,
}

impl TryFrom<InviteRow> for Invite {
    type Error = StoreError;

    fn try_from(row: InviteRow) -> Result<Self, StoreError> {
        let count = |column, count: i32| {
            u32::try_from(count).map_err(|error| corrupt("invites", &row.code, column, error))
        };
        Ok(Self {
            code: InviteCode::parse(&row.code)
                .map_err(|error| corrupt("invites", &row.code, "code", error))?,
            conversation_id: row.conversation_id.into(),
            created_by: row.created_by.into(),
            created_at: row.created_at.into(),
            expires_at: row.expires_at.map(Into::into),
            max_uses: row.max_uses.map(|most| count("max_uses", most)).transpose()?,
            uses: count("uses", row.uses)?,
        })
    }
}

impl From<Invite> for InviteRow {
    fn from(invite: Invite) -> Self {
        let count = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
        Self {
            code: invite.code.as_str().to_owned(),
            conversation_id: invite.conversation_id.into(),
            created_by: invite.created_by.into(),
            created_at: invite.created_at.into(),
            expires_at: invite.expires_at.map(Into::into),
            max_uses: invite.max_uses.map(count),
            uses: count(invite.uses),
        }
    }
}
