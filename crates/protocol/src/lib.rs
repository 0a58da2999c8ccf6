//! The wire: what goes over REST and WebSocket, and nothing else.
//!
//! No logic lives here. The types say how things are written; what they mean is said in the
//! domain, and whether they may is decided there. Requests refuse unknown fields, so that a typo
//! never passes silently. Answers tolerate them when they are read, so that an old client
//! understands a newer server.
//!
//! With the feature `domain`, answers are made `From` the domain's types; without it this crate
//! stands alone, as a client wants it. The feature `openapi` adds schemas and examples, for the
//! documents.

#[cfg(feature = "domain")]
mod convert;
#[cfg(feature = "openapi")]
pub mod example;
pub mod frame;
pub mod rest;
mod time;

pub use self::time::Time;
