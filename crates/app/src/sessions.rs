//! Tokens, devices, tickets: who is asking, and for how long.

mod openings;

use std::{fmt::Write as _, sync::Arc, time::Duration};

use kith_domain::{
    Code, Refusal, SessionId, Timestamp, UserId,
    session::{Device, Presented, Session},
};
use kith_ports::{
    AccessClaims, AccessTokens, Clock, Ids, RefreshClaims, RefreshTokens, Seals, SessionStore,
    StoreError, StoreResult, Tally, TokenHash,
    live::{CloseReason, Dispatch, EventBus},
};
use moka::sync::Cache;
use uuid::Uuid;

pub use self::openings::Openings;
use crate::{Error, Result};

/// How long an access token lives.
pub const ACCESS_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// How long a ticket for a WebSocket lives.
pub const TICKET_LIFETIME: Duration = Duration::from_secs(30);
/// How long another node's word that a session has ended may take to be heard here.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// How many sessions are remembered in memory.
const REMEMBERED: u64 = 1_000_000;
/// How often a renewal that others overtook is tried again.
const ATTEMPTS: usize = 4;

/// Who is asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The account.
    pub user_id: UserId,
    /// The device.
    pub session_id: SessionId,
    /// When the token that proved it ends.
    pub expires_at: Timestamp,
}

/// A pair of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPair {
    /// Proves who is asking, for [`ACCESS_LIFETIME`].
    pub access: String,
    /// Seconds until the access token ends.
    pub expires_in: u64,
    /// Good once, for the next pair.
    pub refresh: String,
}

/// The ports this needs.
#[derive(Clone)]
pub struct Ports {
    /// Where sessions are kept.
    pub store: Arc<dyn SessionStore>,
    /// Signs and checks access tokens.
    pub access: Arc<dyn AccessTokens>,
    /// Derives and reads refresh tokens.
    pub refresh: Arc<dyn RefreshTokens>,
    /// Closes the sockets of an ended session.
    pub bus: Arc<dyn EventBus>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids and secrets.
    pub ids: Arc<dyn Ids>,
    /// Seals tickets.
    pub seals: Arc<dyn Seals>,
    /// Knows which tickets were used, on any node.
    pub tally: Arc<dyn Tally>,
}

/// Sessions and what proves them.
pub struct Sessions {
    ports: Ports,
    /// Sessions that lived a moment ago.
    alive: Cache<SessionId, UserId>,
    /// Sessions that this node has ended, for as long as an access token may outlive them.
    ended: Cache<SessionId, ()>,
}

impl Sessions {
    /// Over these ports.
    pub fn new(ports: Ports) -> Self {
        let cache = |lifetime| Cache::builder().max_capacity(REMEMBERED).time_to_live(lifetime);
        Self {
            ports,
            alive: cache(TRUSTED_FOR).build(),
            ended: Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(ACCESS_LIFETIME + Duration::from_secs(60))
                .build(),
        }
    }

    /// A new session of `user`, not stored yet, with the hash of its first refresh token.
    pub(crate) fn draft(&self, user: UserId, device: Device) -> (Session, TokenHash) {
        let now = self.ports.clock.now();
        let session = Session {
            id: self.ports.ids.session(),
            user_id: user,
            device,
            generation: 1,
            created_at: now,
            last_used_at: now,
            expires_at: Session::expiry(now, now),
            revoked_at: None,
        };
        let (_, hash) = self.ports.refresh.derive(session.id, session.generation);
        (session, hash)
    }

