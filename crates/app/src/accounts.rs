//! Registering, logging in, password, profile, erasure.

use std::{net::IpAddr, sync::Arc, time::Duration};

use kith_domain::{
    Code, MessageId, Refusal, UserId,
    event::{Audience, Event},
    session::Device,
    text::{Email, Name, Password, Username},
    user::{Privacy, ProfilePatch, User, Visibility},
};
use kith_ports::{
    Clock, Constraint, Ids, LoginName, MessageStore, NewAccount, PasswordHasher, StoreError,
    UserStore,
    live::{Dispatch, EventBus},
};

use crate::{
    Result,
    conversations::Conversations,
    limits::{LoginThrottle, Turns},
    messaging::Messaging,
    presence::PresenceService,
    sessions::{Principal, Sessions, TokenPair},
};

/// Within this time after a login the password need not be given again to erase the account.
pub const FRESH_LOGIN: Duration = Duration::from_secs(5 * 60);
/// How many messages of an erased account are deleted at once.
const SLICE: usize = 256;

/// What registering takes.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The unique name.
    pub username: Username,
    /// The address.
    pub email: Email,
    /// The password.
    pub password: Password,
    /// What people see; the user name if left out.
    pub display_name: Option<Name>,
    /// The device it comes from.
    pub device: Device,
    /// Its address: one address has a few passwords hashed at a time.
    pub address: Option<IpAddr>,
}

/// A login.
#[derive(Clone, Debug)]
pub struct Login {
    /// The account.
    pub name: LoginName,
    /// The password.
    pub password: Password,
    /// The device it comes from.
    pub device: Device,
    /// Its address, for the throttle.
    pub address: Option<IpAddr>,
}

/// The ports this needs.
#[derive(Clone)]
pub struct Ports {
    /// Accounts.
    pub users: Arc<dyn UserStore>,
    /// Messages, to be deleted with the account.
    pub messages: Arc<dyn MessageStore>,
    /// The hash function.
    pub passwords: Arc<dyn PasswordHasher>,
    /// Tells others of a changed profile.
    pub bus: Arc<dyn EventBus>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn Ids>,
}

/// Accounts.
pub struct Accounts {
    ports: Ports,
    sessions: Arc<Sessions>,
    conversations: Conversations,
    messaging: Messaging,
    presence: PresenceService,
    throttle: LoginThrottle,
    turns: Turns,
}

impl Accounts {
    /// Over these ports and neighbours.
    pub fn new(
        ports: Ports,
        sessions: Arc<Sessions>,
        conversations: Conversations,
        messaging: Messaging,
        presence: PresenceService,
        throttle: LoginThrottle,
    ) -> Self {
        let turns = Turns::default();
        Self { ports, sessions, conversations, messaging, presence, throttle, turns }
    }

