//! The stores, as Diesel adapters.
//!
//! | part | says |
//! |---|---|
//! | `schema`, `types` | the tables, one schema for both databases, and how ids and times are kept |
//! | `rows` | what a row means in the domain, and that it is corrupt if it means nothing |
//! | `queries` | what is asked, as values |
//! | `stores` | the stores, written once and built for each database |
//! | [`sqlite`] | the executor for SQLite: its threads, its transactions, its way to append |
//! | [`postgres`] | the executor for PostgreSQL: its connections, its transactions, its way to append |
//!
//! This room decides nothing but what must be decided under a lock (the sends of
//! [`kith_ports::log`]), and for that it asks the domain. It knows nothing of lanes, sockets or
//! HTTP, and no other room knows Diesel.

#![allow(clippy::duplicate_mod, reason = "each executor takes `stores` in as a module of its own")]

mod failure;
mod migrations;
mod queries;
mod rows;
mod schema;
mod statement;
mod types;
mod words;

pub mod postgres;
pub mod sqlite;

pub use migrations::MigrationState;
