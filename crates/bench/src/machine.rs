//! The machine it runs on, as Linux tells of it in `/proc`.

use std::{fs, path::Path, process::Command, time::Duration};

use crate::Result;

/// A line for each thing that a reader must know to judge the numbers.
pub(crate) fn describe(dir: &Path) -> Vec<(&'static str, String)> {
    let processor = field("/proc/cpuinfo", "model name");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field("/proc/meminfo", "MemTotal");
    vec![
        ("commit", said("git", &["describe", "--always", "--dirty", "--abbrev=12"])),
        ("date", said("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        ("processor", format!("{processor}, {cores} cores")),
        ("memory", memory),
        ("kernel", said("uname", &["-sr"])),
        ("data on", filesystem(dir).unwrap_or_else(|| "unknown".to_owned())),
        ("load before", load()),
    ]
}

/// How many wanted to run in the last 1, 5 and 15 minutes, on average.
pub(crate) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split_whitespace().take(3).collect();
    load.join(" ")
}

fn field(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim());
    value.unwrap_or("unknown").to_owned()
}

/// What a command says in its first line.
pub(crate) fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.unwrap_or_default();
    text.lines().next().map_or_else(|| "unknown".to_owned(), str::to_owned)
}

/// Type and device of the filesystem that holds `path`.
fn filesystem(path: &Path) -> Option<String> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let (device, kind) = mounted_at(&mounts, &fs::canonicalize(path).ok()?)?;
    let doubt = if matches!(kind, "tmpfs" | "ramfs") {
        ": memory, so that syncing costs nothing; set TMPDIR to a directory on a disk"
    } else {
        ""
    };
    Some(format!("{kind} ({device}){doubt}"))
}

/// Device and type of the innermost mount around `path`.
fn mounted_at<'a>(mounts: &'a str, path: &Path) -> Option<(&'a str, &'a str)> {
    let around = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        let (device, point, kind) = (fields.next()?, fields.next()?, fields.next()?);
        path.starts_with(point).then_some((point.len(), (device, kind)))
    });
    // Of two at the same place the later one covers the other.
    around.max_by_key(|(length, _)| *length).map(|(_, found)| found)
}

/// What processor time a process has used, in user and in system mode, all its threads together.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_err(|error| format!("process {pid} is not there any more: {error}"))?;
    let ticks = ticks(&stat).ok_or_else(|| format!("/proc/{pid}/stat is not understood"))?;
    Ok(Duration::from_millis(ticks * 10))
}

/// Processor time of this process.
pub(crate) fn own_cpu() -> Result<Duration> {
    cpu(std::process::id())
}

/// `utime` and `stime` (proc(5)), in hundredths of a second (`USER_HZ`).
fn ticks(stat: &str) -> Option<u64> {
    // The name in parentheses may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let user: u64 = fields.nth(11)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_process_is_read_past_any_name() {
        let stat = "42 (a ) b) S 1 2 3 4 5 6 7 8 9 10 123 45 0 0 20 0 1 0 99";
        assert_eq!(ticks(stat), Some(168));
        assert_eq!(ticks("42 nonsense"), None);
    }

    #[test]
    fn the_innermost_mount_holds_a_path() {
        let mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/vdb /tmp/x xfs rw 0 0";
        assert_eq!(mounted_at(mounts, Path::new("/tmp/y")), Some(("tmpfs", "tmpfs")));
        assert_eq!(mounted_at(mounts, Path::new("/tmp/x/y")), Some(("/dev/vdb", "xfs")));
        assert_eq!(mounted_at(mounts, Path::new("/tmpfile")), Some(("/dev/vda", "ext4")));
    }
}
