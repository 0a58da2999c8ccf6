//! The server under test: the real program, as a process of its own, on fresh data.

use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    rc::Rc,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{Result, interrupt, machine};

/// How long it may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where things are.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The program.
    pub(crate) program: PathBuf,
    /// Under which everything is kept while it runs.
    pub(crate) dir: PathBuf,
}

/// How a server is started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Setup<'a> {
    /// Its database; SQLite in its own directory if there is none.
    pub(crate) database_url: Option<&'a str>,
    /// The Redis that it shares with other nodes; it is alone if there is none.
    pub(crate) redis_url: Option<&'a str>,
    /// Whether `strace` counts what it writes through to the disk.
    pub(crate) count_syncs: bool,
}

/// A server that runs. It is ended when this is dropped, and its data with it.
pub(crate) struct Kith {
    child: Child,
    /// The server itself: the child, or what `strace` started.
    pid: u32,
    /// As for REST: `http://127.0.0.1:4711`.
    pub(crate) url: String,
    home: Rc<Home>,
}

/// A directory with the data of one server.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new(place: &Place) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("kith-bench-").tempdir_in(&place.dir);
        Ok(Self(dir.map_err(|error| format!("no directory in {}: {error}", place.dir.display()))?))
    }

    /// The SQLite database in it.
    pub(crate) fn sqlite(&self) -> PathBuf {
        self.0.path().join("kith.db")
    }

    fn log(&self) -> PathBuf {
        self.0.path().join("log")
    }

    /// What `strace` writes.
    pub(crate) fn syncs(&self) -> PathBuf {
        self.0.path().join("syncs")
    }
}

impl Kith {
    /// Starts one on fresh data.
    pub(crate) fn start(place: &Place, setup: Setup<'_>) -> Result<Self> {
        Self::start_in(Rc::new(Home::new(place)?), place, setup)
    }

    /// Starts one on the data of another, which has ended.
    pub(crate) fn start_in(home: Rc<Home>, place: &Place, setup: Setup<'_>) -> Result<Self> {
        let log = File::create(home.log())?;
        let mut command = if setup.count_syncs {
            // With a filter in the kernel, so that only what is counted is slowed down.
            let mut strace = Command::new("strace");
            strace.args(["-f", "--seccomp-bpf", "-qq", "-e", "trace=fsync,fdatasync", "-o"]);
            strace.arg(home.syncs()).arg(&place.program);
            strace
        } else {
            Command::new(&place.program)
        };
        let inherited = std::env::vars_os().filter(|(name, _)| !is_setting(name));
        command.env_clear().envs(inherited).envs(settings()).env("KITH_DATA_DIR", home.0.path());
        if let Some(url) = setup.database_url {
            command.env("KITH_DATABASE_URL", url);
        }
        if let Some(url) = setup.redis_url {
            command.env("KITH_REDIS_URL", url);
        }
        command.current_dir(home.0.path()).stdin(Stdio::null());
        let child = command.stdout(log.try_clone()?).stderr(log).spawn();
        let child = child.map_err(|error| {
            let program = Path::new(command.get_program()).display();
            format!("{program} does not start: {error}")
        })?;
        let mut kith = Self { pid: child.id(), child, url: String::new(), home };
        kith.url = kith.wait_until_it_listens()?;
        if setup.count_syncs {
            kith.pid = only_child_of(kith.child.id())?;
        }
        Ok(kith)
    }

    fn wait_until_it_listens(&mut self) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = fs::read_to_string(self.home.log())?;
            if let Some(url) = address_in(&log) {
                return Ok(url);
            }
            if self.child.try_wait()?.is_some() || Instant::now() > deadline {
                return Err(format!("the server did not start:\n{}", last_lines(&log)).into());
            }
            interrupt::sleep(Duration::from_millis(20))?;
        }
    }

    /// Processor time it has used.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        machine::cpu(self.pid)
    }

    /// How often it had its data written through to the disk, if that is counted.
    pub(crate) fn syncs(&self) -> Result<u64> {
        let lines = fs::read_to_string(self.home.syncs())?;
        // A call that another thread interrupts takes two lines; the second says "resumed".
        Ok(lines.lines().filter(|line| line.contains("sync(")).count() as u64)
    }

    /// The end of its log, for whoever must know why something went wrong.
    pub(crate) fn last_words(&self) -> String {
        last_lines(&fs::read_to_string(self.home.log()).unwrap_or_default())
    }

    /// Kills it, as a crash would, and does not wait for its end.
    pub(crate) fn crash(&mut self) -> Result<()> {
        Ok(self.child.kill()?)
    }

    /// Stops it in order, and hands over its data.
    pub(crate) fn stop(mut self) -> Result<Rc<Home>> {
        terminate(self.pid);
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                return Err("the server does not stop".into());
            }
            interrupt::sleep(Duration::from_millis(10))?;
        }
        Ok(Rc::clone(&self.home))
    }
}

impl Drop for Kith {
    fn drop(&mut self) {
        // A server that `strace` started outlives it.
        if self.pid != self.child.id() {
            terminate(self.pid);
            let _ = self.child.wait();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_setting(name: &OsString) -> bool {
    name.to_string_lossy().starts_with("KITH_")
}

/// No limits; passwords cost next to nothing, so that signing up some hundred people is quick.
fn settings() -> impl Iterator<Item = (&'static str, &'static str)> {
    [
        ("KITH_LISTEN", "127.0.0.1:0"),
        // What one node signs another takes.
        ("KITH_JWT_SECRET", "known to all nodes of a bench, and to whoever reads this"),
        ("KITH_LOG__FORMAT", "json"),
        ("KITH_LOG__FILTER", "info"),
        ("KITH_LIMITS__MESSAGES_PER_SECOND", "0"),
        ("KITH_LIMITS__REQUESTS_PER_SECOND", "0"),
        ("KITH_LIMITS__LOGINS_PER_MINUTE", "0"),
        ("KITH_LIMITS__SOCKETS_PER_USER", "0"),
        ("KITH_LIMITS__SOCKETS_PER_ADDRESS", "0"),
        ("KITH_PASSWORDS__MEMORY_KIB", "64"),
        ("KITH_PASSWORDS__ITERATIONS", "1"),
        ("KITH_SHUTDOWN__CLOSE_SPREAD_MS", "0"),
    ]
    .into_iter()
}

/// Asks a process to end. One that has ended already is as good.
fn terminate(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        let _ = kill_process(pid, Signal::TERM);
    }
}

fn only_child_of(pid: u32) -> Result<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let child = children.split_whitespace().next().and_then(|child| child.parse().ok());
    child.ok_or_else(|| format!("process {pid} has started nothing").into())
}

/// `http://127.0.0.1:4711` out of the line that says so.
fn address_in(log: &str) -> Option<String> {
    let (_, rest) = log.split_once("listening on ")?;
    let end = rest.find(|c: char| c == '"' || c.is_whitespace())?;
    Some(rest[..end].to_owned())
}

fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_the_log_once_the_line_is_whole() {
        let line = r#"{"level":"INFO","message":"listening on http://127.0.0.1:4711","x":1}"#;
        assert_eq!(address_in(line).as_deref(), Some("http://127.0.0.1:4711"));
        assert_eq!(address_in("listening on http://127.0.0.1:47"), None);
        assert_eq!(address_in("starting"), None);
    }
}
