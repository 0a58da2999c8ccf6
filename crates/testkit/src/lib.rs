//! What tests share. Never a dependency of anything but tests.

pub mod build;
pub mod contract;
mod numbers;
#[cfg(feature = "postgres")]
pub mod postgres;
mod process;
pub mod redis;

pub use numbers::Numbers;
pub use process::{FixedClock, SequentialIds};
