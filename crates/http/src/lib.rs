//! REST and WebSocket over actix: the wire contract in front of the use cases.
//!
//! A handler reads a request into domain types, has a use case run on the main runtime, and writes
//! the answer. What is refused, and why, is decided further in; here it gets its status and its
//! form (`application/problem+json`).
//!
//! | module | does |
//! |---|---|
//! | `routes` | one file for each family of calls: body to use case to answer |
//! | `ws` | the WebSocket: credentials, a pure session, the socket's driver |
//! | `extract` | bodies, queries, paths, and who is asking |
//! | `problem` | every error as a problem document |
//! | `gate` | what every request passes: ids, logs, headers |
//! | `cursor` | opaque cursors and sync tokens |
//! | `openapi`, `asyncapi` | the documents, from the code |
//!
//! This room knows nothing of SQL, and reaches sockets of others only through a port.

pub mod asyncapi;
mod context;
mod cursor;
mod extract;
mod gate;
mod openapi;
mod problem;
mod routes;
#[cfg(test)]
mod schema;
mod ws;

pub use context::{Context, Services, Settings};
pub use gate::{WorkerSlot, gate};
pub use openapi::document;
pub use routes::{Call, calls, configure};
