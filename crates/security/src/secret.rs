//! The one secret of a server, from which every key is derived.
//!
//! It is configured (several nodes must share one), or made once from the operating system's
//! randomness and kept in a file only its owner can read. The file holds text, so that its content
//! can be configured on a second node as it stands.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::{TryRng, rngs::SysRng};
use secrecy::{ExposeSecret, SecretString};

use crate::key::Key;

/// The least number of bytes of a secret: as many as the hash that is keyed with it gives
/// (RFC 7518, section 3.2).
pub const MIN_BYTES: usize = 32;

/// More than any sane secret; a longer file is not one.
const MAX_BYTES: u64 = 4096;

/// The one secret of a server.
#[derive(Clone, Debug)]
pub struct ServerSecret(SecretString);

/// Why there is no secret. Each says in one line what to do.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// A configured secret is too short to be one.
    #[error(
        "the secret has {found} bytes, but needs at least {MIN_BYTES}: make one with \
         `openssl rand -base64 48`"
    )]
    TooShort {
        /// How long it is.
        found: usize,
    },
    /// The secret in a file is too short to be one.
    #[error(
        "the secret in {} has {found} bytes, but needs at least {MIN_BYTES}: restore the file, \
         or remove it to have a new one made (everyone must sign in again)",
        path.display()
    )]
    FileTooShort {
        /// The file.
        path: PathBuf,
        /// How long the secret in it is.
        found: usize,
    },
    /// The file is not a secret at all.
    #[error("{} does not hold a secret ({what}): restore the file, or remove it", path.display())]
    NotASecret {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// Others can read the file.
    #[error(
        "the secret in {} can be read by others (mode {mode:04o}): run `chmod 600 {}`",
        path.display(), path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file cannot be read.
    #[error("cannot read the secret in {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot keep a new secret in {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness to make a secret of: {0}")]
    NoRandomness(String),
}

impl ServerSecret {
    /// Takes a configured secret, without the white space around it.
    pub fn from_text(text: &str) -> Result<Self, SecretError> {
        let text = text.trim();
        if text.len() < MIN_BYTES {
            return Err(SecretError::TooShort { found: text.len() });
        }
        Ok(Self(text.into()))
    }

    /// Reads the secret from `path`; the first time, makes it and writes it there.
    ///
    /// A new one is either wholly on disk or not there at all. If two processes start at once,
    /// both get the one that was there first.
    pub fn load_or_create(path: &Path) -> Result<Self, SecretError> {
        if let Some(secret) = load(path)? {
            return Ok(secret);
        }
        let text = random_text()?;
        match write_new(path, &text) {
            Ok(()) => Self::from_text(&text),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                load(path)?.ok_or_else(|| SecretError::Read {
                    path: path.into(),
                    source: io::ErrorKind::NotFound.into(),
                })
            }
            Err(source) => Err(SecretError::Write { path: path.into(), source }),
        }
    }

    /// The key for `label`: `access`, `refresh`, `cursor`.
    pub(crate) fn key(&self, label: &str) -> Key {
        Key::derive(self.0.expose_secret().as_bytes(), label)
    }
}

fn load(path: &Path) -> Result<Option<ServerSecret>, SecretError> {
    let failed = |source| SecretError::Read { path: path.into(), source };
    let not_a_secret = |what| SecretError::NotASecret { path: path.into(), what };

    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // Of the open file, not of the path: nobody can put another one in its place in between.
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(not_a_secret("not a regular file"));
    }
    refuse_exposed(path, &metadata)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(not_a_secret("more than 4096 bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| not_a_secret("not text"))?;
    match ServerSecret::from_text(&text) {
        Ok(secret) => Ok(Some(secret)),
        Err(SecretError::TooShort { found }) => {
            Err(SecretError::FileTooShort { path: path.into(), found })
        }
        Err(other) => Err(other),
    }
}

#[cfg(unix)]
fn refuse_exposed(path: &Path, metadata: &fs::Metadata) -> Result<(), SecretError> {
    use std::os::unix::fs::PermissionsExt;

    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(SecretError::Exposed { path: path.into(), mode });
    }
    Ok(())
}

/// Elsewhere files have no mode; the directory's access list is what protects them.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same signature as on Unix")]
fn refuse_exposed(_: &Path, _: &fs::Metadata) -> Result<(), SecretError> {
    Ok(())
}

