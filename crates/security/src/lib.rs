//! Passwords, tokens, keys, ids and the clock.
//!
//! Everything here either must not be guessed or must not be forged. All keys come from one
//! [`ServerSecret`], each under a label of its own, so that what is made for one purpose is never
//! accepted for another.
//!
//! | module | says |
//! |---|---|
//! | [`secret`] | the one secret: made once, kept in a file of its own, or configured |
//! | [`passwords`] | argon2id, on a few slow threads |
//! | [`access`] | access tokens: JWT, checked without a store |
//! | [`refresh`] | refresh tokens: derived, so that a retry gets the same one |
//! | [`seal`] | cursors and sync tokens that cannot be edited or lent |
//! | [`process`] | the time of day and new ids |
//!
//! This room knows nothing of HTTP, of stores, or of who may do what. Whether a session has ended,
//! or a generation is the living one, is for the use cases to say.

pub mod access;
mod key;
pub mod passwords;
pub mod process;
pub mod refresh;
pub mod seal;
pub mod secret;

pub use access::JwtTokens;
pub use passwords::{Argon2Passwords, PasswordCost};
pub use process::{RandomIds, SystemClock};
pub use refresh::DerivedRefreshTokens;
pub use seal::Sealer;
pub use secret::{SecretError, ServerSecret};
