use diesel::prelude::*;
use kith_domain::{
    text::{Description, Email, Name, Username},
    user::{Privacy, User, Visibility},
};
use kith_ports::StoreError;

use super::{corrupt, text, unknown};
use crate::{
    schema::{last_seen, users},
    types::{Key, Moment},
};

/// An account, with when it was last seen.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = users, check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
pub(crate) struct UserRow {
    pub(crate) id: Key,
    pub(crate) username: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) display_name: String,
    pub(crate) about: Option<String>,
    pub(crate) last_seen_visibility: i16,
    pub(crate) read_receipts: bool,
    pub(crate) created_at: Moment,
    pub(crate) deleted_at: Option<Moment>,
    #[diesel(select_expression = last_seen::at.nullable())]
    pub(crate) last_seen: Option<Moment>,
}

impl TryFrom<UserRow> for User {
    type Error = StoreError;

    fn try_from(row: UserRow) -> Result<Self, StoreError> {
        let id = row.id.0;
        let broken = |column| move |error| corrupt("users", id, column, error);
        Ok(Self {
            id: row.id.into(),
            username: text(row.username.as_deref(), Username::parse, broken("username"))?,
            email: text(row.email.as_deref(), Email::parse, broken("email"))?,
            display_name: Name::parse(&row.display_name).map_err(broken("display_name"))?,
            about: text(row.about.as_deref(), Description::parse, broken("about"))?,
            privacy: Privacy {
                last_seen: visibility(row.last_seen_visibility).ok_or_else(|| {
                    unknown("users", id, "last_seen_visibility", row.last_seen_visibility)
                })?,
                read_receipts: row.read_receipts,
            },
            created_at: row.created_at.into(),
            deleted_at: row.deleted_at.map(Into::into),
            last_seen: row.last_seen.map(Into::into),
        })
    }
}

/// The number that stands for a circle of people.
pub(crate) const fn visibility_number(visibility: Visibility) -> i16 {
    match visibility {
        Visibility::Everyone => 0,
        Visibility::Contacts => 1,
        Visibility::Nobody => 2,
    }
}

const fn visibility(number: i16) -> Option<Visibility> {
    match number {
        0 => Some(Visibility::Everyone),
        1 => Some(Visibility::Contacts),
        2 => Some(Visibility::Nobody),
        _ => None,
    }
}
