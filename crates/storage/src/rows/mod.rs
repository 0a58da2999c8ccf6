//! Rows, and what they mean.
//!
//! A row derives once for both databases. `TryFrom` takes it into the domain: a row that does not
//! hold what it must is [`StoreError::Corrupt`], never skipped and never mended in silence.

mod conversation;
mod invite;
mod member;
mod message;
mod session;
mod user;

use std::fmt::Display;

use kith_domain::text::TextError;
use kith_ports::StoreError;

pub(crate) use self::{
    conversation::{ConversationRow, HeadRow, is_small, kind_number, posting_number},
    invite::InviteRow,
    member::{MemberRow, mark_number, role_number},
    message::{MessageRow, NOTED, mentioned, mentions_column, message_kind_number, noted},
    session::SessionRow,
    user::{UserRow, visibility_number},
};

/// The error of a row that does not hold what it must.
fn corrupt(
    table: &'static str,
    id: impl Display,
    column: &'static str,
    what: impl Display,
) -> StoreError {
    StoreError::Corrupt { table, id: id.to_string(), what: format!("{column} {what}") }
}

/// The error of a number that names nothing.
fn unknown(
    table: &'static str,
    id: impl Display,
    column: &'static str,
    number: impl Display,
) -> StoreError {
    corrupt(table, id, column, format_args!("is {number}, which means nothing"))
}

/// A text column that must hold what `parse` accepts, where it holds anything.
fn text<T>(
    value: Option<&str>,
    parse: impl Fn(&str) -> Result<T, TextError>,
    broken: impl Fn(TextError) -> StoreError,
) -> Result<Option<T>, StoreError> {
    value.map(parse).transpose().map_err(broken)
}
