//! What `/proc` tells of a process and its children.

use std::{fs, time::Duration};

/// One line of `/proc/<pid>/stat`, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process {
    pub(super) id: i32,
    /// Whether it does nothing more: stopped by a signal, or dead and not yet waited for.
    pub(super) still: bool,
    parent: i32,
    /// Its own time on a processor, in clock ticks.
    own: u64,
    /// That of its children it has waited for.
    reaped: u64,
}

impl Process {
    pub(super) fn find(id: i32) -> Option<Self> {
        let line = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name before it is in parentheses and may hold anything.
        let (_, rest) = line.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Self {
            id,
            still: matches!(*fields.first()?, "T" | "t" | "Z" | "X"),
            parent: fields.get(1)?.parse().ok()?,
            own: number(11)? + number(12)?,
            reaped: number(13)? + number(14)?,
        })
    }

    pub(super) fn children(id: i32) -> Vec<Self> {
        fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| Self::find(entry.file_name().to_str()?.parse().ok()?))
            .filter(|process| process.parent == id)
            .collect()
    }
}

/// The time that a process and its children, living or waited for, spent on processors.
pub(super) fn cpu(id: i32) -> Option<Duration> {
    loop {
        let before = Process::find(id)?;
        let children: u64 =
            Process::children(id).iter().map(|child| child.own + child.reaped).sum();
        let after = Process::find(id)?;
        // Else a child has ended meanwhile, and might have been counted twice or not at all.
        if before.reaped == after.reaped {
            let ticks = after.own + after.reaped + children;
            let per_second = rustix::param::clock_ticks_per_second();
            return Some(Duration::from_micros(ticks * 1_000_000 / per_second));
        }
    }
}
