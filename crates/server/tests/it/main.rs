//! The real server over the network, as clients see it.
//!
//! One crate, so that it is linked once; a module for each theme. What tests share is in `support`.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod accounts;
mod crash;
mod devices;
mod groups;
mod history;
mod membership;
mod openapi;
mod presence;
mod program;
mod retry;
mod sockets;
mod support;
mod sync;
mod validation;