    /// Makes an account and signs its device in, in one step.
    pub async fn register(&self, registration: Registration) -> Result<(User, TokenPair)> {
        let Registration { username, email, password, display_name, device, address } =
            registration;
        let turn = self.turns.take(address).await;
        let password_hash = self.ports.passwords.hash(password).await?;
        drop(turn);
        let display_name = match display_name {
            Some(name) => name,
            None => Name::parse(username.as_str())
                .map_err(|error| Refusal::invalid(vec![error.on("username")]))?,
        };
        let user = User {
            id: self.ports.ids.user(),
            username: Some(username),
            email: Some(email),
            display_name,
            about: None,
            privacy: Privacy::default(),
            created_at: self.ports.clock.now(),
            deleted_at: None,
            last_seen: None,
        };
        let (session, token_hash) = self.sessions.draft(user.id, device);
        let account =
            NewAccount { user: user.clone(), password_hash, session: session.clone(), token_hash };
        match self.ports.users.register(account).await {
            Ok(()) => Ok((user, self.sessions.pair(&session))),
            Err(StoreError::Conflict(Constraint::Email)) => Err(Refusal::field(
                "email",
                Code::EmailTaken,
                "an account with this e-mail address is there already: log in",
            )
            .into()),
            Err(StoreError::Conflict(Constraint::Username)) => Err(Refusal::field(
                "username",
                Code::UsernameTaken,
                "this user name is taken: choose another",
            )
            .into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Signs a device in. An unknown account and a wrong password are answered alike, and as slowly.
    pub async fn log_in(&self, login: Login) -> Result<(User, TokenPair)> {
        let Login { name, password, device, address } = login;
        let found = self.ports.users.credentials(&name).await?;
        // One count for an account, whatever name it was addressed by.
        let account = match (&found, &name) {
            (Some(found), _) => found.user.id.to_string(),
            (None, LoginName::Email(email)) => email.key(),
            (None, LoginName::Username(username)) => username.key(),
        };
        let (user, hash) = found.map(|found| (found.user, found.password_hash)).unzip();
        let hash = hash.flatten();
        // Counted from its turn on: what waits has not failed.
        let turn = self.turns.take(address).await;
        let attempt = self.throttle.begin(account, address).await?;
        let verified = self.ports.passwords.verify(password, hash.clone()).await;
        drop(turn);
        match verified {
            Err(busy) => {
                attempt.uncount().await;
                return Err(busy.into());
            }
            Ok(false) => return Err(wrong_credentials().into()),
            Ok(true) => attempt.succeeded().await,
        }
        let (Some(user), Some(hash)) = (user, hash) else { return Err(wrong_credentials().into()) };
        // The password may have been changed, or the account erased, while this one was checked.
        let tokens = self.sessions.open(user.id, device, hash).await?;
        Ok((user, tokens.ok_or_else(wrong_credentials)?))
    }

    /// Changes the password; all other devices are signed out.
    pub async fn change_password(
        &self,
        principal: &Principal,
        current: Password,
        new: Password,
        address: Option<IpAddr>,
    ) -> Result<()> {
        self.prove(principal.user_id, current, "current_password", address).await?;
        let hash = self.ports.passwords.hash(new).await?;
        let now = self.ports.clock.now();
        let Principal { user_id, session_id, .. } = *principal;
        let ended = self.ports.users.set_password(user_id, hash, session_id, now).await?;
        self.sessions.forget(user_id, &ended).await;
        Ok(())
    }

    /// Checks the password of one who is signed in, as carefully as a login.
    async fn prove(
        &self,
        user: UserId,
        password: Password,
        field: &'static str,
        address: Option<IpAddr>,
    ) -> Result<()> {
        let hash = self.ports.users.password_hash(user).await?;
        let turn = self.turns.take(address).await;
        let attempt = self.throttle.begin(user.to_string(), address).await?;
        let verified = self.ports.passwords.verify(password, hash).await;
        drop(turn);
        match verified {
            Ok(true) => {
                attempt.succeeded().await;
                return Ok(());
            }
            Ok(false) => {}
            Err(busy) => {
                attempt.uncount().await;
                return Err(busy.into());
            }
        }
        Err(Refusal::field(field, Code::InvalidCredentials, "is not your password").into())
    }

    /// One's own account.
    pub async fn me(&self, user: UserId) -> Result<User> {
        Ok(self.ports.users.find(&[user]).await?.pop().ok_or_else(Refusal::not_found)?)
    }

    /// Changes one's own profile.
    pub async fn update(&self, user: UserId, patch: ProfilePatch) -> Result<User> {
        let is_dark = |user: &User| user.privacy.last_seen == Visibility::Nobody;
        let was_dark = match patch.last_seen {
            Some(_) => Some(is_dark(&self.me(user).await?)),
            None => None,
        };
        let updated = self.ports.users.update(user, patch).await?.ok_or_else(Refusal::not_found)?;
        match (was_dark, is_dark(&updated)) {
            (Some(false), true) => self.presence.went_dark(user).await,
            (Some(true), false) => self.presence.came_to_light(user).await,
            _ => {}
        }
        self.tell(updated.clone()).await?;
        Ok(updated)
    }

    /// Tells those who know the person of a changed profile.
    async fn tell(&self, user: User) -> Result<()> {
        let people = self.ports.users.acquaintances(user.id).await?;
        if !people.is_empty() {
            let event = Event::UserUpdated(Arc::new(user));
            let audience = Audience::Users(people);
            self.ports.bus.publish(vec![Dispatch::Event { event, audience, origin: None }]).await;
        }
        Ok(())
    }

    /// Erases an account: groups go to an heir, then name, address and profile are freed and all
    /// devices signed out. Messages stay, under no name, unless `with_messages`.
    ///
    /// Each step may be done again, so that an erasure that was cut off can be repeated.
    pub async fn erase(
        &self,
        principal: &Principal,
        password: Option<Password>,
        with_messages: bool,
        address: Option<IpAddr>,
    ) -> Result<()> {
        let user = principal.user_id;
        match password {
            Some(password) => self.prove(user, password, "password", address).await?,
            None => self.ensure_fresh(principal).await?,
        }
        if with_messages {
            self.delete_messages(user).await?;
        }
        self.conversations.leave_all(user).await?;
        let ended = self.ports.users.erase(user, self.ports.clock.now()).await?;
        self.sessions.forget(user, &ended).await;
        // What another device made or sent meanwhile, or others added the account to.
        if with_messages {
            self.delete_messages(user).await?;
        }
        self.conversations.leave_all(user).await?;
        match self.ports.users.find(&[user]).await?.pop() {
            Some(erased) => self.tell(erased).await,
            None => Ok(()),
        }
    }

    async fn ensure_fresh(&self, principal: &Principal) -> Result<()> {
        let now = self.ports.clock.now();
        match self.sessions.find(principal.session_id).await? {
            Some(session) if now.since(session.created_at) <= FRESH_LOGIN => Ok(()),
            _ => Err(Refusal::wrong_field(
                "password",
                Code::Required,
                "give your password, or log in anew and ask within five minutes",
            )
            .into()),
        }
    }

    async fn delete_messages(&self, user: UserId) -> Result<()> {
        let mut after: Option<MessageId> = None;
        loop {
            let slice = self.ports.messages.sent_by(user, after, SLICE).await?;
            let Some((_, last)) = slice.last() else { return Ok(()) };
            after = Some(*last);
            for (conversation, message) in &slice {
                self.messaging.delete_own(*conversation, *message).await?;
            }
        }
    }
}

fn wrong_credentials() -> Refusal {
    Refusal::new(Code::InvalidCredentials, "no account has this name with this password")
}

#[cfg(test)]
mod tests;
