//! Redis for tests: a real server of one's own, which keeps nothing, or a cluster of three.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(20);
/// For so many milliseconds a member of a cluster may be away before the others take it for dead: longer
/// than a test stops it, or a busy machine.
const DEAD_AFTER: &str = "15000";

/// A Redis server on 127.0.0.1. It ends when dropped, or when this process ends, however.
///
/// Needs `redis-server`, or `KITH_REDIS_SERVER`, which says where it is. Its methods block for as long
/// as they take.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    running: Option<Child>,
    member: Option<Member>,
}

/// A cluster of three Redis servers on 127.0.0.1, each with a third of the slots.
///
/// What is said of [`Redis`] holds for each. One that was killed is still of the cluster when it goes on.
#[derive(Debug)]
pub struct RedisCluster(pub [Redis; 3]);

/// What a server needs to be of a cluster.
#[derive(Debug)]
struct Member {
    /// The port that the others reach it by.
    bus: u16,
    /// Where it keeps who the others are.
    directory: Directory,
}

/// A directory that is there for as long as this is.
#[derive(Debug)]
struct Directory(PathBuf);

impl Redis {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// If there is none, or it does not start.
    #[track_caller]
    pub fn start() -> Self {
        Self::launch(false)
    }

    #[track_caller]
    fn launch(is_member: bool) -> Self {
        let mut redis = Self { port: 0, running: None, member: None };
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Somebody else may be quicker to take the port: then it is another one.
            redis.port = free_port();
            redis.member = is_member.then(|| Member::new(redis.port));
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
            // Whoever watches it reads this, or sees it end, and kills it.
            if let Some(mut watched) = running.stdin.take() {
                let _ = watched.write_all(b"kill\n");
            }
            let _ = running.wait();
        }
    }

    /// What it answers to this command: a line, or a text.
    ///
    /// # Panics
    ///
    /// If it does not answer, or refuses.
    #[track_caller]
    pub fn ask(&self, command: &str) -> String {
        self.try_ask(command).unwrap_or_else(|error| panic!("{command}: {error}"))
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
        // The shell outlives this process for a moment, if that is what ends first: then it also
        // cleans up.
        let watched = r#""$0" "$@" </dev/null >/dev/null 2>&1 & server=$!
            trap 'kill -9 $server 2>/dev/null' EXIT
            read -r _; told=$?; kill -9 $server; wait $server 2>/dev/null
            [ $told = 0 ] || [ -z "$DIRECTORY" ] || rm -r "$DIRECTORY""#;
        let port = self.port.to_string();
        let mut shell = Command::new("sh");
        shell
            .args(["-c", watched])
            .arg(&server)
            .args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"])
            .current_dir(std::env::temp_dir())
            .env_remove("DIRECTORY")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(Member { bus, directory }) = &self.member {
            shell
                .args(["--cluster-enabled", "yes", "--cluster-node-timeout", DEAD_AFTER])
                .args(["--cluster-port", &bus.to_string()])
                .current_dir(&directory.0)
                .env("DIRECTORY", &directory.0);
        }
        let child = shell.spawn();
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
        self.try_ask("PING").is_ok_and(|answer| answer == "PONG")
    }

    fn try_ask(&self, command: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.write_all(format!("{command}\r\n").as_bytes())?;
        let (mut stream, mut line) = (BufReader::new(stream), String::new());
        stream.read_line(&mut line)?;
        let line = line.trim_end();
        match line.split_at_checked(1) {
            Some(("+" | ":", answer)) => Ok(answer.to_owned()),
            Some(("$", length)) => {
                let length = length.parse().map_err(io::Error::other)?;
                let mut text = String::new();
                stream.take(length).read_to_string(&mut text)?;
                Ok(text)
            }
            _ => Err(io::Error::other(format!("it says {line:?}"))),
        }
    }
}

impl RedisCluster {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// If there is no Redis, or it does not start.
    #[track_caller]
    pub fn start() -> Self {
        let members = [(0, 5_460), (5_461, 10_922), (10_923, 16_383)].map(|(first, last)| {
            let redis = Redis::launch(true);
            redis.ask(&format!("CLUSTER ADDSLOTSRANGE {first} {last}"));
            redis
        });
        for (place, redis) in members.iter().enumerate() {
            redis.ask(&format!("CLUSTER SET-CONFIG-EPOCH {}", place + 1));
            for other in &members[..place] {
                let bus = other.member.as_ref().map_or(0, |member| member.bus);
                redis.ask(&format!("CLUSTER MEET 127.0.0.1 {} {bus}", other.port));
            }
        }
        let deadline = Instant::now() + PATIENCE;
        for redis in &members {
            while !redis.ask("CLUSTER INFO").contains("cluster_state:ok") {
                assert!(Instant::now() < deadline, "the cluster does not come together");
                nap();
            }
        }
        Self(members)
    }

    /// Where it is.
    pub fn url(&self) -> String {
        let hosts = self.0.each_ref().map(|redis| format!("127.0.0.1:{}", redis.port));
        format!("redis+cluster://{}", hosts.join(","))
    }
}

impl Member {
    fn new(port: u16) -> Self {
        let name = format!("kith-redis-{}-{port}", std::process::id());
        let directory = Directory(std::env::temp_dir().join(name));
        std::fs::create_dir(&directory.0).expect("a directory can be made");
        Self { bus: free_port(), directory }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
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
