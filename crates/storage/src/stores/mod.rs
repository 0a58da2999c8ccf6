//! The stores, written once and built for each database.
//!
//! Each executor takes this folder in as a module of its own, and says in its own terms what is
//! named here: the connection, the numbers of its transactions, how marks are moved by the batch, for
//! whom nothing changed, and how a piece of work is run:
//! `query!` for statements that need not see the same state, `snapshot!` for those that must,
//! `transact!` for what writes, `insist!` for what writes and may meet others in a circle. A function marked `#[either]` is asynchronous where its executor is;
//! on SQLite, whose threads wait for the disk themselves, it is an ordinary one.

mod acquaintances;
mod blocks;
mod cards;
pub(super) mod changes;
pub(super) mod conversations;
mod directory;
mod invites;
pub(super) mod log;
pub(super) mod marks;
pub(super) mod messages;
pub(super) mod purge;
pub(super) mod reactions;
pub(super) mod receipts;
mod sessions;
pub(super) mod shown;
mod span;
pub(super) mod sync;
pub(super) mod users;

use super::{
    Backend, Connection, QUERIES_SEE_ONE_STATE, RunQueryDsl, Store, advances, either, store,
    unchanged,
};
