//! PostgreSQL for tests, itself tested. Without PostgreSQL installed, all of this fails.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write, stdin},
    net::TcpStream,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use kith_testkit::postgres::{Database, Mode, Options, Server, database};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// Tells [`guest`] what to do. Without it, it does nothing.
const ROLE: &str = "KITH_TESTKIT_GUEST";

/// What a guest says begins with this.
const SAYS: &str = "the guest says ";

fn careless() -> Options {
    Options { durable: false, ..Options::default() }
}

/// The first column of the first row.
async fn ask(url: &str, sql: &str) -> Result<String, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    let found = client.simple_query(sql).await?;
    let row = found.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Ok(row.unwrap_or_default().to_owned())
}

/// Looks again and again, because others do the work.
fn until(what: &str, mut seen: impl FnMut() -> bool) {
    let late = Instant::now() + Duration::from_secs(60);
    while !seen() {
        assert!(Instant::now() < late, "not seen within a minute: {what}");
        #[expect(clippy::disallowed_methods, reason = "this test has its thread for itself")]
        std::thread::sleep(Duration::from_millis(10));
    }
}

async fn with_notes(key: &str) -> Database {
    database(key, async |url| {
        ask(&url, "CREATE TABLE notes (text text)").await.expect("the table is made");
    })
    .await
}

#[tokio::test]
async fn a_database_is_ones_own() {
    let (one, other) = tokio::join!(with_notes("notes"), with_notes("notes"));
    ask(one.url(), "INSERT INTO notes VALUES ('mine')").await.unwrap();
    assert_eq!(ask(one.url(), "SELECT count(*) FROM notes").await.unwrap(), "1");
    assert_eq!(ask(other.url(), "SELECT count(*) FROM notes").await.unwrap(), "0");
}

#[tokio::test]
async fn migrations_run_once_for_all() {
    let runs = AtomicUsize::new(0);
    // Another one each time, so that no earlier run has left its template.
    let key = format!("{:?} {}", Instant::now(), std::process::id());
    let one = || {
        database(&key, async |_| {
            runs.fetch_add(1, Ordering::SeqCst);
        })
    };
    tokio::join!(one(), one(), one(), one());
    assert_eq!(runs.into_inner(), 1);
}

