//! One message at a time, with nothing else going on.

use std::{io::Write as _, time::Instant};

use hdrhistogram::Histogram;

use super::{
    Stage, histogram,
    stage::Outcome,
    wire::{Kind, Template, number},
};
use crate::{Result, interrupt, stats::whole_micros};

/// The only sender sends `count` messages, each once the one before is acknowledged: how long each
/// took.
pub(crate) fn lone(stage: &Stage, count: u64) -> Result<Histogram<u64>> {
    let mut line = stage.open(&stage.senders)?.remove(0);
    let mut template = Template::new(stage.receivers[0].id);
    let mut times = histogram()?;
    let unmeasured = count / 10;
    let mut frame = Vec::new();
    for n in 0..unmeasured + count {
        interrupt::check()?;
        frame.clear();
        template.write(n, &mut frame);
        let start = Instant::now();
        line.stream.write_all(&frame)?;
        let mut acknowledged = false;
        while !acknowledged {
            line.wait()?;
            line.take(|text| {
                acknowledged |= Kind::of(text) == Kind::Sent && number(text) == Some(n);
            })?;
        }
        let took = start.elapsed();
        line.flush()?;
        if n >= unmeasured {
            times.record(whole_micros(took))?;
        }
    }
    drop(line);
    stage.check(&[Outcome { acknowledged: unmeasured + count, refused: 0 }])?;
    Ok(times)
}
