//! What is asked, as values: joins and conditions that both databases understand.
//!
//! A name here is a term of the product ("current member", "shown in the inbox"), so that it means
//! the same in every statement. Executors add what to select and how much of it.

mod conversations;
mod limit;
mod locked;
mod messages;
mod named;
mod reactions;
mod receipts;
mod unread;
mod users;

pub(crate) use self::{
    conversations::{
        IN_CHARGE, IsBlocked, IsMember, IsShownToMe, activity, is_current, is_shown, joined_seq,
        memberships,
    },
    limit::{at_most, one_more},
    locked::{kept_account, locked},
    messages::{AnsweredId, AnsweredSender, IsSaid},
    named::{AccountAmong, ConversationAmong, HeadAmong, PlaceOf},
    reactions::ReactionsTo,
    receipts::FirstAdvance,
    unread::Unread,
    users::people,
};