#[tokio::test]
async fn a_dropped_database_is_gone_even_if_it_is_in_use() {
    let gone = with_notes("notes").await;
    let stays = with_notes("notes").await;
    let (client, connection) = tokio_postgres::connect(gone.url(), NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let named = format!("SELECT count(*) FROM pg_database WHERE datname = '{}'", gone.name());
    assert_eq!(ask(stays.url(), &named).await.unwrap(), "1");
    drop(gone);
    assert_eq!(ask(stays.url(), &named).await.unwrap(), "0");
    connection.await.unwrap().expect_err("the server ended it");
    drop(client);
}

#[tokio::test]
async fn a_failed_migration_leaves_no_template() {
    let key = format!("fails {:?} {}", Instant::now(), std::process::id());
    let of_failure = key.clone();
    let failed = tokio::task::spawn(async move {
        drop(database(&of_failure, async |_| panic!("no such table, says this test")).await);
    });
    assert!(failed.await.expect_err("the migration fails").is_panic());
    let database = with_notes(&key).await;
    assert_eq!(ask(database.url(), "SELECT count(*) FROM notes").await.unwrap(), "0");
}

/// Another process that runs tests, with a directory for temporary files of its own.
struct Guest {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    said: String,
}

impl Guest {
    fn invite(role: &str, temporary: &TempDir) -> Child {
        Command::new(env::current_exe().expect("this test is a program"))
            .args(["guest", "--exact", "--nocapture"])
            .env(ROLE, role)
            .env("TMPDIR", temporary.path())
            .env_remove("KITH_TEST_DATABASE_URL")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the guest starts")
    }

    /// Waits until it has what it came for.
    fn welcome(mut child: Child) -> Self {
        let stdin = child.stdin.take().expect("it is a pipe");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let said = stdout.by_ref().lines().map_while(Result::ok).find_map(|line| {
            let (_, said) = line.split_once(SAYS)?;
            Some(said.to_owned())
        });
        let said = said.expect("the guest says something");
        Self { child, stdin, stdout, said }
    }

    fn leave(self) {
        let Self { mut child, stdin, mut stdout, .. } = self;
        drop(stdin);
        // Else it would fail to say how its test went.
        stdout.read_to_end(&mut Vec::new()).expect("it ends");
        assert!(child.wait().expect("it ends").success());
    }
}

/// Not a test, but what the others start as another process.
#[tokio::test]
async fn guest() {
    let Ok(role) = env::var(ROLE) else { return };
    let start = "SELECT pg_postmaster_start_time()";
    match &*role {
        "shared" => {
            let database = with_notes("notes").await;
            println!("{SAYS}{}", ask(database.url(), start).await.unwrap());
            stdin().read_to_end(&mut Vec::new()).unwrap();
        }
        "own" => {
            let server = Server::start(careless());
            println!("{SAYS}{}", ask(&server.url("postgres"), start).await.unwrap());
            stdin().read_to_end(&mut Vec::new()).unwrap();
        }
        other => panic!("no guest is a {other}"),
    }
}

/// A directory for temporary files that the account of PostgreSQL may pass through.
fn temporary() -> TempDir {
    let dir = tempfile::tempdir().expect("there is room");
    let open = fs::Permissions::from_mode(0o711);
    fs::set_permissions(dir.path(), open).expect("it is ours");
    dir
}

fn is_empty(dir: &TempDir) -> bool {
    fs::read_dir(dir.path()).expect("it is there").next().is_none()
}

/// The postmaster of the only cluster in a directory.
fn postmaster(dir: &TempDir) -> Pid {
    let mut inside = fs::read_dir(dir.path()).expect("it is there");
    let cluster = inside.next().expect("there is a cluster").expect("it is readable").path();
    let file = fs::read_to_string(cluster.join("data/postmaster.pid")).expect("it runs");
    let id = file.lines().next().and_then(|line| line.parse().ok());
    id.and_then(Pid::from_raw).expect("the file names its process")
}

fn is_alive(process: Pid) -> bool {
    Path::new(&format!("/proc/{}/cwd", process.as_raw_pid())).read_link().is_ok()
}

/// The reaper of the cluster in a directory.
fn reaper(dir: &TempDir) -> Pid {
    let named = dir.path().to_str().expect("the path is text");
    let processes = fs::read_dir("/proc").expect("this is Linux").flatten();
    let mut found = processes.filter_map(|entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line);
        if line.contains("kith-reaper") && line.contains(named) { Pid::from_raw(id) } else { None }
    });
    found.next().expect("there is a reaper")
}

#[test]
fn processes_share_a_cluster_which_goes_after_the_last() {
    let dir = temporary();
    let coming = [(); 3].map(|()| Guest::invite("shared", &dir));
    let [one, other, last] = coming.map(Guest::welcome);
    assert_eq!(one.said, other.said);
    assert_eq!(one.said, last.said);
    let postmaster = postmaster(&dir);
    one.leave();
    other.leave();
    last.leave();
    assert!(is_alive(postmaster), "it stays a while, for whoever comes next");
    let next = Guest::welcome(Guest::invite("shared", &dir));
    next.leave();
    until("the cluster ends", || !is_alive(postmaster));
    until("its directory goes", || is_empty(&dir));
}

#[test]
fn a_cluster_that_was_killed_is_replaced() {
    let dir = temporary();
    let before = Guest::welcome(Guest::invite("shared", &dir));
    let (killed, reaper) = (postmaster(&dir), reaper(&dir));
    kill_process(reaper, Signal::KILL).unwrap();
    kill_process(killed, Signal::KILL).unwrap();
    until("it is dead", || !is_alive(killed));
    let after = Guest::welcome(Guest::invite("shared", &dir));
    assert_ne!(before.said, after.said);
    before.leave();
    after.leave();
    until("all is gone", || is_empty(&dir));
}

