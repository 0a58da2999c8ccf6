//! Accounts, devices, passwords, tokens.

use async_trait::async_trait;
use kith_domain::{
    SessionId, Timestamp, UserId,
    session::Session,
    text::{Email, Password, Username},
    user::{ProfilePatch, User},
};

use crate::error::StoreResult;

/// An account to be made, together with its first session.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The account.
    pub user: User,
    /// The hash of its password.
    pub password_hash: String,
    /// The session of the device that registers.
    pub session: Session,
    /// The hash of that session's first refresh token.
    pub token_hash: TokenHash,
}

/// What one logs in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginName {
    /// The e-mail address.
    Email(Email),
    /// The user name.
    Username(Username),
}

/// What a login is checked against.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The account.
    pub user: User,
    /// The hash of its password; `None` if it has none.
    pub password_hash: Option<String>,
}

/// Where a page of profiles goes on: after this user name key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserCursor(pub String);

/// Accounts.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait UserStore: Send + Sync {
    /// Makes an account and its first session in one step.
    ///
    /// # Errors
    /// `Conflict(Email)` and `Conflict(Username)`; the e-mail is told first when both are taken.
    async fn register(&self, account: NewAccount) -> StoreResult<()>;

    /// The account with this e-mail or user name, without regard to case. Erased accounts have none.
    async fn credentials(&self, name: &LoginName) -> StoreResult<Option<Credentials>>;

    /// The hash of an account's password; `None` if the account is unknown, erased or has none.
    async fn password_hash(&self, id: UserId) -> StoreResult<Option<String>>;

    /// Accounts by id, erased ones too, in no particular order; unknown ids are left out.
    async fn find(&self, ids: &[UserId]) -> StoreResult<Vec<User>>;

    /// Up to `limit` living accounts whose user name, or a word of whose display name, begins with
    /// `prefix` without regard to case, in the order of their user name keys, after `after`.
    async fn search(
        &self,
        prefix: &str,
        after: Option<UserCursor>,
        limit: usize,
    ) -> StoreResult<Vec<User>>;

    /// Changes a profile and returns it; `None` if the account is unknown or erased.
    ///
    /// # Contract
    /// When what others see of his reading changes, every small conversation of his MUST be found by
    /// the next sync of its members.
    async fn update(&self, id: UserId, patch: ProfilePatch) -> StoreResult<Option<User>>;

    /// Sets a new password and ends all sessions but `keep`. Returns those that were ended.
    async fn set_password(
        &self,
        id: UserId,
        password_hash: String,
        keep: SessionId,
        now: Timestamp,
    ) -> StoreResult<Vec<SessionId>>;

    /// Erases an account: its name, address, password and profile go, its sessions end, its row
    /// stays as a tombstone. Returns the sessions that were ended; erasing twice ends none.
    async fn erase(&self, id: UserId, now: Timestamp) -> StoreResult<Vec<SessionId>>;

    /// Records when people were last seen. Never moves a record back.
    async fn saw(&self, seen: &[(UserId, Timestamp)]) -> StoreResult<()>;

    /// The people whom each of `ids` has written to in a direct chat, without those whom he has blocked
    /// or who have blocked him, in the order of `ids`.
    async fn contacts(&self, ids: &[UserId]) -> StoreResult<Vec<Vec<UserId>>>;

    /// The people with whom `id` has a direct chat that holds a message, whoever wrote it, without
    /// those whom he has blocked or who have blocked him.
    async fn correspondents(&self, id: UserId) -> StoreResult<Vec<UserId>>;

    /// The people who share a direct chat that holds a message, or a group of at most 256 members,
    /// with `id`: those who should hear of a change of his profile.
    async fn acquaintances(&self, id: UserId) -> StoreResult<Vec<UserId>>;

    /// Those of `owners` who have written to `viewer` in a direct chat, without those whom he has
    /// blocked or who have blocked him.
    async fn have_written_to(&self, viewer: UserId, owners: &[UserId]) -> StoreResult<Vec<UserId>>;
}

/// A SHA-256 of a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenHash(pub [u8; 32]);

