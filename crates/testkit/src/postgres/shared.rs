//! The cluster that all test processes of one user share.
//!
//! The first that needs it starts it in a directory all know, and a reaper with it. Everybody holds
//! a shared lock on its file `users` as long as he lives; the reaper takes it exclusively once
//! nobody did for some seconds, ends the cluster and removes the directory, `users` last. Whoever
//! was waiting for the lock then holds a file that has no name any more, and begins again.

use std::{
    collections::BTreeSet,
    env,
    fs::{self, File, Permissions, TryLockError},
    io::{self, ErrorKind},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::{
    Attempt, Failure,
    cluster::{CARELESS, Cluster, binaries, temporary},
    fingerprint, reaper,
    session::{Session, socket_url},
};

/// What makes many small databases quick.
const SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", ""),
    ("unix_socket_permissions", "0700"),
    ("max_connections", "500"),
    ("shared_buffers", "32MB"),
    ("autovacuum", "off"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("max_logical_replication_workers", "0"),
];

/// Names the socket's file; nothing listens on a port.
const PORT: u16 = 5432;

/// Where this process makes databases, once it is known.
static PLACE: Mutex<Option<(Place, Stay)>> = Mutex::new(None);

/// Where databases are made.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The address of a database to make others from.
    pub(super) url: String,
    /// Whether it is the cluster started here, with nothing in it that anybody would miss.
    pub(super) ours: bool,
}

/// The lock that keeps the shared cluster, if that is where databases are made.
type Stay = Option<File>;

/// Blocks until there is a server.
pub(super) fn place() -> Result<Place, Failure> {
    let mut known = PLACE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((place, _)) = &*known {
        return Ok(place.clone());
    }
    let (place, stay) = match env::var("KITH_TEST_DATABASE_URL") {
        Ok(url) => (Place { url, ours: false }, None),
        Err(_) => join().map(|(url, users)| (Place { url, ours: true }, Some(users)))?,
    };
    *known = Some((place.clone(), stay));
    Ok(place)
}

/// The address of the shared cluster, which stays as long as the file is open.
fn join() -> Result<(String, File), Failure> {
    let bin = binaries()?;
    let user = rustix::process::geteuid().as_raw();
    let same = fingerprint(&(&bin, SETTINGS, reaper::SCRIPT));
    let dir = temporary()?.join(format!("kith-postgres-{user}-{same:016x}"));
    let cluster = Cluster::new(bin, dir.clone())?;
    let url = socket_url(&cluster.socket(), PORT, None, "postgres");
    loop {
        claim(&dir, user)?;
        let Some(users) = opened(&dir.join("users"))? else { continue };
        users.lock_shared().attempt(|| format!("lock {}", dir.join("users").display()))?;
        if !is_named(&users, &dir.join("users"))? {
            continue;
        }
        // From here on the directory stays.
        let starting = dir.join("starting");
        let lock = open(&starting).attempt(|| format!("open {}", starting.display()))?;
        lock.lock().attempt(|| format!("lock {}", starting.display()))?;
        let life = open(&dir.join("reaper")).attempt(|| format!("write {}", dir.display()))?;
        match life.try_lock() {
            Ok(()) => reaper::watch(&dir, life)?,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => {
                return Err(error).attempt(|| format!("lock a file in {}", dir.display()));
            }
        }
        if !answers(&url)? {
            start(&cluster, &dir)?;
        }
        return Ok((url, users));
    }
}

/// Makes the directory, unless somebody did. Nobody else may have: its name is no secret.
fn claim(dir: &Path, user: u32) -> Result<(), Failure> {
    match fs::create_dir(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).attempt(|| format!("make {}", dir.display())),
    }
    // The account that PostgreSQL runs under must pass, if it is another one.
    let mode = if user == 0 { 0o711 } else { 0o700 };
    let found = match fs::symlink_metadata(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        found => found.attempt(|| format!("look at {}", dir.display()))?,
    };
    if !found.is_dir() || found.uid() != user {
        return Err(Failure(format!("{} belongs to somebody else: remove it", dir.display())));
    }
    match fs::set_permissions(dir, Permissions::from_mode(mode)) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).attempt(|| format!("set the permissions of {}", dir.display()))
        }
        _ => Ok(()),
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}

/// Nothing if the directory was removed meanwhile.
fn opened(path: &Path) -> Result<Option<File>, Failure> {
    match open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        result => result.map(Some).attempt(|| format!("open {}", path.display())),
    }
}

/// Whether it is still this file that has this name.
fn is_named(file: &File, path: &Path) -> Result<bool, Failure> {
    let held = file.metadata().attempt(|| format!("look at {}", path.display()))?;
    match fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (held.dev(), held.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).attempt(|| format!("look at {}", path.display())),
    }
}

fn answers(url: &str) -> Result<bool, Failure> {
    match Session::try_open(url)? {
        Ok(_) => Ok(true),
        // It lives, and has something to say: that is for whoever reads it.
        Err(error) if error.as_db_error().is_some() => {
            Err(error).attempt(|| String::from("use the shared PostgreSQL"))
        }
        Err(_) => Ok(false),
    }
}

/// Replaces what may be left of an earlier one.
fn start(cluster: &Cluster, dir: &Path) -> Result<(), Failure> {
    reaper::end(dir)?;
    let keep = BTreeSet::from(["users", "starting", "reaper"].map(|name| dir.join(name)));
    let left: Vec<PathBuf> = fs::read_dir(dir)
        .attempt(|| format!("read {}", dir.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| !keep.contains(path))
        .collect();
    for path in left {
        let removed =
            if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.attempt(|| format!("remove {}", path.display()))?;
    }
    cluster.init(None)?;
    let settings = SETTINGS.iter().chain(CARELESS);
    let mut settings: Vec<(String, String)> =
        settings.map(|(name, value)| ((*name).into(), (*value).into())).collect();
    settings.push((String::from("port"), PORT.to_string()));
    // Not waited for: it outlives this process.
    cluster.start(&settings).map(drop)
}
