//! How much one may ask: rates per person, failed logins per address and account.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use governor::{DefaultKeyedRateLimiter, Quota, clock::Clock as _};
use kith_domain::UserId;
use moka::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Error, Result};

/// What a person's rate allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Within,
    /// Refuse this one.
    Above {
        /// When asking again makes sense.
        retry_after: Duration,
    },
    /// More than ten times what is allowed: hang up.
    FarAbove,
}

impl Verdict {
    /// The verdict as a result, for those who cannot hang up.
    pub fn into_result(self) -> Result<()> {
        match self {
            Self::Within => Ok(()),
            Self::Above { retry_after } => Err(Error::RateLimited { retry_after }),
            Self::FarAbove => Err(Error::RateLimited { retry_after: Duration::from_secs(1) }),
        }
    }
}

/// A rate per person.
#[derive(Debug)]
pub struct Rate {
    allowed: Option<Tiers>,
}

#[derive(Debug)]
struct Tiers {
    normal: DefaultKeyedRateLimiter<UserId>,
    flood: DefaultKeyedRateLimiter<UserId>,
}

impl Rate {
    /// `per_second` with bursts of `burst` times that; 0 allows everything.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let quota = |factor: u32| {
            let rate = NonZeroU32::new(per_second.saturating_mul(factor))?;
            let burst = NonZeroU32::new(per_second.saturating_mul(factor).saturating_mul(burst))?;
            Some(Quota::per_second(rate).allow_burst(burst))
        };
        let allowed = quota(1).zip(quota(10)).map(|(normal, flood)| Tiers {
            normal: DefaultKeyedRateLimiter::keyed(normal),
            flood: DefaultKeyedRateLimiter::keyed(flood),
        });
        Self { allowed }
    }

    /// Counts one more for `user`.
    pub fn take(&self, user: UserId) -> Verdict {
        let Some(tiers) = &self.allowed else { return Verdict::Within };
        let Err(above) = tiers.normal.check_key(&user) else { return Verdict::Within };
        if tiers.flood.check_key(&user).is_err() {
            return Verdict::FarAbove;
        }
        Verdict::Above { retry_after: above.wait_time_from(tiers.normal.clock().now()) }
    }

    /// Forgets people who asked for nothing lately.
    pub fn forget_idle(&self) {
        if let Some(tiers) = &self.allowed {
            tiers.normal.retain_recent();
            tiers.flood.retain_recent();
        }
    }
}

/// Turns at having a password hashed: an address has a few at a time, the rest of its requests wait,
/// so that one client cannot fill the queue for all others.
#[derive(Debug)]
pub struct Turns {
    by_address: Cache<IpAddr, Arc<Semaphore>>,
}

/// How many passwords are hashed for one address at a time.
const TURNS: usize = 8;

impl Default for Turns {
    fn default() -> Self {
        let by_address = Cache::builder()
            .max_capacity(REMEMBERED)
            .time_to_idle(Duration::from_secs(600))
            .build();
        Self { by_address }
    }
}

impl Turns {
    /// Waits for a turn. It ends when what is returned is dropped.
    pub async fn take(&self, address: Option<IpAddr>) -> Option<OwnedSemaphorePermit> {
        let turns = self.by_address.get_with(address?, || Arc::new(Semaphore::new(TURNS)));
        turns.acquire_owned().await.ok()
    }
}

/// Failed logins, counted before the password is hashed.
///
/// An address may fail so often in a minute, whatever it tries. An account may be failed on a third
/// as often, except from an address that has logged into it: a stranger who guesses passwords
/// cannot lock its owner out.
#[derive(Debug)]
pub struct LoginThrottle {
    limit: u32,
    by_address: Cache<IpAddr, Arc<AtomicU32>>,
    by_account: Cache<String, Arc<AtomicU32>>,
    familiar: Cache<(String, IpAddr), ()>,
}

const WINDOW: Duration = Duration::from_secs(60);
const REMEMBERED: u64 = 100_000;

/// One login under way. It counts as failed unless it is said to have succeeded.
#[must_use]
#[derive(Debug)]
pub struct Attempt<'a> {
    throttle: &'a LoginThrottle,
    counted: Vec<Arc<AtomicU32>>,
    account: String,
    address: Option<IpAddr>,
}

impl LoginThrottle {
    /// `per_minute` failures for an address; 0 allows everything.
    pub fn new(per_minute: u32) -> Self {
        let window = || Cache::builder().max_capacity(REMEMBERED).time_to_live(WINDOW);
        Self {
            limit: per_minute,
            by_address: window().build(),
            by_account: Cache::builder().max_capacity(REMEMBERED).time_to_live(WINDOW).build(),
            familiar: Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_idle(Duration::from_secs(30 * 24 * 3600))
                .build(),
        }
    }