/// Signed-in devices.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Makes a session for one whose password was found to be the one hashed in `verified`.
    ///
    /// # Errors
    /// `Stale` if the account was erased or has another password by now.
    async fn create(
        &self,
        session: Session,
        token_hash: TokenHash,
        verified: String,
    ) -> StoreResult<()>;

    /// A session and the hash of its living refresh token; ended ones too.
    async fn find(&self, id: SessionId) -> StoreResult<Option<(Session, TokenHash)>>;

    /// Those of `ids` that exist; ended ones too.
    async fn find_all(&self, ids: &[SessionId]) -> StoreResult<Vec<Session>>;

    /// Moves a session from generation `from` to `renewed.generation`, with the new token's hash.
    ///
    /// # Errors
    /// `Stale` unless the session is at generation `from` and not revoked.
    async fn renew(&self, from: u32, renewed: Session, token_hash: TokenHash) -> StoreResult<()>;

    /// The sessions of an account that have not ended at `now`, the newest used first.
    async fn list(&self, user: UserId, now: Timestamp) -> StoreResult<Vec<Session>>;

    /// Ends one session of `user`. `false` if there is none that lives.
    async fn revoke(&self, user: UserId, id: SessionId, now: Timestamp) -> StoreResult<bool>;

    /// Ends all sessions of `user` but `keep`. Returns those that were ended.
    async fn revoke_others(
        &self,
        user: UserId,
        keep: SessionId,
        now: Timestamp,
    ) -> StoreResult<Vec<SessionId>>;
}

/// The password hash function.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// Hashes a password, with a salt of its own, into a string that says how it was made.
    async fn hash(&self, password: Password) -> Result<String, PasswordsBusy>;

    /// Whether `password` is the one that was hashed. With `None` it works as long as it would
    /// with a hash and answers `false`, so that an unknown account cannot be told by time.
    async fn verify(&self, password: Password, hash: Option<String>)
    -> Result<bool, PasswordsBusy>;
}

/// More passwords are waiting to be hashed than the server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many logins at once")]
pub struct PasswordsBusy;

/// What an access token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessClaims {
    /// Whose it is.
    pub user_id: UserId,
    /// The session it was made for.
    pub session_id: SessionId,
    /// When it was made.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Why an access token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It was good once.
    #[error("the token has expired")]
    Expired,
    /// It never was.
    #[error("the token is not valid")]
    Invalid,
}

/// Access tokens: short-lived, signed, checked without a store.
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait AccessTokens: Send + Sync {
    /// Signs a token.
    fn sign(&self, claims: &AccessClaims) -> String;
    /// Checks signature, form and times at `now`.
    fn verify(&self, token: &str, now: Timestamp) -> Result<AccessClaims, TokenError>;
}

/// Refresh tokens: opaque, derived by a server key from session and generation.
///
/// # Contract
/// `derive` MUST give the same token for the same session and generation, so that a retry can be
/// answered without the token being stored.
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait RefreshTokens: Send + Sync {
    /// The token of a session's generation, and what is stored of it.
    fn derive(&self, session: SessionId, generation: u32) -> (String, TokenHash);
    /// Reads a token that this server made; `None` for any other text.
    fn read(&self, token: &str) -> Option<RefreshClaims>;
}

/// What a refresh token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshClaims {
    /// The session it was made for.
    pub session_id: SessionId,
    /// The generation it is of.
    pub generation: u32,
    /// What is stored of it while it is alive.
    pub hash: TokenHash,
}

/// Makes what is handed to clients and comes back (cursors, sync tokens) tamper-proof.
///
/// # Contract
/// `open` MUST give `None` for a text that was edited, or sealed for another purpose or person.
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait Seals: Send + Sync {
    /// Seals `payload` for one purpose and one person.
    fn seal(&self, purpose: &str, owner: UserId, payload: &[u8]) -> String;
    /// Opens what was sealed for the same purpose and person.
    fn open(&self, purpose: &str, owner: UserId, sealed: &str) -> Option<Vec<u8>>;
}
