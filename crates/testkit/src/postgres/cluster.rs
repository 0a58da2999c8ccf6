//! One data directory, the binaries that serve it, and the account they run under.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File, Permissions},
    io::Write,
    os::unix::{
        fs::{OpenOptionsExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{Attempt, Failure, nap};

/// The only role there is.
pub(super) const ROLE: &str = "kith";

/// How long a cluster may take to start or to stop; a hurt one has its log to replay.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// What a cluster needs that may lose everything when the machine stops.
pub(super) const CARELESS: &[(&str, &str)] =
    &[("fsync", "off"), ("synchronous_commit", "off"), ("full_page_writes", "off")];

/// A directory that holds `data`, `socket` and `log`.
#[derive(Debug)]
pub(super) struct Cluster {
    bin: PathBuf,
    account: Option<Account>,
    dir: PathBuf,
}

impl Cluster {
    /// Nothing is made yet. `dir` must exist, be absolute and without symbolic links.
    pub(super) fn new(bin: PathBuf, dir: PathBuf) -> Result<Self, Failure> {
        Ok(Self { bin, account: Account::unprivileged()?, dir })
    }

    pub(super) fn bin(&self) -> &Path {
        &self.bin
    }

    pub(super) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.dir.join("socket")
    }

    fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Makes the data directory, which must not exist. With a password every connection must
    /// prove to know it; without one, nobody is asked.
    pub(super) fn init(&self, password: Option<&str>) -> Result<(), Failure> {
        for dir in [self.data(), self.socket()] {
            fs::create_dir(&dir).attempt(|| format!("make {}", dir.display()))?;
            fs::set_permissions(&dir, Permissions::from_mode(0o700))
                .attempt(|| format!("close {} to others", dir.display()))?;
            self.hand_over(&dir)?;
        }
        let mut initdb = self.command("initdb");
        initdb.args(["--no-sync", "--encoding=UTF8", "--locale=C", "--username", ROLE, "--pgdata"]);
        initdb.arg(self.data());
        let Some(password) = password else {
            return finish(initdb.arg("--auth=trust"));
        };
        let file = self.socket().join("password");
        self.write(&file, password)?;
        finish(initdb.arg("--auth=scram-sha-256").arg("--pwfile").arg(&file))?;
        fs::remove_file(&file).attempt(|| format!("remove {}", file.display()))
    }

    /// Makes a key and a certificate for localhost and 127.0.0.1 that is its own authority.
    /// Returns the certificate's path and the settings that name both.
    pub(super) fn certify(&self) -> Result<(PathBuf, [(String, String); 3]), Failure> {
        let [config, key, certificate] =
            ["openssl.cnf", "server.key", "server.crt"].map(|name| self.data().join(name));
        // The system's own configuration would make it an authority, which is no server's
        // certificate to strict clients.
        self.write(&config, "[req]\ndistinguished_name = name\n[name]\n")?;
        let mut openssl = self.as_account("openssl");
        openssl
            .args(["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
            .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
            .arg("-config")
            .arg(&config)
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate);
        finish(&mut openssl)?;
        let settings = [
            (String::from("ssl"), String::from("on")),
            (String::from("ssl_key_file"), key.display().to_string()),
            (String::from("ssl_cert_file"), certificate.display().to_string()),
        ];
        Ok((certificate, settings))
    }

    /// Starts the postmaster and waits until it answers.
    pub(super) fn start(&self, settings: &[(String, String)]) -> Result<Child, Failure> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log())
            .attempt(|| format!("write {}", self.log().display()))?;
        let again = log.try_clone().attempt(|| String::from("share the log"))?;
        let mut postgres = self.command("postgres");
        postgres.arg("-D").arg(self.data()).stdout(log).stderr(again);
        postgres.arg("-c").arg(format!("unix_socket_directories={}", self.socket().display()));
        for (name, value) in settings {
            postgres.arg("-c").arg(format!("{name}={value}"));
        }
        let mut child = postgres.spawn().attempt(|| format!("start {postgres:?}"))?;
        match self.wait_for(&mut child) {
            Ok(()) => Ok(child),
            Err(failure) => {
                // Gone already, or to go: what matters is told by `failure`.
                let _ = child.kill();
                let _ = child.wait();
                Err(failure)
            }
        }
    }

    fn wait_for(&self, child: &mut Child) -> Result<(), Failure> {
        let id = child.id().to_string();
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(status) =
                child.try_wait().attempt(|| String::from("wait for postgres to start"))?
            {
                return Err(Failure(format!(
                    "postgres did not start ({status}):\n{}",
                    self.last_words()
                )));
            }
            // Line 1 is the process, line 8 its state: what pg_ctl looks at, too.
            let state = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
            let mut lines = state.lines();
            if lines.next() == Some(&id) && lines.nth(6).map(str::trim) == Some("ready") {
                return Ok(());
            }
            nap(Duration::from_millis(5));
        }
        Err(Failure(format!(
            "postgres is not ready after {} seconds:\n{}",
            PATIENCE.as_secs(),
            self.last_words()
        )))
    }

    fn last_words(&self) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// A file that only the cluster's account can read.
    fn write(&self, path: &Path, text: &str) -> Result<(), Failure> {
        File::options()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .attempt(|| format!("write {}", path.display()))?;
        self.hand_over(path)
    }

    /// Gives a path to the account that PostgreSQL runs under.
    pub(super) fn hand_over(&self, path: &Path) -> Result<(), Failure> {
        let Some(Account { uid, gid }) = self.account else { return Ok(()) };
        chown(path, Some(uid), Some(gid))
            .attempt(|| format!("give {} to the user {uid}", path.display()))
    }

    fn command(&self, name: &str) -> Command {
        self.as_account(self.bin.join(name))
    }

    /// In a process group of its own, so that Ctrl-C in a terminal reaches the tests alone.
    fn as_account(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).current_dir(self.data()).process_group(0);
        for (name, _) in
            env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG"))
        {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C");
        if let Some(Account { uid, gid }) = self.account {
            command.uid(uid).gid(gid);
        }
        command
    }
}