    /// Signs `user` in on a device, with the password hash that was found to be right. `None` if
    /// he has another password by now, or no account.
    pub(crate) async fn open(
        &self,
        user: UserId,
        device: Device,
        verified: String,
    ) -> Result<Option<TokenPair>> {
        let (session, token) = self.draft(user, device);
        match self.ports.store.create(session.clone(), token, verified).await {
            Ok(()) => Ok(Some(self.pair(&session))),
            Err(StoreError::Stale) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The tokens of a session's living generation.
    pub(crate) fn pair(&self, session: &Session) -> TokenPair {
        let now = self.ports.clock.now();
        let expires_at = now.after(ACCESS_LIFETIME).min(session.expires_at);
        let access = self.ports.access.sign(&AccessClaims {
            user_id: session.user_id,
            session_id: session.id,
            issued_at: now,
            expires_at,
        });
        let (refresh, _) = self.ports.refresh.derive(session.id, session.generation);
        TokenPair { access, expires_in: expires_at.since(now).as_secs(), refresh }
    }

    /// Who presents this access token. An ended session is refused at once on the node that ended
    /// it, and within a second on others.
    pub async fn authenticate(&self, token: &str) -> Result<Principal> {
        let principal = self.identify(token)?;
        let find = self.ports.store.find(principal.session_id);
        let found = async { Ok(find.await?.map(|(session, _)| session)) };
        self.ensure_alive(&principal, found).await?;
        Ok(principal)
    }

    /// Whose this access token is, whether or not his session still lives.
    fn identify(&self, token: &str) -> Result<Principal> {
        let claims = self.ports.access.verify(token, self.ports.clock.now()).map_err(|error| {
            Refusal::new(Code::Unauthenticated, format!("{error}: log in or refresh"))
        })?;
        Ok(Principal {
            user_id: claims.user_id,
            session_id: claims.session_id,
            expires_at: claims.expires_at,
        })
    }

    /// That a session lives, which is looked for where it was not a moment ago.
    async fn ensure_alive(
        &self,
        principal: &Principal,
        found: impl Future<Output = StoreResult<Option<Session>>>,
    ) -> Result<()> {
        let Principal { user_id, session_id, .. } = *principal;
        if self.ended.contains_key(&session_id) {
            return Err(session_over().into());
        }
        if self.alive.get(&session_id) == Some(user_id) {
            return Ok(());
        }
        self.look_whether_alive(principal, found).await
    }

    /// That a session lives, which is looked for whatever was known a moment ago.
    async fn look_whether_alive(
        &self,
        principal: &Principal,
        found: impl Future<Output = StoreResult<Option<Session>>>,
    ) -> Result<()> {
        let Principal { user_id, session_id, .. } = *principal;
        if self.ended.contains_key(&session_id) {
            return Err(session_over().into());
        }
        match found.await? {
            Some(session)
                if session.user_id == user_id && !session.has_ended(self.ports.clock.now()) =>
            {
                self.alive.insert(session_id, user_id);
                Ok(())
            }
            _ => Err(session_over().into()),
        }
    }

    /// Exchanges a refresh token for the next pair.
    pub async fn refresh(&self, token: &str) -> Result<(TokenPair, UserId)> {
        let invalid = || {
            Refusal::new(Code::InvalidRefreshToken, "the refresh token is not valid: log in again")
        };
        let RefreshClaims { session_id: id, generation, hash: presented } =
            self.ports.refresh.read(token).ok_or_else(invalid)?;
        for _ in 0..ATTEMPTS {
            let (session, stored) = self.ports.store.find(id).await?.ok_or_else(invalid)?;
            // The token may have been made before the database was restored from a backup.
            if generation == session.generation && presented != stored {
                return Err(invalid().into());
            }
            let now = self.ports.clock.now();
            match session.present(generation, now) {
                Presented::Renew { next, expires_at } => {
                    let (_, hash) = self.ports.refresh.derive(id, next);
                    let renewed =
                        Session { generation: next, last_used_at: now, expires_at, ..session };
                    match self.ports.store.renew(generation, renewed.clone(), hash).await {
                        Ok(()) => return Ok((self.pair(&renewed), renewed.user_id)),
                        Err(StoreError::Stale) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Presented::Repeat { .. } => return Ok((self.pair(&session), session.user_id)),
                Presented::Reused => {
                    match self.end(session.user_id, id).await {
                        // Another replay was faster.
                        Err(Error::Refused(refusal)) if refusal.code == Code::NotFound => {}
                        ended => ended?,
                    }
                    return Err(Refusal::new(
                        Code::RefreshReused,
                        "the refresh token was used before: its session has been ended, log in again",
                    )
                    .into());
                }
                Presented::Ended => return Err(invalid().into()),
            }
        }
        Err(Error::Overloaded)
    }

    /// The devices of an account, the newest used first.
    pub async fn list(&self, user: UserId) -> Result<Vec<Session>> {
        Ok(self.ports.store.list(user, self.ports.clock.now()).await?)
    }

    /// One session.
    pub(crate) async fn find(&self, id: SessionId) -> Result<Option<Session>> {
        Ok(self.ports.store.find(id).await?.map(|(session, _)| session))
    }

    /// Ends one session of `user` and closes its sockets.
    pub async fn end(&self, user: UserId, id: SessionId) -> Result<()> {
        if !self.ports.store.revoke(user, id, self.ports.clock.now()).await? {
            return Err(Refusal::not_found().into());
        }
        self.forget(user, &[id]).await;
        Ok(())
    }

    /// Ends all sessions of the account but the one that asks. Returns how many.
    pub async fn end_others(&self, principal: &Principal) -> Result<usize> {
        let Principal { user_id, session_id, .. } = *principal;
        let now = self.ports.clock.now();
        let ended = self.ports.store.revoke_others(user_id, session_id, now).await?;
        self.forget(user_id, &ended).await;
        Ok(ended.len())
    }

    /// Makes sessions that were ended in the store end here: their tokens, tickets and sockets.
    pub(crate) async fn forget(&self, user: UserId, ended: &[SessionId]) {
        for id in ended {
            self.ended.insert(*id, ());
            self.alive.invalidate(id);
        }
        let close = |id: &SessionId| Dispatch::Close {
            user_id: user,
            session_id: *id,
            reason: CloseReason::SignedOut,
        };
        self.ports.bus.publish(ended.iter().map(close).collect()).await;
    }

    /// A single-use credential for opening a WebSocket, on any node.
    pub fn ticket(&self, principal: Principal) -> String {
        let ends = self.ports.clock.now().after(TICKET_LIFETIME);
        let ticket = Ticket { principal, ends, secret: self.ports.ids.secret() };
        self.ports.seals.seal(TICKET, NOBODY, &ticket.encode())
    }

    /// Whose this ticket is, whether or not his session still lives. It is good once.
    async fn redeem(&self, ticket: &str) -> Result<Principal> {
        let spent = || {
            Refusal::new(Code::Unauthenticated, "the ticket was used, has expired, or never was")
        };
        let opened = self.ports.seals.open(TICKET, NOBODY, ticket);
        let Ticket { principal, ends, secret } =
            opened.and_then(|bytes| Ticket::decode(&bytes)).ok_or_else(spent)?;
        let name = secret.iter().fold(String::from("ticket:"), |mut name, byte| {
            // Writing to a string does not fail.
            let _ = write!(name, "{byte:02x}");
            name
        });
        // Remembered for longer than it is good, whatever the clocks of the nodes say.
        let uses = self.ports.tally.add(&name, 1, TICKET_LIFETIME * 4).await;
        if uses > 1 || ends < self.ports.clock.now() {
            return Err(spent().into());
        }
        Ok(principal)
    }
}

/// What is sealed as a ticket. Whoever has it presents it before anybody knows who he is.
const TICKET: &str = "ticket";
const NOBODY: UserId = UserId::from_uuid(Uuid::nil());

struct Ticket {
    principal: Principal,
    ends: Timestamp,
    secret: [u8; 32],
}

impl Ticket {
    fn encode(&self) -> Vec<u8> {
        let Principal { user_id, session_id, expires_at } = self.principal;
        let mut bytes = Vec::with_capacity(80);
        bytes.extend(user_id.as_uuid().as_bytes());
        bytes.extend(session_id.as_uuid().as_bytes());
        bytes.extend(expires_at.as_micros().to_be_bytes());
        bytes.extend(self.ends.as_micros().to_be_bytes());
        bytes.extend(self.secret);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (user, rest) = bytes.split_first_chunk()?;
        let (session, rest) = rest.split_first_chunk()?;
        let (expires_at, rest) = rest.split_first_chunk()?;
        let (ends, secret) = rest.split_first_chunk()?;
        let moment = |bytes: &[u8; 8]| Timestamp::from_micros(i64::from_be_bytes(*bytes));
        Some(Self {
            principal: Principal {
                user_id: UserId::from_uuid(Uuid::from_bytes(*user)),
                session_id: SessionId::from_uuid(Uuid::from_bytes(*session)),
                expires_at: moment(expires_at),
            },
            ends: moment(ends),
            secret: secret.try_into().ok()?,
        })
    }
}

fn session_over() -> Refusal {
    Refusal::new(Code::Unauthenticated, "the session has ended: log in again")
}

#[cfg(test)]
mod tests;
