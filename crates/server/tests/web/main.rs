//! The web client in a real Chromium, talking through the real server.
//!
//! `browser` drives Chromium over its own protocol; `page` does what a person does: clicks, types, looks.
//! Needs `chromium` (or `KITH_CHROMIUM`), and the packages of `crates/web/package.json` for what looks
//! at accessibility; `scripts/test` installs both. Pictures of what was seen land in the folder that
//! each test prints.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod accessibility;
mod browser;
mod groups;
mod history;
mod inbox;
mod injection;
mod offline;
mod page;
mod pictures;
mod served;
mod server;
mod sessions;
mod talk;
mod windows;
mod words;
