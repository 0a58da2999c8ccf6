//! How much one may ask: rates per person, failed logins per address and account.

use std::{net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

use governor::{DefaultKeyedRateLimiter, Quota, clock::Clock as _};
use kith_domain::UserId;
use kith_ports::Tally;
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

/// How many addresses are remembered.
const REMEMBERED: u64 = 100_000;
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

/// Failed logins, counted before the password is hashed, on all nodes together.
///
/// An address may fail so often in a minute, whatever it tries. An account may be failed on a third
/// as often, except from an address that has logged into it: a stranger who guesses passwords
/// cannot lock its owner out.
pub struct LoginThrottle {
    limit: i64,
    tally: Arc<dyn Tally>,
}

const WINDOW: Duration = Duration::from_secs(60);
/// For so long an address that has logged into an account is known to it.
const FAMILIAR: Duration = Duration::from_secs(30 * 24 * 3600);

/// One login under way. It counts as failed unless it is said to have succeeded.
#[must_use]
pub struct Attempt<'a> {
    throttle: &'a LoginThrottle,
    counted: Vec<String>,
    /// The account and the address, as one that is familiar is noted.
    visitor: Option<String>,
}

impl LoginThrottle {
    /// `per_minute` failures for an address; 0 allows everything.
    pub fn new(per_minute: u32, tally: Arc<dyn Tally>) -> Self {
        Self { limit: per_minute.into(), tally }
    }

    /// Begins an attempt on `account` from `address`, if there have not been too many failures.
    pub async fn begin(&self, account: String, address: Option<IpAddr>) -> Result<Attempt<'_>> {
        let visitor = address.map(|at| format!("familiar:{at}:{account}"));
        let mut attempt = Attempt { throttle: self, counted: Vec::new(), visitor };
        if self.limit == 0 {
            return Ok(attempt);
        }
        if let Some(address) = address {
            attempt.count(format!("failed:from:{address}"), self.limit).await?;
        }
        let is_familiar = match &attempt.visitor {
            Some(visitor) => self.tally.get(visitor).await > 0,
            None => false,
        };
        if !is_familiar {
            attempt.count(format!("failed:on:{account}"), (self.limit / 3).max(1)).await?;
        }
        Ok(attempt)
    }
}

impl Attempt<'_> {
    async fn count(&mut self, failures: String, limit: i64) -> Result<()> {
        let count = self.throttle.tally.add(&failures, 1, WINDOW).await;
        self.counted.push(failures);
        if count <= limit {
            return Ok(());
        }
        self.forgive().await;
        Err(Error::RateLimited { retry_after: WINDOW })
    }

    async fn forgive(&mut self) {
        for failures in self.counted.drain(..) {
            self.throttle.tally.add(&failures, -1, WINDOW).await;
        }
    }

    /// The password was never looked at: this attempt does not count.
    pub async fn uncount(mut self) {
        self.forgive().await;
    }

    /// The password was right: the address is known to the account from now on.
    pub async fn succeeded(mut self) {
        self.forgive().await;
        if let Some(visitor) = self.visitor.filter(|_| self.throttle.limit > 0) {
            self.throttle.tally.add(&visitor, 1, FAMILIAR).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use uuid::Uuid;

    use super::*;
    use crate::fixtures::Counts;

    const HOME: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)));
    const ELSEWHERE: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)));

    fn throttle(per_minute: u32) -> LoginThrottle {
        LoginThrottle::new(per_minute, Arc::new(Counts::default()))
    }

    async fn fail(throttle: &LoginThrottle, account: &str, address: Option<IpAddr>) -> bool {
        throttle.begin(account.to_owned(), address).await.is_ok()
    }

    fn user(n: u128) -> UserId {
        UserId::from_uuid(Uuid::from_u128(n))
    }

    #[tokio::test]
    async fn an_account_may_be_failed_on_a_third_as_often_as_an_address_may_fail() {
        let throttle = throttle(30);
        let (mut failed, mut others) = (0, 0);
        for _ in 0..40 {
            failed += u32::from(fail(&throttle, "ann", HOME).await);
        }
        for n in 0..40 {
            others += u32::from(fail(&throttle, &format!("user{n}"), HOME).await);
        }
        assert_eq!((failed, others), (10, 20));
    }

    #[tokio::test]
    async fn a_stranger_does_not_lock_the_owner_out() {
        let throttle = throttle(30);
        throttle.begin("ann".to_owned(), HOME).await.unwrap().succeeded().await;
        while fail(&throttle, "ann", ELSEWHERE).await {}
        assert!(fail(&throttle, "ann", HOME).await);
    }

    #[tokio::test]
    async fn a_login_that_succeeds_does_not_count() {
        let throttle = throttle(3);
        for _ in 0..20 {
            throttle.begin("ann".to_owned(), HOME).await.unwrap().succeeded().await;
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

    #[tokio::test]
    async fn zero_is_off() {
        let throttle = throttle(0);
        for _ in 0..1_000 {
            assert!(fail(&throttle, "ann", HOME).await);
        }
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
