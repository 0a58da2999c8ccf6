//! The Rust client of Kith.
//!
//! [`Client`] has a method for each REST call and renews its tokens by itself. [`Socket`] is a live
//! connection that reconnects, catches up, and shows every message exactly once and in order.
//! [`RawSocket`] does nothing by itself, for tests that must see what really comes.
//!
//! This room knows the wire (`kith_protocol`) and nothing of the server behind it.
//!
//! ```no_run
//! # async fn example() -> Result<(), kith_client::Error> {
//! use kith_client::{Client, Socket, SocketEvent, SocketOptions};
//! use kith_protocol::{frame, rest};
//!
//! let client = Client::new("http://127.0.0.1:8080")?;
//! let login = rest::Login {
//!     username: Some("ann".into()),
//!     password: "correct horse battery".into(),
//!     ..Default::default()
//! };
//! client.login(&login).await?;
//!
//! let mut socket = Socket::connect(client, SocketOptions::default());
//! while let Some(event) = socket.next().await {
//!     if let SocketEvent::Message(message) = event {
//!         println!("{:?}", message.content);
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod backoff;
mod connect;
mod error;
mod event;
pub mod raw;
pub mod rest;
pub mod socket;
mod state;
#[cfg(test)]
mod testing;
mod tokens;

pub use error::{Error, FrameError, Result};
pub use event::{MemberChange, SocketEvent};
pub use kith_protocol as protocol;
pub use raw::{Credential, RawSocket};
pub use reqwest::{Method, StatusCode, header::HeaderMap};
pub use rest::{Answer, Client, Selector};
pub use socket::{Socket, SocketOptions, SocketSender};
pub use tokens::Tokens;
