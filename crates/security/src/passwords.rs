//! Passwords: argon2id (RFC 9106), on threads of their own.
//!
//! A hash costs tens of milliseconds of a core and megabytes of memory, on purpose. So there are
//! few threads, with a low priority, behind a short queue: a storm of logins makes logins slow, and
//! nothing else. Who may try how often is not known here.

use std::{
    fmt,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::phc::PasswordHash,
};
use async_trait::async_trait;
use kith_domain::text::Password;
use kith_ports::{PasswordHasher, PasswordsBusy};
use tokio::sync::oneshot;

/// How many callers may wait for a thread before more are refused.
pub const QUEUE: usize = 64;

/// What one hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory, in KiB; at least eight for each lane.
    pub memory_kib: u32,
    /// Passes over that memory.
    pub iterations: u32,
    /// Lanes. They are computed one after the other, so more of them only spread the memory.
    pub parallelism: u32,
}

impl Default for PasswordCost {
    /// The first choice of the OWASP Password Storage Cheat Sheet: 19 MiB, 2 passes, 1 lane.
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, iterations: 2, parallelism: 1 }
    }
}

/// Why passwords cannot be hashed at all.
#[derive(Debug, thiserror::Error)]
pub enum PasswordsError {
    /// The cost is not one that argon2 can have.
    #[error("the password cost {cost:?} is not possible: {reason}")]
    Cost {
        /// The cost.
        cost: PasswordCost,
        /// Why it is not.
        reason: String,
    },
    /// A thread did not start.
    #[error("cannot start a thread for passwords: {0}")]
    Thread(#[from] std::io::Error),
}

/// Hashes and checks passwords. Its threads end when it is dropped.
pub struct Argon2Passwords {
    jobs: async_channel::Sender<Job>,
    computed: Arc<AtomicU64>,
}

struct Job {
    password: Password,
    work: Work,
}

enum Work {
    Hash(oneshot::Sender<String>),
    Verify(Option<String>, oneshot::Sender<bool>),
}

impl Argon2Passwords {
    /// Starts with half the machine's cores, at least one, and room for [`QUEUE`] callers.
    pub fn start(cost: PasswordCost) -> Result<Self, PasswordsError> {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::start_with(cost, (cores / 2).max(1), QUEUE)
    }

    /// Starts with this many threads and room for `queue` callers who wait; at least one of each.
    ///
    /// Makes one hash before it returns: the one that absent accounts are checked against.
    pub fn start_with(
        cost: PasswordCost,
        threads: usize,
        queue: usize,
    ) -> Result<Self, PasswordsError> {
        let refused = |reason: String| PasswordsError::Cost { cost, reason };
        let params = Params::new(cost.memory_kib, cost.iterations, cost.parallelism, None)
            .map_err(|error| refused(error.to_string()))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let dummy = argon2
            .hash_password(&rand::random::<[u8; 16]>())
            .map_err(|error| refused(error.to_string()))?;

        let (jobs, waiting) = async_channel::bounded(queue.max(1));
        let computed = Arc::new(AtomicU64::new(0));
        for n in 0..threads.max(1) {
            let worker = Worker {
                argon2: argon2.clone(),
                dummy: dummy.clone(),
                jobs: waiting.clone(),
                computed: Arc::clone(&computed),
            };
            thread::Builder::new()
                .name(format!("kith-password-{n}"))
                .spawn(move || worker.run())?;
        }
        Ok(Self { jobs, computed })
    }

    /// How many callers wait for a thread.
    pub fn waiting(&self) -> usize {
        self.jobs.len()
    }

    /// How many times argon2 ran since the start.
    pub fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    async fn run<T>(
        &self,
        password: Password,
        work: impl FnOnce(oneshot::Sender<T>) -> Work,
    ) -> Result<T, PasswordsBusy> {
        let (reply, answer) = oneshot::channel();
        self.jobs.try_send(Job { password, work: work(reply) }).map_err(|_| PasswordsBusy)?;
        answer.await.map_err(|_| PasswordsBusy)
    }
}

impl fmt::Debug for Argon2Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Argon2Passwords")
            .field("waiting", &self.waiting())
            .field("computed", &self.computed())
            .finish()
    }
}

#[async_trait]
impl PasswordHasher for Argon2Passwords {
    async fn hash(&self, password: Password) -> Result<String, PasswordsBusy> {
        self.run(password, Work::Hash).await
    }

    async fn verify(
        &self,
        password: Password,
        hash: Option<String>,
    ) -> Result<bool, PasswordsBusy> {
        self.run(password, |reply| Work::Verify(hash, reply)).await
    }
}

/// One of the threads.
struct Worker {
    argon2: Argon2<'static>,
    dummy: PasswordHash,
    jobs: async_channel::Receiver<Job>,
    computed: Arc<AtomicU64>,
}

impl Worker {
    fn run(self) {
        yield_to_others();
        while let Ok(Job { password, work }) = self.jobs.recv_blocking() {
            match work {
                Work::Hash(reply) if !reply.is_closed() => {
                    // On an error the reply is dropped, and the caller is told to come again.
                    if let Some(hash) = self.hash(&password) {
                        let _ = reply.send(hash);
                    }
                }
                Work::Verify(hash, reply) if !reply.is_closed() => {
                    let _ = reply.send(self.verify(&password, hash.as_deref()));
                }
                // Whoever asked went away before its turn came.
                Work::Hash(_) | Work::Verify(..) => {}
            }
        }
    }