/// Runs a command to its end.
fn finish(command: &mut Command) -> Result<(), Failure> {
    let output = command.output().attempt(|| format!("run {command:?}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure(format!(
        "{command:?} failed ({}):\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )))
}

/// Whom PostgreSQL runs as where it must not run as oneself.
#[derive(Debug, Clone, Copy)]
struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// Nobody else, unless this is root.
    fn unprivileged() -> Result<Option<Self>, Failure> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let users =
            fs::read_to_string("/etc/passwd").attempt(|| String::from("read /etc/passwd"))?;
        let found = ["postgres", "nobody"].iter().find_map(|name| Self::of(&users, name));
        found.map(Some).ok_or_else(|| {
            Failure(String::from(
                "PostgreSQL does not run as root, and there is no user `postgres` or `nobody`",
            ))
        })
    }

    fn of(users: &str, name: &str) -> Option<Self> {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            if fields.next() != Some(name) {
                return None;
            }
            let uid = fields.nth(1)?.parse().ok()?;
            Some(Self { uid, gid: fields.next()?.parse().ok()? })
        })
    }
}

/// Where the installed binaries are.
pub(super) fn binaries() -> Result<PathBuf, Failure> {
    let complete = |dir: &PathBuf| ["initdb", "postgres"].iter().all(|it| dir.join(it).is_file());
    if let Some(dir) = env::var_os("KITH_POSTGRES_BIN").map(PathBuf::from) {
        return if complete(&dir) {
            dir.canonicalize().attempt(|| format!("find {}", dir.display()))
        } else {
            Err(Failure(format!(
                "KITH_POSTGRES_BIN is {}, where there is no `initdb` and `postgres`",
                dir.display()
            )))
        };
    }
    let told = Command::new("pg_config").arg("--bindir").output().ok();
    let told = told.and_then(|output| String::from_utf8(output.stdout).ok());
    let told = told.map(|dir| PathBuf::from(dir.trim()));
    let mut installed: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|it| Some((it.file_name().to_str()?.parse().ok()?, it.path().join("bin"))))
        .collect();
    installed.sort_by(|(one, _), (other, _)| other.cmp(one));
    let path = env::var_os("PATH").unwrap_or_default();
    told.into_iter()
        .chain(installed.into_iter().map(|(_, dir)| dir))
        .chain(env::split_paths(&path))
        .find(complete)
        .ok_or_else(|| {
            Failure(String::from(
                "there is no PostgreSQL to test with: install the package postgresql, \
                 or name the directory of its binaries in KITH_POSTGRES_BIN",
            ))
        })
}

/// The directory for temporary files, without symbolic links, and short enough that a socket's
/// path below it fits into the 107 bytes there are.
pub(super) fn temporary() -> Result<PathBuf, Failure> {
    const LONGEST: usize =
        107 - "/kith-postgres-4294967295-0123456789abcdef/socket/.s.PGSQL.65535".len();
    let named = env::temp_dir();
    let dir = if named.as_os_str().len() <= LONGEST { &named } else { Path::new("/tmp") };
    dir.canonicalize().attempt(|| format!("find {}", dir.display()))
}
