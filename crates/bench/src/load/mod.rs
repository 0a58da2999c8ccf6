//! Load over sockets: people who write to people.

mod crowd;
mod fan_out;
mod herd;
mod lone;
mod open_loop;
mod saturate;
mod stage;
mod wire;

pub(crate) use self::{
    crowd::{Crowd, Shape},
    fan_out::{FanOut, Pace, fan_out},
    herd::{Herd, Return},
    lone::lone,
    open_loop::open_loop,
    saturate::saturate,
    stage::{Cast, PASSWORD, Stage},
    wire::CONTENT,
};

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::Result;

/// Of microseconds, to three digits, up to a minute.
pub(crate) fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_max(60_000_000, 3)?)
}

/// How long a load goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spans {
    /// Before anything is measured.
    pub(crate) warm_up: Duration,
    /// While it is measured.
    pub(crate) measured: Duration,
}
