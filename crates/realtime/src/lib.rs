//! Live delivery: what happened, to the sockets that should hear of it.
//!
//! [`Hub`] is the event bus and the registry of sockets of one node. It is sharded by the threads
//! that own sockets ("workers"): an event is encoded once, handed over once to each worker, and
//! there a plain loop puts the same bytes into the queues of the sockets concerned, without a lock
//! and without an allocation per recipient. [`Board`] knows who is online.
//!
//! This room knows frames and sockets' queues. It knows nothing of databases, of HTTP, or of who
//! may do what: it delivers to whom it is told.

mod board;
mod cluster;
mod encode;
mod hub;
mod shard;
mod tally;

pub use board::Board;
pub use cluster::{Cluster, ClusterError, ClusterOptions, SharedBoard, SharedTally};
pub use hub::{Hub, HubOptions};
pub use tally::LocalTally;
