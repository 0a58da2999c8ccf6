//! Sees to it that no cluster outlives the processes that use it, even if they are killed.

use std::{
    fs::File,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use super::{Attempt, Failure};

/// What does it; part of what makes two clusters the same.
pub(super) const SCRIPT: &str = include_str!("reaper.sh");

/// Ends a cluster when this value is dropped or this process is gone.
#[derive(Debug)]
pub(super) struct Reaper(Child);

impl Reaper {
    pub(super) fn new(dir: &Path) -> Result<Self, Failure> {
        // The other end of the pipe is closed for us however we end.
        let mut command = command("pipe", dir);
        command.stdin(Stdio::piped()).spawn().map(Self).attempt(|| format!("run {command:?}"))
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // Nobody is there to be told.
        let _ = self.0.wait();
    }
}

/// Ends a cluster when nobody holds a lock on its file `users`. The reaper holds `life`, a locked
/// file, as long as it lives, so that its own death is seen.
pub(super) fn watch(dir: &Path, life: File) -> Result<(), Failure> {
    // Without it the reaper would end at once, and the cluster never.
    let mut flock = Command::new("flock");
    flock.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    flock.status().attempt(|| String::from("run `flock`, of the package util-linux"))?;
    let mut command = command("lock", dir);
    // Not waited for: it outlives this process.
    command.stdin(life).spawn().map(drop).attempt(|| format!("run {command:?}"))
}

/// Ends a cluster, if there is one.
pub(super) fn end(dir: &Path) -> Result<(), Failure> {
    let mut command = command("now", dir);
    command.status().map(drop).attempt(|| format!("run {command:?}"))
}

fn command(mode: &str, dir: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT, "kith-reaper", mode]).arg(dir).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    command
}
