//! Use cases: load, let the domain decide, save, tell.
//!
//! This room knows the ports, never what is behind them: no SQL, no HTTP, no JSON. What it adds to
//! the domain's rules is order: what is asked before what, what is written in one step, what is
//! told only after it is durable.
//!
//! | module | serves |
//! |---|---|
//! | [`accounts`] | registering, logging in, password, profile, erasure |
//! | [`sessions`] | tokens, devices, tickets |
//! | [`conversations`] | direct chats, groups, channels, members |
//! | [`invites`] | codes that let people in |
//! | [`messaging`] | the lanes: every durable change of a conversation; sending, editing, deleting, reacting, pinning |
//! | [`receipts`] | who has received and read what |
//! | [`typing`] | who types just now |
//! | [`blocks`] | who wants to hear nothing of whom |
//! | [`people`] | profiles as others may see them |
//! | [`presence`] | who comes and goes |
//! | [`sync`] | what changed for me |
//! | [`limits`] | how much one may ask |

pub mod accounts;
pub mod blocks;
pub mod conversations;
mod error;
mod gather;
pub mod invites;
pub mod limits;
pub mod messaging;
pub mod people;
pub mod presence;
pub mod receipts;
mod retry;
pub mod sessions;
pub mod sync;
pub mod typing;

#[cfg(test)]
mod fixtures;

pub use error::Error;

/// What a use case returns.
pub type Result<T> = std::result::Result<T, Error>;
