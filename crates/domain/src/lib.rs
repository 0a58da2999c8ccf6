//! What is true in any chat.
//!
//! Types that cannot hold an invalid value, and rules as pure functions that return a decision.
//! This room knows nothing of databases, sockets, JSON or the time of day: whoever asks a rule
//! brings the time with the question.
//!
//! | module | says |
//! |---|---|
//! | [`text`] | what a name, an address, a password, a message's text may be |
//! | [`user`] | accounts, profiles, who may see what of them |
//! | [`session`] | a signed-in device and what a presented refresh token means |
//! | [`conversation`] | direct chats, groups, channels, and a member's place in them |
//! | [`group`] | roles and who may do what |
//! | [`invite`] | codes that let people in |
//! | [`message`] | messages, idempotency, editing and deleting, reactions |
//! | [`receipt`] | watermarks and what they say of a message |
//! | [`presence`] | online, last seen, and for whom |
//! | [`event`] | what happened, and whom it concerns |
//! | [`error`] | why something is refused |

pub mod conversation;
pub mod error;
pub mod event;
pub mod group;
pub mod id;
pub mod invite;
pub mod message;
pub mod presence;
pub mod receipt;
pub mod session;
pub mod text;
pub mod time;
pub mod user;

pub use error::{Code, FieldError, Refusal};
pub use id::{ConnectionId, ConversationId, MessageId, SessionId, UserId};
pub use time::Timestamp;
