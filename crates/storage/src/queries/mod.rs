//! What is asked, as values: joins and conditions that both databases understand.
//!
//! A name here is a term of the product ("current member", "shown in the inbox"), so that it means
//! the same in every statement. Executors add what to select and how much of it.

mod conversations;
mod limit;
mod locked;
mod messages;
mod named;
mod users;

pub(crate) use self::{
    conversations::{Unread, activity, is_current, is_shown, memberships},
    limit::{at_most, one_more},
    locked::{kept_account, locked},
    messages::{AnsweredId, AnsweredSender},
    named::{AccountAmong, PlaceOf},
    users::people,
};
