//! The stores, written once and built for each database.
//!
//! Each executor takes this folder in as a module of its own, and says in its own terms what is
//! named here: the connection, the numbers of its transactions, and how a piece of work is run:
//! `query!` for statements that need not see the same state, `snapshot!` for those that must,
//! `transact!` for what writes. A function marked `#[either]` is asynchronous where its executor is;
//! on SQLite, whose threads wait for the disk themselves, it is an ordinary one.

mod cards;
mod changes;
pub(super) mod conversations;
pub(super) mod log;
pub(super) mod messages;
pub(super) mod purge;
mod sessions;
mod sync;
mod users;

use super::{Backend, Connection, RunQueryDsl, Store, either, store};
