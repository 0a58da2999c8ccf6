use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Child,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{
    Attempt, Failure,
    cluster::{CARELESS, Cluster, PATIENCE, binaries, temporary},
    nap,
    processes::{self, Process},
    random,
    reaper::Reaper,
    session::{apart, socket_url, tcp_url},
};

/// What a [`Server`] is to be like.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether what is committed survives a crash of the machine, as in production. Without it,
    /// everything is faster.
    pub durable: bool,
    /// Whether it listens on 127.0.0.1, besides its socket.
    pub tcp: bool,
    /// What everybody must know to connect (SCRAM-SHA-256). Without it, nobody is asked, which on
    /// 127.0.0.1 lets in everybody on this machine.
    pub password: Option<String>,
    /// Whether TLS is spoken over TCP, with [`Server::certificate`]. Needs `openssl`.
    pub tls: bool,
    /// More of `postgresql.conf`; these win.
    pub settings: Vec<(String, String)>,
}

impl Default for Options {
    /// Durable, on 127.0.0.1, open, without TLS.
    fn default() -> Self {
        Self { durable: true, tcp: true, password: None, tls: false, settings: Vec::new() }
    }
}

/// How a [`Server`] is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Ends every connection, writes everything down.
    Fast,
    /// Just ends, as if it had crashed; the next start recovers.
    Immediate,
}

/// A cluster of one's own, for faults and measurements. Its role is `kith`, a superuser; there is
/// a database `postgres`. It ends and is removed when dropped, or when this process ends, however.
///
/// Its methods block for as long as they take.
#[derive(Debug)]
pub struct Server {
    cluster: Cluster,
    settings: Vec<(String, String)>,
    password: Option<String>,
    certificate: Option<PathBuf>,
    tcp: bool,
    port: u16,
    child: Option<Child>,
    // The directory goes before the reaper, who then has nothing left to do.
    _dir: TempDir,
    _reaper: Reaper,
}

impl Server {
    /// Makes and starts a cluster.
    ///
    /// # Panics
    ///
    /// If there is no PostgreSQL, or it does not start.
    #[track_caller]
    pub fn start(options: Options) -> Self {
        match Self::try_start(options) {
            Ok(server) => server,
            Err(failure) => panic!("{failure}"),
        }
    }

    fn try_start(options: Options) -> Result<Self, Failure> {
        let Options { durable, tcp, password, tls, settings: extra } = options;
        let bin = binaries()?;
        let dir = tempfile::Builder::new()
            .prefix("kith-postgres-")
            .tempdir_in(temporary()?)
            .attempt(|| String::from("make a temporary directory"))?;
        let cluster = Cluster::new(bin, dir.path().to_owned())?;
        cluster.hand_over(dir.path())?;
        let reaper = Reaper::new(dir.path())?;
        cluster.init(password.as_deref())?;

        let listen = if tcp { "127.0.0.1" } else { "" };
        let mut settings = vec![(String::from("listen_addresses"), String::from(listen))];
        if !durable {
            settings.extend(CARELESS.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        }
        let mut certificate = None;
        if tls {
            let (path, named) = cluster.certify()?;
            certificate = Some(path);
            settings.extend(named);
        }
        settings.extend(extra);
        let mut server = Self {
            cluster,
            settings,
            password,
            certificate,
            tcp,
            port: 5432,
            child: None,
            _dir: dir,
            _reaper: reaper,
        };
        let mut attempts = 0;
        loop {
            if server.tcp {
                server.port = free_port()?;
            }
            attempts += 1;
            match server.launch() {
                // Somebody may have been quicker to take the port.
                Err(Failure(text)) if attempts < 5 && text.contains("could not bind") => {}
                result => return result.map(|()| server),
            }
        }
    }

    fn launch(&mut self) -> Result<(), Failure> {
        let mut settings = self.settings.clone();
        settings.push((String::from("port"), self.port.to_string()));
        self.child = Some(self.cluster.start(&settings)?);
        Ok(())
    }

    /// The address of a database over TCP, with the password, if there is one.
    ///
    /// # Panics
    ///
    /// If it does not listen on TCP.
    pub fn url(&self, database: &str) -> String {
        assert!(self.tcp, "this server was started without TCP: use its socket_url");
        tcp_url(self.port, self.password.as_deref(), database)
    }

    /// The address of a database over the socket, with the password, if there is one.
    pub fn socket_url(&self, database: &str) -> String {
        let password = self.password.as_deref();
        socket_url(&self.cluster.socket(), self.port, password, database)
    }

    /// The certificate, in PEM, if TLS is spoken. It is its own authority, for `localhost` and
    /// `127.0.0.1`.
    pub fn certificate(&self) -> Option<&Path> {
        self.certificate.as_deref()
    }

    /// The data directory. On root's tests it belongs to the account that PostgreSQL runs under.
    pub fn data_dir(&self) -> PathBuf {
        self.cluster.data()
    }

    /// The path of one of PostgreSQL's programs, of the server's own version: `pgbench`, `psql`.
    pub fn bin(&self, name: &str) -> PathBuf {
        self.cluster.bin().join(name)
    }

    /// Runs statements, and ignores what they return. Without `BEGIN`, all of them are one
    /// transaction.
    pub fn execute(&self, database: &str, sql: &str) -> Result<(), Failure> {
        apart(&self.socket_url(database), |session| session.run(sql))
    }

    /// Stops it, and waits until it is gone. A paused one goes on first.
    ///
    /// # Panics
    ///
    /// If it has not ended after a minute; it is killed then.
    pub fn stop(&mut self, mode: Mode) {
        assert!(self.halt(mode), "PostgreSQL did not stop within {PATIENCE:?}");
    }

    /// Whether it ended by itself.
    fn halt(&mut self, mode: Mode) -> bool {
        self.resume();
        let Some(mut child) = self.child.take() else { return true };
        let signal = match mode {
            Mode::Fast => Signal::INT,
            Mode::Immediate => Signal::QUIT,
        };
        send(postmaster(&child), signal);
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            match child.try_wait() {
                Ok(None) => nap(Duration::from_millis(2)),
                Ok(Some(_)) | Err(_) => return true,
            }
        }
        // Its children see that it is gone, and follow.
        let _ = child.kill();
        let _ = child.wait();
        false
    }

