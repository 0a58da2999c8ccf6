//! The real program in a process of its own.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use kith_client::Client;
use rustix::process::{Pid, Signal, kill_process};

/// How long it may take to say where it listens.
const START: Duration = Duration::from_secs(20);
/// How long a command may take that does one thing.
const END: Duration = Duration::from_secs(20);

/// The program, with settings fit for tests and none from outside.
pub(crate) fn kith(data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kith"));
    command
        .env_clear()
        .envs([
            ("KITH_LISTEN", "127.0.0.1:0"),
            ("KITH_PASSWORDS__MEMORY_KIB", "64"),
            ("KITH_PASSWORDS__ITERATIONS", "1"),
            ("KITH_LIMITS__MESSAGES_PER_SECOND", "0"),
            ("KITH_LIMITS__REQUESTS_PER_SECOND", "0"),
            ("KITH_SHUTDOWN__CLOSE_SPREAD_MS", "100"),
        ])
        .env("KITH_DATA_DIR", data_dir)
        .current_dir(data_dir.parent().expect("a directory inside of another"))
        .stdin(Stdio::null());
    command
}

/// Runs a command to its end, which must come soon.
pub(crate) fn ends(mut command: Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A server that starts although it should not is ended, and the test fails.
    let pid = Pid::from_child(&child);
    let (done, waiting) = std::sync::mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        if waiting.recv_timeout(END) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            let _ = kill_process(pid, Signal::KILL);
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(done);
    watch.join().unwrap();
    output
}

/// What a command that succeeds says.
pub(crate) fn output(command: Command) -> String {
    let output = ends(command);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// It does not start, and says why in one line, which is returned.
pub(crate) fn refuses(command: Command, why: &str) -> String {
    let output = ends(command);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("kith: ") && said.contains(why), "{said:?} should say {why:?}");
    assert!(!said.contains("panicked"));
    said
}

#[derive(Default)]
struct Lines {
    lines: Mutex<(Vec<String>, bool)>,
    more: Condvar,
}

/// A running server. It is killed when dropped.
pub(crate) struct Process {
    child: Child,
    url: String,
    log: Arc<Lines>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts a server on this data.
    pub(crate) fn start(data_dir: &Path) -> Self {
        Self::spawn(kith(data_dir))
    }

    /// Starts this command and waits until it listens.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let output = child.stdout.take().expect("its output is piped");
        let log = Arc::<Lines>::default();
        let reader = std::thread::spawn({
            let log = Arc::clone(&log);
            move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    log.lines.lock().expect("nobody crashed").0.push(line);
                    log.more.notify_all();
                }
                log.lines.lock().expect("nobody crashed").1 = true;
                log.more.notify_all();
            }
        });
        let mut process = Self { child, url: String::new(), log, reader: Some(reader) };
        let said = process.wait_for_line("listening on http://");
        let (_, rest) = said.split_once("listening on ").expect("it was looked for");
        let url = rest.split(['"', ' ']).next().unwrap_or_default();
        url.clone_into(&mut process.url);
        process
    }

    /// Waits until the log has a line with this text.
    pub(crate) fn wait_for_line(&self, text: &str) -> String {
        let deadline = Instant::now() + START;
        let mut lines = self.log.lines.lock().expect("nobody crashed");
        loop {
            if let Some(line) = lines.0.iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!lines.1 && !left.is_zero(), "no {text:?} in the log: {:#?}", lines.0);
            lines = self.log.more.wait_timeout(lines, left).expect("nobody crashed").0;
        }
    }

    /// The log so far.
    pub(crate) fn log(&self) -> String {
        self.log.lines.lock().expect("nobody crashed").0.join("\n")
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A client that is signed in as nobody.
    pub(crate) fn anonymous(&self) -> Client {
        Client::new(&self.url).expect("the address of a server")
    }

    /// Where it has connected to by itself: the ends of TCP connections that nobody made to it.
    #[cfg(target_os = "linux")]
    pub(crate) fn connections_of_its_own(&self) -> Vec<String> {
        let port = self.url.rsplit(':').next().expect("a port").parse::<u16>().expect("a port");
        let links = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("it runs");
        let links = links.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
        let open: Vec<String> = links.map(|link| link.to_string_lossy().into_owned()).collect();
        let table = std::fs::read_to_string(format!("/proc/{}/net/tcp", self.child.id()));
        let mut foreign = Vec::new();
        for line in table.expect("it runs").lines().skip(1) {
            // Its own address, the other one, state, …, the number of the socket.
            let fields: Vec<&str> = line.split_whitespace().collect();
            let is_its = open.contains(&format!("socket:[{}]", fields[9]));
            if is_its && !fields[1].ends_with(&format!(":{port:04X}")) {
                foreign.push(fields[2].to_owned());
            }
        }
        foreign
    }

    /// Kills it as `kill -9` does, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    /// Asks it to stop, as `kill` does.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// It stands still.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// It goes on after it stood still.
    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it can be told");
    }

    /// Waits until it has ended by itself, within `patience`.
    pub(crate) async fn ended(&mut self, patience: Duration) -> ExitStatus {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                if let Some(reader) = self.reader.take() {
                    reader.join().expect("its output was read");
                }
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end: {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}