fn random_text() -> Result<String, SecretError> {
    let mut bytes = [0; MIN_BYTES];
    SysRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| SecretError::NoRandomness(error.to_string()))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Writes a file that appears under its name only when all of it is on disk, and never in place
/// of another.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let temporary = directory.join(format!(".secret-{:016x}", rand::random::<u64>()));
    let written = write_synced(&temporary, text).and_then(|()| publish(&temporary, path));
    // Gone already if it was renamed.
    let _ = fs::remove_file(&temporary);
    written?;
    sync_directory(directory)
}

fn write_synced(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

/// Gives a finished file its name. A link never replaces what is there, as a rename would; file
/// systems without links get the rename.
fn publish(temporary: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(temporary, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => fs::rename(temporary, path),
        done => done,
    }
}

#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Elsewhere a directory cannot be opened; its entry is written with the file.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same signature as on Unix")]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn same(a: &ServerSecret, b: &ServerSecret) -> bool {
        a.0.expose_secret() == b.0.expose_secret()
    }

    fn write(path: &Path, content: impl AsRef<[u8]>, mode: u32) {
        fs::write(path, content).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_secret_is_made_once_and_kept_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let made = ServerSecret::load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert!(same(&made, &ServerSecret::load_or_create(&path).unwrap()));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left behind");

        let other = ServerSecret::load_or_create(&directory.path().join("other")).unwrap();
        assert!(!same(&made, &other));
    }

    #[test]
    fn the_text_of_the_file_is_the_secret_for_other_nodes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let made = ServerSecret::load_or_create(&path).unwrap();
        let copied = ServerSecret::from_text(&fs::read_to_string(&path).unwrap()).unwrap();
        assert!(same(&made, &copied));
    }

    #[test]
    fn processes_that_start_at_once_agree() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let secrets: Vec<_> = std::thread::scope(|scope| {
            let started: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| ServerSecret::load_or_create(&path).unwrap()))
                .collect();
            started.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(secrets.iter().all(|secret| same(secret, &secrets[0])));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        for mode in [0o640, 0o604, 0o644, 0o620] {
            write(&path, "x".repeat(40), mode);
            let error = ServerSecret::load_or_create(&path).unwrap_err();
            assert!(matches!(error, SecretError::Exposed { .. }), "{mode:o}");
            assert!(error.to_string().contains("chmod 600"), "{error}");
            assert!(!error.to_string().contains('\n'));
        }
        write(&path, "x".repeat(40), 0o400);
        ServerSecret::load_or_create(&path).unwrap();
    }

    #[test]
    fn a_file_that_holds_no_secret_is_refused_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        write(&path, "", 0o600);
        let error = ServerSecret::load_or_create(&path).unwrap_err();
        assert!(matches!(error, SecretError::FileTooShort { found: 0, .. }));
        write(&path, format!("{}\n", "x".repeat(31)), 0o600);
        let error = ServerSecret::load_or_create(&path).unwrap_err();
        assert!(matches!(error, SecretError::FileTooShort { found: 31, .. }));
        write(&path, [0xFF; 40], 0o600);
        let error = ServerSecret::load_or_create(&path).unwrap_err();
        assert!(matches!(error, SecretError::NotASecret { what: "not text", .. }));
        write(&path, "x".repeat(5_000), 0o600);
        let error = ServerSecret::load_or_create(&path).unwrap_err();
        assert!(matches!(error, SecretError::NotASecret { .. }));
        assert_eq!(fs::read(&path).unwrap().len(), 5_000);
        let error = ServerSecret::load_or_create(directory.path()).unwrap_err();
        assert!(matches!(error, SecretError::NotASecret { .. }));
    }

    #[test]
    fn a_directory_that_is_not_there_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("missing").join("secret");
        let error = ServerSecret::load_or_create(&path).unwrap_err();
        assert!(matches!(error, SecretError::Write { .. }), "{error}");
    }

    #[test]
    fn a_configured_secret_is_long_enough_and_never_shown() {
        let error = ServerSecret::from_text(&"x".repeat(31)).unwrap_err();
        assert!(matches!(error, SecretError::TooShort { found: 31 }));
        let error = ServerSecret::from_text(&format!("  {}  ", "x".repeat(30))).unwrap_err();
        assert!(matches!(error, SecretError::TooShort { found: 30 }));
        let secret = ServerSecret::from_text(&"swordfish".repeat(4)).unwrap();
        assert!(!format!("{secret:?}").contains("swordfish"));
    }
}
