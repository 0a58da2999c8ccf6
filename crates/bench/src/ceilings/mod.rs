//! What is the most one could hope for: the databases alone, doing what Kith has them do.

pub(crate) mod pgbench;
pub(crate) mod sqlite;