    /// Starts it again after a stop or a crash, with the same data, port and settings. Does nothing
    /// if it runs.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[track_caller]
    pub fn start_again(&mut self) {
        if let Some(child) = &mut self.child
            && matches!(child.try_wait(), Ok(None))
        {
            return;
        }
        if let Err(failure) = self.launch() {
            panic!("{failure}");
        }
    }

    /// Halts all its processes where they are, as if the machine hung: its sockets stay open,
    /// nobody answers. Connections are still taken, by the kernel.
    pub fn pause(&self) {
        let Some(child) = &self.child else { return };
        let postmaster = postmaster(child);
        // Once it stands still, there are no new ones.
        send(postmaster, Signal::STOP);
        let until = Instant::now() + PATIENCE;
        loop {
            let mut processes = Process::children(postmaster);
            processes.extend(Process::find(postmaster));
            processes.retain(|process| !process.still);
            if processes.is_empty() || Instant::now() > until {
                return;
            }
            for process in processes {
                send(process.id, Signal::STOP);
            }
            nap(Duration::from_millis(1));
        }
    }

    /// Lets it go on after a [`pause`](Self::pause).
    pub fn resume(&self) {
        let Some(child) = &self.child else { return };
        let postmaster = postmaster(child);
        for process in Process::children(postmaster) {
            send(process.id, Signal::CONT);
        }
        send(postmaster, Signal::CONT);
    }

    /// The time all its processes have spent on processors since it was last started, in user and
    /// system mode, those that have ended included. Counted in clock ticks (10 ms) for each
    /// process, so that it may be too low by one tick for each that lives. Zero if it is stopped.
    pub fn cpu(&self) -> Duration {
        self.child.as_ref().and_then(|it| processes::cpu(postmaster(it))).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.halt(Mode::Immediate);
    }
}

fn postmaster(child: &Child) -> i32 {
    i32::try_from(child.id()).expect("process ids are positive and small")
}

/// To a process that may be gone already.
fn send(process: i32, signal: Signal) {
    if let Some(process) = Pid::from_raw(process) {
        let _ = kill_process(process, signal);
    }
}

/// A port nobody listens on, below those that Linux gives to outgoing connections (from 32768):
/// while the server is stopped, a client that tries again and again would at last be given the
/// server's port as its own, and be connected to itself.
fn free_port() -> Result<u16, Failure> {
    for _ in 0..100 {
        let port = 20_000 + u16::try_from(random() % 10_000).expect("it is below 10000");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Failure(String::from("there is no free port between 20000 and 29999 on 127.0.0.1")))
}
