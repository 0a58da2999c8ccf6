//! What tests share. Never a dependency of anything but tests.

pub mod build;
pub mod contract;
#[cfg(feature = "postgres")]
pub mod postgres;
mod process;

pub use process::{FixedClock, SequentialIds};