    fn hash(&self, password: &Password) -> Option<String> {
        self.computed.fetch_add(1, Ordering::Relaxed);
        match self.argon2.hash_password(password.expose().as_bytes()) {
            Ok(hash) => Some(hash.to_string()),
            Err(error) => {
                tracing::error!(%error, "a password could not be hashed");
                None
            }
        }
    }

    fn verify(&self, password: &Password, stored: Option<&str>) -> bool {
        let parsed = stored.and_then(|text| {
            PasswordHash::new(text)
                .inspect_err(
                    |error| tracing::error!(%error, "a stored password hash is unreadable"),
                )
                .ok()
        });
        self.computed.fetch_add(1, Ordering::Relaxed);
        let matches = self
            .argon2
            .verify_password(password.expose().as_bytes(), parsed.as_ref().unwrap_or(&self.dummy))
            .is_ok();
        matches && parsed.is_some()
    }
}

/// Sockets and stores come first. On Linux a priority is a thread's own (`setpriority(2)`, "Notes");
/// elsewhere it would be the whole process's, and is left alone.
fn yield_to_others() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(10) {
        tracing::warn!(%error, "password threads run with normal priority");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const CHEAP: PasswordCost = PasswordCost { memory_kib: 64, iterations: 1, parallelism: 1 };
    /// Slow enough to be met at work: some tens of milliseconds.
    const SLOW: PasswordCost =
        PasswordCost { memory_kib: 16 * 1024, iterations: 4, parallelism: 1 };

    fn password(raw: &str) -> Password {
        Password::presented(raw).unwrap()
    }

    #[tokio::test]
    async fn a_password_is_known_again_and_no_other() {
        let passwords = Argon2Passwords::start(CHEAP).unwrap();
        let hash = passwords.hash(password("correct horse")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        assert!(passwords.verify(password("correct horse"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(password("correct horsf"), Some(hash)).await.unwrap());
    }

    #[tokio::test]
    async fn the_same_password_has_another_hash_each_time() {
        let passwords = Argon2Passwords::start(CHEAP).unwrap();
        let one = passwords.hash(password("correct horse")).await.unwrap();
        let two = passwords.hash(password("correct horse")).await.unwrap();
        assert_ne!(one, two);
    }

    #[tokio::test]
    async fn a_hash_made_at_another_cost_is_still_known() {
        let before = Argon2Passwords::start(CHEAP).unwrap();
        let hash = before.hash(password("correct horse")).await.unwrap();
        let after = PasswordCost { iterations: 2, ..CHEAP };
        let passwords = Argon2Passwords::start(after).unwrap();
        assert!(passwords.verify(password("correct horse"), Some(hash)).await.unwrap());
    }

    #[tokio::test]
    async fn an_absent_account_costs_the_same_work() {
        let passwords = Argon2Passwords::start(CHEAP).unwrap();
        assert!(!passwords.verify(password("correct horse"), None).await.unwrap());
        assert_eq!(passwords.computed(), 1);
        let unreadable = Some("not a hash".to_owned());
        assert!(!passwords.verify(password("correct horse"), unreadable).await.unwrap());
        assert_eq!(passwords.computed(), 2);
    }

    #[tokio::test]
    async fn a_storm_is_refused_beyond_the_queue() {
        let passwords = Arc::new(Argon2Passwords::start_with(SLOW, 1, 4).unwrap());
        let asked: Vec<_> = (0..200)
            .map(|_| {
                let passwords = Arc::clone(&passwords);
                tokio::spawn(async move { passwords.verify(password("correct horse"), None).await })
            })
            .collect();
        let mut served = 0_u64;
        for task in asked {
            if let Ok(matches) = task.await.unwrap() {
                assert!(!matches);
                served += 1;
            }
        }
        assert!((4..20).contains(&served), "{served}");
        assert_eq!(passwords.computed(), served);
    }

    #[tokio::test]
    async fn the_job_of_a_caller_who_went_away_is_skipped() {
        let passwords = Argon2Passwords::start_with(SLOW, 1, 8).unwrap();
        let gone = |_| async {
            let asked = passwords.hash(password("correct horse"));
            tokio::time::timeout(Duration::from_millis(1), asked).await.unwrap_err();
        };
        // The first may have begun; the others wait behind it and are given up.
        for n in 0..4 {
            gone(n).await;
        }
        passwords.verify(password("correct horse"), None).await.unwrap();
        assert!(passwords.computed() <= 2, "{}", passwords.computed());
    }

    #[test]
    fn an_impossible_cost_is_refused_at_the_start() {
        for cost in [
            PasswordCost { memory_kib: 1, ..CHEAP },
            PasswordCost { iterations: 0, ..CHEAP },
            PasswordCost { parallelism: 0, ..CHEAP },
        ] {
            let error = Argon2Passwords::start(cost).unwrap_err();
            assert!(matches!(error, PasswordsError::Cost { .. }), "{error}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_low_priority_is_the_threads_own() {
        let normal = rustix::process::nice(0).unwrap();
        let lowered = thread::spawn(|| {
            yield_to_others();
            rustix::process::nice(0).unwrap()
        });
        assert_eq!(lowered.join().unwrap(), (normal + 10).min(19));
        assert_eq!(rustix::process::nice(0).unwrap(), normal);
    }
}
