use diesel::prelude::*;
use kith_domain::{
    conversation::{Conversation, Head, Kind, Posting, SMALL},
    text::{Description, Name},
};
use kith_ports::StoreError;

use super::{corrupt, text, unknown};
use crate::{
    schema::{conversations, heads},
    types::{Key, Moment},
};

/// A direct chat, group or channel.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = conversations, check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
pub(crate) struct ConversationRow {
    pub(crate) id: Key,
    pub(crate) kind: i16,
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) posting: i16,
    pub(crate) user_a: Option<Key>,
    pub(crate) user_b: Option<Key>,
    pub(crate) created_by: Key,
    pub(crate) created_at: Moment,
    pub(crate) updated_at: Moment,
    pub(crate) member_count: i32,
    pub(crate) settings_epoch: i64,
    pub(crate) deleted_at: Option<Moment>,
}

impl TryFrom<ConversationRow> for Conversation {
    type Error = StoreError;

    fn try_from(row: ConversationRow) -> Result<Self, StoreError> {
        const TABLE: &str = "conversations";
        let id = row.id.0;
        let broken = |column| move |error| corrupt(TABLE, id, column, error);
        let kind = kind(row.kind).ok_or_else(|| unknown(TABLE, id, "kind", row.kind))?;
        Ok(Self {
            id: row.id.into(),
            kind,
            pair: match (kind, row.user_a, row.user_b) {
                (Kind::Direct, Some(a), Some(b)) => Some((a.into(), b.into())),
                (Kind::Direct, ..) => {
                    return Err(corrupt(
                        TABLE,
                        id,
                        "user_a, user_b",
                        "do not name a direct chat's two",
                    ));
                }
                _ => None,
            },
            name: text(row.name.as_deref(), Name::parse, broken("name"))?,
            description: text(
                row.description.as_deref(),
                Description::parse,
                broken("description"),
            )?,
            posting: posting(row.posting)
                .ok_or_else(|| unknown(TABLE, id, "posting", row.posting))?,
            created_by: row.created_by.into(),
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
            member_count: u32::try_from(row.member_count)
                .map_err(|error| corrupt(TABLE, id, "member_count", error))?,
            settings_epoch: row.settings_epoch,
        })
    }
}

/// What every message changes.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = heads, check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
pub(crate) struct HeadRow {
    pub(crate) last_seq: i64,
    pub(crate) version: i64,
    pub(crate) member_epoch: i64,
    pub(crate) last_message_at: Option<Moment>,
}

impl From<HeadRow> for Head {
    fn from(row: HeadRow) -> Self {
        Self {
            last_seq: row.last_seq,
            version: row.version,
            member_epoch: row.member_epoch,
            last_message_at: row.last_message_at.map(Into::into),
        }
    }
}

/// Whether a conversation with so many members is small.
pub(crate) fn is_small(member_count: i32) -> bool {
    i64::from(member_count) <= i64::from(SMALL)
}

/// The number that stands for a kind.
pub(crate) const fn kind_number(kind: Kind) -> i16 {
    match kind {
        Kind::Direct => 0,
        Kind::Group => 1,
        Kind::Channel => 2,
    }
}

const fn kind(number: i16) -> Option<Kind> {
    match number {
        0 => Some(Kind::Direct),
        1 => Some(Kind::Group),
        2 => Some(Kind::Channel),
        _ => None,
    }
}

/// The number that stands for who may write.
pub(crate) const fn posting_number(posting: Posting) -> i16 {
    match posting {
        Posting::Everyone => 0,
        Posting::Admins => 1,
    }
}

const fn posting(number: i16) -> Option<Posting> {
    match number {
        0 => Some(Posting::Everyone),
        1 => Some(Posting::Admins),
        _ => None,
    }
}
