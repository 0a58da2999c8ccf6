//! Redis for tests: a real server of one's own, which keeps nothing.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// A Redis server on 127.0.0.1. It ends when dropped, or when this process ends, however.
///
/// Needs `redis-server`, or `KITH_REDIS_SERVER`, which says where it is. Its methods block for as long
/// as they take.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    running: Option<Child>,
}

impl Redis {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// If there is none, or it does not start.
    #[track_caller]
    pub fn start() -> Self {
        let mut redis = Self { port: 0, running: None };
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Somebody else may be quicker to take the port: then it is another one.
            redis.port = free_port();
            if redis.try_go_on() {
                return redis;
            }
            assert!(Instant::now() < deadline, "Redis does not start");
        }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            // Whoever watches it sees this end, and kills it.
            drop(running.stdin.take());
            let _ = running.wait();
        }
    }

    /// Starts it again, at the same place.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[track_caller]
    pub fn go_on(&mut self) {
        assert!(self.running.is_none(), "it is running");
        assert!(self.try_go_on(), "Redis does not start again");
    }

    fn try_go_on(&mut self) -> bool {
        let server = std::env::var_os("KITH_REDIS_SERVER")
            .map_or_else(|| PathBuf::from("redis-server"), PathBuf::from);
        // The shell outlives this process for a moment, if that is what ends first.
        let watched = r#""$0" "$@" </dev/null >/dev/null 2>&1 & server=$!
            trap 'kill -9 $server 2>/dev/null' EXIT
            cat >/dev/null; kill -9 $server; wait $server 2>/dev/null"#;
        let port = self.port.to_string();
        let child = Command::new("sh")
            .args(["-c", watched])
            .arg(&server)
            .args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"])
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.running = Some(child.expect("a shell can be started"));
        let deadline = Instant::now() + PATIENCE / 4;
        while Instant::now() < deadline {
            if self.answers() {
                return true;
            }
            nap();
        }
        self.kill();
        false
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let mut answer = [0; 7];
        let asked = stream.write_all(b"PING\r\n").and_then(|()| stream.read_exact(&mut answer));
        asked.is_ok() && &answer == b"+PONG\r\n"
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

#[expect(clippy::disallowed_methods, reason = "nothing here is async")]
fn nap() {
    std::thread::sleep(Duration::from_millis(10));
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
    listener.local_addr().expect("it is bound").port()
}