    /// Begins an attempt on `account` from `address`, if there have not been too many failures.
    pub fn begin(&self, account: String, address: Option<IpAddr>) -> Result<Attempt<'_>> {
        let mut attempt = Attempt { throttle: self, counted: Vec::new(), account, address };
        if self.limit == 0 {
            return Ok(attempt);
        }
        if let Some(address) = address {
            let failures = self.by_address.get_with(address, Arc::default);
            attempt.count(failures, self.limit)?;
        }
        let familiar =
            address.is_some_and(|at| self.familiar.contains_key(&(attempt.account.clone(), at)));
        if !familiar {
            let failures = self.by_account.get_with(attempt.account.clone(), Arc::default);
            attempt.count(failures, (self.limit / 3).max(1))?;
        }
        Ok(attempt)
    }
}

impl Attempt<'_> {
    fn count(&mut self, failures: Arc<AtomicU32>, limit: u32) -> Result<()> {
        let before = failures.fetch_add(1, Ordering::Relaxed);
        self.counted.push(failures);
        if before < limit {
            return Ok(());
        }
        self.forgive();
        Err(Error::RateLimited { retry_after: WINDOW })
    }

    fn forgive(&mut self) {
        for failures in self.counted.drain(..) {
            failures.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The password was never looked at: this attempt does not count.
    pub fn uncount(mut self) {
        self.forgive();
    }

    /// The password was right: the address is known to the account from now on.
    pub fn succeeded(mut self) {
        self.forgive();
        if let Some(address) = self.address {
            self.throttle.familiar.insert((std::mem::take(&mut self.account), address), ());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use uuid::Uuid;

    use super::*;

    const HOME: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)));
    const ELSEWHERE: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)));

    fn fail(throttle: &LoginThrottle, account: &str, address: Option<IpAddr>) -> bool {
        throttle.begin(account.to_owned(), address).is_ok()
    }

    fn user(n: u128) -> UserId {
        UserId::from_uuid(Uuid::from_u128(n))
    }

    #[test]
    fn an_account_may_be_failed_on_a_third_as_often_as_an_address_may_fail() {
        let throttle = LoginThrottle::new(30);
        assert_eq!((0..40).filter(|_| fail(&throttle, "ann", HOME)).count(), 10);
        let others = (0..40).filter(|n| fail(&throttle, &format!("user{n}"), HOME)).count();
        assert_eq!(others, 20);
    }

    #[test]
    fn a_stranger_does_not_lock_the_owner_out() {
        let throttle = LoginThrottle::new(30);
        throttle.begin("ann".to_owned(), HOME).unwrap().succeeded();
        while fail(&throttle, "ann", ELSEWHERE) {}
        assert!(throttle.begin("ann".to_owned(), HOME).is_ok());
    }

    #[test]
    fn a_login_that_succeeds_does_not_count() {
        let throttle = LoginThrottle::new(3);
        for _ in 0..20 {
            throttle.begin("ann".to_owned(), HOME).unwrap().succeeded();
        }
    }

    #[tokio::test]
    async fn one_address_waits_for_its_turn_and_others_do_not_wait_for_it() {
        let turns = Turns::default();
        let mut taken = Vec::new();
        for _ in 0..TURNS {
            taken.push(turns.take(HOME).await);
        }
        let wait = Duration::from_millis(20);
        assert!(tokio::time::timeout(wait, turns.take(HOME)).await.is_err());
        assert!(turns.take(ELSEWHERE).await.is_some());
        taken.pop();
        assert!(turns.take(HOME).await.is_some());
    }

    #[test]
    fn zero_is_off() {
        let throttle = LoginThrottle::new(0);
        assert!((0..1_000).all(|_| fail(&throttle, "ann", HOME)));
        let rate = Rate::new(0, 5);
        assert!((0..10_000).all(|_| rate.take(user(1)) == Verdict::Within));
    }

    #[test]
    fn one_persons_flood_is_not_anothers() {
        let rate = Rate::new(2, 5);
        let allowed = (0..50).filter(|_| rate.take(user(1)) == Verdict::Within).count();
        assert!((10..=12).contains(&allowed), "{allowed}");
        assert_eq!(rate.take(user(2)), Verdict::Within);
    }

    #[test]
    fn far_above_is_told_apart() {
        let rate = Rate::new(1, 1);
        let verdicts: Vec<_> = (0..40).map(|_| rate.take(user(1))).collect();
        assert!(matches!(verdicts[3], Verdict::Above { .. }));
        assert_eq!(verdicts[39], Verdict::FarAbove);
    }
}
