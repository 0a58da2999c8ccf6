//! What is PostgreSQL's own: locks between connections, failures, plans, the log of changes.

mod commit;
mod contention;
mod direct;
mod failures;
mod ground;
mod horizon;
mod joining;
mod migrations;
mod plans;
mod proxy;
mod schema;
mod server;
mod tail;
mod upkeep;
