//! The contract of the stores, on each database, and that they agree.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod agreement;
mod postgres;
mod sqlite;