#[test]
fn what_is_killed_leaves_nothing() {
    let dir = temporary();
    for role in ["shared", "own"] {
        let mut guest = Guest::welcome(Guest::invite(role, &dir));
        let postmaster = postmaster(&dir);
        guest.child.kill().unwrap();
        guest.child.wait().unwrap();
        until("the cluster ends", || !is_alive(postmaster));
        until("its directory goes", || is_empty(&dir));
    }
}

#[tokio::test]
async fn a_server_keeps_its_data() {
    let mut server = Server::start(Options::default());
    let url = server.url("postgres");
    server.execute("postgres", "CREATE TABLE kept AS SELECT 1 AS it").unwrap();
    for (mode, expected) in [(Mode::Fast, "1"), (Mode::Immediate, "2")] {
        server.stop(mode);
        ask(&url, "SELECT 1").await.expect_err("nobody listens");
        server.start_again();
        assert_eq!(ask(&url, "SELECT count(*) FROM kept").await.unwrap(), expected);
        server.execute("postgres", "INSERT INTO kept VALUES (2)").unwrap();
    }
    assert_eq!(ask(&server.socket_url("postgres"), "SELECT max(it) FROM kept").await.unwrap(), "2");
    assert_eq!(ask(&url, "SHOW fsync").await.unwrap(), "on");
}

#[tokio::test]
async fn a_paused_server_answers_later() {
    let server = Server::start(careless());
    let (client, connection) =
        tokio_postgres::connect(&server.url("postgres"), NoTls).await.unwrap();
    tokio::spawn(connection);
    server.pause();
    let asked = client.simple_query("SELECT 1");
    tokio::pin!(asked);
    tokio::time::timeout(Duration::from_millis(200), &mut asked).await.expect_err("it is paused");
    server.resume();
    asked.await.unwrap();
}

#[test]
fn work_costs_time_that_is_still_known_when_the_worker_has_gone() {
    let server = Server::start(careless());
    let before = server.cpu();
    server.execute("postgres", "SELECT count(*) FROM generate_series(1, 1000000)").unwrap();
    let after = server.cpu();
    assert!(after >= before + Duration::from_millis(20), "{before:?}, then {after:?}");
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let options = Options { password: Some(String::from("sesame/?")), ..careless() };
    let server = Server::start(options);
    for url in [server.url("postgres"), server.socket_url("postgres")] {
        assert_eq!(ask(&url, "SELECT 1").await.unwrap(), "1");
        let wrong = url.replace("sesame", "barley");
        let error = ask(&wrong, "SELECT 1").await.expect_err("the password is wrong");
        assert_eq!(error.code(), Some(&tokio_postgres::error::SqlState::INVALID_PASSWORD));
    }
}

#[test]
fn it_speaks_tls_if_asked() {
    /// What a client sends before TLS: the length, and a number that is no protocol's version.
    const TLS_PLEASE: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
    for tls in [true, false] {
        let server = Server::start(Options { tls, ..careless() });
        let url = server.url("postgres");
        let address = url.trim_start_matches("postgres://kith@").trim_end_matches("/postgres");
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&TLS_PLEASE).unwrap();
        let mut answer = [0];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, if tls { b"S" } else { b"N" });
        let certificate = server.certificate().map(|it| fs::read_to_string(it).unwrap());
        assert_eq!(certificate.is_some_and(|it| it.contains("BEGIN CERTIFICATE")), tls);
    }
}

#[test]
fn it_never_runs_as_root() {
    let server = Server::start(careless());
    let owner = fs::metadata(server.data_dir()).unwrap().uid();
    let process = fs::read_to_string(server.data_dir().join("postmaster.pid")).unwrap();
    let process = format!("/proc/{}", process.lines().next().unwrap());
    assert_ne!(owner, 0);
    assert_eq!(fs::metadata(process).unwrap().uid(), owner);
}

#[test]
fn its_programs_are_there() {
    let server = Server::start(Options { tcp: false, ..careless() });
    for name in ["psql", "pgbench"] {
        assert!(server.bin(name).is_file(), "{}", server.bin(name).display());
    }
    let answer = Command::new(server.bin("psql"))
        .args(["-X", "-A", "-t", "-c", "SELECT 6 * 7", &server.socket_url("postgres")])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&answer.stdout), "42\n");
}
