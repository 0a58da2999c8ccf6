//! The real server over the network, as clients see it.
//!
//! One crate, so that it is linked once; a module for each theme. What tests share is in `support`.
//! What must hold whatever the database is in `every`, and runs on all of them; the rest is about
//! one of them, or about none, and runs once.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
#![expect(clippy::duplicate_mod, reason = "the same tests run on every database")]

mod nodes;
mod openapi;
#[path = "every/mod.rs"]
mod postgres;
mod postgres_faults;
mod program;
mod quiet;
#[path = "every/mod.rs"]
mod sqlite;
mod support;
mod wire;
